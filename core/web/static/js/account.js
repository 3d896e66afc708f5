// Logging in with a passkey, making one, and codes that are shown once.
//   form[data-passkey="address of the options"] is sent with what the device signed in its field `credential`
import { $, $$, on, onContent, _ } from "./dom.js";

const bytes = text => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), c => c.charCodeAt(0));
const text = buffer => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

const readable = options => ({
  ...options,
  challenge: bytes(options.challenge),
  ...(options.user && { user: { ...options.user, id: bytes(options.user.id) } }),
  ...(options.excludeCredentials && { excludeCredentials: options.excludeCredentials.map(c => ({ ...c, id: bytes(c.id) })) }),
  ...(options.allowCredentials && { allowCredentials: options.allowCredentials.map(c => ({ ...c, id: bytes(c.id) })) }),
});

const sendable = credential => {
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[name]) response[name] = text(credential.response[name]);
  }
  return JSON.stringify({ id: credential.id, rawId: text(credential.rawId), type: credential.type, response, clientExtensionResults: {} });
};

onContent(root => { if (globalThis.PublicKeyCredential) $$("form[data-passkey]", root).forEach(form => { form.hidden = false; }); });

on("submit", "form[data-passkey]", async (e, form) => {
  if (form.credential.value) return;
  e.preventDefault();
  const said = $("[data-passkey-said]", form), button = $("button[type=submit]", form);
  if (form.elements.name && !form.elements.name.value.trim()) { form.submit(); return; }   // the server says what is missing
  said.hidden = true;
  button.disabled = true;
  try {
    const headers = JSON.parse(document.body.getAttribute("hx-headers:inherited") || "{}");
    const answer = await fetch(form.dataset.passkey, { method: "POST", headers });
    if (!answer.ok) throw new Error(answer.statusText);
    const publicKey = readable(await answer.json());
    const credential = publicKey.user ? await navigator.credentials.create({ publicKey }) : await navigator.credentials.get({ publicKey });
    form.credential.value = sendable(credential);
    form.submit();
  } catch (error) {
    said.textContent = error.name === "InvalidStateError" ? _("This device has a passkey for you already.") : _("No passkey was used. Try again, or use another way.");
    said.hidden = false;
    button.disabled = false;
  }
});

on("click", "[data-download]", (e, button) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([document.getElementById(button.dataset.download).value + "\n"], { type: "text/plain" }));
  link.download = button.dataset.file;
  link.click();
  URL.revokeObjectURL(link.href);
});
on("click", "[data-print]", () => print());
