// Holds what is sent before the chat page's own scripts have come, and does as they would with Enter.
// A classic script on purpose: it runs before there is a composer to type into.

{
  const PRESSED = "data-pressed";

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || !event.target.matches?.("[data-composer] textarea")) return;
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    const { form, value } = event.target;
    if (value.trim()) form.requestSubmit(form.querySelector("[data-send]"));
  });

  document.addEventListener("submit", (event) => {
    if (event.defaultPrevented || !event.target.matches("[data-composer]")) return;
    // Once all has loaded nobody else takes it: the form goes its plain way.
    if (document.readyState === "complete") return;
    event.preventDefault();
    if (!document.querySelector(`[${PRESSED}]`)) event.submitter.setAttribute(PRESSED, "");
  });

  window.addEventListener("load", () => {
    const button = document.querySelector(`[${PRESSED}]`);
    button?.form.requestSubmit(button);
  });
}
