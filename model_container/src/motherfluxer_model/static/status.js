// Keeps the page up to date: fetches it anew and exchanges only what has changed, so that neither
// the keyboard's focus nor a screen reader's place is lost.
const EVERY_MS = 3000;
const lost = document.getElementById("lost");

async function refresh() {
  try {
    const answer = await fetch("/", { cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.title = fresh.title;
    for (const part of document.querySelectorAll("[data-live]")) {
      const next = fresh.querySelector(`[data-live="${part.dataset.live}"]`);
      if (next && !next.isEqualNode(part)) {
        part.className = next.className;
        part.hidden = next.hidden;
        part.replaceChildren(...next.childNodes);
      }
    }
    lost.hidden = true;
  } catch {
    lost.hidden = false;
  }
}

async function keepFresh() {
  if (!document.hidden) await refresh();
  setTimeout(keepFresh, EVERY_MS);
}

document.addEventListener("visibilitychange", () => document.hidden || refresh());
setTimeout(keepFresh, EVERY_MS);
