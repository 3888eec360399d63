"use strict";
// Stores a passkey by an invitation, then signs in with it, so that whoever enrolled knows that it works.
(() => {
  const said = document.getElementById("said");
  const store = document.getElementById("store");
  const invite = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);

  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

  const call = async (path, body) => {
    const answer = await fetch(path, { method: "POST", body: JSON.stringify(body), credentials: "same-origin" });
    const value = await answer.json();
    if (!answer.ok) throw new Error(value.detail ?? value.title);
    return value;
  };

  const enrol = async () => {
    const begun = await call("/v1/enrolment/begin", { invite });
    const made = await navigator.credentials.create({
      publicKey: {
        challenge: bytes(begun.challenge),
        rp: { id: begun.rp_id, name: "Caponier" },
        user: { id: bytes(begun.user_id), name: begun.user, displayName: begun.user },
        pubKeyCredParams: begun.algorithms.map((alg) => ({ type: "public-key", alg })),
        excludeCredentials: begun.exclude.map((id) => ({ type: "public-key", id: bytes(id) })),
        authenticatorSelection: { residentKey: "required", userVerification: "required" },
        attestation: "none",
        timeout: begun.timeout_ms,
      },
    });
    return call("/v1/enrolment/finish", {
      invite,
      challenge: begun.challenge,
      client_data: text(made.response.clientDataJSON),
      attestation: text(made.response.attestationObject),
    });
  };

  const signIn = async () => {
    const begun = await call("/v1/session/begin", {});
    const used = await navigator.credentials.get({
      publicKey: {
        challenge: bytes(begun.challenge),
        rpId: begun.rp_id,
        userVerification: "required",
        timeout: begun.timeout_ms,
      },
    });
    return call("/v1/session/finish", {
      challenge: begun.challenge,
      passkey: text(used.rawId),
      client_data: text(used.response.clientDataJSON),
      authenticator_data: text(used.response.authenticatorData),
      signature: text(used.response.signature),
    });
  };

  store.addEventListener("click", async () => {
    store.disabled = true;
    try {
      await enrol();
      const session = await signIn();
      said.textContent = `Stored. ${session.user} is signed in until ${session.expires_at}.`;
    } catch (error) {
      said.textContent = `Not stored: ${error.message}`;
      store.disabled = false;
    }
  });
})();
