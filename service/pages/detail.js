/** The dialog of one image: the picture, what is known of it, and what can be done with it. */

import { noteClosed, noteOpen, settled } from "./address.js";
import { downloadUrl, getImage } from "./api.js";
import { byId, isTyping, part, showText, textElement } from "./dom.js";
import { Editing } from "./editing.js";
import { formatExactBytes, formatSeconds, formatWhen } from "./formats.js";
import { explain, isAbort } from "./problem.js";
import { session } from "./session.js";
import { Zoom } from "./zoom.js";

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
  #imageId = "";
  #image = null;
  #abort = new AbortController();
  #neighbour;
  #onOpened;
  #onClosed;
  #onGone;
  #onDelete;
  #besideGone = new Map();

  /**
   * `neighbour(imageId, step)` is the id of the image beside it, if there is one; `onGone(imageId)`
   * hears of one that does not exist any more.
   */
  constructor({ neighbour, onOpened, onChanged, onClosed, onGone, onDelete }) {
    this.#neighbour = neighbour;
    this.#onOpened = onOpened;
    this.#onClosed = onClosed;
    this.#onGone = onGone;
    this.#onDelete = onDelete;
    this.dialog = byId("detail");
    this.picture = this.part("picture");
    this.zoom = new Zoom(this.dialog);
    this.editing = new Editing(this.dialog, onChanged);

    this.picture.addEventListener("load", () => this.#showStage(true));
    this.picture.addEventListener("error", () => this.#showStage(false));
    this.dialog.addEventListener("close", () => this.#leave());
    this.dialog.addEventListener("keydown", (event) => this.#onKey(event));
    this.#closeOnBackdrop();
    this.part("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#attempt("save", () => this.editing.save());
    });
    const actions = {
      close: () => this.dialog.close(),
      previous: () => this.#step(-1),
      next: () => this.#step(1),
      delete: () => this.#delete(),
      download: () => this.#attempt("download", () => this.#download()),
      copy: () => this.#attempt("copy", () => this.#copyLink()),
    };
    for (const [name, action] of Object.entries(actions)) {
      this.part(name).addEventListener("click", action);
    }
  }

  part(name) {
    return part(this.dialog, name);
  }

  get openId() {
    return this.dialog.open ? this.#imageId : "";
  }

  /** Show an image; it is read anew, so that an edit starts from what the service holds now. */
  async open(imageId) {
    await settled();
    this.#abort.abort();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    this.#imageId = imageId;
    this.#clear();
    noteOpen(imageId);
    this.#onOpened(imageId);
    if (!this.dialog.open) {
      this.dialog.showModal();
      this.part("title").focus();
    }
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
      this.#say(error);
    }
  }

  /** Close without a trace in the history, which has moved on already. */
  close() {
    if (this.dialog.open) this.dialog.close();
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
      if (outside && !this.editing.dirty) this.dialog.close();
    });
    this.dialog.addEventListener("cancel", (event) => {
      // A key pressed by mistake must not cost what was typed; a second time it is meant.
      if (!this.editing.dirty || this.part("saved").dataset.warned) return;
      event.preventDefault();
      this.part("saved").dataset.warned = "yes";
      this.editing.say("Not saved yet. Press Escape again to leave it.");
    });
  }

  #onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || isTyping(event.target)) return;
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step && !this.zoom.closer) {
      this.#step(step);
    } else if (event.key === "Delete") {
      if (this.#image && session.mayChange(this.#image)) this.#delete();
    } else if (!this.zoom.press(event.key)) {
      return;
    }
    event.preventDefault();
  }

  #say(error) {
    showText(this.part("problem"), explain(error));
    if (error.status !== 404) return;
    // Its place goes with it, and from there the way leads on to those that were beside it.
    for (const step of [-1, 1]) this.#besideGone.set(step, this.#beside(step));
    this.#onGone(this.#imageId);
  }

  #beside(step) {
    return this.#besideGone.get(step) ?? this.#neighbour(this.#imageId, step);
  }

  #step(step) {
    const next = this.#beside(step);
    if (next === undefined) return;
    if (this.editing.dirty) {
      this.editing.say("Save first, or close without saving.");
      return;
    }
    this.open(next);
  }

  #clear() {
    this.#image = null;
    this.#besideGone.clear();
    this.editing.clear();
    this.zoom.fit();
    this.dialog.classList.remove("known");
    delete this.part("saved").dataset.warned;
    this.part("title").textContent = "Loading…";
    this.part("facts").replaceChildren();
    this.part("link").hidden = true;
    showText(this.part("problem"), "");
    this.picture.removeAttribute("src");
    this.picture.hidden = true;
    this.part("unshown").hidden = true;
    this.part("stage").setAttribute("aria-busy", "true");
    this.drawSteps();
  }

  /** Show whether there are images beside this one: disabled, but not out from under the focus. */
  drawSteps() {
    for (const [name, step] of [["previous", -1], ["next", 1]]) {
      const possible = this.#beside(step) !== undefined;
      this.part(name).setAttribute("aria-disabled", String(!possible));
    }
  }

  #leave() {
    // Told a moment after the closing, in which the same image may have been opened again.
    if (this.dialog.open) return;
    const imageId = this.#imageId;
    this.#abort.abort();
    this.editing.clear();
    this.picture.removeAttribute("src");
    noteClosed();
    this.#onClosed(this.#besideGone.get(1) ?? this.#besideGone.get(-1) ?? imageId);
  }

  #showStage(shown) {
    this.picture.hidden = !shown;
    this.part("unshown").hidden = shown;
    this.part("stage").setAttribute("aria-busy", "false");
  }

  #fill(image, etag) {
    this.#image = image;
    this.editing.show(image, etag);
    this.dialog.classList.add("known");
    this.dialog.classList.toggle("foreign", !session.mayChange(image));
    this.part("title").textContent = image.filename;
    showText(this.part("their-words"), image.description ?? "");
    this.part("foreign-tags").replaceChildren(
      ...(image.tags ?? []).map((tag) => textElement("span", tag, "chip")),
    );
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
    this.editing.say("");
    try {
      await action();
    } catch (error) {
      this.#say(error);
      this.part("problem").scrollIntoView({ block: "nearest" });
    } finally {
      button.removeAttribute("aria-disabled");
    }
  }

  async #download() {
    const { presigned_url: url, filename } = await downloadUrl(this.#imageId, "attachment");
    const link = document.createElement("a");
    link.href = url;
    link.download = filename;
    link.click();
  }

  async #copyLink() {
    const { presigned_url: url, expires_in: seconds } = await downloadUrl(this.#imageId, "inline");
    try {
      await navigator.clipboard.writeText(url);
      this.editing.say(`Link copied: good for ${formatSeconds(seconds)}, for whoever has it.`);
    } catch {
      // Without HTTPS, or where it is not allowed, there is no clipboard: shown to be copied.
      const field = this.part("link");
      field.hidden = false;
      field.value = url;
      field.select();
      this.editing.say("Copy the link above.");
    }
  }

  #delete() {
    const image = this.#image;
    if (image === null) return;
    this.dialog.close();
    this.#onDelete([image]);
  }
}
