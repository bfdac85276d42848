/** What is said of the queue of uploads as a whole: counts, progress, and what can be done. */

import { part } from "./dom.js";
import { formatBytes, formatSeconds, plural } from "./formats.js";
import { Speedometer } from "./speed.js";

/** More rows than fit: those that are through make room for those that are not. */
export const SHORT = 6;

export class UploadSummary {
  #rows = [];
  #expanded = false;
  #meter = new Speedometer();

  constructor(panel) {
    this.panel = panel;
    part(panel, "finished").addEventListener("click", () => {
      this.#expanded = !this.#expanded;
      this.draw(this.#rows);
    });
  }

  /** Say how the rows stand. */
  draw(rows) {
    this.#rows = rows;
    const count = (...states) => this.#rows.filter((row) => states.includes(row.state)).length;
    const [done, failed] = [count("done"), count("failed", "refused")];
    const of = `${done} of ${plural(this.#rows.length, "file")} uploaded`;
    part(this.panel, "summary").textContent = failed > 0 ? `${of}, ${failed} failed` : of;
    this.#announce(done, failed);
    this.#drawProgress();
    this.#drawFinished(done);
    part(this.panel, "clear").hidden = count("done", "cancelled", "refused") === 0;
    part(this.panel, "cancel-all").hidden = this.#rows.filter((row) => !row.over).length < 2;
    part(this.panel, "retry-all").hidden = count("failed") < 2;
    this.panel.hidden = this.#rows.length === 0;
  }

  // Read out with every failure and every further quarter, never with every file or percent.
  #announce(done, failed) {
    const all = this.#rows.length;
    const news = part(this.panel, "news");
    const stage = [all, failed, Math.floor((4 * done) / all)].join();
    if (all === 0) news.textContent = "";
    else if (news.dataset.stage !== stage) {
      news.textContent = `Uploads: ${done} of ${all} done${failed > 0 ? `, ${failed} failed` : ""}`;
    }
    news.dataset.stage = stage;
  }

  #drawProgress() {
    const under = this.#rows.filter((row) => row.state === "done" || !row.over);
    const total = under.reduce((sum, row) => sum + row.transfer.file.size, 0);
    const sent = under.reduce((sum, row) => sum + row.sent, 0);
    const bar = part(this.panel, "overall");
    bar.hidden = this.#rows.length < 2 || this.#rows.every((row) => row.over);
    bar.value = total > 0 ? sent / total : 0;
    this.#meter.note(sent);
    const { speed } = this.#meter;
    const moving = this.#rows.some((row) => row.state === "running") && speed > 0;
    part(this.panel, "speed").textContent = moving
      ? `${formatBytes(speed)}/s, ${formatSeconds((total - sent) / speed)} left`
      : "";
  }

  #drawFinished(done) {
    const button = part(this.panel, "finished");
    const many = this.#rows.length > SHORT && done > 0;
    const folded = many && !this.#expanded;
    if (!many && button === document.activeElement) part(this.panel, "rows").focus();
    button.hidden = !many;
    button.textContent = folded ? `Show ${done} uploaded` : "Hide uploaded";
    button.setAttribute("aria-expanded", String(!folded));
    const row = document.activeElement?.closest(".upload[data-state=done]");
    this.panel.classList.toggle("folded", folded);
    if (folded && row && this.panel.contains(row)) button.focus(); // It would vanish under the focus.
  }
}
