/** Work on the same thing is done one after the other. */

const lasts = new Map();

/** Do `work()` when all earlier work under this name is over, whatever became of it. */
export function inTurn(name, work) {
  const turn = (lasts.get(name) ?? Promise.resolve()).then(work);
  const over = turn.then(
    () => {},
    () => {},
  );
  lasts.set(name, over);
  over.then(() => lasts.get(name) === over && lasts.delete(name));
  return turn;
}
