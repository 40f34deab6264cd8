// Keeps each [data-live] element as the server would draw it now.

const IDLE_MS = 1000;
const MOST_MS = 15000;

for (const region of document.querySelectorAll("[data-live]")) {
  keepFresh(region, Number(region.dataset.liveEveryMs) || IDLE_MS);
}

async function keepFresh(region, everyMs) {
  const state = document.querySelector("[data-live-state]");
  let failures = 0;
  for (;;) {
    await pause(Math.min(everyMs * 2 ** failures, MOST_MS));
    if (document.hidden) await shown();
    try {
      await refresh(region);
      failures = 0;
      say(state, "");
    } catch {
      failures += 1;
      say(state, "The site does not answer. These figures are old; trying again …");
    }
  }
}

async function refresh(region) {
  const response = await fetch(region.dataset.live, { redirect: "manual", cache: "no-store" });
  if (response.type === "opaqueredirect") {
    location.reload(); // signed out meanwhile: the page itself leads to the sign-in
    return;
  }
  if (!response.ok) throw new Error(String(response.status));
  const fresh = region.cloneNode(false);
  const parsed = new DOMParser().parseFromString(await response.text(), "text/html");
  fresh.append(...parsed.body.childNodes);
  patchChildren(region, fresh);
}

// Touches only what differs: a selection, a scrolled table and the focus stay where they are.
function patchChildren(old, fresh) {
  const before = [...old.childNodes];
  const after = [...fresh.childNodes];
  after.forEach((node, index) => {
    const was = before[index];
    if (!was) old.append(node);
    else if (was.nodeName !== node.nodeName || was.className !== node.className) was.replaceWith(node);
    else if (node.nodeType === Node.ELEMENT_NODE) patchChildren(was, node);
    else if (was.data !== node.data) was.data = node.data;
  });
  before.slice(after.length).forEach((node) => node.remove());
}

function say(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

function pause(ms) {
  return new Promise((done) => setTimeout(done, ms));
}

function shown() {
  return new Promise((done) => {
    document.addEventListener("visibilitychange", () => done(), { once: true });
  });
}
