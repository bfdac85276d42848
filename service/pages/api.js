/** The service's calls, one function each. */

import { call } from "./http.js";
import { session } from "./session.js";

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
export async function editImage(imageId, changes, etag) {
  const body = { ...session.claim, ...changes };
  const headers = etag ? { "If-Match": etag } : {};
  const answer = await call("PATCH", imagePath(imageId), { body, headers });
  return { image: answer.data, etag: answer.etag };
}

/**
 * Remove up to 100 images; one result each, in order. It outlives its caller's session, and with
 * `keepalive` the page.
 */
export async function deleteImages(imageIds, keepalive) {
  const body = { ...session.claim, image_ids: imageIds };
  return (await call("POST", "images/delete", { body, keepalive, lasting: true })).data.results;
}

/** A presigned GET for one image; `disposition` is "inline" or "attachment". */
export async function downloadUrl(imageId, disposition, signal) {
  const query = { disposition };
  return (await call("GET", `${imagePath(imageId)}/download-url`, { query, signal })).data;
}

/** Whether there is a completed image by this id, asked without the noise of a 404. */
export async function isStored(imageId, owner, signal) {
  const [result] = await downloadUrls([imageId], owner, signal);
  return "presigned_url" in result;
}

/** Presigned GETs for up to 100 images of one owner, in order; each entry may be a problem. */
export async function downloadUrls(imageIds, owner, signal) {
  const body = { image_ids: imageIds, ...(!session.scheme && { user_id: owner }) };
  return (await call("POST", "images/download-urls", { body, signal })).data.results;
}
