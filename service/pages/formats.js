/** Numbers, sizes and times as people say them. */

const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const COUNT = new Intl.NumberFormat();

/** "1 image", "2 images". */
export function plural(count, noun) {
  return `${COUNT.format(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** Bytes: 812 B, 34 kB, 2.1 MB. */
export function formatBytes(bytes) {
  if (bytes < 1000) return `${Math.round(bytes)} B`;
  const [value, unit] = bytes < 999_500 ? [bytes / 1000, "kB"] : [bytes / 1_000_000, "MB"];
  return `${value.toFixed(value < 10 ? 1 : 0)} ${unit}`;
}

/** Bytes to the last one, for the detail view. */
export function formatExactBytes(bytes) {
  return `${formatBytes(bytes)} (${plural(bytes, "byte")})`;
}

/** Two sizes, as exact as it takes to tell them apart. */
export function formatApart(one, other) {
  const texts = [formatBytes(one), formatBytes(other)];
  return texts[0] === texts[1] ? [plural(one, "byte"), plural(other, "byte")] : texts;
}

/** Seconds still to go: 5 s, 3 min, 2 h. */
export function formatSeconds(seconds) {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  if (seconds < 3600) return `${Math.ceil(seconds / 60)} min`;
  return `${Math.ceil(seconds / 3600)} h`;
}

/** An ISO 8601 time in the reader's own zone and language. */
export function formatWhen(iso) {
  const when = new Date(iso);
  return Number.isNaN(when.getTime()) ? String(iso ?? "") : WHEN.format(when);
}
