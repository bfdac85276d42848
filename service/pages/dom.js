/** Look-ups, templates and texts that the parts of the page share. Knows nothing of the API. */

const WHEN = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const COUNT = new Intl.NumberFormat();

/** The element with this id. */
export function byId(id) {
  return document.getElementById(id);
}

/** The element marked `data-part="name"` below a root. */
export function part(root, name) {
  return root.querySelector(`[data-part="${name}"]`);
}

/** A fresh copy of a template's only element. */
export function stamp(templateId) {
  return byId(templateId).content.firstElementChild.cloneNode(true);
}

/** An element with a text. Data reaches the page as text only, so no name or tag can become markup. */
export function textElement(tag, text, className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = className;
  return element;
}

/** Put a text where it is read out, and show the element only while there is one. */
export function showText(element, text) {
  element.textContent = text;
  element.hidden = text === "";
}

/** "1 image", "2 images". */
export function plural(count, noun) {
  return `${COUNT.format(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** Bytes as people say them: 812 B, 34 kB, 2.1 MB. */
export function formatBytes(bytes) {
  if (bytes < 1000) return `${bytes} B`;
  const [value, unit] = bytes < 999_500 ? [bytes / 1000, "kB"] : [bytes / 1_000_000, "MB"];
  return `${value.toFixed(value < 10 ? 1 : 0)} ${unit}`;
}

/** Bytes to the last one, for the detail view. */
export function formatExactBytes(bytes) {
  return `${formatBytes(bytes)} (${plural(bytes, "byte")})`;
}

/** An ISO 8601 time in the reader's own zone and language. */
export function formatWhen(iso) {
  const when = new Date(iso);
  return Number.isNaN(when.getTime()) ? String(iso ?? "") : WHEN.format(when);
}
