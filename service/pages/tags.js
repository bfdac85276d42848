/** A field of tags: chips before a text input. A tag may hold any character, a comma too. */

import { part, stamp } from "./dom.js";

export class TagField {
  #tags = [];

  constructor(box) {
    this.box = box;
    this.input = box.querySelector("input");
    this.input.addEventListener("keydown", (event) => this.#onKey(event));
    this.input.addEventListener("change", () => this.#take());
    box.addEventListener("click", (event) => event.target === box && this.input.focus());
  }

  /** The tags, with what is still being typed. */
  get value() {
    this.#take();
    return [...this.#tags];
  }

  set value(tags) {
    this.#tags = [...tags];
    this.input.value = "";
    this.#draw();
  }

  #onKey(event) {
    if (event.isComposing) return; // Enter that picks a word in an input method adds no tag.
    if ((event.key === "Enter" && this.input.value.trim()) || event.key === ",") {
      event.preventDefault();
      this.#take();
    } else if (event.key === "Backspace" && this.input.value === "" && this.#tags.length > 0) {
      this.value = this.#tags.slice(0, -1);
    }
  }

  #take() {
    const tag = this.input.value.trim();
    this.input.value = "";
    if (tag === "" || this.#tags.includes(tag)) return;
    this.#tags.push(tag);
    this.#draw();
  }

  #draw() {
    this.box.querySelectorAll(".chip").forEach((chip) => chip.remove());
    this.input.before(...this.#tags.map((tag) => this.#chip(tag)));
  }

  #chip(tag) {
    const chip = stamp("chip-template");
    const button = chip.querySelector("button");
    part(chip, "text").textContent = tag;
    button.setAttribute("aria-label", `Remove tag ${tag}`);
    button.addEventListener("click", () => {
      this.value = this.#tags.filter((other) => other !== tag);
      this.input.focus();
    });
    return chip;
  }
}
