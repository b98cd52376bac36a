// Passkeys (Web Authentication): buttons that ask for one, and the browser's own list beside the email field.
// A button holds its question in data-options; the answer goes into hidden fields of its form, which is sent.

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join(""))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

const described = (list) => list.map((one) => ({ ...one, id: bytes(one.id) }));

// What the browser is asked, with bytes where JSON has text.
const question = (json) => {
  const options = JSON.parse(json);
  options.challenge = bytes(options.challenge);
  if (options.user) options.user.id = bytes(options.user.id);
  if (options.allowCredentials) options.allowCredentials = described(options.allowCredentials);
  if (options.excludeCredentials) options.excludeCredentials = described(options.excludeCredentials);
  return options;
};

const answer = (credential) => {
  const { response } = credential;
  const fields = { passkey_id: text(credential.rawId), passkey_client_data: text(response.clientDataJSON) };
  if (response.attestationObject) {
    fields.passkey_attestation = text(response.attestationObject);
    fields.passkey_transports = response.getTransports?.().join(",") ?? "";
  } else {
    fields.passkey_authenticator_data = text(response.authenticatorData);
    fields.passkey_signature = text(response.signature);
    if (response.userHandle) fields.passkey_user = text(response.userHandle);
  }
  return fields;
};

const send = (form, credential) => {
  for (const [name, value] of Object.entries(answer(credential))) {
    const field = document.createElement("input");
    Object.assign(field, { type: "hidden", name, value });
    form.append(field);
  }
  HTMLFormElement.prototype.submit.call(form);
};

// The name of a site is its domain or one above it; under an address in digits browsers refuse.
const knows = (site) => location.hostname === site || location.hostname.endsWith(`.${site}`);
const REASONS = {
  NotAllowedError: "Nothing was chosen, or it took too long.",
  InvalidStateError: "This device has a passkey for you here already.",
};

let waiting = null; // the question beside the email field

for (const button of document.querySelectorAll("[data-passkey]")) {
  const { passkey: kind, options: json } = button.dataset;
  const site = JSON.parse(json).rpId ?? JSON.parse(json).rp.id;
  const part = button.closest("[data-passkey-part]") ?? button;
  const said = part.querySelector("[role=status]");
  if (!window.PublicKeyCredential || !knows(site)) continue;
  part.hidden = false;
  for (const other of document.querySelectorAll("[data-no-passkey]")) other.hidden = true;
  button.addEventListener("click", async () => {
    if (kind === "create" && !button.form.reportValidity()) return;
    waiting?.abort();
    button.disabled = true;
    try {
      const publicKey = question(json);
      send(button.form, await navigator.credentials[kind]({ publicKey }));
    } catch (error) {
      button.disabled = false;
      if (said) said.textContent = REASONS[error.name] ?? `The browser refused: ${error.message}`;
    }
  });
  if ("offered" in button.dataset && (await PublicKeyCredential.isConditionalMediationAvailable?.())) {
    waiting = new AbortController();
    const offer = { publicKey: question(json), mediation: "conditional", signal: waiting.signal };
    navigator.credentials.get(offer).then(
      (credential) => send(button.form, credential),
      () => {}, // another way was taken
    );
  }
}
