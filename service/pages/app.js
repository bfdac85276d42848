/** The page: connects user field, uploads, gallery and detail dialog. */

import { byId, part, showText } from "./dom.js";
import { Detail } from "./detail.js";
import { Gallery } from "./gallery.js";
import { TagField } from "./tags.js";
import { UploadQueue } from "./upload.js";

const USER_KEY = "mont.user";
const DEFAULT_USER = "demo";
const TOAST_MS = 5000;

// A browser set to refuse storage throws on every access; the page then forgets, and works.
function rememberedUser() {
  try {
    return localStorage.getItem(USER_KEY) || DEFAULT_USER;
  } catch {
    return DEFAULT_USER;
  }
}

function rememberUser(userId) {
  try {
    localStorage.setItem(USER_KEY, userId);
  } catch {
    // Nothing to do: the field itself still holds the name.
  }
}

let toastTimer = 0;

function announce(text) {
  clearTimeout(toastTimer);
  byId("toast").textContent = text;
  toastTimer = setTimeout(() => announce(""), TOAST_MS);
}

function showProblem(error) {
  const box = byId("problem");
  part(box, "text").textContent = error?.text ?? String(error);
  showText(part(box, "request"), error?.requestId ? `Request ${error.requestId}` : "");
  box.hidden = false;
}

function hideProblem() {
  byId("problem").hidden = true;
}

const userField = byId("user");
userField.value = rememberedUser();

const detail = new Detail({
  onChanged: (image) => gallery.update(image),
  onDeleted: (image) => {
    gallery.remove(image.image_id);
    announce(`Deleted ${image.filename}`);
  },
});

const gallery = new Gallery({
  userId: userField.value,
  onOpen: (imageId) => detail.open(imageId),
  onLoaded: hideProblem,
  onProblem: showProblem,
});

const uploads = new UploadQueue(byId("uploads"), (imageId, userId) => gallery.add(imageId, userId));
const uploadTags = new TagField(byId("drop").querySelector("[data-tags]"));

function upload(files) {
  if (files.length === 0) return;
  uploads.add(files, {
    userId: gallery.userId,
    tags: uploadTags.value,
    description: byId("upload-description").value.trim(),
  });
}

function switchUser() {
  const userId = userField.value.trim() || DEFAULT_USER;
  userField.value = userId;
  if (userId === gallery.userId) return;
  gallery.userId = userId;
  rememberUser(userId);
  gallery.reload();
}

function acceptPickedFiles({ target }) {
  upload([...target.files]);
  target.value = ""; // Or picking the same file again would go unnoticed.
}

function acceptPastedFiles({ clipboardData }) {
  upload([...(clipboardData?.files ?? [])]);
}

// The whole page takes drops: a file that misses a small target would replace the page.
function acceptDroppedFiles() {
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
    upload([...event.dataTransfer.files]);
  });
}

userField.addEventListener("change", switchUser);
byId("user-form").addEventListener("submit", (event) => {
  event.preventDefault();
  switchUser();
});
byId("files").addEventListener("change", acceptPickedFiles);
document.addEventListener("paste", acceptPastedFiles);
acceptDroppedFiles();
part(byId("problem"), "dismiss").addEventListener("click", hideProblem);
window.addEventListener("beforeunload", (event) => {
  if (uploads.busy) event.preventDefault();
});

gallery.reload();
