// Reads one answer's event stream, and goes on from the last character after every break.

const RETRY_MS = [500, 1000, 2000, 4000, 8000, 8000];

/**
 * Follow an answer until its end.
 * `handlers`: {place, started, text, end, broken, mended}; each gets the event's data.
 * Returns a function that stops following; the answer itself goes on.
 */
export function followAnswer(url, offset, handlers) {
  let source = null;
  let seen = offset;
  let failures = 0;
  let timer = 0;

  function open() {
    source = new EventSource(`${url}?from=${seen}`);
    for (const name of ["place", "started", "text", "end"]) {
      source.addEventListener(name, (event) => receive(name, event));
    }
    source.addEventListener("open", () => {
      failures = 0;
      handlers.mended();
    });
    source.addEventListener("error", () => {
      // While it is CONNECTING the browser tries again by itself, with Last-Event-ID.
      if (source.readyState === EventSource.CLOSED) retry();
    });
  }

  function receive(name, event) {
    if (event.lastEventId) seen = Number(event.lastEventId);
    const data = JSON.parse(event.data);
    if (name === "end") source.close();
    handlers[name](data);
  }

  function retry() {
    const wait = RETRY_MS[failures];
    failures += 1;
    if (wait === undefined) handlers.broken();
    else timer = setTimeout(open, wait);
  }

  open();
  return () => {
    clearTimeout(timer);
    source.close();
  };
}
