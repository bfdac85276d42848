/**
 * Who uses the page. A credential lives in this tab's session storage and in no address, so
 * closing the tab signs out; a user name that is only claimed is remembered.
 */

const CREDENTIAL = "mont.credential";
const USER = "mont.user";
const DEFAULT_USER = "demo";

// A browser set to refuse storage throws on every access; the page then forgets, and works.
function read(storage, name) {
  try {
    return window[storage].getItem(name) ?? "";
  } catch {
    return "";
  }
}

function write(storage, name, value) {
  try {
    if (value) window[storage].setItem(name, value);
    else window[storage].removeItem(name);
  } catch {
    // Nothing to do: it is kept as long as the page is open.
  }
}

// The payload alone: what it says is shown, never believed.
function subjectOf(token) {
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(payload), (character) => character.charCodeAt(0));
    return String(JSON.parse(new TextDecoder().decode(bytes)).sub ?? "");
  } catch {
    return "";
  }
}

class Session extends EventTarget {
  #scheme = "";
  #credential = read("sessionStorage", CREDENTIAL);
  #user = read("localStorage", USER);
  #end = new AbortController();

  /** True when the key acts for any user, so that somebody has to say for whom. */
  mustNameUser = false;

  /** Whether nothing can be uploaded before somebody has said for whom. */
  get lacksUser() {
    return this.mustNameUser && !this.#user;
  }

  /** "" where users are believed, else the scheme of the service: "ApiKey" or "Bearer". */
  get scheme() {
    return this.#scheme;
  }

  set scheme(scheme) {
    this.#scheme = scheme;
    if (scheme) this.#user = scheme === "Bearer" ? subjectOf(this.#credential) : "";
    else this.#user ||= DEFAULT_USER;
  }

  /** Aborts when who is signed in now no longer is: nothing that began before may go on then. */
  get ended() {
    return this.#end.signal;
  }

  get signedIn() {
    return this.#scheme === "" || this.#credential !== "";
  }

  /** The user that the page acts for; "" is whoever the credential says. */
  get user() {
    return this.#user;
  }

  set user(user) {
    this.#user = user || (this.#scheme ? "" : DEFAULT_USER);
    if (!this.#scheme) write("localStorage", USER, this.#user);
  }

  /** `user_id` of a body, left out where the credential says it. */
  get claim() {
    return this.#scheme || !this.#user ? {} : { user_id: this.#user };
  }

  get headers() {
    if (!this.#scheme || !this.#credential) return {};
    return this.#scheme === "ApiKey"
      ? { "X-API-Key": this.#credential }
      : { Authorization: `Bearer ${this.#credential}` };
  }

  /** Whether edits and deletions of an image can succeed. */
  mayChange(image) {
    return this.#scheme !== "" || image.user_id === this.#user;
  }

  signIn(credential) {
    this.#credential = credential;
    write("sessionStorage", CREDENTIAL, credential);
    this.scheme = this.#scheme;
    this.dispatchEvent(new Event("signedin"));
  }

  /** The service refused the credential, or wants one of this scheme. */
  demand(scheme, reason) {
    this.scheme = scheme;
    this.signOut(reason);
  }

  /**
   * Forget the credential; `reason` is why, where it was not the user's own wish. "signingout"
   * comes while it still counts.
   */
  signOut(reason = "") {
    if (!reason) this.dispatchEvent(new Event("signingout"));
    this.#credential = "";
    this.mustNameUser = false;
    this.#end.abort();
    this.#end = new AbortController();
    write("sessionStorage", CREDENTIAL, "");
    this.dispatchEvent(new CustomEvent("signedout", { detail: reason }));
  }
}

export const session = new Session();
