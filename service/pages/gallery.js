/** The grid of images: pages of the list on demand, thumbnails in one call a page, filters. */

import { downloadUrls, getImage, isAbort, listImages } from "./api.js";
import { byId, formatWhen, part, plural, showText, stamp, textElement } from "./dom.js";

// Pages of the list hold no more than one call for addresses may ask for.
const MAX_BATCH = 100;
const GATHER_MS = 60;
const AHEAD = "600px";

// The reader's own day in UTC, to the second: the service includes the whole of the last second.
function dayEdge(day, time) {
  return day ? `${new Date(`${day}T${time}`).toISOString().slice(0, 19)}Z` : "";
}

/** One image in the grid. A thumbnail that fails is asked for anew once: addresses expire. */
class Card {
  constructor(image, { onOpen, onExpired }) {
    this.element = stamp("card-template");
    this.button = this.element.querySelector("button");
    this.picture = this.element.querySelector("img");
    this.renewed = false;
    this.button.addEventListener("click", () => onOpen(this.image.image_id));
    this.picture.addEventListener("load", () => this.element.classList.add("shown"));
    this.picture.addEventListener("error", () => {
      if (this.renewed) return this.showNoPicture();
      this.renewed = true;
      return onExpired(this.image.image_id);
    });
    this.update(image);
  }

  update(image) {
    this.image = image;
    part(this.element, "name").textContent = image.filename;
    part(this.element, "when").textContent = formatWhen(image.upload_timestamp);
    const tags = part(this.element, "tags");
    tags.replaceChildren(...(image.tags ?? []).map((tag) => textElement("span", tag, "chip")));
    tags.hidden = tags.childElementCount === 0;
  }

  showPicture(url) {
    this.picture.hidden = false;
    this.picture.src = url;
  }

  showNoPicture(reason = "No preview") {
    this.picture.hidden = true;
    this.element.classList.add("shown");
    showText(part(this.element, "unshown"), reason);
  }
}

export class Gallery {
  #cards = new Map();
  #wanted = new Set();
  #abort = new AbortController();
  #loading = false;
  #failed = false;
  #nextToken = null;
  #shown = "";
  #onOpen;
  #onLoaded;
  #onProblem;

  constructor({ userId, onOpen, onLoaded, onProblem }) {
    this.userId = userId;
    this.#onOpen = onOpen;
    this.#onLoaded = onLoaded;
    this.#onProblem = onProblem;
    this.grid = byId("grid");
    this.filters = byId("filters");
    this.moreButton = byId("more");
    this.moreButton.addEventListener("click", () => this.#load());
    this.filters.addEventListener("change", () => this.#apply());
    this.filters.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#apply();
    });
    // The event comes before the fields are reset.
    this.filters.addEventListener("reset", () => setTimeout(() => this.#apply()));
    // The cross in a search field empties it without a change event.
    byId("tag").addEventListener("input", ({ target }) => target.value || this.#apply());
    this.scrolling = new IntersectionObserver(
      ([entry]) => entry.isIntersecting && this.#load(),
      { rootMargin: AHEAD },
    );
  }

  /** Show the list from its start, for the present user and filters. */
  async reload() {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#cards.clear();
    this.#wanted.clear();
    this.#nextToken = null;
    this.#shown = JSON.stringify(this.#query());
    this.#loading = false;
    this.#failed = false;
    this.grid.replaceChildren();
    this.#draw();
    await this.#load();
  }

  /** Bring in an image that was just uploaded, where the list as shown has a place for it. */
  async add(imageId, userId) {
    const { signal } = this.#abort;
    if (userId !== this.userId) return;
    try {
      const { image } = await getImage(imageId, signal);
      if (signal.aborted || this.#cards.has(imageId) || !this.#belongs(image)) return;
      const oldestFirst = this.#query().order === "asc";
      if (oldestFirst && this.#nextToken !== null) return; // It comes with the last page.
      this.#put(image, oldestFirst);
      this.#draw();
      this.#wantPicture(imageId);
    } catch (error) {
      this.#report(error);
    }
  }

  update(image) {
    this.#cards.get(image.image_id)?.update(image);
  }

  /** Take a card out; its neighbour gets the focus that the card would have had. */
  remove(imageId) {
    const card = this.#cards.get(imageId);
    if (card === undefined) return;
    const { nextElementSibling, previousElementSibling } = card.element;
    const neighbour = (nextElementSibling ?? previousElementSibling)?.querySelector("button");
    card.element.remove();
    this.#cards.delete(imageId);
    this.#draw();
    (neighbour ?? byId("gallery-title")).focus();
  }

  // Several events may tell of one change of the filters.
  #apply() {
    if (JSON.stringify(this.#query()) !== this.#shown) this.reload();
  }

  #query() {
    const { tag, start, end, order } = this.filters.elements;
    return {
      user_id: this.userId,
      tag: tag.value.trim(),
      start_date: dayEdge(start.value, "00:00:00"),
      end_date: dayEdge(end.value, "23:59:59"),
      order: order.value,
    };
  }

  #belongs(image) {
    const { tag, start_date: start, end_date: end } = this.#query();
    const second = image.upload_timestamp.slice(0, 19);
    return (
      (!tag || (image.tags ?? []).includes(tag)) &&
      (!start || second >= start.slice(0, 19)) &&
      (!end || second <= end.slice(0, 19))
    );
  }

  async #load() {
    if (this.#loading) return;
    const { signal } = this.#abort;
    this.#loading = true;
    this.#failed = false;
    this.#draw();
    try {
      const query = { ...this.#query(), next_token: this.#nextToken };
      const page = await listImages(query, signal);
      if (signal.aborted) return;
      this.#nextToken = page.has_more ? page.next_token : null;
      const fresh = page.images.filter(({ image_id: id }) => !this.#cards.has(id));
      fresh.forEach((image) => this.#put(image, true));
      this.#finish();
      this.#onLoaded();
      this.#fetchPictures(fresh.map(({ image_id: id }) => id));
    } catch (error) {
      if (signal.aborted) return;
      this.#failed = true;
      this.#finish();
      this.#report(error);
    }
  }

  #finish() {
    this.#loading = false;
    this.#draw();
    // Observed anew, because a button that stays in view fires no second time. After a failure
    // only a click goes on: a service in trouble is not asked in a loop.
    this.scrolling.disconnect();
    if (this.#nextToken !== null && !this.#failed) this.scrolling.observe(this.moreButton);
  }

  #put(image, atEnd) {
    const card = new Card(image, {
      onOpen: this.#onOpen,
      onExpired: (imageId) => this.#wantPicture(imageId),
    });
    this.#cards.set(image.image_id, card);
    if (atEnd) this.grid.append(card.element);
    else this.grid.prepend(card.element);
  }

  // Many thumbnails may expire or arrive in the same moment: gather them into one call.
  #wantPicture(imageId) {
    if (this.#wanted.size === 0) {
      setTimeout(() => {
        const imageIds = [...this.#wanted];
        this.#wanted.clear();
        this.#fetchPictures(imageIds);
      }, GATHER_MS);
    }
    this.#wanted.add(imageId);
  }

  async #fetchPictures(imageIds) {
    const { signal } = this.#abort;
    try {
      for (let first = 0; first < imageIds.length; first += MAX_BATCH) {
        const batch = imageIds.slice(first, first + MAX_BATCH);
        (await downloadUrls(batch, this.userId, signal)).forEach((result) => {
          const card = this.#cards.get(result.image_id);
          if (result.presigned_url) card?.showPicture(result.presigned_url);
          else card?.showNoPicture(result.title);
        });
      }
    } catch (error) {
      imageIds.forEach((imageId) => this.#cards.get(imageId)?.showNoPicture());
      this.#report(error);
    }
  }

  #draw() {
    const { tag, start_date: start, end_date: end, order } = this.#query();
    const filtered = Boolean(tag || start || end);
    const count = this.#cards.size;
    const more = this.#nextToken !== null;
    this.grid.setAttribute("aria-busy", String(this.#loading));
    this.grid.classList.toggle("loading", this.#loading && count === 0);
    this.moreButton.hidden = !more && !this.#failed;
    const offer = this.#failed ? "Try again" : "Load more";
    this.moreButton.textContent = this.#loading ? "Loading…" : offer;
    this.filters.querySelector("[type=reset]").hidden = !filtered && order === "desc";
    byId("empty").hidden = count > 0 || this.#loading || this.#failed;
    part(byId("empty"), "title").textContent = filtered ? "Nothing matches" : "No images yet";
    part(byId("empty"), "hint").textContent = filtered
      ? "Try another tag or a longer range of days."
      : "Drop some on this page and they appear here.";
    if (!this.#loading) {
      byId("count").textContent = count ? `${plural(count, "image")}${more ? " so far" : ""}` : "";
    }
  }

  #report(error) {
    if (!isAbort(error)) this.#onProblem(error);
  }
}
