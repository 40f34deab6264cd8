// Sends the chat's forms, and does the proof of work that a visitor may be asked for first.

import { solved } from "./proof.js";

const PROOFS_MOST = 2;

/** Post a form and return {response, data}. */
export async function post(url, form) {
  const response = await fetch(url, {
    method: "POST",
    body: form,
    headers: { Accept: "application/json" },
  });
  const isJson = response.headers.get("Content-Type")?.startsWith("application/json");
  return { response, data: isJson ? await response.json() : {} };
}

/** Post a form, with a proof where one is asked for; `checking(isOn)` is told meanwhile. */
export async function postProved(url, form, { signal, checking }) {
  let reply = await post(url, form);
  for (let n = 0; n < PROOFS_MOST && reply.data.challenge; n += 1) {
    checking(true);
    try {
      form.set("proof", await solved(reply.data.challenge, signal));
    } finally {
      checking(false);
    }
    reply = await post(url, form);
  }
  return reply;
}
