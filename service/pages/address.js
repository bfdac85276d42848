/** The page's own address: which images are shown, and which one is open. Never a credential. */

const FILTERS = ["owner", "tag", "from", "to", "order"];
let goingBack = Promise.resolve();

/** What the address says; `owner` is null where it says nothing, "" where it says everybody. */
export function readAddress() {
  const query = new URLSearchParams(location.search);
  return {
    owner: query.get("owner"),
    tag: query.get("tag") ?? "",
    from: query.get("from") ?? "",
    to: query.get("to") ?? "",
    order: query.get("order") === "asc" ? "asc" : "desc",
    image: query.get("image") ?? "",
  };
}

function addressOf(state) {
  const query = new URLSearchParams();
  for (const name of [...FILTERS, "image"]) {
    const value = state[name];
    if (name === "owner" ? value !== null : value && value !== "desc") query.set(name, value);
  }
  const text = query.toString();
  return text ? `?${text}` : location.pathname;
}

/** Note new filters as a step that the back button takes back. */
export function noteFilters(filters) {
  const next = addressOf({ ...filters, image: "" });
  const now = addressOf({ ...readAddress(), image: "" });
  if (next !== now) history.pushState(null, "", next);
}

/** Note that an image is open; from one to the next is no step of its own. */
export function noteOpen(imageId) {
  const state = readAddress();
  if (state.image === imageId) return;
  const next = addressOf({ ...state, image: imageId });
  if (state.image) history.replaceState(history.state, "", next);
  else history.pushState({ opened: true }, "", next);
}

/** Note that no image is open any more. */
export function noteClosed() {
  const state = readAddress();
  if (!state.image) return;
  if (history.state?.opened) {
    goingBack = new Promise((resolve) => window.addEventListener("popstate", resolve, { once: true }));
    history.back();
  } else {
    history.replaceState(null, "", addressOf({ ...state, image: "" }));
  }
}

/** Resolves when the address says what the page has noted: going back takes a moment. */
export function settled() {
  return goingBack;
}
