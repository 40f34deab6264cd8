// Forms that a passkey or security key signs: [data-passkey="create"] makes one, "get" asks for one.

for (const form of document.querySelectorAll("form[data-passkey]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    sign(form);
  });
}

async function sign(form) {
  const button = form.querySelector("button[type=submit]");
  say(form, "");
  button.disabled = true;
  try {
    const library = window.webauthnJSON;
    if (!library?.supported()) throw new DOMException("", "NotSupportedError");
    const options = await optionsOf(form);
    const credential = await library[form.dataset.passkey](options);
    form.elements.credential.value = JSON.stringify(credential);
    form.submit();
  } catch (error) {
    say(form, wordsFor(error));
    button.disabled = false;
  }
}

// Options stand on the page, or come fresh from the server where nobody is known yet.
async function optionsOf(form) {
  if (form.dataset.passkeyOptionsUrl) {
    const answer = await fetch(form.dataset.passkeyOptionsUrl, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(String(answer.status));
    return (await answer.json()).request_options;
  }
  const given = JSON.parse(document.getElementById("passkey-options").textContent);
  return given.creation_options ? created(form, given.creation_options) : given.request_options;
}

// A key that signs in alone must be kept on the device and ask who holds it.
function created(form, options) {
  const isAlone = form.elements.passwordless.checked;
  const selection = options.publicKey.authenticatorSelection;
  selection.residentKey = isAlone ? "required" : "discouraged";
  selection.requireResidentKey = isAlone;
  if (isAlone) selection.userVerification = "required";
  return options;
}

function say(form, text) {
  const place = form.querySelector("[data-passkey-problem]");
  place.textContent = text;
  place.hidden = !text;
}

function wordsFor(error) {
  if (error.name === "NotAllowedError") return "Nothing was signed: it was cancelled, or took too long. You can try again.";
  if (error.name === "InvalidStateError") return "This key is added already.";
  if (error.name === "NotSupportedError") return "This browser, or this key, can't do that.";
  return "That did not work. Reload the page and try again.";
}
