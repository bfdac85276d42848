/** Tags and description of the open image: edited on the version that was read, never over another. */

import { editImage, getImage } from "./api.js";
import { byId, part } from "./dom.js";
import { TagField } from "./tags.js";

const sameTags = (one, other) => JSON.stringify(one) === JSON.stringify(other);

export class Editing {
  #image = null;
  #etag = null;
  #onChanged;

  /** `onChanged(image)` is told of every newer version, whoever made it. */
  constructor(dialog, onChanged) {
    this.#onChanged = onChanged;
    this.dialog = dialog;
    this.tags = new TagField(dialog.querySelector("[data-tags]"));
    this.description = byId("detail-description");
    this.conflict = part(dialog, "conflict");
    part(dialog, "take-theirs").addEventListener("click", () => {
      this.show(this.#image, this.#etag);
      this.say("Now it is as they saved it.");
      this.description.focus();
    });
  }

  /** Start from this version. */
  show(image, etag) {
    this.#image = image;
    this.#etag = etag;
    this.conflict.hidden = true;
    this.say("");
    this.tags.value = image.tags ?? [];
    this.description.value = image.description ?? "";
  }

  /** Forget what was edited. */
  clear() {
    this.#image = null;
    this.conflict.hidden = true;
    this.say("");
  }

  /** Tell how it went. */
  say(text) {
    part(this.dialog, "saved").textContent = text;
  }

  /** What was typed and is not saved. */
  get changes() {
    if (this.#image === null) return {};
    const [tags, description] = [this.tags.value, this.description.value];
    return {
      ...(!sameTags(tags, this.#image.tags ?? []) && { tags }),
      ...(description !== (this.#image.description ?? "") && { description }),
    };
  }

  get dirty() {
    return Object.keys(this.changes).length > 0;
  }

  /** Save, or show who was faster. Raises Problem. */
  async save() {
    const { changes } = this;
    if (Object.keys(changes).length === 0) {
      this.conflict.hidden = true;
      this.say("Nothing to save");
      return;
    }
    try {
      const { image, etag } = await editImage(this.#image.image_id, changes, this.#etag);
      this.show(image, etag);
      this.say("Saved");
      this.#onChanged(image);
    } catch (error) {
      if (error.status !== 412) throw error;
      await this.#meetOtherEdit();
    }
  }

  // Someone else was faster: their version is the new ground, what was typed stays in the fields,
  // and a second save replaces theirs knowingly.
  async #meetOtherEdit() {
    const typed = this.changes;
    const { image, etag } = await getImage(this.#image.image_id);
    this.show(image, etag);
    this.#onChanged(image);
    if (typed.tags !== undefined) this.tags.value = typed.tags;
    if (typed.description !== undefined) this.description.value = typed.description;
    part(this.conflict, "their-tags").textContent = image.tags?.join(", ") || "none";
    part(this.conflict, "their-description").textContent = image.description || "none";
    this.conflict.hidden = false;
    this.conflict.scrollIntoView({ block: "nearest" });
  }
}
