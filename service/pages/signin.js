/** The form that asks for a key or token where the service wants one, and the way out again. */

import { byId, part, showText } from "./dom.js";
import { session } from "./session.js";

const WORDS = {
  ApiKey: {
    label: "API key",
    hint: "The service asks for one: mont keys create makes it, and whoever runs the service hands it out.",
  },
  Bearer: { label: "Access token", hint: "The token (JWT) that your identity provider issued to you." },
};

/** Ask whenever nobody is signed in. Called again when the service has said what it wants. */
export function askForCredential() {
  const form = byId("sign-in");
  const field = byId("credential");
  const { label, hint } = WORDS[session.scheme] ?? { label: "Credential", hint: "" };
  part(form, "label").textContent = label;
  part(form, "hint").textContent = hint;
  document.body.classList.toggle("signed-out", !session.signedIn);
  byId("sign-out").hidden = session.scheme === "" || !session.signedIn;
  byId("user-form").hidden = session.scheme === "Bearer" || !session.signedIn;
  if (!session.signedIn) field.focus();
}

/** Wire form and button up. */
export function offerSignIn() {
  const form = byId("sign-in");
  const field = byId("credential");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const credential = field.value.trim();
    showText(part(form, "problem"), credential ? "" : "Enter it first.");
    field.value = ""; // Kept in one place only.
    if (credential) session.signIn(credential);
    else field.focus();
  });
  byId("sign-out").addEventListener("click", () => session.signOut());
  session.addEventListener("signedin", askForCredential);
  session.addEventListener("signedout", ({ detail: reason }) => {
    showText(part(form, "problem"), reason ?? "");
    askForCredential();
  });
}
