/** Says in one place when the page is offline, gets no answer or waits for a busy service. */

import { byId } from "./dom.js";
import { formatSeconds } from "./formats.js";
import { patience } from "./http.js";
import { line } from "./line.js";

const LOST =
  "The service or its storage does not answer. Trying again until it does; uploads go on then.";
// Who waits and who got through alternate fast: a message that comes and goes is read by nobody.
const LINGER_MS = 2000;
const TOLD_ANEW_MS = 5000;

let busy = "";
let waiting = 0;
let waitEnds = 0;
let lingering = 0;

function text() {
  if (!navigator.onLine) return "You are offline. Uploads go on when the connection is back.";
  if (line.lost) return LOST;
  return busy;
}

// Emptied, not hidden: a live region must stay in the page to be read out when its text changes.
function draw() {
  const box = byId("connection");
  if (box.textContent !== text()) box.textContent = text();
}

function noteWait(seconds) {
  waiting += 1;
  clearTimeout(lingering);
  const ends = performance.now() + seconds * 1000;
  if (busy && ends < waitEnds + TOLD_ANEW_MS) return;
  waitEnds = ends;
  busy = `The service is busy. Trying again in ${seconds < 5 ? "a moment" : formatSeconds(seconds)}.`;
  draw();
}

function noteWaited() {
  waiting -= 1;
  if (waiting > 0) return;
  lingering = setTimeout(() => {
    busy = "";
    draw();
  }, LINGER_MS);
}

/** Keep the banner; `onBack` is called when service and stores can be reached again. */
export function watchConnection(onBack) {
  patience.addEventListener("waiting", ({ detail: seconds }) => noteWait(seconds));
  patience.addEventListener("waited", noteWaited);
  window.addEventListener("offline", draw);
  window.addEventListener("online", draw);
  line.addEventListener("lost", draw);
  line.addEventListener("found", () => {
    draw();
    onBack();
  });
  draw();
}
