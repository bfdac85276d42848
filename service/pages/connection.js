/** Says when the page is offline or waits for a busy service, and that it is back. */

import { byId } from "./dom.js";
import { patience } from "./http.js";

/** Keep the banner; `onBack` is called when the connection returns. */
export function watchConnection(onBack) {
  // Emptied, not hidden: a live region must stay in the page to be read out when its text changes.
  const say = (text) => {
    byId("connection").textContent = text;
  };
  window.addEventListener("offline", () => {
    say("You are offline. Uploads go on when the connection is back.");
  });
  window.addEventListener("online", () => {
    say("");
    onBack();
  });
  patience.addEventListener("waiting", ({ detail: seconds }) => {
    if (!navigator.onLine) return;
    const when = seconds < 1 ? "now" : `in ${Math.round(seconds)} s`;
    say(`The service is busy or does not answer. Trying again ${when}.`);
  });
  patience.addEventListener("answered", () => {
    if (navigator.onLine) say("");
  });
  if (!navigator.onLine) window.dispatchEvent(new Event("offline"));
}
