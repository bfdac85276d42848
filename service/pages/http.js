/**
 * One request to the service: its credential, its failures as problems, and patience. Every call
 * is safe to repeat, so a busy service and a lost answer are met with another try.
 */

import { isAbort, Problem, problemOf } from "./problem.js";
import { session } from "./session.js";

// Taken from this module's own address (…/pages/http.js), so a path prefix needs no setting.
const ROOT = new URL("../", import.meta.url);
const TRIES = 5;
const LONGEST_PAUSE = 30;
const BUSY = new Set([429, 503]);
const UNAUTHORIZED = "urn:mont:problem:unauthorized";

/** Tells with "waiting" (detail: seconds) that a request is put off, with "answered" that one came through. */
export const patience = new EventTarget();

/** Wait; rejects with an AbortError when `signal` aborts first. */
export function sleep(seconds, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => {
      clearTimeout(timer);
      reject(new DOMException("Cancelled", "AbortError"));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, seconds * 1000);
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
}

/** The seconds before try number `attempt` + 1, or null when there is to be none. */
function pauseAfter(problem, attempt) {
  const worthwhile = BUSY.has(problem.status) || (problem.unanswered && navigator.onLine);
  if (!worthwhile || attempt >= TRIES) return null;
  const seconds = problem.retryAfter ?? 2 ** (attempt - 2);
  if (seconds > LONGEST_PAUSE) return null;
  return seconds * (1 + Math.random() / 4); // Spread, or all who were refused come back at once.
}

/** Ask the service; gives the parsed body as `data`, and `etag`. Raises Problem or AbortError. */
export async function call(method, path, options = {}) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const answer = await once(method, path, options);
      patience.dispatchEvent(new Event("answered"));
      return answer;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      if (error.type === UNAUTHORIZED) session.demand(error.challenge.split(" ")[0], error.text);
      const seconds = pauseAfter(error, attempt);
      if (seconds === null) throw error;
      patience.dispatchEvent(new CustomEvent("waiting", { detail: seconds }));
      await sleep(seconds, options.signal);
    }
  }
}

async function once(method, path, { query = {}, body, headers = {}, signal, keepalive = false }) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query)) {
    if (value) url.searchParams.set(name, value);
  }
  const sent = { Accept: "application/json", ...session.headers, ...headers };
  const request = { method, headers: sent, signal, keepalive, credentials: "omit" };
  if (body !== undefined) {
    sent["Content-Type"] = "application/json";
    request.body = JSON.stringify(body);
  }
  try {
    const response = await fetch(url, request);
    if (!response.ok) throw await problemOf(response);
    return { data: await response.json(), etag: response.headers.get("ETag") };
  } catch (error) {
    if (error instanceof Problem || isAbort(error)) throw error;
    throw new Problem({
      detail: navigator.onLine
        ? "The service did not answer. Check the connection and try again."
        : "You are offline. Try again when the connection is back.",
    });
  }
}
