/** The queue of uploads: at most three files on their way, each with its row. */

import { part } from "./dom.js";
import { formatBytes, plural } from "./formats.js";
import { explain, isAbort } from "./problem.js";
import { objection, Transfer } from "./transfer.js";
import { OVER, UploadRow } from "./uploadrow.js";

const AT_ONCE = 3;
const MOST_LOSSES = 4;

export class UploadQueue {
  #rows = [];
  #running = 0;
  #onStored;
  #contract;

  /** `contract()` says what the service takes; `onStored(imageId)` is told of what it accepted. */
  constructor(panel, { contract, onStored }) {
    this.panel = panel;
    this.#contract = contract;
    this.#onStored = onStored;
    part(panel, "clear").addEventListener("click", () => this.#clear());
    part(panel, "cancel-all").addEventListener("click", () => {
      this.#rows.filter((row) => !OVER.has(row.state)).forEach((row) => row.cancel());
      this.#advance();
    });
    part(panel, "retry-all").addEventListener("click", () => {
      this.#rows.filter((row) => row.state === "failed").forEach((row) => row.retry());
      this.#advance();
    });
  }

  get busy() {
    return this.#rows.some((row) => !OVER.has(row.state));
  }

  add(files, details) {
    for (const file of files) {
      const row = new UploadRow(new Transfer(file, details), this);
      const reason = objection(file, this.#contract());
      if (reason) row.show("refused", reason);
      this.#rows.push(row);
      part(this.panel, "rows").append(row.element);
    }
    this.#advance();
  }

  /** Go on with what waits for the connection. */
  resume() {
    this.#rows.filter((row) => row.state === "offline").forEach((row) => row.retry());
    this.#advance();
  }

  retry(row) {
    row.retry();
    this.#advance();
  }

  cancel(row) {
    row.cancel();
    this.#advance();
  }

  remove(row) {
    const next = row.element.nextElementSibling ?? row.element.previousElementSibling;
    const focused = row.element.contains(document.activeElement);
    this.#rows = this.#rows.filter((other) => other !== row);
    row.discard();
    if (focused) next?.focus();
    this.#summarise();
  }

  #clear() {
    this.#rows
      .filter((row) => OVER.has(row.state) && row.state !== "failed")
      .forEach((row) => this.remove(row));
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
      const imageId = await row.run(() => this.#summarise());
      row.show("done", "Uploaded", 1);
      this.#onStored(imageId);
    } catch (error) {
      if (!isAbort(error)) this.#meet(row, error);
    } finally {
      this.#running -= 1;
      this.#advance();
    }
  }

  // A lost connection is no failure of the file: it waits, and goes on where it stopped.
  #meet(row, error) {
    if (!error.unanswered || (navigator.onLine && row.noteLoss() > MOST_LOSSES)) {
      row.show("failed", explain(error));
    } else if (navigator.onLine) {
      row.show("offline", "The connection was lost. Trying again.");
      setTimeout(() => this.#tryAgain(row), 1000 * 2 ** (row.losses - 1));
    } else {
      row.show("offline", "Waiting for the connection");
    }
  }

  // Unless something else has happened to it meanwhile.
  #tryAgain(row) {
    if (row.state !== "offline") return;
    row.show("waiting", "Waiting");
    this.#advance();
  }

  // Read out on every change of a file's state, never on every percent.
  #summarise() {
    const count = (...states) => this.#rows.filter((row) => states.includes(row.state)).length;
    const [done, failed] = [count("done"), count("failed", "refused")];
    const texts = [`${done} of ${plural(this.#rows.length, "file")} uploaded`];
    if (failed > 0) texts.push(`${failed} failed`);
    const text = texts.join(", ");
    const summary = part(this.panel, "summary");
    if (summary.textContent !== text) summary.textContent = text;
    const speed = this.#rows.reduce((sum, row) => sum + row.speed, 0);
    part(this.panel, "speed").textContent = speed > 0 ? `${formatBytes(speed)}/s` : "";
    part(this.panel, "clear").hidden = count("done", "cancelled", "refused") === 0;
    part(this.panel, "cancel-all").hidden = count("waiting", "running", "offline") < 2;
    part(this.panel, "retry-all").hidden = count("failed") < 2;
    this.panel.hidden = this.#rows.length === 0;
  }
}
