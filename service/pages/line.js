/**
 * Whether service and stores can be reached. When something gets no answer, one probe asks for
 * all who wait, until the service says that it is ready.
 */

import { AWAY } from "./problem.js";
import { ANSWER_SECONDS, Watch } from "./watch.js";

const READY = new URL("../readyz", import.meta.url);
const FIRST_PAUSE = 0.5;
const LONGEST_PAUSE = 10;
// Lost again so soon, the pauses grow on: the probe gets through where the rest does not.
const CALM_MS = 30_000;

async function isReady() {
  const watch = new Watch(ANSWER_SECONDS);
  try {
    const answer = await fetch(READY, { cache: "no-store", credentials: "omit", signal: watch.signal });
    return !AWAY.has(answer.status);
  } catch {
    return false;
  } finally {
    watch.end();
  }
}

/** Tells with "lost" and "found". */
class Line extends EventTarget {
  #lost = false;
  #pause = FIRST_PAUSE;
  #foundAt = -Infinity;
  #timer = 0;

  constructor() {
    super();
    window.addEventListener("offline", () => this.lose());
    window.addEventListener("online", () => this.#lost && this.#probe());
    if (!navigator.onLine) this.lose();
  }

  get lost() {
    return this.#lost;
  }

  /** Something got no answer. */
  lose() {
    if (this.#lost) return;
    this.#lost = true;
    if (performance.now() - this.#foundAt > CALM_MS) this.#pause = FIRST_PAUSE;
    this.#plan();
    this.dispatchEvent(new Event("lost"));
  }

  #plan() {
    clearTimeout(this.#timer);
    const seconds = this.#pause * (1 + Math.random() / 4); // Spread: many pages lose one service.
    this.#timer = setTimeout(() => this.#probe(), seconds * 1000);
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
  }

  async #probe() {
    clearTimeout(this.#timer);
    if (!navigator.onLine) return; // Being online again is an event.
    const ready = await isReady();
    if (!this.#lost) return; // Another probe was faster.
    if (!ready) {
      this.#plan();
      return;
    }
    clearTimeout(this.#timer);
    this.#lost = false;
    this.#foundAt = performance.now();
    this.dispatchEvent(new Event("found"));
  }
}

export const line = new Line();
