/** The queue of uploads and its rows: at most three files on their way, each with its progress. */

import { isAbort } from "./api.js";
import { formatBytes, part, plural, stamp } from "./dom.js";
import { Transfer } from "./transfer.js";

const AT_ONCE = 3;
const OVER = new Set(["done", "failed", "cancelled"]);

/** One file's row: shows a state and offers what can be done in it. */
class UploadRow {
  #preview;
  #abort = new AbortController();

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
    this.show("waiting", "Waiting");
  }

  show(state, text, fraction = 0) {
    const changed = state !== this.state;
    this.state = state;
    this.progress.value = fraction;
    part(this.element, "state").textContent = text;
    if (!changed) return;
    const focused = this.element.contains(document.activeElement);
    this.element.dataset.state = state;
    this.progress.hidden = OVER.has(state);
    part(this.element, "retry").hidden = state !== "failed" && state !== "cancelled";
    part(this.element, "remove").hidden = state !== "failed" && state !== "cancelled";
    part(this.element, "cancel").hidden = OVER.has(state);
    // A button that vanishes under the keyboard would throw its user back to the top of the page.
    if (focused) (this.element.querySelector("button:not([hidden])") ?? this.element).focus();
  }

  async run() {
    this.#abort = new AbortController();
    return this.transfer.run((step, fraction) => {
      const percent = `${Math.floor(fraction * 100)}%`;
      const texts = { preparing: "Preparing", uploading: `Uploading, ${percent}`, checking: "Checking" };
      this.show("running", texts[step], fraction);
    }, this.#abort.signal);
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

export class UploadQueue {
  #rows = [];
  #running = 0;
  #onStored;

  /** `onStored(imageId, userId)` is told of every image that the service has accepted. */
  constructor(panel, onStored) {
    this.panel = panel;
    this.#onStored = onStored;
    part(panel, "clear").addEventListener("click", () => this.#clear());
    part(panel, "retry-all").addEventListener("click", () => {
      this.#rows.filter((row) => row.state === "failed").forEach((row) => this.retry(row));
    });
  }

  get busy() {
    return this.#rows.some((row) => !OVER.has(row.state));
  }

  add(files, { userId, tags, description }) {
    for (const file of files) {
      const row = new UploadRow(new Transfer(file, { userId, tags, description }), this);
      this.#rows.push(row);
      part(this.panel, "rows").append(row.element);
    }
    this.#advance();
  }

  retry(row) {
    row.show("waiting", "Waiting");
    this.#advance();
  }

  cancel(row) {
    row.cancel();
    this.#advance();
  }

  remove(row) {
    this.#rows = this.#rows.filter((other) => other !== row);
    row.discard();
    this.#summarise();
  }

  #clear() {
    this.#rows.filter((row) => row.state === "done").forEach((row) => this.remove(row));
  }

  #advance() {
    while (this.#running < AT_ONCE) {
      const next = this.#rows.find((row) => row.state === "waiting");
      if (next === undefined) break;
      this.#carry(next);
    }
    this.#summarise();
  }

  async #carry(row) {
    this.#running += 1;
    try {
      const imageId = await row.run();
      row.show("done", "Uploaded", 1);
      this.#onStored(imageId, row.transfer.userId);
    } catch (error) {
      if (!isAbort(error)) row.show("failed", error.text ?? String(error));
    } finally {
      this.#running -= 1;
      this.#advance();
    }
  }

  // Read out on every change of a file's state, never on every percent.
  #summarise() {
    const count = (state) => this.#rows.filter((row) => row.state === state).length;
    const [done, failed] = [count("done"), count("failed")];
    const texts = [`${done} of ${plural(this.#rows.length, "file")} uploaded`];
    if (failed > 0) texts.push(`${failed} failed`);
    const text = texts.join(", ");
    const summary = part(this.panel, "summary");
    if (summary.textContent !== text) summary.textContent = text;
    part(this.panel, "clear").hidden = done === 0;
    part(this.panel, "retry-all").hidden = failed < 2;
    this.panel.hidden = this.#rows.length === 0;
  }
}
