// Relative, so that the page also works behind a path prefix such as a gateway's stage.
window.SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  tryItOutEnabled: true,
});
