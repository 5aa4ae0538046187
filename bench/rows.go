package main

import (
	_ "embed"
	"maps"
	"net/http"
	"slices"
)

// row is one line of the table: a load, what the service is set to and holds
// meanwhile, and what it is compared with.
type row struct {
	name, doc string
	// env is set on top of production, see environ.
	env map[string]string
	// sessions are live before the load begins.
	sessions int

	method, path string
	header       map[string]string
	// callers turns the sessions into the header lines that the requests come
	// with, in turn.
	callers func(l *lab, sessions []string) []string
	// body has a number of its own in each request where it says stepMark.
	body string

	status int
	// writes: each request changes or creates a session.
	writes bool
	// logged: each request gets a line in the access log.
	logged bool

	against yardstick
}

// stepMark is where load.lua puts the number of a request.
const stepMark = "STEPSTEPS"

// sessionBody makes a document of about 1 KB.
//
//go:embed session.json
var sessionBody string

const (
	thousand = 1_000
	million  = 1_000_000
	// maxCallers bounds how many sessions the requests of a row go to. They
	// are spread over all.
	maxCallers = 20_000
)

var (
	errorsOnly = map[string]string{"ACCESS_LOG": "errors"}
	everything = map[string]string{"ACCESS_LOG": "all"}
	asJSON     = map[string]string{"Content-Type": "application/json"}
	asPatch    = map[string]string{"Content-Type": "application/merge-patch+json"}
)

// rows are the table.
var rows = []row{
	{
		name: "GET", doc: "`GET /api/session` with a cookie, a document of 1 KB, 1 thousand live sessions",
		env: errorsOnly, sessions: thousand,
		method: http.MethodGet, path: "/api/session", callers: cookies,
		status: http.StatusOK, against: bare,
	},
	{
		name: "GET, logged", doc: "the same with `ACCESS_LOG=all`: a line in a file for each request",
		env: everything, sessions: thousand,
		method: http.MethodGet, path: "/api/session", callers: cookies,
		status: http.StatusOK, logged: true, against: bare,
	},
	{
		name: "PATCH", doc: "`PATCH /api/session` changes one key of a document of 1 KB, another value each time",
		env: errorsOnly, sessions: thousand,
		method: http.MethodPatch, path: "/api/session", callers: cookies,
		header: asPatch, body: `{"inputs":{"step":` + stepMark + `}}`,
		status: http.StatusOK, writes: true, against: bare,
	},
	{
		name: "POST", doc: "`POST /api/session` with a service token makes a session of 1 KB with a user",
		env: errorsOnly, sessions: thousand,
		method: http.MethodPost, path: "/api/session", callers: serviceToken,
		header: asJSON, body: sessionBody,
		status: http.StatusCreated, writes: true, against: bare,
	},
	{
		name: "GET, 1 million", doc: "GET with 1 million live sessions",
		env: errorsOnly, sessions: million,
		method: http.MethodGet, path: "/api/session", callers: cookies,
		status: http.StatusOK, against: bare,
	},
}

// cookies are callers that each have a session.
func cookies(_ *lab, sessions []string) []string {
	lines := make([]string, len(sessions))
	for i, cookie := range sessions {
		lines[i] = "Cookie: " + cookie
	}
	return lines
}

// serviceToken is one caller that has no session.
func serviceToken(l *lab, _ []string) []string {
	return []string{"Authorization: Bearer " + l.token}
}

// chosen are the rows that the options ask for.
func (o *options) chosen() []row {
	return slices.DeleteFunc(slices.Clone(rows), func(r row) bool {
		return !o.rows.MatchString(r.name) || r.sessions >= million && !o.million
	})
}

// environ is what the service runs with in this row: production, with room for
// everything, and the settings of the row.
func (r *row) environ(l *lab) []string {
	env := map[string]string{
		"APP_ENV":                "production",
		"HOST":                   "127.0.0.1",
		"PORT":                   "0",
		"SESSION_SECRET":         l.secret,
		"SERVICE_TOKENS":         l.token,
		"SESSION_MAX_ENTRIES":    "100000000",
		"CREATE_RATE_PER_MINUTE": "0",
		"ANALYSIS_TMP_DIR":       l.files(),
	}
	maps.Copy(env, r.env)
	list := make([]string, 0, len(env))
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	return list
}
