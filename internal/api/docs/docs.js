"use strict";

// The commands as they can be pasted into a shell: with the address of this
// service, without the page's own path.
const base = new URL(".", location.href).href.replace(/\/$/, "");
const steps = document.getElementById("first-steps");
steps.textContent = steps.textContent.replaceAll(" /api/", ` ${base}/api/`);

// The long introduction stands between the first steps and the routes: folded,
// so that the routes come first.
const foldIntroduction = ({ React }) => ({
  wrapComponents: {
    InfoContainer: (Info) => (props) =>
      React.createElement(
        "details",
        { className: "introduction" },
        React.createElement("summary", null, "How it works: credentials, browsers, revisions, lifetime, errors"),
        React.createElement(Info, props),
      ),
  },
});

// A route that can also be called without a credential is not one for which a
// credential has been given: its padlock stays open.
const padlocks = () => ({
  statePlugins: {
    auth: {
      wrapSelectors: {
        isAuthorized: (original) => (state, securities) =>
          original(securities?.filter((security) => security.size > 0)),
      },
    },
  },
});

SwaggerUIBundle({
  dom_id: "#contract",
  url: "openapi.yaml",
  plugins: [foldIntroduction, padlocks],
  deepLinking: true,
  displayRequestDuration: true,
  // Nothing is asked of anybody else, and no token is kept in the browser.
  validatorUrl: null,
  persistAuthorization: false,
  queryConfigEnabled: false,
  defaultModelsExpandDepth: 0,
  docExpansion: "list",
});
