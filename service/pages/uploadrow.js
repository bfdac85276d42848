/** One file's row in the queue: shows a state and offers what can be done in it. */

import { part, stamp } from "./dom.js";
import { formatBytes, formatSeconds } from "./formats.js";
import { Speedometer } from "./speed.js";

const OVER = new Set(["done", "failed", "cancelled", "refused"]);
const RETRIED = new Set(["failed", "cancelled"]);

export class UploadRow {
  #preview;
  #abort = new AbortController();
  #meter = new Speedometer();
  #losses = 0;

  constructor(transfer, queue) {
    const { file } = transfer;
    this.transfer = transfer;
    this.element = stamp("row-template");
    this.progress = this.element.querySelector("progress");
    this.progress.setAttribute("aria-label", `Progress of ${file.name}`);
    part(this.element, "name").textContent = file.name;
    part(this.element, "size").textContent = formatBytes(file.size);
    this.#preview = URL.createObjectURL(file);
    const image = this.element.querySelector("img");
    image.onerror = () => image.remove(); // What is no image shows as a plain file.
    image.src = this.#preview;
    for (const [name, action] of [
      ["retry", () => queue.retry(this)],
      ["cancel", () => queue.cancel(this)],
      ["remove", () => queue.remove(this)],
    ]) {
      const button = part(this.element, name);
      button.setAttribute("aria-label", `${button.textContent} ${file.name}`);
      button.addEventListener("click", action);
    }
    this.show("new", "Waiting");
  }

  /** Whether nothing more happens by itself. */
  get over() {
    return OVER.has(this.state);
  }

  /** Bytes that have gone. */
  get sent() {
    return this.progress.value * this.transfer.file.size;
  }

  /** Count one more answer that never came; gives how many since somebody asked for it. */
  noteLoss() {
    this.#losses += 1;
    return this.#losses;
  }

  show(state, text, fraction = 0) {
    const changed = state !== this.state;
    this.state = state;
    this.progress.value = fraction;
    part(this.element, "state").textContent = text;
    if (!changed) return;
    const focused = this.element.contains(document.activeElement);
    this.element.dataset.state = state;
    this.progress.hidden = this.over;
    part(this.element, "retry").hidden = !RETRIED.has(state);
    part(this.element, "remove").hidden = !this.over || state === "done";
    part(this.element, "cancel").hidden = this.over;
    // A button that vanishes under the keyboard would throw its user back to the top of the page.
    if (focused) (this.element.querySelector("button:not([hidden])") ?? this.element).focus();
  }

  async run(onProgress) {
    this.#abort = new AbortController();
    return this.transfer.run((step, fraction) => {
      if (step === "uploading") this.#meter.note(fraction * this.transfer.file.size);
      this.show("running", this.#text(step, fraction), fraction);
      onProgress();
    }, this.#abort.signal);
  }

  #text(step, fraction) {
    if (step !== "uploading") return step === "checking" ? "Checking" : "Preparing";
    const texts = [`Uploading, ${Math.floor(fraction * 100)}%`];
    const { speed } = this.#meter;
    if (speed > 0) {
      const left = ((1 - fraction) * this.transfer.file.size) / speed;
      texts.push(`${formatBytes(speed)}/s`, `${formatSeconds(left)} left`);
    }
    return texts.join(", ");
  }

  retry() {
    this.#losses = 0;
    this.wait();
  }

  /** Wait for its turn. */
  wait() {
    this.show("waiting", "Waiting");
  }

  cancel() {
    this.#abort.abort();
    this.show("cancelled", "Cancelled");
  }

  discard() {
    URL.revokeObjectURL(this.#preview);
    this.element.remove();
  }
}
