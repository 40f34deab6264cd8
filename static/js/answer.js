// Shows one answer as it grows. What a model wrote is only ever text.

import { followAnswer } from "./stream.js";

const VERBS = { running: "Being answered", stopped: "Stopped; answered", failed: "Last tried" };
// A screen reader hears of a new place at once, of a new expected wait only now and then.
const WAIT_SAID_EVERY_MS = 15000;

/** Bring an answer's element to life. `page`: {say, keepAtBottom, allowanceChanged, ended}. */
export function watchAnswer(element, page) {
  const part = (name) => element.querySelector(`[data-${name}]`);
  const text = part("text");
  let pending = "";
  let frame = 0;
  let placeSaid = null;
  let placeSaidAt = 0;

  function paint() {
    frame = 0;
    if (!pending) return;
    // One text node that grows: nothing that stands already is laid out anew by the script.
    if (text.firstChild) text.firstChild.appendData(pending);
    else text.append(pending);
    pending = "";
    page.keepAtBottom();
  }

  function show(name, words) {
    const box = part(name);
    box.textContent = words;
    box.hidden = !words;
    page.keepAtBottom();
  }

  function showInstance({ instance, model, attempt }) {
    part("instance").textContent = instance;
    part("model").textContent = model;
    part("attempt").textContent = attempt;
    part("parts").hidden = !instance;
  }

  function showCut({ message, offers_signup: offersSignup }) {
    part("cut-text").textContent = message;
    part("cut-signup").hidden = !offersSignup;
    part("cut-ways").hidden = false;
    part("cut").hidden = false;
    page.keepAtBottom();
  }

  function setState(state) {
    element.dataset.state = state;
    part("verb").textContent = VERBS[state] ?? "Answered";
    part("why").hidden = state === "running" || part("parts").hidden;
    part("again").hidden = state !== "failed";
    part("continue").hidden = true;
  }

  function sayPlace({ place, online, words }) {
    const now = performance.now();
    const isOther = placeSaid !== `${place} ${online}`;
    if (!isOther && now - placeSaidAt < WAIT_SAID_EVERY_MS) return;
    placeSaid = `${place} ${online}`;
    placeSaidAt = now;
    page.say(words);
  }

  function end(data) {
    cancelAnimationFrame(frame);
    paint();
    show("place", "");
    if (data.instance) {
      showInstance({ instance: data.instance, model: data.model, attempt: data.attempts });
    }
    if (data.error) show("failure", data.error.message);
    if (data.cut) showCut(data.cut);
    setState(data.error ? "failed" : data.finish_reason === "cancelled" ? "stopped" : "complete");
    part("continue").hidden = !data.can_continue;
    if (data.allowance) page.allowanceChanged(data.allowance);
    page.say((data.error ?? data.cut)?.message ?? "The answer is complete.");
    page.ended(element);
  }

  setState("running");
  return followAnswer(element.dataset.stream, Number(element.dataset.offset), {
    place(data) {
      show("place", data.words);
      sayPlace(data);
    },
    started(data) {
      show("place", "");
      showInstance(data);
      page.say(`${data.instance} is answering.`);
    },
    text(piece) {
      pending += piece;
      // A hidden tab paints no frames, yet its text should stand when it is looked at.
      if (document.hidden) paint();
      else if (!frame) frame = requestAnimationFrame(paint);
    },
    end,
    reconnecting() {
      show("place", "Reconnecting …");
      page.say("Reconnecting to the site.");
    },
    mended() {
      show("place", "");
    },
    broken() {
      show("place", "");
      show("failure", "The connection to the site is lost. Reload the page to see the answer.");
      page.ended(element);
    },
  });
}
