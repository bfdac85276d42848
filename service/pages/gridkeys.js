/** The arrow keys in the grid: to the neighbouring image, also up and down. */

const STEPS = { ArrowLeft: -1, ArrowRight: 1 };

/** Listen in a gallery; `onDelete(image)` is called for the Delete key. */
export function steerByKeys(gallery, onDelete) {
  gallery.grid.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const card = gallery.cardAt(event.target);
    if (card === undefined) return;
    if (event.key === "Delete" && card.selectable) {
      event.preventDefault();
      onDelete(card.image);
      return;
    }
    const target = neighbour(gallery.cards, card, event.key);
    if (target === undefined) return;
    event.preventDefault();
    target.button.focus();
    target.element.scrollIntoView({ block: "nearest" });
  });
}

function neighbour(cards, card, key) {
  const at = cards.indexOf(card);
  if (key in STEPS) return cards[at + STEPS[key]];
  if (key === "Home") return cards[0];
  if (key === "End") return cards.at(-1);
  if (key !== "ArrowUp" && key !== "ArrowDown") return undefined;
  const top = cards[0].element.offsetTop;
  const columns = cards.filter(({ element }) => element.offsetTop === top).length;
  if (key === "ArrowUp") return cards[at - columns];
  // The last row may be short: below its end is its last one.
  const rows = Math.ceil(cards.length / columns);
  return Math.floor(at / columns) < rows - 1 ? (cards[at + columns] ?? cards.at(-1)) : undefined;
}
