/** One short message at the foot of the page, with at most one thing to do about it. */

import { byId, part } from "./dom.js";

const MESSAGE_SECONDS = 5;

class Toast {
  #timer = 0;
  #left = 0;
  #since = 0;
  #onEnd = () => {};
  #onAct = null;

  constructor() {
    this.element = byId("toast");
    this.action = part(this.element, "action");
    this.action.addEventListener("click", () => this.act());
    // Whoever reads it or is about to press has all the time that it takes.
    for (const [event, hold] of [
      ["pointerenter", true],
      ["focusin", true],
      ["pointerleave", false],
      ["focusout", false],
    ]) {
      this.element.addEventListener(event, () => (hold ? this.#pause() : this.#go()));
    }
  }

  /** Whether there is a text. */
  get shown() {
    return this.element.classList.contains("shown");
  }

  /** Show a text. `onEnd` is called when its time is over or another one takes its place. */
  show(text, { action = "", onAct = null, onEnd = () => {}, seconds = MESSAGE_SECONDS } = {}) {
    this.finish();
    this.#onEnd = onEnd;
    this.#onAct = onAct;
    this.#left = seconds * 1000;
    part(this.element, "text").textContent = text;
    this.action.textContent = action;
    this.action.hidden = action === "";
    this.element.classList.add("shown");
    this.#go();
  }

  /** Do what the button offers; false when there is nothing. */
  act() {
    const act = this.#onAct;
    if (act === null) return false;
    this.#onEnd = () => {};
    this.finish();
    act();
    return true;
  }

  /** End it now. */
  finish() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const end = this.#onEnd;
    this.#onEnd = () => {};
    this.#onAct = null;
    part(this.element, "text").textContent = "";
    this.action.hidden = true;
    this.element.classList.remove("shown");
    end();
  }

  #pause() {
    if (this.#timer === 0) return;
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#left -= performance.now() - this.#since;
  }

  #go() {
    if (this.#timer !== 0 || !this.shown) return;
    this.#since = performance.now();
    this.#timer = setTimeout(() => this.finish(), Math.max(0, this.#left));
  }
}

export const toast = new Toast();
