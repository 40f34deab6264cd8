// The box one types into: grows with the text, sends on Enter, keeps the text on errors.

const DRAFT_KEY = "motherfluxer-draft";

export class Composer {
  /** `onAsk(text)` and `onStop()` are called for what the reader wants done. */
  constructor(root, { onAsk, onStop }) {
    this.form = root.querySelector("[data-composer]");
    this.field = this.form.querySelector("textarea");
    this.sendButton = this.form.querySelector("[data-send]");
    this.stopButton = this.form.querySelector("[data-stop]");
    this.errorBox = root.querySelector("[data-error]");
    this.isBusy = false;
    this.onAsk = onAsk;
    this.#listen(onStop);
    this.#restoreDraft();
    this.grow();
  }

  #listen(onStop) {
    this.field.addEventListener("input", () => {
      this.grow();
      sessionStorage.setItem(DRAFT_KEY, this.field.value);
    });
    this.field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.form.requestSubmit(this.sendButton);
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      const example = event.submitter?.matches("[data-example]") ? event.submitter.value : "";
      this.ask(example || this.field.value);
    });
    window.addEventListener("resize", () => this.grow());
    this.stopButton.addEventListener("click", onStop);
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.isBusy) onStop();
    });
  }

  #restoreDraft() {
    // What this tab has is newer than what the site kept when it refused a question.
    const draft = sessionStorage.getItem(DRAFT_KEY);
    const isTypedIn = this.field.value !== this.field.defaultValue;
    if (draft && !isTypedIn) this.field.value = draft;
  }

  /** Send what was sent before this script had come. */
  takeEarly() {
    const button = document.querySelector("[data-pressed]");
    if (!button) return;
    button.removeAttribute("data-pressed");
    this.form.requestSubmit(button);
  }

  ask(text) {
    if (this.isBusy || !text.trim()) {
      this.field.focus();
      return;
    }
    this.onAsk(text.trim());
  }

  grow() {
    this.field.style.height = "auto";
    this.field.style.height = `${this.field.scrollHeight}px`;
  }

  /** Put text into the box and the cursor behind it. */
  fill(text) {
    this.field.value = text;
    sessionStorage.setItem(DRAFT_KEY, text);
    this.grow();
    this.field.focus();
  }

  /** Put a question back that was not taken; what else was typed meanwhile stays. */
  giveBack(text) {
    if (!this.field.value.trim()) this.fill(text);
    this.field.focus();
  }

  /** Take a question out that was asked; a draft beside a button's own question stays. */
  clear(text) {
    if (this.field.value.trim() !== text) return;
    this.field.value = "";
    sessionStorage.removeItem(DRAFT_KEY);
    this.grow();
  }

  /** While an answer runs, Stop takes the place of Send; one can go on typing. */
  setBusy(isBusy) {
    const goes = isBusy ? this.sendButton : this.stopButton;
    const hadFocus = document.activeElement === goes;
    this.isBusy = isBusy;
    this.sendButton.hidden = isBusy;
    this.stopButton.hidden = !isBusy;
    if (hadFocus) this.field.focus();
  }

  showError(error) {
    this.errorBox.querySelector("[data-error-text]").textContent = error?.message ?? "";
    this.errorBox.querySelector("[data-error-signup]").hidden = !error?.offers_signup;
    this.errorBox.hidden = !error;
  }
}
