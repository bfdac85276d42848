/**
 * One request to the service: its credential, its failures as problems, and patience. Every call
 * is safe to repeat, so a busy service and a lost answer are met with another try. A call belongs
 * to whoever was signed in when it began, and is over when they are gone.
 */

import { line } from "./line.js";
import { isAbort, Problem, problemOf } from "./problem.js";
import { session } from "./session.js";
import { ANSWER_SECONDS, Watch } from "./watch.js";

// Taken from this module's own address (…/pages/http.js), so a path prefix needs no setting.
const ROOT = new URL("../", import.meta.url);
const TRIES = 5;
const LONGEST_PAUSE = 30;
const BUSY = new Set([429, 503]);
const UNAUTHORIZED = "urn:mont:problem:unauthorized";
const STORE_AWAY = "urn:mont:problem:store-unavailable";

/** Tells with "waiting" (detail: seconds) that the service put a request off, then with "waited". */
export const patience = new EventTarget();

/** Wait; rejects with an AbortError when `signal` aborts first. */
function sleep(seconds, signal) {
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

const until = (...signals) => AbortSignal.any(signals.filter(Boolean));
const isLost = (problem) => problem.unanswered || problem.type === STORE_AWAY;

/** The seconds before try number `attempt` + 1, or null when there is to be none. */
function pauseAfter(problem, attempt) {
  const worthwhile = BUSY.has(problem.status) || (problem.unanswered && navigator.onLine);
  if (!worthwhile || attempt >= TRIES) return null;
  const seconds = problem.retryAfter ?? 2 ** (attempt - 2);
  if (seconds > LONGEST_PAUSE) return null;
  return seconds * (1 + Math.random() / 4); // Spread, or all who were refused come back at once.
}

/** Wait as the problem tells, and let it be known where it is the service that asks for it. */
async function waitFor(problem, seconds, signal) {
  if (isLost(problem)) return sleep(seconds, signal); // The line tells of that.
  patience.dispatchEvent(new CustomEvent("waiting", { detail: seconds }));
  try {
    return await sleep(seconds, signal);
  } finally {
    patience.dispatchEvent(new Event("waited"));
  }
}

/**
 * Ask the service; gives the parsed body as `data`, and `etag`. Raises Problem or AbortError.
 * What is `lasting` gets to the service even when its caller signs out meanwhile.
 */
export async function call(method, path, { signal, lasting = false, ...options } = {}) {
  const { ended, headers: credential } = session;
  const headers = { ...credential, ...options.headers };
  const stop = lasting ? signal : until(signal, ended);
  for (let attempt = 1; ; attempt += 1) {
    try {
      const answer = await once(method, path, { ...options, headers, signal: stop });
      ended.throwIfAborted();
      return answer;
    } catch (error) {
      ended.throwIfAborted();
      if (!(error instanceof Problem)) throw error;
      if (isLost(error)) line.lose();
      if (error.type === UNAUTHORIZED) {
        session.demand(error.challenge.split(" ")[0], error.text);
        ended.throwIfAborted();
      }
      const seconds = pauseAfter(error, attempt);
      if (seconds === null) throw error;
      await waitFor(error, seconds, until(signal, ended));
    }
  }
}

async function once(method, path, { query = {}, body, headers, signal, keepalive = false }) {
  const url = new URL(path, ROOT);
  for (const [name, value] of Object.entries(query)) {
    if (value) url.searchParams.set(name, value);
  }
  const watch = new Watch(ANSWER_SECONDS);
  const stop = until(watch.signal, signal);
  const sent = { Accept: "application/json", ...headers };
  const request = { method, headers: sent, signal: stop, keepalive, credentials: "omit" };
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
  } finally {
    watch.end();
  }
}
