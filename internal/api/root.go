package api

import (
	"context"
	"html"
	"net/http"
	"strconv"
	"strings"
)

// rootStatus is the body of GET / for programs.
type rootStatus struct {
	Service string            `json:"service"`
	Version string            `json:"version"`
	Status  string            `json:"status"`
	Links   map[string]string `json:"links"`
}

// The words for the service's state at GET /.
const (
	statusReady    = "ready"
	statusDraining = "shutting down"
	statusNoStore  = "the store does not answer"
)

// rootLinks are where a visitor of GET / goes on, relative to it, so that they
// hold behind a gateway that strips a prefix.
var rootLinks = []struct{ Name, Path, Text string }{
	{"docs", "docs", "Interactive API documentation"},
	{"readme", "docs/README.md", "README: a tour with curl, settings, production"},
	{"openapi", "openapi.yaml", "The OpenAPI contract"},
	{"stats", "stats", "Counters"},
	{"health", "readyz", "Readiness, for load balancers"},
}

// getRoot answers people who open the address in a browser what this is, whether
// it is well, and where to go on. Clients that do not ask for HTML get the same
// as JSON. It is 200 whatever the state: it is no check of readiness.
func (s *Server) getRoot(w http.ResponseWriter, r *http.Request) error {
	w.Header()["Vary"] = append(w.Header()["Vary"], "Accept")
	status := rootStatus{Service: "session-api", Version: s.Version, Status: s.state(r.Context()), Links: map[string]string{}}
	if !acceptsHTML(r) {
		for _, link := range rootLinks {
			status.Links[link.Name] = "/" + link.Path
		}
		return writeJSON(w, status)
	}
	page := rootPage(&status)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	setPageHeaders(h, rootPolicy)
	h.Set("Content-Length", strconv.Itoa(len(page)))
	_, _ = w.Write([]byte(page)) // a client that left gets nothing more
	return nil
}

// state is what the readiness check would find.
func (s *Server) state(ctx context.Context) string {
	if s.draining.Load() {
		return statusDraining
	}
	if s.reachStore(ctx) != nil {
		return statusNoStore
	}
	return statusReady
}

// acceptsHTML reports whether the client names HTML among what it takes, as
// browsers do when a person opens an address.
func acceptsHTML(r *http.Request) bool {
	return accepts(r.Header["Accept"], "text/html", "application/xhtml+xml")
}

// rootPolicy allows the page its picture, and nothing else.
const rootPolicy = "default-src 'none'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// rootPage returns the page for people. It has no style of its own: a browser's default
// is readable, and a policy without 'unsafe-inline' stays true. It is no template: a
// binary that links text/template keeps every exported method of every package, since
// templates call methods by name, and is almost twice as large.
func rootPage(status *rootStatus) string {
	var links strings.Builder
	for _, link := range rootLinks {
		links.WriteString("\n<li><a href=\"" + html.EscapeString(link.Path) + "\">" + html.EscapeString(link.Text) + "</a></li>")
	}
	return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>session-api</title>
<h1>session-api</h1>
<p>A session store for web applications, with a REST/JSON interface. Version ` + html.EscapeString(status.Version) +
		`: <strong>` + html.EscapeString(status.Status) + `</strong>.</p>
<ul>` + links.String() + `
</ul>
</html>
`
}

// getFavicon answers what browsers ask for by themselves.
func (s *Server) getFavicon(w http.ResponseWriter, r *http.Request) error {
	return writeDocsFile(w, r, "favicon-32x32.png")
}

// getReadme answers the README as it is written, as text.
func (s *Server) getReadme(w http.ResponseWriter) error {
	if len(s.Readme) == 0 {
		return errNoRoute
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(s.Readme)))
	_, _ = w.Write(s.Readme) // a client that left gets nothing more
	return nil
}
