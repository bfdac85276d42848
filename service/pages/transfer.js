/**
 * The way of one file: a signed form from the service, the bytes straight to storage, then the
 * service's check. Knows nothing of the page.
 */

import { completeUpload, isStored, requestUpload } from "./api.js";
import { contentKey, randomKey, typeOf } from "./content.js";
import { formatApart } from "./formats.js";
import { Problem } from "./problem.js";
import { session } from "./session.js";
import { inTurn } from "./turns.js";
import { Watch } from "./watch.js";

// Storage neither takes bytes nor answers: longer than a phone takes from one mast to the next.
const STALL_SECONDS = 30;
// The service keeps nothing of the upload: the next try has to send the bytes again.
const LOST = new Set(["urn:mont:problem:nothing-uploaded"]);
// Nor will it take another under this id.
const SPENT = new Set(["urn:mont:problem:image-not-found", "urn:mont:problem:image-id-taken"]);
const NOT_ALLOWED = "urn:mont:problem:not-allowed";

// S3 explains a refusal in XML: <Error><Code>EntityTooLarge</Code><Message>…</Message></Error>
function refusal(status, body) {
  const xml = new DOMParser().parseFromString(body, "application/xml");
  const code = xml.querySelector("Error > Code")?.textContent ?? `HTTP ${status}`;
  const message = xml.querySelector("Error > Message")?.textContent ?? "no reason given";
  return new Problem({ status, detail: `Storage refused the file: ${message} (${code})` });
}

/** POST a file with its signed fields. XMLHttpRequest, because fetch reports no upload progress. */
function sendForm({ presigned_url: url, fields }, file, onProgress, signal) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", file); // Last: S3 ignores every field after the file.

  const watch = new Watch(STALL_SECONDS);
  const stop = AbortSignal.any([signal, watch.signal]);
  const sent = new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const lost = () =>
      reject(
        new Problem({ detail: "Storage did not answer. Check the connection and try again." }),
      );
    request.upload.onprogress = ({ loaded, total }) => {
      watch.moved();
      onProgress(total ? loaded / total : 0);
    };
    request.onload = () =>
      request.status >= 200 && request.status < 300
        ? resolve()
        : reject(refusal(request.status, request.responseText));
    request.onerror = lost;
    request.onabort = () =>
      signal.aborted ? reject(new DOMException("Cancelled", "AbortError")) : lost();
    request.open("POST", url);
    signal.throwIfAborted();
    stop.addEventListener("abort", () => request.abort());
    request.send(form);
  });
  return sent.finally(() => watch.end());
}

/**
 * One file on its way. `run` may be called again after a failure and repeats only what is needed.
 * The same bytes under the same name and for the same user are one image, however often they come.
 */
export class Transfer {
  #user;
  #details;
  #isGone;
  #type = "";
  #key = "";
  #byContent = false;
  #copy = 1;
  #storedId = null;

  /**
   * `user` is who is to own the image; "" is whoever the page acts for when it is sent.
   * `isGone(imageId)` tells of images that were deleted in this page.
   */
  constructor(file, { user, tags, description, isGone }) {
    this.file = file;
    this.#user = user;
    this.#details = { ...(tags.length > 0 && { tags }), ...(description && { description }) };
    this.#isGone = isGone;
  }

  /** Whether something is said about the image that one uploaded earlier may not say. */
  get described() {
    return Object.keys(this.#details).length > 0;
  }

  /** Why the file need not be sent at all, as a sentence; "" where nothing speaks against it. */
  async objection({ types, maxBytes }) {
    const { file } = this;
    if (file.size === 0) return "The file is empty.";
    if (file.size > maxBytes) {
      const [size, most] = formatApart(file.size, maxBytes);
      return `${size} is too large: at most ${most} can be uploaded.`;
    }
    const type = await typeOf(file);
    if (types.includes(type)) return "";
    const names = types.map((each) => each.replace("image/", "").toUpperCase()).join(", ");
    return type
      ? `${type} cannot be uploaded: only ${names}.`
      : `By its content this is no image that can be uploaded: only ${names}.`;
  }

  /**
   * Bring the file in; gives `imageId`, and whether it was `known`: there already, not sent.
   * `onStep(step, fraction)` follows along. Raises Problem or AbortError.
   */
  async run(onStep, signal) {
    onStep("preparing", 0);
    this.#type = await typeOf(this.file); // Each time: it may be gone meanwhile.
    this.#key ||= await this.#makeKey();
    this.#user ||= session.user;
    try {
      // The later one of two copies finds what became of the earlier one.
      return await inTurn(`${this.#key} ${this.file.name}`, () => this.#carry(onStep, signal));
    } catch (error) {
      this.#learn(error);
      throw error;
    }
  }

  async #makeKey() {
    const key = await contentKey(this.file);
    this.#byContent = key !== "";
    return key || randomKey();
  }

  async #carry(onStep, signal) {
    if (this.#storedId === null) {
      const ticket = await this.#request(signal);
      if (this.#byContent && (await isStored(ticket.image_id, this.#user, signal))) {
        return { imageId: ticket.image_id, known: true };
      }
      onStep("uploading", 0);
      await sendForm(ticket, this.file, (fraction) => onStep("uploading", fraction), signal);
      this.#storedId = ticket.image_id;
    }
    onStep("checking", 1);
    await completeUpload(this.#storedId, this.#declaration, signal);
    return { imageId: this.#storedId, known: false };
  }

  get #declaration() {
    return {
      ...(this.#user && { user_id: this.#user }),
      filename: this.file.name,
      content_type: this.#type || "application/octet-stream",
      file_size: this.file.size,
      ...this.#details,
    };
  }

  // What was deleted here is not to be taken for stored, nor hidden when it comes back.
  async #request(signal) {
    for (;;) {
      const key = this.#copy > 1 ? `${this.#key}:${this.#copy}` : this.#key;
      const ticket = await requestUpload(this.#declaration, key, signal);
      if (!this.#isGone(ticket.image_id)) return ticket;
      this.#copy += 1;
    }
  }

  #learn(error) {
    if (LOST.has(error.type) || SPENT.has(error.type)) this.#storedId = null;
    if (SPENT.has(error.type)) this.#copy += 1;
    // The next try is for whoever is named then.
    if (error.type === NOT_ALLOWED || error.concerns?.("user_id")) this.#user = "";
  }
}
