/** The page: connects its parts. Read this first. */

import { readAddress } from "./address.js";
import { watchConnection } from "./connection.js";
import { contract } from "./contract.js";
import { Deletion } from "./deletion.js";
import { Detail } from "./detail.js";
import { byId, isTyping, part, showText } from "./dom.js";
import { Filters } from "./filters.js";
import { Gallery } from "./gallery.js";
import { steerByKeys } from "./gridkeys.js";
import { acceptFiles } from "./intake.js";
import { plural } from "./formats.js";
import { explain, Problem } from "./problem.js";
import { Selection } from "./selection.js";
import { session } from "./session.js";
import { askForCredential, offerSignIn } from "./signin.js";
import { TagField } from "./tags.js";
import { offerThemes } from "./theme.js";
import { toast } from "./toast.js";
import { UploadQueue } from "./upload.js";

function showProblem(error) {
  const box = byId("problem");
  part(box, "text").textContent = explain(error);
  showText(part(box, "request"), error?.requestId ? `Request ${error.requestId}` : "");
  box.hidden = false;
}

function hideProblem() {
  byId("problem").hidden = true;
}

const filters = new Filters(() => show());
const deletion = new Deletion({
  onHide: (images) => gallery.remove(images.map((image) => image.image_id)),
  onBack: (images) => gallery.place(images),
  onProblem: showProblem,
});
const gallery = new Gallery(filters, {
  isHidden: (imageId) => deletion.isHidden(imageId),
  onOpen: (imageId) => detail.open(imageId),
  onProblem: showProblem,
});
const detail = new Detail({
  neighbour: (imageId, step) => gallery.neighbour(imageId, step),
  onOpened: (imageId) => gallery.readAhead(imageId),
  onChanged: (image) => gallery.update(image),
  onClosed: (imageId) => gallery.focus(imageId),
  onGone: (imageId) => gallery.remove([imageId]),
  onDelete: (images) => deletion.remove(images),
});
const selection = new Selection(gallery, (images) => deletion.remove(images));
const uploads = new UploadQueue(byId("uploads"), {
  contract,
  onStored: (imageId) => gallery.add(imageId),
  onUserWanted: askForUser,
});
const uploadTags = new TagField(byId("drop").querySelector("[data-tags]"));
const uploadDescription = byId("upload-description");
const userField = byId("user");

function upload(files) {
  if (!session.signedIn) return;
  uploads.add(files, {
    user: session.user,
    tags: uploadTags.value,
    description: uploadDescription.value.trim(),
    isGone: (imageId) => deletion.isHidden(imageId),
  });
  if (session.lacksUser) askForUser();
}

function askForUser() {
  const detail =
    "This key acts for any user. Enter at “User” whose images these are: the uploads go on then.";
  showProblem(new Problem({ detail }));
  userField.placeholder = "Whose images?";
  userField.focus();
}

function show() {
  if (!session.signedIn) return;
  hideProblem();
  selection.clear();
  gallery.reload();
}

/** Follow the address: its filters, and the image that is open. */
function followAddress() {
  if (filters.read()) show();
  const { image } = readAddress();
  if (!image) detail.close();
  else if (image !== detail.openId && session.signedIn) detail.open(image);
}

function switchUser() {
  const before = session.user;
  session.user = userField.value.trim();
  userField.value = session.user;
  if (session.user === before) return;
  filters.follow(before, session.user);
  show();
  uploads.resume();
}

/** Leave nothing on the page of whoever was signed in: the next one is somebody else. */
function forgetCaller() {
  const stopped = uploads.drop();
  const told = `${plural(stopped, "upload")} stopped. Sign in and choose the files again.`;
  showText(part(byId("sign-in"), "stopped"), stopped > 0 ? told : "");
  uploadTags.value = [];
  uploadDescription.value = "";
  selection.clear();
  detail.close();
  gallery.clear();
  deletion.forget();
  hideProblem();
}

function begin() {
  userField.value = session.user;
  userField.placeholder = session.scheme ? "as the key says" : "";
  byId("owner").placeholder = session.scheme ? "Any" : "Everybody";
  askForCredential();
  filters.forget(); // What was read for another caller, or for nobody yet, counts for nothing.
  followAddress();
}

userField.addEventListener("change", switchUser);
byId("user-form").addEventListener("submit", (event) => {
  event.preventDefault();
  switchUser();
});
part(byId("problem"), "dismiss").addEventListener("click", hideProblem);
session.addEventListener("signedin", begin);
// Deletions that were asked for are sent while the credential still counts.
session.addEventListener("signingout", () => {
  deletion.leave();
  history.replaceState(null, "", location.pathname);
});
session.addEventListener("signedout", forgetCaller);
window.addEventListener("popstate", followAddress);
window.addEventListener("beforeunload", (event) => {
  if (uploads.busy || deletion.busy) event.preventDefault();
});
document.addEventListener("keydown", (event) => {
  const undo = event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey);
  if (undo && !isTyping(event.target) && toast.act()) event.preventDefault();
});
gallery.addEventListener("drawn", () => detail.drawSteps());
steerByKeys(gallery, (image) => deletion.remove([image]));
acceptFiles(upload);
offerThemes();
offerSignIn();
watchConnection(() => {
  uploads.resume();
  if (!gallery.failed) return;
  hideProblem();
  gallery.loadMore();
});
session.scheme = contract.scheme;
begin();
