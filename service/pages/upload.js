/** The queue of uploads: at most three files on their way, each with its row. */

import { part } from "./dom.js";
import { line } from "./line.js";
import { explain, isAbort } from "./problem.js";
import { session } from "./session.js";
import { Transfer } from "./transfer.js";
import { UploadRow } from "./uploadrow.js";
import { SHORT, UploadSummary } from "./uploadsummary.js";

const AT_ONCE = 3;
const MOST_LOSSES = 4;

export class UploadQueue {
  #rows = [];
  #running = 0;
  #onStored;
  #onUserWanted;
  #contract;

  /**
   * `contract` says what the service takes; `onStored(imageId)` is told of what it accepted, and
   * `onUserWanted()` when somebody has to say for whom the files are.
   */
  constructor(panel, { contract, onStored, onUserWanted }) {
    this.panel = panel;
    this.summary = new UploadSummary(panel);
    this.#contract = contract;
    this.#onStored = onStored;
    this.#onUserWanted = onUserWanted;
    part(panel, "clear").addEventListener("click", () => this.#clear());
    part(panel, "cancel-all").addEventListener("click", () => {
      this.#cancelAll();
      this.#advance();
    });
    part(panel, "retry-all").addEventListener("click", () => {
      this.#rows.filter((row) => row.state === "failed").forEach((row) => row.retry());
      this.#advance();
    });
  }

  get busy() {
    return this.#rows.some((row) => !row.over);
  }

  /** Take files on; `details` are what a Transfer wants to know. */
  async add(files, details) {
    const rows = files.map((file) => new UploadRow(new Transfer(file, details), this));
    this.#rows.push(...rows);
    part(this.panel, "rows").append(...rows.map((row) => row.element));
    this.#summarise();
    for (const row of rows) await this.#admit(row);
  }

  async #admit(row) {
    let reason;
    try {
      reason = await row.transfer.objection(this.#contract);
    } catch (error) {
      reason = explain(error);
    }
    if (row.state !== "new") return; // Cancelled meanwhile.
    if (reason) this.#fail(row, "refused", reason);
    else row.wait();
    this.#advance();
  }

  /** Go on with what was held up. */
  resume() {
    this.#rows.filter((row) => row.state === "held").forEach((row) => row.wait());
    this.#advance();
  }

  /** Stop and forget everything; gives how many files had not come in. */
  drop() {
    const left = this.#rows.filter((row) => !row.over || row.state === "failed");
    this.#cancelAll();
    this.#rows.forEach((row) => row.discard());
    this.#rows = [];
    this.#summarise();
    return left.length;
  }

  #cancelAll() {
    this.#rows.filter((row) => !row.over).forEach((row) => row.cancel());
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
    const elements = [...part(this.panel, "rows").children];
    const at = elements.indexOf(row.element);
    const shown = (element) => element.checkVisibility();
    const heir = elements.slice(at + 1).find(shown) ?? elements.slice(0, at).findLast(shown);
    const focused = row.element.contains(document.activeElement);
    this.#rows = this.#rows.filter((other) => other !== row);
    row.discard();
    if (focused) heir?.focus();
    this.#summarise();
  }

  #clear() {
    this.#rows
      .filter((row) => row.over && row.state !== "failed")
      .forEach((row) => this.remove(row));
  }

  #advance() {
    const obstacle = this.#obstacle();
    for (const row of this.#rows) {
      if (row.state !== "waiting") continue;
      if (obstacle) row.show("held", obstacle);
      else if (this.#running < AT_ONCE) this.#carry(row);
      else break;
    }
    this.#summarise();
  }

  // What makes it pointless to begin with any file, as a sentence.
  #obstacle() {
    if (line.lost) return "Waiting for the connection";
    return session.lacksUser ? "Waiting until a user is named" : "";
  }

  async #carry(row) {
    this.#running += 1;
    try {
      const { imageId, known } = await row.run(() => this.#summarise());
      const kept = row.transfer.described ? "; its tags and description are left as they are" : "";
      row.show("done", known ? `Already uploaded${kept}` : "Uploaded", 1);
      this.#onStored(imageId);
    } catch (error) {
      if (!isAbort(error)) this.#meet(row, error);
    } finally {
      this.#running -= 1;
      this.#advance();
    }
  }

  // What is no failure of the file holds all of them up, and they go on where they stopped.
  #meet(row, error) {
    if (error.away && row.noteLoss() <= MOST_LOSSES) {
      line.lose();
      row.show("held", error.unanswered ? "The connection was lost. Trying again." : explain(error));
    } else if (error.concerns?.("user_id") && session.scheme && !session.user) {
      row.wait();
      if (!session.mustNameUser) this.#onUserWanted();
      session.mustNameUser = true;
    } else {
      this.#fail(row, error.final ? "refused" : "failed", explain(error));
    }
  }

  // In a long list it goes to the top, not out of view.
  #fail(row, state, reason) {
    row.show(state, reason);
    if (this.#rows.length <= SHORT) return;
    const focused = document.activeElement;
    part(this.panel, "rows").prepend(row.element);
    if (row.element.contains(focused)) focused.focus();
  }

  #summarise() {
    this.summary.draw(this.#rows);
  }
}
