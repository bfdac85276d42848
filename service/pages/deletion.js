/**
 * Deleting with a window to undo it: images go from the page at once, and from the service when
 * the window ends or the page is left. A page that dies before deletes nothing.
 */

import { deleteImages } from "./api.js";
import { plural } from "./formats.js";
import { explain, Problem } from "./problem.js";
import { toast } from "./toast.js";

const UNDO_SECONDS = 8;
const MAX_BATCH = 100;

export class Deletion {
  #hidden = new Map();
  #waiting = [];
  #onHide;
  #onBack;
  #onProblem;

  /** `onHide(images)` and `onBack(images)` take them out of the page and back in. */
  constructor({ onHide, onBack, onProblem }) {
    this.#onHide = onHide;
    this.#onBack = onBack;
    this.#onProblem = onProblem;
    window.addEventListener("pagehide", () => this.#send(true));
  }

  /** Whether an image is about to be deleted. */
  isHidden(imageId) {
    return this.#hidden.has(imageId);
  }

  /** Hide images, and delete them unless that is undone. An earlier deletion is sent now. */
  remove(images) {
    toast.finish();
    this.#waiting = images;
    images.forEach((image) => this.#hidden.set(image.image_id, image));
    this.#onHide(images);
    const what = images.length === 1 ? images[0].filename : plural(images.length, "image");
    toast.show(`Deleted ${what}`, {
      action: "Undo",
      onAct: () => this.#undo(),
      onEnd: () => this.#send(false),
      seconds: UNDO_SECONDS,
    });
  }

  #undo() {
    const images = this.#waiting;
    this.#waiting = [];
    this.#bringBack(images);
    toast.show(images.length === 1 ? `Kept ${images[0].filename}` : `Kept ${plural(images.length, "image")}`);
  }

  async #send(leaving) {
    const images = this.#waiting;
    this.#waiting = [];
    const failures = [];
    for (let first = 0; first < images.length; first += MAX_BATCH) {
      const sent = this.#sendBatch(images.slice(first, first + MAX_BATCH), leaving, failures);
      if (!leaving) await sent; // A page that is left has no time for one after the other.
    }
    if (failures.length > 0) this.#onProblem(new Problem({ detail: describe(failures) }));
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
      images.forEach((image) => failures.push({ image, reason: explain(error) }));
      this.#bringBack(images);
    }
  }

  #bringBack(images) {
    images.forEach((image) => this.#hidden.delete(image.image_id));
    if (images.length > 0) this.#onBack(images);
  }
}

function describe(failures) {
  const [{ image, reason }] = failures;
  const what = failures.length === 1 ? image.filename : plural(failures.length, "image");
  return `${what} could not be deleted: ${reason}`;
}
