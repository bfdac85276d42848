/** The filters above the grid: owner, tag, days, order. They are the page's address, too. */

import { noteFilters, readAddress } from "./address.js";
import { byId } from "./dom.js";
import { session } from "./session.js";

// The reader's own day in UTC, to the second: the service includes the whole of the last second.
function dayEdge(day, time) {
  return day ? `${new Date(`${day}T${time}`).toISOString().slice(0, 19)}Z` : "";
}

export class Filters {
  #shown = "";
  #onChange;

  constructor(onChange) {
    this.#onChange = onChange;
    this.form = byId("filters");
    this.fields = this.form.elements;
    this.form.addEventListener("change", () => this.#apply());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#apply();
    });
    this.form.addEventListener("reset", (event) => {
      event.preventDefault();
      this.#fill({ owner: session.user, tag: "", from: "", to: "", order: "desc" });
      this.#apply();
      this.fields.tag.focus(); // The button that was pressed is gone.
    });
    // The cross in a search field empties it without a change event.
    for (const field of [this.fields.tag, this.fields.owner]) {
      field.addEventListener("input", () => field.value || this.#apply());
    }
  }

  /** Take over what the address says; true when that is something else than before. */
  read() {
    const address = readAddress();
    this.#fill({ ...address, owner: address.owner ?? session.user });
    return this.#changed();
  }

  /** Take the next reading of the address for new, whatever it says. */
  forget() {
    this.#shown = "";
  }

  /** Another user is at the page: the list of the one before becomes this one's. */
  follow(before, user) {
    if (this.fields.owner.value.trim() === before) this.fields.owner.value = user;
    this.#apply();
  }

  get order() {
    return this.fields.order.value;
  }

  get filtered() {
    const { tag, from, to, owner } = this.fields;
    return Boolean(tag.value.trim() || from.value || to.value) || owner.value.trim() !== session.user;
  }

  /** What to ask the service for. */
  get query() {
    const { owner, tag, from, to, order } = this.fields;
    return {
      user_id: owner.value.trim(),
      tag: tag.value.trim(),
      start_date: dayEdge(from.value, "00:00:00"),
      end_date: dayEdge(to.value, "23:59:59"),
      order: order.value,
    };
  }

  /** Whether an image has a place in the list. */
  match(image) {
    const { user_id: owner, tag, start_date: start, end_date: end } = this.query;
    const second = image.upload_timestamp.slice(0, 19);
    return (
      (!owner || image.user_id === owner) &&
      (!tag || (image.tags ?? []).includes(tag)) &&
      (!start || second >= start.slice(0, 19)) &&
      (!end || second <= end.slice(0, 19))
    );
  }

  #fill(values) {
    for (const [name, value] of Object.entries(values)) {
      if (this.fields[name]) this.fields[name].value = value;
    }
  }

  // Several events may tell of one change.
  #apply() {
    if (!this.#changed()) return;
    const { owner, tag, from, to, order } = this.fields;
    const own = owner.value.trim() === session.user;
    noteFilters({
      owner: own ? null : owner.value.trim(),
      tag: tag.value.trim(),
      from: from.value,
      to: to.value,
      order: order.value,
    });
    this.#onChange();
  }

  #changed() {
    const shown = JSON.stringify(this.query);
    const changed = shown !== this.#shown;
    this.#shown = shown;
    return changed;
  }
}
