package main

import (
	_ "embed"
	"net/http"
	"slices"
	"time"
)

// row is one line of the table: a load, what the service is set to and holds
// meanwhile, and what it is compared with.
type row struct {
	name, doc string
	// env is set on top of production, see environ.
	env map[string]string
	// onRedis: the service keeps its sessions on a redis-server of its own,
	// in place of its memory.
	onRedis bool
	// sessions are live before the load begins.
	sessions int
	// rest is how long the service has peace between that and the load.
	rest time.Duration

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

	// against takes turns with the service. The first is in the table, the
	// others among the single figures.
	against []yardstick
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
	// ownWrites is how long an instance does not cache what it has written
	// itself, at most.
	ownWrites = 9 * time.Second
)

var (
	errorsOnly = map[string]string{"ACCESS_LOG": "errors"}
	everything = map[string]string{"ACCESS_LOG": "all"}
	cached     = map[string]string{"ACCESS_LOG": "errors", "REDIS_CLIENT_CACHE": "true"}
	asJSON     = map[string]string{"Content-Type": "application/json"}
	asPatch    = map[string]string{"Content-Type": "application/merge-patch+json"}
)

// rows are the table.
var rows = []row{
	{
		name: "GET", doc: "`GET /api/session` with a cookie, a document of 1 KB, 1 thousand live sessions",
		env: errorsOnly, sessions: thousand,
		method: http.MethodGet, path: "/api/session", callers: cookies,
		status: http.StatusOK, against: []yardstick{bare},
	},
	{
		name: "GET, logged", doc: "the same with `ACCESS_LOG=all`: a line in a file for each request",
		env: everything, sessions: thousand,
		method: http.MethodGet, path: "/api/session", callers: cookies,
		status: http.StatusOK, logged: true, against: []yardstick{bare},
	},
	{
		name: "PATCH", doc: "`PATCH /api/session` changes one key of a document of 1 KB, another value each time",
		env: errorsOnly, sessions: thousand,
		method: http.MethodPatch, path: "/api/session", callers: cookies,
		header: asPatch, body: `{"inputs":{"step":` + stepMark + `}}`,
		status: http.StatusOK, writes: true, against: []yardstick{bare},
	},
	{
		name: "POST", doc: "`POST /api/session` with a service token makes a session of 1 KB with a user",
		env: errorsOnly, sessions: thousand,
		method: http.MethodPost, path: "/api/session", callers: serviceToken,
		header: asJSON, body: sessionBody,
		status: http.StatusCreated, writes: true, against: []yardstick{bare},
	},
	{
		name: "GET, 1 million", doc: "GET with 1 million live sessions",
		env: errorsOnly, sessions: million,
		method: http.MethodGet, path: "/api/session", callers: cookies,
		status: http.StatusOK, against: []yardstick{bare},
	},
	{
		name: "GET, Redis", doc: "GET from a Redis on the same machine, one round trip each",
		env: errorsOnly, onRedis: true, sessions: thousand,
		method: http.MethodGet, path: "/api/session", callers: cookies,
		status: http.StatusOK, against: []yardstick{inMemory, redisGet},
	},
	{
		name: "GET, Redis, cached", doc: "the same with `REDIS_CLIENT_CACHE=true`",
		env: cached, onRedis: true, sessions: thousand, rest: ownWrites,
		method: http.MethodGet, path: "/api/session", callers: cookies,
		status: http.StatusOK, against: []yardstick{inMemory, redisGet},
	},
	{
		name: "PATCH, Redis", doc: "PATCH on a Redis that writes nothing to disk",
		env: errorsOnly, onRedis: true, sessions: thousand,
		method: http.MethodPatch, path: "/api/session", callers: cookies,
		header: asPatch, body: `{"inputs":{"step":` + stepMark + `}}`,
		status: http.StatusOK, writes: true, against: []yardstick{inMemory, redisSet},
	},
	{
		name: "POST, Redis", doc: "POST on a Redis that writes nothing to disk",
		env: errorsOnly, onRedis: true, sessions: thousand,
		method: http.MethodPost, path: "/api/session", callers: serviceToken,
		header: asJSON, body: sessionBody,
		status: http.StatusCreated, writes: true, against: []yardstick{inMemory, redisSet},
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
