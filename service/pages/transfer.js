/**
 * The way of one file: a signed form from the service, the bytes straight to storage, then the
 * service's check. Knows nothing of the page.
 */

import { completeUpload, requestUpload } from "./api.js";
import { formatApart } from "./formats.js";
import { Problem } from "./problem.js";

// The service keeps nothing of these: the next try has to start afresh, as a new image.
const LOST = new Set([
  "urn:mont:problem:nothing-uploaded",
  "urn:mont:problem:image-not-found",
  "urn:mont:problem:image-id-taken",
  "urn:mont:problem:upload-rejected",
]);

// crypto.randomUUID exists on HTTPS and localhost only; a laptop on the local network has neither.
function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
}

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

  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    request.upload.onprogress = ({ loaded, total }) => onProgress(total ? loaded / total : 0);
    request.onload = () =>
      request.status >= 200 && request.status < 300
        ? resolve()
        : reject(refusal(request.status, request.responseText));
    request.onerror = () =>
      reject(
        new Problem({ detail: "Storage did not answer. Check the connection and try again." }),
      );
    request.onabort = () => reject(new DOMException("Cancelled", "AbortError"));
    request.onloadend = () => signal.removeEventListener("abort", abort);
    request.open("POST", url);
    signal.throwIfAborted();
    signal.addEventListener("abort", abort);
    request.send(form);
  });
}

/** Why a file need not be sent at all, as a sentence; "" where nothing speaks against it. */
export function objection(file, { types, maxBytes }) {
  if (file.size === 0) return "The file is empty.";
  if (maxBytes && file.size > maxBytes) {
    const [size, most] = formatApart(file.size, maxBytes);
    return `${size} is too large: at most ${most} can be uploaded.`;
  }
  if (types && !types.includes(file.type)) {
    const names = types.map((type) => type.replace("image/", "").toUpperCase());
    return `${file.type || "This kind of file"} cannot be uploaded: only ${names.join(", ")}.`;
  }
  return "";
}

/** One file on its way. `run` may be called again after a failure and repeats only what is needed. */
export class Transfer {
  #declaration;
  #key = randomKey();
  #imageId = null;
  #stored = false;

  constructor(file, { claim, tags, description }) {
    this.file = file;
    this.#declaration = {
      ...claim,
      filename: file.name,
      content_type: file.type || "application/octet-stream",
      file_size: file.size,
      ...(tags.length > 0 && { tags }),
      ...(description && { description }),
    };
  }

  /** Bring the file in; returns the image id. `onStep(step, fraction)` follows along. */
  async run(onStep, signal) {
    if (!this.#stored) await this.#store(onStep, signal);
    onStep("checking", 1);
    try {
      await completeUpload(this.#imageId, this.#declaration, signal);
    } catch (error) {
      if (LOST.has(error.type)) this.#forget();
      throw error;
    }
    return this.#imageId;
  }

  async #store(onStep, signal) {
    onStep("preparing", 0);
    const ticket = await requestUpload(this.#declaration, this.#key, signal);
    this.#imageId = ticket.image_id;
    onStep("uploading", 0);
    await sendForm(ticket, this.file, (fraction) => onStep("uploading", fraction), signal);
    this.#stored = true;
  }

  #forget() {
    this.#key = randomKey();
    this.#imageId = null;
    this.#stored = false;
  }
}
