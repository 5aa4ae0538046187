"use strict";

SwaggerUIBundle({
  dom_id: "#contract",
  url: "openapi.yaml",
  deepLinking: true,
  displayRequestDuration: true,
  // Nothing is asked of anybody else, and no token is kept in the browser.
  validatorUrl: null,
  persistAuthorization: false,
  queryConfigEnabled: false,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
});
