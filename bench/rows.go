package main

import (
	"context"
	_ "embed"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// row is a load, what the service is set to and holds meanwhile, and what it is
// compared with.
type row struct {
	name, doc string
	// env is set on top of production, see environ.
	env map[string]string
	// onRedis: the service keeps its sessions on a redis-server of its own,
	// in place of its memory alone.
	onRedis bool
	// onDisk: it keeps them in a file, in a directory of its own.
	onDisk bool
	// sessions are live before the load begins.
	sessions int
	// long: the row takes much time and memory.
	long bool
	// rest is how long the service has peace between that and the load.
	rest time.Duration
	// connections are kept busy; 0 for as many as the options say.
	connections int

	method, path string
	header       map[string]string
	// callers turns the sessions into those who send the requests, in turn.
	callers func(l *lab, sessions []session) []caller
	// body has a number of its own in each request where it says stepMark.
	body string

	status int
	// did is the counter of the store that each request adds to; empty for none.
	did string
	// logged: each request gets a line in the access log.
	logged bool

	// prepare makes the service's side of something else than requests of wrk;
	// nil where it is those.
	prepare func(ctx context.Context, l *lab, r *row, s *subject) (side, error)
	// act is what the service is asked for in a row about a flood.
	act act
	// against takes turns with the service.
	against []yardstick
	// claims are what stands in the table, in this order.
	claims []claim
	// rests: its memory is looked at, at the end of the load and some time later.
	rests bool
	// single are further figures for the table; nil for none.
	single func(rep *report, res *result) []figure
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

// What the counters of the store are called, see row.did.
const (
	hits = "hits"
	sets = "sets"
)

const (
	sessionPath = "/api/session"
	verifyPath  = "/api/session/verify"
	listPath    = "/api/sessions"
)

var (
	errorsOnly = map[string]string{"ACCESS_LOG": "errors"}
	everything = map[string]string{"ACCESS_LOG": "all"}
	cached     = map[string]string{"ACCESS_LOG": "errors", "REDIS_CLIENT_CACHE": "true"}
	always     = map[string]string{"ACCESS_LOG": "errors", "SESSION_SYNC": "always"}
	interval   = map[string]string{"ACCESS_LOG": "errors", "SESSION_SYNC": "interval"}
	asJSON     = map[string]string{"Content-Type": "application/json"}
	asPatch    = map[string]string{"Content-Type": "application/merge-patch+json"}
)

// get, patch and post are the requests that most rows are made of.
func get(r row) row {
	r.method, r.path, r.callers, r.status, r.did = http.MethodGet, sessionPath, cookies, http.StatusOK, hits
	return r
}

func patch(r row) row {
	r.method, r.path, r.callers, r.status, r.did = http.MethodPatch, sessionPath, cookies, http.StatusOK, sets
	r.header, r.body = asPatch, `{"inputs":{"step":`+stepMark+`}}`
	return r
}

func post(r row) row {
	r.method, r.path, r.callers, r.status, r.did = http.MethodPost, sessionPath, serviceToken, http.StatusCreated, sets
	r.header, r.body = asJSON, sessionBody
	return r
}

func verify(r row, query string) row {
	r.method, r.path, r.callers, r.status, r.did = http.MethodGet, verifyPath+query, cookies, http.StatusOK, hits
	return r
}

func list(r row) row {
	r.method, r.path, r.callers, r.status = http.MethodGet, listPath, listers, http.StatusOK
	return r
}

// caller is one of those who send requests.
type caller struct {
	path   string // in place of the row's; empty for that
	header string // a line
}

// cookies are callers that each have a session.
func cookies(_ *lab, sessions []session) []caller {
	callers := make([]caller, len(sessions))
	for i, s := range sessions {
		callers[i].header = "Cookie: " + s.cookie
	}
	return callers
}

// serviceToken is one caller that has no session.
func serviceToken(l *lab, _ []session) []caller {
	return []caller{{header: "Authorization: Bearer " + l.token}}
}

// listed is how many users' sessions the requests of a row ask for: always as
// many, so that the processor's caches hold as much of them.
const listed = 100

// listers ask for the sessions of some of the users.
func listers(l *lab, sessions []session) []caller {
	callers := make([]caller, 0, listed)
	for i := 0; i < len(sessions) && len(callers) < listed; i += max(1, len(sessions)/listed) {
		query := url.Values{"userId": {sessions[i].user}, "limit": {strconv.Itoa(perUser)}}
		callers = append(callers, caller{path: listPath + "?" + query.Encode(), header: serviceToken(l, nil)[0].header})
	}
	return callers
}

// chosen are the rows that the options ask for.
func (o *options) chosen() []row {
	return slices.DeleteFunc(rows(), func(r row) bool { return !o.wants(r.name) || r.long && !o.million })
}

// wants reports whether the options ask for something of this name.
func (o *options) wants(name string) bool { return o.rows.MatchString(name) }
