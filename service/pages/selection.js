/** Several images at once: checkboxes, ranges by the shift key, and the bar of what to do. */

import { byId, part } from "./dom.js";
import { plural } from "./formats.js";

export class Selection {
  #gallery;
  #anchor = null;

  /** `onDelete(images)` is called for the selected ones. */
  constructor(gallery, onDelete) {
    this.#gallery = gallery;
    this.bar = byId("selection");
    gallery.grid.addEventListener("click", (event) => this.#onClick(event), true);
    gallery.grid.addEventListener("keydown", (event) => this.#onKey(event));
    gallery.addEventListener("drawn", () => this.#draw());
    part(this.bar, "all").addEventListener("click", () => this.selectAll());
    part(this.bar, "none").addEventListener("click", () => this.clear());
    part(this.bar, "delete").addEventListener("click", () => {
      const images = this.#cards.map((card) => card.image);
      this.clear();
      onDelete(images);
    });
  }

  get #cards() {
    return this.#gallery.cards.filter((card) => card.selected);
  }

  get size() {
    return this.#cards.length;
  }

  selectAll() {
    this.#gallery.cards.forEach((card) => {
      card.selected = true;
    });
    this.#draw();
  }

  clear() {
    const within = this.bar.contains(document.activeElement);
    this.#cards.forEach((card) => {
      card.selected = false;
    });
    this.#anchor = null;
    this.#draw();
    if (within) byId("gallery-title").focus(); // The bar goes, and would take the focus with it.
  }

  // Seen before the card's own button: with a modifier a click selects and opens nothing.
  #onClick(event) {
    const card = this.#gallery.cardAt(event.target);
    const onCheckbox = event.target === card?.checkbox;
    if (!card?.selectable || event.target.matches("label, label *:not(input)")) return;
    if (!onCheckbox && !event.shiftKey && !event.ctrlKey && !event.metaKey) return;
    if (!onCheckbox) {
      event.preventDefault();
      event.stopPropagation();
    }
    // The browser has flipped the checkbox already, and nothing else.
    const selected = onCheckbox ? card.checkbox.checked : event.shiftKey || !card.selected;
    if (event.shiftKey && this.#anchor !== null) this.#selectTo(card, selected);
    card.selected = selected;
    this.#anchor = card.id;
    this.#draw();
  }

  #selectTo(card, selected) {
    const { cards } = this.#gallery;
    const places = [this.#anchor, card.id].map((id) => cards.findIndex((each) => each.id === id));
    if (places.includes(-1)) return;
    const [first, last] = [Math.min(...places), Math.max(...places)];
    cards.slice(first, last + 1).forEach((each) => {
      each.selected = selected;
    });
  }

  #onKey(event) {
    if (event.key === "Escape" && this.size > 0) {
      this.clear();
    } else if (event.key.toLowerCase() === "a" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.selectAll();
    }
  }

  #draw() {
    const { size } = this;
    const total = this.#gallery.cards.filter((card) => card.selectable).length;
    this.#gallery.grid.classList.toggle("selecting", size > 0);
    part(this.bar, "count").textContent = size > 0 ? `${plural(size, "image")} selected` : "";
    part(this.bar, "actions").hidden = size === 0;
    part(this.bar, "all").hidden = size === total;
    part(this.bar, "all").textContent = `Select all ${total}`;
    this.bar.classList.toggle("shown", size > 0);
  }
}
