/** Look-ups, templates and texts that the parts of the page share. Knows nothing of the API. */

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
  if (className) element.className = className;
  return element;
}

/** Put a text where it is read out, and show the element only while there is one. */
export function showText(element, text) {
  element.textContent = text;
  element.hidden = text === "";
}

/** True while keys belong to a field that is being typed in. */
export function isTyping(target) {
  return target instanceof Element && target.matches("input:not([type=checkbox]), textarea, select");
}
