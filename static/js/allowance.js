// Says what a visitor has left, and by the reader's own clock when the next comes back.

const DAY_MS = 24 * 3600 * 1000;

function clockWords(at) {
  const time = at.toLocaleTimeString([], { hour: "numeric", minute: "2-digit" });
  const isOn = (day) => at.toDateString() === day.toDateString();
  if (isOn(new Date())) return `at ${time}`;
  if (isOn(new Date(Date.now() + DAY_MS))) return `tomorrow at ${time}`;
  return `on ${at.toLocaleDateString([], { day: "numeric", month: "long" })}`;
}

function showComesBack(element) {
  const seconds = Number(element.dataset.comesBack);
  if (seconds) element.textContent = `; the next comes back ${clockWords(new Date(seconds * 1000))}`;
}

/** Return what shows a new allowance under `root`; a page for users shows none. */
export function allowanceShown(root) {
  const left = root.querySelector("[data-remaining]");
  const back = root.querySelector("[data-comes-back]");
  const noneLeft = root.querySelector("[data-none-left]");
  if (!left) return () => {};
  showComesBack(back);
  return (allowance) => {
    left.textContent = allowance.left_words;
    noneLeft.hidden = allowance.left > 0;
    back.dataset.comesBack = allowance.comes_back_at ?? "";
    back.textContent = "";
    showComesBack(back);
  };
}
