/**
 * Pictures for the cards that come into view: thumbnails where the service has them, else the
 * originals, by one call for as many as are wanted in the same moment.
 */

import { downloadUrls } from "./api.js";
import { isAbort } from "./problem.js";

const MAX_BATCH = 100;
const GATHER_MS = 60;
const AHEAD = "300px";

export class Pictures {
  #wanted = new Set();
  #cards = new WeakMap();
  #abort = new AbortController();
  #onProblem;

  constructor(onProblem) {
    this.#onProblem = onProblem;
    this.inView = new IntersectionObserver(
      (entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => this.#show(entry.target)),
      { rootMargin: AHEAD },
    );
  }

  /** Show a card's picture as soon as it comes into view. */
  watch(card) {
    this.#cards.set(card.element, card);
    this.inView.observe(card.element);
  }

  /** Forget all that was asked for. */
  clear() {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#wanted.clear();
    this.inView.disconnect();
  }

  /** Ask for the original of a card's image. */
  want(card) {
    if (this.#wanted.size === 0) {
      const { signal } = this.#abort;
      setTimeout(() => signal.aborted || this.#fetch(signal), GATHER_MS);
    }
    this.#wanted.add(card);
  }

  #show(element) {
    this.inView.unobserve(element);
    const card = this.#cards.get(element);
    if (card.image.thumbnail_url) card.showPicture(card.image.thumbnail_url);
    else this.want(card);
  }

  async #fetch(signal) {
    const wanted = [...this.#wanted];
    this.#wanted.clear();
    // A list of everybody's images has several owners, and a call names one.
    for (const [owner, cards] of groupBy(wanted, ({ image }) => image.user_id)) {
      for (let first = 0; first < cards.length; first += MAX_BATCH) {
        await this.#fetchBatch(cards.slice(first, first + MAX_BATCH), owner, signal);
      }
    }
  }

  async #fetchBatch(cards, owner, signal) {
    try {
      const results = await downloadUrls(cards.map((card) => card.id), owner, signal);
      results.forEach((result, at) => {
        if (result.presigned_url) cards[at].showPicture(result.presigned_url);
        else cards[at].showNoPicture(result.title);
      });
    } catch (error) {
      if (isAbort(error)) return;
      cards.forEach((card) => card.showNoPicture());
      this.#onProblem(error);
    }
  }
}

function groupBy(items, keyOf) {
  const groups = new Map();
  for (const item of items) {
    const key = keyOf(item);
    groups.set(key, [...(groups.get(key) ?? []), item]);
  }
  return groups;
}
