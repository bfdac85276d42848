// Before the first paint, and so no module: a theme chosen earlier must not arrive with a flash.
try {
  document.documentElement.dataset.theme = localStorage.getItem("mont.theme") ?? "";
} catch {
  // Without storage the system's theme holds.
}
