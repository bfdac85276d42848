/** The ways for files into the page: picked, dropped (folders too) and pasted. */

import { byId } from "./dom.js";
import { session } from "./session.js";

/** Call `onFiles(files)` for everything that comes in. */
export function acceptFiles(onFiles) {
  const take = (files) => files.length > 0 && onFiles(files);
  byId("files").addEventListener("change", ({ target }) => {
    take([...target.files]);
    target.value = ""; // Or picking the same file again would go unnoticed.
  });
  document.addEventListener("paste", ({ clipboardData }) => take([...(clipboardData?.files ?? [])]));
  acceptDrops(async (transfer) => {
    const { ended } = session; // A large folder takes a while, and is not the next user's.
    const files = await droppedFiles(transfer);
    if (!ended.aborted) take(files);
  });
}

// The whole page takes drops: a file that misses a small target would replace the page.
function acceptDrops(onDrop) {
  const veil = byId("veil");
  const carriesFiles = ({ dataTransfer }) => dataTransfer?.types.includes("Files") ?? false;
  window.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    veil.hidden = false;
  });
  window.addEventListener("dragleave", ({ relatedTarget }) => {
    if (relatedTarget === null) veil.hidden = true;
  });
  window.addEventListener("drop", (event) => {
    veil.hidden = true;
    if (!carriesFiles(event)) return;
    event.preventDefault();
    onDrop(event.dataTransfer);
  });
}

async function droppedFiles(transfer) {
  // All asked for at once: the items are gone when the event's own turn is over.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.());
  if (!entries.some((entry) => entry?.isDirectory)) return [...transfer.files];
  return (await Promise.all(entries.filter(Boolean).map(filesBelow))).flat();
}

async function filesBelow(entry) {
  if (entry.name.startsWith(".")) return []; // What systems leave in folders for themselves.
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const files = [];
  for (;;) {
    // A folder is read in portions, the last of which is empty.
    const portion = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (portion.length === 0) return files;
    files.push(...(await Promise.all(portion.map(filesBelow))).flat());
  }
}
