// The chat page: asks, shows answers as they come, and picks up again those that still run.

import { allowanceShown } from "./allowance.js";
import { watchAnswer } from "./answer.js";
import { Composer } from "./composer.js";
import { post, postProved } from "./sending.js";

const AT_BOTTOM_PX = 80;
const root = document.querySelector("[data-chat]");
const turns = root.querySelector("[data-turns]");
const status = root.querySelector("[data-status]");
const composer = new Composer(root, { onAsk: ask, onStop: stop });
const showAllowance = allowanceShown(root);
let running = null;
let sending = null;
let isFollowing = true;

const page = {
  say(words) {
    status.textContent = words;
  },
  keepAtBottom() {
    if (isFollowing) window.scrollTo({ top: document.documentElement.scrollHeight, behavior: "instant" });
  },
  allowanceChanged: showAllowance,
  ended(element) {
    if (running !== element) return;
    running = null;
    composer.setBusy(false);
  },
};

function isAtBottom() {
  const { scrollHeight, clientHeight } = document.documentElement;
  return scrollHeight - clientHeight - window.scrollY < AT_BOTTOM_PX;
}

function addTurn(name, text = "") {
  const fragment = document.querySelector(`[data-template="${name}"]`);
  const element = fragment.content.firstElementChild.cloneNode(true);
  element.querySelector("[data-text]").textContent = text;
  turns.append(element);
  return element;
}

function checking(isOn) {
  root.querySelector("[data-checking]").hidden = !isOn;
  if (isOn) page.say("One moment: your browser is doing a small sum.");
}

/** Send a form and return its reply; null when it was stopped or did not arrive. */
async function send(url, form, lostWords) {
  composer.showError(null);
  composer.setBusy(true);
  sending = new AbortController();
  try {
    return await postProved(url, form, { signal: sending.signal, checking });
  } catch (error) {
    composer.setBusy(false);
    if (error.name === "AbortError") page.say("Stopped.");
    else composer.showError({ message: lostWords });
    return null;
  } finally {
    sending = null;
  }
}

async function ask(text) {
  const form = new FormData(composer.form);
  form.set("text", text);
  const lost = "The site cannot be reached. Your text is kept; send it again in a moment.";
  const reply = await send(composer.form.action, form, lost);
  if (!reply) composer.giveBack(text);
  else if (reply.response.ok) begin(text, reply.data);
  else refused(text, reply.response, reply.data);
}

// Some buttons go away when they are pressed: whoever goes by keys goes on in the composer.
function isOnButtonByKeys() {
  const button = document.activeElement;
  return button?.matches("[data-example]:focus-visible, [data-continue] :focus-visible") ?? false;
}

function begin(text, data) {
  const byKeys = isOnButtonByKeys();
  const welcome = root.querySelector("[data-welcome]");
  if (welcome) {
    const heading = welcome.querySelector("h1");
    heading.className = "unseen";
    heading.textContent = data.title;
    welcome.replaceWith(heading);
  }
  composer.clear(text);
  composer.form.elements.namedItem("conversation").value = data.conversation_id;
  if (location.pathname !== data.conversation_url) {
    history.replaceState(null, "", data.conversation_url);
    document.title = `${data.title} · MotherFluxer`;
    listConversation(data);
    root.querySelector("[data-keep]")?.removeAttribute("hidden");
  }
  if (data.allowance) page.allowanceChanged(data.allowance);
  addTurn("question", text);
  for (const way of turns.querySelectorAll("[data-continue], [data-cut-ways]")) way.hidden = true;
  follow(addTurn("answer"), data);
  if (byKeys) composer.field.focus();
}

function follow(answer, data) {
  answer.dataset.answer = data.answer_id;
  answer.dataset.stream = data.stream_url;
  answer.dataset.offset = data.offset;
  answer.querySelector("[data-continue]").elements.namedItem("answer").value = data.answer_id;
  answer.querySelector("[data-why]").href = `/transparency/decisions/${data.job_id}`;
  isFollowing = true;
  watch(answer);
  page.keepAtBottom();
}

function keepEarlierReason(why) {
  const earlier = document.createElement("a");
  earlier.href = why.href;
  earlier.textContent = "Why the one before?";
  why.before(earlier, " ");
}

async function goOn(form) {
  const answer = form.closest("[data-answer]");
  const lost = "The site cannot be reached. Continue in a moment.";
  const reply = await send(form.action, new FormData(form), lost);
  if (!reply) return;
  const { response, data } = reply;
  if (!response.ok) {
    refused("", response, data);
    return;
  }
  if (data.allowance) page.allowanceChanged(data.allowance);
  const byKeys = isOnButtonByKeys();
  answer.querySelector("[data-failure]").hidden = true;
  keepEarlierReason(answer.querySelector("[data-why]"));
  follow(answer, data);
  if (byKeys) composer.field.focus();
}

function listConversation(data) {
  const list = document.querySelector("[data-history]");
  if (!list) return;
  document.querySelector("[data-no-history]")?.remove();
  const entry = document.createElement("li");
  const link = document.createElement("a");
  entry.className = "is-current";
  link.href = data.conversation_url;
  link.textContent = data.title;
  link.setAttribute("aria-current", "page");
  entry.append(link);
  list.prepend(entry);
}

function refused(text, response, data) {
  composer.setBusy(false);
  if (text) composer.giveBack(text);
  if (data.sign_in_url) {
    location.assign(data.sign_in_url);
    return;
  }
  if (data.allowance) page.allowanceChanged(data.allowance);
  const stale = response.status === 403;
  const message = stale
    ? "This page is out of date. Reload it; your text is kept."
    : "This did not work. Send it again in a moment.";
  composer.showError(data.error ?? { message });
}

function watch(answer) {
  running = answer;
  composer.setBusy(true);
  watchAnswer(answer, page);
}

async function stop() {
  sending?.abort();
  if (!running) return;
  const form = new FormData(composer.form);
  form.set("answer", running.dataset.answer);
  page.say("Stopping.");
  try {
    await post(composer.stopButton.dataset.url, form);
  } catch {
    page.say("The site cannot be reached; the answer goes on.");
  }
}

turns.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-continue]")) return;
  event.preventDefault();
  if (!running && !composer.isBusy) goOn(event.target);
});
turns.addEventListener("click", (event) => {
  if (!event.target.closest("[data-again]")) return;
  let before = event.target.closest("[data-answer]").previousElementSibling;
  while (before && !before.matches(".question")) before = before.previousElementSibling;
  if (before) composer.fill(before.querySelector("[data-text]").textContent);
});
window.addEventListener("scroll", () => {
  isFollowing = isAtBottom();
}, { passive: true });
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

const unfinished = turns.querySelector('[data-state="running"]');
if (unfinished) watch(unfinished);
if (turns.childElementCount) page.keepAtBottom();
composer.takeEarly();
