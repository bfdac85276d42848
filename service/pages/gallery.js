/** The grid of images: pages of the list, on demand while there are more. */

import { getImage, listImages } from "./api.js";
import { Card } from "./card.js";
import { byId, part } from "./dom.js";
import { plural } from "./formats.js";
import { Pictures } from "./pictures.js";
import { isAbort } from "./problem.js";
import { session } from "./session.js";

const AHEAD = "800px";
const NEAR = 5;

/** Tells with "drawn" that other cards are shown. */
export class Gallery extends EventTarget {
  #cards = new Map();
  #abort = new AbortController();
  #loading = false;
  #failed = false;
  #nextToken = null;
  #filters;
  #isHidden;
  #onOpen;
  #onProblem;

  /** `isHidden(imageId)` tells what is about to be deleted; `onOpen(imageId)` opens an image. */
  constructor(filters, { isHidden, onOpen, onProblem }) {
    super();
    this.#filters = filters;
    this.#isHidden = isHidden;
    this.#onOpen = onOpen;
    this.#onProblem = onProblem;
    this.grid = byId("grid");
    this.pictures = new Pictures((error) => this.#report(error));
    this.moreButton = byId("more");
    this.moreButton.addEventListener("click", () => this.loadMore());
    this.grid.addEventListener("click", ({ target }) => {
      if (target.closest("button")) this.#onOpen(this.cardAt(target).id);
    });
    this.scrolling = new IntersectionObserver(
      ([entry]) => entry.isIntersecting && this.loadMore(),
      { rootMargin: AHEAD },
    );
  }

  /** The cards as they stand in the grid. */
  get cards() {
    return [...this.grid.children].map((element) => this.#cards.get(element.dataset.id));
  }

  get failed() {
    return this.#failed;
  }

  /** The card that an element belongs to. */
  cardAt(element) {
    return this.#cards.get(element.closest("[data-id]")?.dataset.id);
  }

  /** Show the list from its start. */
  async reload() {
    this.clear();
    this.#draw();
    await this.loadMore();
  }

  /** Show nothing. */
  clear() {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#cards.clear();
    this.pictures.clear();
    this.scrolling.disconnect();
    this.#nextToken = null;
    this.#loading = false;
    this.#failed = false;
    this.grid.replaceChildren();
  }

  /** Bring in an image that was just uploaded, where the list as shown has a place for it. */
  async add(imageId) {
    const { signal } = this.#abort;
    try {
      const { image } = await getImage(imageId, signal);
      if (!signal.aborted) this.place([image]);
    } catch (error) {
      this.#report(error);
    }
  }

  /** Put images where they belong in the order of the list, if they belong in it at all. */
  place(images) {
    const { order } = this.#filters;
    const fresh = images.filter((image) => !this.#cards.has(image.image_id) && this.#filters.match(image));
    for (const image of fresh) {
      const card = this.#make(image);
      const behind = this.cards.find((other) => Card.compare(card, other, order) < 0);
      // Behind the last one is where the next page begins: it comes with that.
      if (behind === undefined && this.#nextToken !== null) continue;
      this.#cards.set(card.id, card);
      this.grid.insertBefore(card.element, behind?.element ?? null);
      this.pictures.watch(card);
    }
    this.#draw();
  }

  update(image) {
    this.#cards.get(image.image_id)?.update(image);
  }

  /** Take images out; the neighbour of the one with the focus gets it. */
  remove(imageIds) {
    const gone = new Set(imageIds);
    const { cards } = this;
    const at = cards.findIndex((card) => card.element.contains(document.activeElement));
    const lost = at >= 0 && gone.has(cards[at].id);
    const left = (card) => !gone.has(card.id);
    const heir = lost ? (cards.slice(at).find(left) ?? cards.slice(0, at).findLast(left)) : undefined;
    for (const imageId of gone) {
      this.#cards.get(imageId)?.element.remove();
      this.#cards.delete(imageId);
    }
    this.#draw();
    if (lost) (heir?.button ?? byId("gallery-title")).focus();
  }

  /** The image `step` places on from one. */
  neighbour(imageId, step) {
    const { cards } = this;
    const at = cards.findIndex((card) => card.id === imageId);
    return at < 0 ? undefined : cards[at + step]?.id;
  }

  /** Bring in more of the list where an image is near its end. */
  readAhead(imageId) {
    const left = this.#cards.size - this.cards.findIndex((card) => card.id === imageId);
    if (left <= NEAR && this.#nextToken !== null) this.loadMore();
  }

  focus(imageId) {
    const card = this.#cards.get(imageId);
    if (card !== undefined) card.button.focus();
    else if (document.activeElement === document.body) byId("gallery-title").focus();
  }

  /** The next page of the list. */
  async loadMore() {
    if (this.#loading) return;
    const { signal } = this.#abort;
    this.#loading = true;
    this.#failed = false;
    this.#draw();
    try {
      const query = { ...this.#filters.query, next_token: this.#nextToken };
      const page = await listImages(query, signal);
      if (signal.aborted) return;
      this.#nextToken = page.has_more ? page.next_token : null;
      for (const image of page.images) this.#append(image);
    } catch (error) {
      if (signal.aborted) return;
      this.#failed = true;
      this.#report(error);
    }
    this.#finish();
  }

  #append(image) {
    if (this.#cards.has(image.image_id) || this.#isHidden(image.image_id)) return;
    const card = this.#make(image);
    this.#cards.set(card.id, card);
    this.grid.append(card.element);
    this.pictures.watch(card);
  }

  #make(image) {
    return new Card(image, {
      selectable: session.mayChange(image),
      onWant: (card) => this.pictures.want(card),
    });
  }

  #finish() {
    this.#loading = false;
    this.#draw();
    // Observed anew, because a button that stays in view fires no second time. After a failure
    // only a click goes on: a service in trouble is not asked in a loop.
    this.scrolling.disconnect();
    if (this.#nextToken !== null && !this.#failed) this.scrolling.observe(this.moreButton);
  }

  #draw() {
    const { filtered, order } = this.#filters;
    const count = this.#cards.size;
    const more = this.#nextToken !== null;
    this.grid.setAttribute("aria-busy", String(this.#loading));
    this.grid.classList.toggle("loading", this.#loading && count === 0);
    this.moreButton.hidden = !more && !this.#failed;
    const offer = this.#failed ? "Try again" : "Load more";
    this.moreButton.textContent = this.#loading ? "Loading…" : offer;
    byId("clear-filters").hidden = !filtered && order === "desc";
    byId("empty").hidden = count > 0 || more || this.#loading || this.#failed;
    part(byId("empty"), "title").textContent = filtered ? "Nothing matches" : "No images yet";
    part(byId("empty"), "hint").textContent = filtered
      ? "Try another owner, another tag or a longer range of days."
      : "Drop some on this page and they appear here.";
    if (!this.#loading) {
      byId("count").textContent = count ? `${plural(count, "image")}${more ? " so far" : ""}` : "";
    }
    this.dispatchEvent(new Event("drawn"));
  }

  #report(error) {
    if (!isAbort(error)) this.#onProblem(error);
  }
}
