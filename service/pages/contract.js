/** What the service says of itself in its page: what callers have to show, and which files it takes. */

import { byId } from "./dom.js";

/**
 * `scheme` is "" where users are believed, else "ApiKey" or "Bearer"; `types` are media types;
 * `maxBytes` is the size of the largest file.
 */
export const contract = JSON.parse(byId("contract").textContent);
