/** The one kind of failure that the page knows. */

import { formatSeconds } from "./formats.js";

/** The type of a failure that is the file's own: the browser cannot read it. */
export const UNREADABLE = "unreadable";

// Asked again with the same file, the service could only say the same.
const FINAL = new Set([
  UNREADABLE,
  "urn:mont:problem:upload-rejected",
  "urn:mont:problem:declaration-too-long",
  "urn:mont:problem:invalid-fields",
]);
/** What answers in place of a service or stores that are away. */
export const AWAY = new Set([502, 503, 504]);

/** A failure in words for people: an RFC 9457 document, or the lack of any answer (status 0). */
export class Problem extends Error {
  constructor({ status = 0, type = "", title = "", detail = "", errors = [], instance = "", retryAfter = null, challenge = "" }) {
    super(detail || title || "Something went wrong.");
    this.name = "Problem";
    this.status = status;
    this.type = type;
    this.errors = Array.isArray(errors) ? errors : [];
    this.requestId = instance;
    this.retryAfter = retryAfter;
    this.challenge = challenge;
  }

  /** True when nothing answered, so that trying again may be all that is needed. */
  get unanswered() {
    return this.status === 0 && this.type === "";
  }

  /** True when service or stores are away, so that all there is to do is to wait for them. */
  get away() {
    return this.unanswered || AWAY.has(this.status);
  }

  /** True when no other try can succeed; for another user, one may. */
  get final() {
    return FINAL.has(this.type) && !this.concerns("user_id");
  }

  /** Whether it is about this field of the body. */
  concerns(field) {
    return this.errors.some(({ location }) => location === `body.${field}`);
  }

  /** The message with one clause for each refused field. */
  get text() {
    const fields = this.errors.map(({ location = "", detail = "" }) => {
      const field = location.replace(/^(body|query|path|header)\.?/, "").replaceAll("_", " ");
      return field ? `${field}: ${detail}` : detail;
    });
    const message = this.message.replace(/[.:]?\s*$/, "");
    const when = this.retryAfter > 1 ? ` Try again in ${formatSeconds(this.retryAfter)}.` : "";
    return fields.length > 0 ? `${message}: ${fields.join("; ")}${when}` : `${message}.${when}`;
  }
}

/** True when the failure is the user's own cancel. */
export function isAbort(error) {
  return error?.name === "AbortError";
}

/** What went wrong, for people, whatever was thrown. */
export function explain(error) {
  return error?.text ?? String(error);
}

/** The problem that an answer without success describes. */
export async function problemOf(response) {
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
    retryAfter: secondsOf(response.headers.get("Retry-After")),
    challenge: response.headers.get("WWW-Authenticate") ?? "",
  });
}

// Seconds or a date (RFC 9110, 10.2.3).
function secondsOf(text) {
  if (!text) return null;
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.max(0, seconds) : null;
}
