package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// row is a load, the settings and sessions of the service under it, and the yardsticks
// that it is compared with.
type row struct {
	name, doc string
	// env are settings on top of production's: see environ.
	env map[string]string
	// onRedis keeps the sessions on a redis-server of the row's own.
	onRedis bool
	// onDisk keeps the sessions in a data file.
	onDisk bool
	// sessions is the number of live sessions.
	sessions int
	// long marks a row that takes much time and memory.
	long bool
	// rest is a pause between the creation of the sessions and the load.
	rest time.Duration
	// connections is the number of connections; 0 for that of the options.
	connections int

	method, path string
	header       map[string]string
	// callers returns the senders of the requests, which take rounds.
	callers func(l *harness, sessions []session) []caller
	// body is the request body; numberMark in it becomes the number of the request.
	body string
	// namesAll makes the body one that names all sessions of callers.
	namesAll bool

	status int
	// storeCounter is the store's counter of such requests; empty for none.
	storeCounter string
	// logged requires a line in the access log for each request.
	logged bool

	// prepare returns the contender that loads the service; nil for wrk.
	prepare func(ctx context.Context, l *harness, r *row, s *serviceUnderTest) (contender, error)
	// act is the action of a row about a flood.
	act action
	// against are the yardsticks.
	against []yardstick
	// metrics are the figures in the table, in order.
	metrics []metric
	// rests measures the memory at the end of the load and some time later.
	rests bool
	// single returns further figures for the table; nil for none.
	single func(rep *report, res *result) []figure
}

// numberMark is replaced with the number of a request, by load.lua.
const numberMark = "STEPSTEPS"

// sessionBody makes a document of about 1 KB.
//
//go:embed session.json
var sessionBody string

const (
	thousand = 1_000
	million  = 1_000_000
	// maxCallers bounds the number of sessions that the requests of a row use, spread
	// over all.
	maxCallers = 20_000
	// ownWrites bounds how long an instance does not cache what it has written itself.
	ownWrites = 9 * time.Second
)

// The store's counters, see row.storeCounter.
const (
	hits = "hits"
	sets = "sets"
)

const (
	sessionPath = "/api/session"
	verifyPath  = "/api/session/verify"
	listPath    = "/api/sessions"
	batchPath   = "/api/sessions/get"
	endPath     = "/api/sessions/end"
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

// get, patch and post complete a row with the requests of most rows.
func get(r row) row {
	r.method, r.path, r.callers, r.status, r.storeCounter = http.MethodGet, sessionPath, cookies, http.StatusOK, hits
	return r
}

func patch(r row) row {
	r.method, r.path, r.callers, r.status, r.storeCounter = http.MethodPatch, sessionPath, cookies, http.StatusOK, sets
	r.header, r.body = asPatch, `{"inputs":{"step":`+numberMark+`}}`
	return r
}

func post(r row) row {
	r.method, r.path, r.callers, r.status, r.storeCounter = http.MethodPost, sessionPath, serviceToken, http.StatusCreated, sets
	r.header, r.body = asJSON, sessionBody
	return r
}

func verify(r row, query string) row {
	r.method, r.path, r.callers, r.status, r.storeCounter = http.MethodGet, verifyPath+query, cookies, http.StatusOK, hits
	return r
}

func list(r row) row {
	r.method, r.path, r.callers, r.status = http.MethodGet, listPath, listCallers, http.StatusOK
	return r
}

// batch and end complete a row with requests about many sessions at once.
func batch(r row) row {
	r.method, r.path, r.callers, r.status = http.MethodPost, batchPath, serviceToken, http.StatusOK
	r.header, r.namesAll = asJSON, true
	return r
}

func end(r row) row {
	r.method, r.path, r.callers, r.status = http.MethodPost, endPath+"?dryRun=true", serviceToken, http.StatusOK
	r.header, r.body, r.prepare = asJSON, endAllBody, prepareEnd
	return r
}

// nameSessions makes the body one that names the sessions, if the row's is.
func (r *row) nameSessions(sessions []session) error {
	if !r.namesAll {
		return nil
	}
	var names struct {
		IDs []string `json:"ids"`
	}
	for _, s := range sessions {
		names.IDs = append(names.IDs, s.id)
	}
	body, err := json.Marshal(names)
	r.body = string(body)
	return err
}

// caller is a sender of requests.
type caller struct {
	path   string // in place of the row's; empty for that
	header string // a line
}

// cookies returns a caller for each session.
func cookies(_ *harness, sessions []session) []caller {
	callers := make([]caller, len(sessions))
	for i, s := range sessions {
		callers[i].header = "Cookie: " + s.cookie
	}
	return callers
}

// serviceToken returns one caller with the service token.
func serviceToken(l *harness, _ []session) []caller {
	return []caller{{header: "Authorization: Bearer " + l.token}}
}

// listedUsers is the number of users whose sessions are listed: the same in all rows, so
// that the processor's caches are as effective.
const listedUsers = 100

// listCallers returns callers that list the sessions of some users.
func listCallers(l *harness, sessions []session) []caller {
	callers := make([]caller, 0, listedUsers)
	for i := 0; i < len(sessions) && len(callers) < listedUsers; i += max(1, len(sessions)/listedUsers) {
		query := url.Values{"userId": {sessions[i].user}, "limit": {strconv.Itoa(perUser)}}
		callers = append(callers, caller{path: listPath + "?" + query.Encode(), header: serviceToken(l, nil)[0].header})
	}
	return callers
}

// selectedRows returns the rows that the options select.
func (o *options) selectedRows() []row {
	return slices.DeleteFunc(rows(), func(r row) bool { return !o.matches(r.name) || r.long && !o.million })
}

// matches reports whether the options select the name.
func (o *options) matches(name string) bool { return o.rows.MatchString(name) }
