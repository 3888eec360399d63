// Signs in with a passkey: asks the API for a challenge, lets the authenticator sign it, hands in what it said.
"use strict";
(() => {
  const button = document.getElementById("passkey");
  const said = document.getElementById("said");
  if (!button || !said) return;
  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const call = async (path, body) => {
    const answer = await fetch(path, { method: "POST", body: JSON.stringify(body), credentials: "same-origin" });
    const value = await answer.json();
    if (!answer.ok) throw new Error(value.detail || value.title);
    return value;
  };
  button.addEventListener("click", async () => {
    button.disabled = true;
    said.hidden = true;
    try {
      const begun = await call("/v1/session/begin", {});
      const used = await navigator.credentials.get({
        publicKey: { challenge: bytes(begun.challenge), rpId: begun.rp_id, userVerification: "required", timeout: begun.timeout_ms },
      });
      await call("/v1/session/finish", {
        challenge: begun.challenge,
        passkey: text(used.rawId),
        client_data: text(used.response.clientDataJSON),
        authenticator_data: text(used.response.authenticatorData),
        signature: text(used.response.signature),
      });
      location.assign("/console");
    } catch (error) {
      said.textContent = `Not signed in: ${error.message}`;
      said.hidden = false;
      button.disabled = false;
    }
  });
})();
