/** How fast bytes go, over the last few seconds. */

const WINDOW_MS = 4000;

export class Speedometer {
  #samples = [];

  /** Note how many bytes have gone in all. */
  note(bytes, now = performance.now()) {
    const last = this.#samples.at(-1);
    if (last && bytes < last.bytes) this.#samples = []; // Sent again from the start.
    this.#samples.push({ bytes, now });
    while (this.#samples.length > 2 && now - this.#samples[0].now > WINDOW_MS) this.#samples.shift();
  }

  /** Bytes a second; 0 until it can be told. */
  get speed() {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!first || last.now - first.now < 250) return 0;
    return ((last.bytes - first.bytes) / (last.now - first.now)) * 1000;
  }
}
