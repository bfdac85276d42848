/** What a file is by its bytes, whatever its name says: its media type, and a key of its content. */

import { Problem, UNREADABLE } from "./problem.js";

const HEAD_BYTES = 12;
// A digest takes the whole file into memory, for three files at a time.
const LARGEST_DIGEST = 64 * 1024 * 1024;

// The service decides by the same ones (service/imageformat).
const SIGNATURES = [
  [/^\xff\xd8\xff/, "image/jpeg"],
  [/^\x89PNG\r\n\x1a\n/, "image/png"],
  [/^GIF8[79]a/, "image/gif"],
  [/^RIFF.{4}WEBP/s, "image/webp"],
  [/^BM/, "image/bmp"],
];

function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function read(blob) {
  try {
    return new Uint8Array(await blob.arrayBuffer());
  } catch {
    const detail = "The file cannot be read: it was changed or moved, or is no file. Choose it again.";
    throw new Problem({ type: UNREADABLE, detail });
  }
}

/** The media type that the first bytes of a file show, "" for no image. Raises Problem. */
export async function typeOf(file) {
  const head = String.fromCharCode(...(await read(file.slice(0, HEAD_BYTES))));
  return SIGNATURES.find(([signature]) => signature.test(head))?.[1] ?? "";
}

/**
 * The idempotency key that `mont upload DIR` makes of the same bytes, so that they become the same
 * image; "" where it cannot be told. Raises Problem.
 */
export async function contentKey(file) {
  // Browsers digest on HTTPS and localhost only; a laptop on the local network has neither.
  if (!globalThis.crypto?.subtle || file.size > LARGEST_DIGEST) return "";
  return `sha256:${hex(new Uint8Array(await crypto.subtle.digest("SHA-256", await read(file))))}`;
}

/** A key that no other file has. */
export function randomKey() {
  return hex(crypto.getRandomValues(new Uint8Array(16)));
}
