/** Looking closer at the picture: by buttons, keys, wheel or double click; dragged when it is larger. */

import { part } from "./dom.js";

const FACTOR = 1.5;
const LARGEST = 8;

export class Zoom {
  #scale = null; // Picture pixels to CSS pixels; null fits the picture into the stage.
  #drag = null;

  constructor(dialog) {
    this.stage = part(dialog, "stage");
    this.picture = part(dialog, "picture");
    this.controls = part(dialog, "zoom");
    for (const [name, action] of [
      ["zoom-in", () => this.by(FACTOR)],
      ["zoom-out", () => this.by(1 / FACTOR)],
      ["zoom-fit", () => this.fit()],
    ]) {
      part(dialog, name).addEventListener("click", action);
    }
    this.stage.addEventListener("dblclick", () => (this.closer ? this.fit() : this.by(2 * FACTOR)));
    this.stage.addEventListener("wheel", (event) => this.#onWheel(event), { passive: false });
    this.stage.addEventListener("pointerdown", (event) => this.#grab(event));
    this.stage.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      this.stage.addEventListener(end, () => this.#drop());
    }
  }

  /** True while only a part of the picture may be in view. */
  get closer() {
    return this.#scale !== null;
  }

  /** Show all of it. */
  fit() {
    this.#scale = null;
    this.picture.style.width = "";
    this.#draw();
  }

  /** Larger or smaller; smaller than the stage is fitting. */
  by(factor) {
    if (!this.picture.naturalWidth || this.picture.hidden) return;
    const { clientWidth, clientHeight } = this.stage;
    const { naturalWidth, naturalHeight } = this.picture;
    const fitting = Math.min(1, clientWidth / naturalWidth, clientHeight / naturalHeight);
    const scale = Math.min(LARGEST, (this.#scale ?? fitting) * factor);
    if (scale <= fitting) {
      this.fit();
      return;
    }
    // What is in the middle stays there.
    const { scrollLeft, scrollTop, scrollWidth, scrollHeight } = this.stage;
    const [x, y] = [(scrollLeft + clientWidth / 2) / scrollWidth, (scrollTop + clientHeight / 2) / scrollHeight];
    this.#scale = scale;
    this.picture.style.width = `${naturalWidth * scale}px`;
    this.#draw();
    this.stage.scrollTo(
      x * this.stage.scrollWidth - clientWidth / 2,
      y * this.stage.scrollHeight - clientHeight / 2,
    );
  }

  /** Take a key; false when it means nothing here. */
  press(key) {
    if (key === "+" || key === "=") this.by(FACTOR);
    else if (key === "-") this.by(1 / FACTOR);
    else if (key === "0") this.fit();
    else return false;
    return true;
  }

  #draw() {
    this.stage.classList.toggle("closer", this.closer);
    part(this.controls, "zoom-fit").textContent = this.closer
      ? `${Math.round(this.#scale * 100)}%`
      : "Fit";
  }

  // With the control key, as in maps and as touch pads pinch; without it the wheel scrolls.
  #onWheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    this.by(event.deltaY < 0 ? 1.2 : 1 / 1.2);
  }

  #grab(event) {
    if (!this.closer || event.button !== 0 || event.pointerType === "touch") return;
    event.preventDefault(); // Or the browser drags a copy of the picture around.
    this.stage.setPointerCapture(event.pointerId);
    this.stage.classList.add("dragging");
    this.#drag = { x: event.clientX, y: event.clientY, left: this.stage.scrollLeft, top: this.stage.scrollTop };
  }

  #move({ clientX, clientY }) {
    if (this.#drag === null) return;
    const { x, y, left, top } = this.#drag;
    this.stage.scrollTo(left + x - clientX, top + y - clientY);
  }

  #drop() {
    this.#drag = null;
    this.stage.classList.remove("dragging");
  }
}
