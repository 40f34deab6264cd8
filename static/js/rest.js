// Sends what the form on a page of /api/ holds, and shows the reply below it.

const form = document.getElementById("rest-form");
const content = document.getElementById("rest-content");
const reply = document.getElementById("rest-reply");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { value: method, dataset: { address } } = event.submitter;
  if (method === "DELETE" && !confirm("Delete this?")) return;
  const hasBody = content && !address && method !== "DELETE";
  const headers = {
    Accept: "application/json",
    "X-CSRFToken": form.elements.csrfmiddlewaretoken.value,
  };
  if (hasBody) headers["Content-Type"] = "application/json";
  const answer = await fetch(address || form.dataset.address, {
    method, headers, body: hasBody ? content.value : undefined,
  });
  const text = await answer.text();
  document.getElementById("rest-status").textContent = `${method}: ${answer.status} ${answer.statusText}`;
  document.getElementById("rest-reply-body").textContent = text ? indented(text) : "(no body)";
  reply.hidden = false;
});

function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 4);
  } catch {
    return text;
  }
}
