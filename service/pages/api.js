/**
 * The service's calls, one function each. Answers come back as parsed JSON; whatever goes wrong
 * is a Problem, so that the rest of the page knows one kind of failure.
 */

// Taken from this module's own address (…/pages/api.js), so a path prefix needs no setting.
const ROOT = new URL("../", import.meta.url);

/** A failure in words for people: an RFC 9457 document, or the lack of any answer (status 0). */
export class Problem extends Error {
  constructor({ status = 0, title = "", detail = "", errors = [], instance = "" }) {
    super(detail || title || "Something went wrong.");
    this.name = "Problem";
    this.status = status;
    this.errors = Array.isArray(errors) ? errors : [];
    this.requestId = instance;
  }

  /** The message with one clause for each refused field. */
  get text() {
    const fields = this.errors.map(({ location = "", detail = "" }) => {
      const field = location.replace(/^(body|query|path|header)\.?/, "").replaceAll("_", " ");
      return field ? `${field}: ${detail}` : detail;
    });
    if (fields.length === 0) return this.message;
    return `${this.message.replace(/[.:]\s*$/, "")}: ${fields.join("; ")}`;
  }
}

/** True when the failure is the user's own cancel. */
export function isAbort(error) {
  return error?.name === "AbortError";
}

async function problemOf(response) {
  let body;
  try {
    body = await response.json();
  } catch {
    body = null; // A proxy between may answer with a page of its own.
  }
  const known = body !== null && typeof body === "object" ? body : {};
  return new Problem({
    title: `The service answered ${response.status} ${response.statusText}`.trim(),
    ...known,
    status: response.status,
    instance: known.instance || response.headers.get("X-Request-Id") || "",
  });
}

async function call(method, path, { query = {}, body, headers = {}, signal } = {}) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query)) {
    if (value) url.searchParams.set(name, value);
  }
  const request = { method, headers: { Accept: "application/json", ...headers }, signal };
  if (body !== undefined) {
    request.headers["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  try {
    const response = await fetch(url, request);
    if (!response.ok) throw await problemOf(response);
    return { data: await response.json(), etag: response.headers.get("ETag") };
  } catch (error) {
    if (error instanceof Problem || isAbort(error)) throw error;
    throw new Problem({ detail: "The service did not answer. Check the connection and try again." });
  }
}

const imagePath = (imageId) => `images/${encodeURIComponent(imageId)}`;

/** Ask for a presigned POST. The same idempotency key names the same image again. */
export async function requestUpload(declaration, idempotencyKey, signal) {
  const headers = { "Idempotency-Key": idempotencyKey };
  return (await call("POST", "images/upload-url", { body: declaration, headers, signal })).data;
}

/** Have the uploaded bytes verified and the image recorded. Safe to repeat. */
export async function completeUpload(imageId, declaration, signal) {
  const body = { image_id: imageId, ...declaration };
  return (await call("POST", "images/complete", { body, signal })).data;
}

/** One page of the list: `images`, `next_token`, `has_more`. */
export async function listImages(query, signal) {
  return (await call("GET", "images", { query, signal })).data;
}

/** One image and the ETag that guards its next edit. */
export async function getImage(imageId, signal) {
  const { data, etag } = await call("GET", imagePath(imageId), { signal });
  return { image: data, etag };
}

/** Change tags or description, refused (412) when the image changed since the ETag was read. */
export async function editImage(imageId, userId, changes, etag) {
  const body = { user_id: userId, ...changes };
  const headers = etag ? { "If-Match": etag } : {};
  const answer = await call("PATCH", imagePath(imageId), { body, headers });
  return { image: answer.data, etag: answer.etag };
}

/** Remove an image and its bytes. */
export async function deleteImage(imageId, userId) {
  return (await call("DELETE", imagePath(imageId), { body: { user_id: userId } })).data;
}

/** A presigned GET for one image; `disposition` is "inline" or "attachment". */
export async function downloadUrl(imageId, disposition, signal) {
  const query = { disposition };
  return (await call("GET", `${imagePath(imageId)}/download-url`, { query, signal })).data;
}

/** Presigned GETs for up to 100 images at once, in the order asked; each entry may be a problem. */
export async function downloadUrls(imageIds, userId, signal) {
  const body = { image_ids: imageIds, user_id: userId };
  return (await call("POST", "images/download-urls", { body, signal })).data.results;
}
