// Relative, so that the page also works behind a path prefix such as a gateway's stage. The
// document's server is relative to the document in turn.
window.SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0, // the list of all models is long: folded, at the end
  validatorUrl: null, // nobody else is told the address of this service
});
