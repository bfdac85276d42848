/** The button for the dark theme. What the system prefers holds until somebody says otherwise. */

import { byId } from "./dom.js";

const THEME = "mont.theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const root = document.documentElement;

const isDark = () => (root.dataset.theme || (system.matches ? "dark" : "light")) === "dark";

function remember(theme) {
  try {
    if (theme) localStorage.setItem(THEME, theme);
    else localStorage.removeItem(THEME);
  } catch {
    // It holds as long as the page is open.
  }
}

/** Wire the button up. */
export function offerThemes() {
  const button = byId("theme");
  const draw = () => button.setAttribute("aria-pressed", String(isDark()));
  button.addEventListener("click", () => {
    const dark = !isDark();
    // Choosing what the system has anyway means to follow it again.
    root.dataset.theme = dark === system.matches ? "" : dark ? "dark" : "light";
    remember(root.dataset.theme);
    draw();
  });
  system.addEventListener("change", draw);
  draw();
}
