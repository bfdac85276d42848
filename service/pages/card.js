/** One image in the grid. */

import { part, showText, stamp, textElement } from "./dom.js";
import { formatWhen } from "./formats.js";

export class Card {
  #renewed = false;

  /** `onWant(card)` is called when another address of the picture is needed. */
  constructor(image, { selectable, onWant }) {
    this.selectable = selectable;
    this.element = stamp("card-template");
    this.element.dataset.id = image.image_id;
    this.button = this.element.querySelector("button");
    this.checkbox = this.element.querySelector("input");
    this.picture = this.element.querySelector("img");
    this.checkbox.closest("label").hidden = !selectable;
    this.picture.addEventListener("load", () => this.element.classList.add("shown"));
    this.picture.addEventListener("error", () => {
      // An address may have expired, and a thumbnail may be missing: asked for anew, once.
      if (this.#renewed) return this.showNoPicture();
      this.#renewed = true;
      return onWant(this);
    });
    this.update(image);
  }

  get id() {
    return this.image.image_id;
  }

  get selected() {
    return this.checkbox.checked;
  }

  set selected(selected) {
    this.checkbox.checked = selected && this.selectable;
    this.element.classList.toggle("selected", this.checkbox.checked);
  }

  update(image) {
    this.image = image;
    part(this.element, "name").textContent = image.filename;
    part(this.element, "when").textContent = formatWhen(image.upload_timestamp);
    part(this.element, "select").textContent = `Select ${image.filename}`;
    const tags = part(this.element, "tags");
    tags.replaceChildren(...(image.tags ?? []).map((tag) => textElement("span", tag, "chip")));
    tags.hidden = tags.childElementCount === 0;
  }

  showPicture(url) {
    this.picture.hidden = false;
    this.picture.src = url;
  }

  showNoPicture(reason = "No preview") {
    this.picture.hidden = true;
    this.element.classList.add("shown");
    showText(part(this.element, "unshown"), reason);
  }

  /** Before or behind another card, in a list of this order: what `sort` wants. */
  static compare(one, other, order) {
    const [a, b] = [one, other].map(({ image }) => `${image.upload_timestamp} ${image.image_id}`);
    const sign = order === "asc" ? 1 : -1;
    return a === b ? 0 : a < b ? -sign : sign;
  }
}
