/** The dialog of one image: the picture, what is known of it, edit, download, delete. */

import { deleteImage, downloadUrl, editImage, getImage, isAbort } from "./api.js";
import { byId, formatExactBytes, formatWhen, part, showText, textElement } from "./dom.js";
import { TagField } from "./tags.js";

const sameTags = (one, other) => JSON.stringify(one) === JSON.stringify(other);

function factsOf(image) {
  const size = image.width && image.height ? `${image.width} × ${image.height}` : "";
  return [
    ["Uploaded", formatWhen(image.upload_timestamp)],
    ["Type", image.content_type],
    ["Size", formatExactBytes(image.file_size)],
    ["Dimensions", size],
    ["Owner", image.user_id],
    ["Image id", image.image_id],
    ["S3 key", image.s3_key],
    ["SHA-256", image.checksum_sha256],
  ].filter(([, value]) => value);
}

export class Detail {
  #image = null;
  #etag = null;
  #abort = new AbortController();
  #onChanged;
  #onDeleted;

  constructor({ onChanged, onDeleted }) {
    this.#onChanged = onChanged;
    this.#onDeleted = onDeleted;
    this.dialog = byId("detail");
    this.picture = this.part("picture");
    this.tags = new TagField(this.dialog.querySelector("[data-tags]"));
    this.description = byId("detail-description");
    this.confirm = byId("confirm");

    this.part("close").addEventListener("click", () => this.dialog.close());
    this.#closeOnBackdrop();
    this.dialog.addEventListener("close", () => this.#leave());
    this.picture.addEventListener("load", () => this.#showStage(true));
    this.picture.addEventListener("error", () => this.#showStage(false));
    this.part("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#attempt("save", () => this.#save());
    });
    this.part("download").addEventListener("click", () =>
      this.#attempt("download", () => this.#download()),
    );
    this.part("delete").addEventListener("click", () => this.#askDelete());
    this.confirm.addEventListener("close", () => {
      if (this.confirm.returnValue === "yes") this.#attempt("delete", () => this.#delete());
    });
  }

  part(name) {
    return part(this.dialog, name);
  }

  // The dialog's own box is covered by its parts, so what hits the box itself is on the backdrop.
  // The press counts too: selecting text may end out there, and must not close anything.
  #closeOnBackdrop() {
    let pressed = null;
    this.dialog.addEventListener("pointerdown", ({ target }) => {
      pressed = target;
    });
    this.dialog.addEventListener("click", ({ target }) => {
      const outside = target === this.dialog && pressed === this.dialog;
      if (outside && Object.keys(this.#changes()).length === 0) this.dialog.close();
    });
  }

  /** Show an image; it is read anew, so that an edit starts from what the service holds now. */
  async open(imageId) {
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    this.#clear();
    this.dialog.showModal();
    this.part("title").focus();
    try {
      const [{ image, etag }, { presigned_url: url }] = await Promise.all([
        getImage(imageId, signal),
        downloadUrl(imageId, "inline", signal),
      ]);
      this.#fill(image, etag);
      this.picture.alt = image.description || image.filename;
      this.picture.src = url;
    } catch (error) {
      if (isAbort(error)) return;
      this.part("title").textContent = "This image cannot be opened";
      this.#showStage(false);
      showText(this.part("problem"), error.text ?? String(error));
    }
  }

  #clear() {
    this.#image = null;
    this.dialog.classList.remove("known");
    this.part("title").textContent = "Loading…";
    this.part("facts").replaceChildren();
    showText(this.part("problem"), "");
    this.part("saved").textContent = "";
    this.picture.removeAttribute("src");
    this.picture.hidden = true;
    this.part("unshown").hidden = true;
    this.part("stage").setAttribute("aria-busy", "true");
  }

  #leave() {
    this.#abort.abort();
    this.picture.removeAttribute("src");
  }

  #showStage(shown) {
    this.picture.hidden = !shown;
    this.part("unshown").hidden = shown;
    this.part("stage").setAttribute("aria-busy", "false");
  }

  #fill(image, etag) {
    this.#image = image;
    this.#etag = etag;
    this.dialog.classList.add("known");
    this.part("title").textContent = image.filename;
    this.tags.value = image.tags ?? [];
    this.description.value = image.description ?? "";
    this.part("facts").replaceChildren(
      ...factsOf(image).flatMap(([name, value]) => [
        textElement("dt", name),
        textElement("dd", value),
      ]),
    );
  }

  // One action at a time on its button; what goes wrong is said in the dialog, the only part of
  // the page that a screen reader hears while it is open.
  async #attempt(name, action) {
    const button = this.part(name);
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    showText(this.part("problem"), "");
    this.part("saved").textContent = "";
    try {
      await action();
    } catch (error) {
      showText(this.part("problem"), error.text ?? String(error));
      this.part("problem").scrollIntoView({ block: "nearest" });
    } finally {
      button.removeAttribute("aria-disabled");
    }
  }

  #changes() {
    if (this.#image === null) return {};
    const [tags, description] = [this.tags.value, this.description.value];
    return {
      ...(!sameTags(tags, this.#image.tags ?? []) && { tags }),
      ...(description !== (this.#image.description ?? "") && { description }),
    };
  }

  async #save() {
    const image = this.#image;
    const changes = this.#changes();
    if (Object.keys(changes).length === 0) {
      this.part("saved").textContent = "Nothing to save";
      return;
    }
    try {
      const answer = await editImage(image.image_id, image.user_id, changes, this.#etag);
      this.#fill(answer.image, answer.etag);
      this.part("saved").textContent = "Saved";
      this.#onChanged(answer.image);
    } catch (error) {
      if (error.status === 412) await this.#meetOtherEdit(changes);
      throw error;
    }
  }

  // Someone else was faster: show their version below ours, and let a second save win knowingly.
  async #meetOtherEdit({ tags, description }) {
    const { image, etag } = await getImage(this.#image.image_id);
    this.#fill(image, etag);
    this.#onChanged(image);
    if (tags !== undefined) this.tags.value = tags;
    if (description !== undefined) this.description.value = description;
    this.part("saved").textContent = "Your text is kept: save again to replace the newer version.";
  }

  async #download() {
    const { presigned_url: url, filename } = await downloadUrl(this.#image.image_id, "attachment");
    const link = document.createElement("a");
    link.href = url;
    link.download = filename;
    link.click();
  }

  #askDelete() {
    part(this.confirm, "name").textContent = this.#image.filename;
    this.confirm.returnValue = "no";
    this.confirm.showModal();
  }

  async #delete() {
    const image = this.#image;
    try {
      await deleteImage(image.image_id, image.user_id);
    } catch (error) {
      if (error.status !== 404) throw error; // Gone already is what was asked for.
    }
    this.dialog.close();
    this.#onDeleted(image);
  }
}
