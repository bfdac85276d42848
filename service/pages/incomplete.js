// No module, so that it is there where one is not: a page that waits for ever must not look as if
// it were loading.
addEventListener(
  "error",
  ({ target }) => {
    if (!(target instanceof HTMLScriptElement)) return;
    const box = document.getElementById("problem");
    box.querySelector("[data-part=text]").textContent =
      "A part of this page could not be loaded. Load the page again.";
    box.hidden = false;
    document.getElementById("grid").classList.remove("loading");
  },
  true,
);
