// Reads one answer's event stream, and goes on from the last character after every break.

const RETRY_FIRST_MS = 250;
const RETRY_MOST_MS = 2000;
// A break that is over by then is none to the reader.
const SAID_AFTER_MS = 2000;
const GIVE_UP_MS = 120000;

/**
 * Follow an answer until its end.
 * `handlers`: {place, started, text, end, reconnecting, mended, broken}; the first four get the
 * event's data. A stream that ends without `end` goes on elsewhere: it is asked for again.
 * Returns a function that stops following; the answer itself goes on.
 */
export function followAnswer(url, offset, handlers) {
  let source = null;
  let seen = offset;
  let wait = RETRY_FIRST_MS;
  let lostAt = 0;
  let retrying = 0;
  let saying = 0;

  function open() {
    source = new EventSource(`${url}?from=${seen}`);
    for (const name of ["place", "started", "text", "end"]) {
      source.addEventListener(name, (event) => receive(name, event));
    }
    source.addEventListener("open", mend);
    source.addEventListener("error", lose);
  }

  function receive(name, event) {
    wait = RETRY_FIRST_MS;
    if (event.lastEventId) seen = Number(event.lastEventId);
    const data = JSON.parse(event.data);
    if (name === "end") source.close();
    handlers[name](data);
  }

  function mend() {
    clearTimeout(saying);
    if (!lostAt) return;
    lostAt = 0;
    handlers.mended();
  }

  function lose() {
    // Not left to the browser, which gives up at the first 502 of a proxy.
    source.close();
    const now = performance.now();
    if (!lostAt) {
      lostAt = now;
      saying = setTimeout(handlers.reconnecting, SAID_AFTER_MS);
    }
    if (now - lostAt > GIVE_UP_MS) {
      clearTimeout(saying);
      handlers.broken();
      return;
    }
    retrying = setTimeout(open, wait * (0.75 + Math.random() / 2));
    wait = Math.min(2 * wait, RETRY_MOST_MS);
  }

  open();
  return () => {
    clearTimeout(retrying);
    clearTimeout(saying);
    source.close();
  };
}
