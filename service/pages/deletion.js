/**
 * Deleting with a window to undo it: images go from the page at once, and from the service when
 * the window ends or the page is left. A page that dies before deletes nothing.
 */

import { deleteImages } from "./api.js";
import { plural } from "./formats.js";
import { explain, isAbort, Problem } from "./problem.js";
import { session } from "./session.js";
import { toast } from "./toast.js";

const UNDO_SECONDS = 8;
const MAX_BATCH = 100;
// Browsers send 64 KB of requests for a page that is gone, all of them together, and an id of an
// image takes 39 bytes: this many are well below it.
const MOST_ON_LEAVING = 1200;

export class Deletion {
  #hidden = new Map();
  #offered = [];
  #unanswered = new Set();
  #onHide;
  #onBack;
  #onProblem;

  /** `onHide(images)` and `onBack(images)` take them out of the page and back in. */
  constructor({ onHide, onBack, onProblem }) {
    this.#onHide = onHide;
    this.#onBack = onBack;
    this.#onProblem = onProblem;
    window.addEventListener("pagehide", () => this.leave());
  }

  /** Whether an image is about to be deleted. */
  isHidden(imageId) {
    return this.#hidden.has(imageId);
  }

  /** Whether more is left to send than can be when the page is left. */
  get busy() {
    return this.#offered.length + this.#unanswered.size > MOST_ON_LEAVING;
  }

  /** Hide images, and delete them unless that is undone. An earlier deletion is sent now. */
  remove(images) {
    toast.finish();
    this.#offered = images;
    images.forEach((image) => this.#hidden.set(image.image_id, image));
    this.#onHide(images);
    toast.show(`Deleting ${named(images)}`, {
      action: "Undo",
      onAct: () => this.#undo(),
      onEnd: () => this.#send(this.#takeOffered()),
      seconds: UNDO_SECONDS,
    });
  }

  #takeOffered() {
    const images = this.#offered;
    this.#offered = [];
    return images;
  }

  #undo() {
    const images = this.#takeOffered();
    this.#bringBack(images);
    toast.show(`Kept ${named(images)}`);
  }

  /** Send what was asked for while there is a page and a caller to send it. */
  leave() {
    // What has no answer yet is sent again, as what is under way may end with the page. No time
    // for one after the other; and nothing is deleted twice.
    const images = [...this.#unanswered, ...this.#takeOffered()];
    toast.finish();
    this.#send(images, { leaving: true });
  }

  /** Delete nothing of what can still be undone. */
  forget() {
    this.#takeOffered();
    toast.finish();
  }

  async #send(images, { leaving = false } = {}) {
    if (images.length === 0) return;
    images.forEach((image) => this.#unanswered.add(image));
    const { ended } = session;
    const failures = [];
    const sent = [];
    for (let first = 0; first < images.length; first += MAX_BATCH) {
      sent.push(this.#sendBatch(images.slice(first, first + MAX_BATCH), leaving, failures));
      if (!leaving) await sent.at(-1);
      if (ended.aborted) break; // All the rest went when the caller left.
    }
    await Promise.all(sent);
    if (ended.aborted) return; // The next user hears nothing of it.
    if (failures.length > 0) this.#onProblem(new Problem({ detail: describe(failures) }));
    else if (!toast.shown) toast.show(`Deleted ${named(images)}`);
  }

  async #sendBatch(images, leaving, failures) {
    try {
      const results = await deleteImages(images.map((image) => image.image_id), leaving);
      // Gone already is what was asked for.
      const kept = images.filter((_, at) => results[at].title && results[at].status !== 404);
      kept.forEach((image) => {
        const { detail } = results[images.indexOf(image)];
        failures.push({ image, reason: detail });
      });
      this.#bringBack(kept);
    } catch (error) {
      if (isAbort(error)) return;
      images.forEach((image) => failures.push({ image, reason: explain(error) }));
      this.#bringBack(images);
    } finally {
      images.forEach((image) => this.#unanswered.delete(image));
    }
  }

  #bringBack(images) {
    images.forEach((image) => this.#hidden.delete(image.image_id));
    if (images.length > 0) this.#onBack(images);
  }
}

function named(images) {
  return images.length === 1 ? images[0].filename : plural(images.length, "image");
}

function describe(failures) {
  const what = named(failures.map(({ image }) => image));
  return `${what} could not be deleted: ${failures[0].reason}`;
}
