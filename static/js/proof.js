// Has a proof of work solved in a thread of its own, so that the page stays as quick as it is.

/** Return what is to be sent along for a challenge; rejects when `signal` says stop. */
export function solved(challenge, signal) {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("proof-worker.js", import.meta.url));
    const end = (settle, value) => {
      worker.terminate();
      settle(value);
    };
    signal.addEventListener("abort", () => end(reject, new DOMException("Stopped.", "AbortError")));
    worker.addEventListener("message", ({ data }) => end(resolve, data));
    worker.addEventListener("error", (event) => end(reject, new Error(event.message)));
    worker.postMessage(challenge);
  });
}
