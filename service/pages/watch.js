/** An end to waiting for what does not come. */

/** For an answer: a little more than the service takes at most (REQUEST_TIME_LIMIT). */
export const ANSWER_SECONDS = 12;

/** Its signal aborts when for some seconds nothing has `moved`. */
export class Watch {
  #abort = new AbortController();
  #seconds;
  #timer = 0;

  constructor(seconds) {
    this.#seconds = seconds;
    this.moved();
  }

  get signal() {
    return this.#abort.signal;
  }

  moved() {
    clearTimeout(this.#timer);
    const stalled = new DOMException("Nothing came any more", "TimeoutError");
    this.#timer = setTimeout(() => this.#abort.abort(stalled), this.#seconds * 1000);
  }

  end() {
    clearTimeout(this.#timer);
  }
}
