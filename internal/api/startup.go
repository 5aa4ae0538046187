package api

import (
	"log/slog"
	"net/http"
	"time"

	"session-api/internal/httpserver"
)

// startupWait is how long a request waits for the sessions to be loaded, which is less
// than any of the server's deadlines.
const startupWait = 10 * time.Second

// Startup answers requests until there is a Server: while the sessions of a large file are
// loaded, an orchestrator learns that the process lives and is not ready, gateways get their
// 503 in time, and all other requests wait.
type Startup struct {
	server *Server // of which nothing but the health check is used
	done   chan struct{}
	// What takes over, set before done is closed.
	handler  http.Handler
	observer httpserver.Observer
}

// NewStartup returns a Startup of the version.
func NewStartup(version string, logger *slog.Logger) *Startup {
	return &Startup{server: &Server{Options: Options{Version: version, Logger: logger}}, done: make(chan struct{})}
}

// Finish passes all requests to handler from now on, those that wait first, and tells
// observer of the connections. It is called once.
func (u *Startup) Finish(handler http.Handler, observer httpserver.Observer) {
	u.handler, u.observer = handler, observer
	close(u.done)
}

// ServeHTTP implements http.Handler.
func (u *Startup) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if u.isDone() || u.wait(r) {
		u.handler.ServeHTTP(w, r)
		return
	}
	var id [1]string
	u.server.setCommonHeaders(w, r, false, &id)
	if r.URL.Path == healthPath && isSafe(r.Method) {
		_ = u.server.getHealth(w, r)
		return
	}
	u.server.writeProblem(w, r, errStarting)
}

func (u *Startup) isDone() bool {
	select {
	case <-u.done:
		return true
	default:
		return false
	}
}

// wait waits for the end of the startup, but not with requests whose senders want an answer
// soon. It reports whether it has come.
func (u *Startup) wait(r *http.Request) bool {
	if r.URL.Path == healthPath || r.URL.Path == readinessPath || isVerify(r) {
		return false
	}
	timer := time.NewTimer(startupWait)
	defer timer.Stop()
	select {
	case <-u.done:
		return true
	case <-r.Context().Done():
	case <-timer.C:
	}
	return u.isDone()
}

// CountRefused implements httpserver.Observer.
func (u *Startup) CountRefused(status int) {
	if u.isDone() {
		u.observer.CountRefused(status)
	}
}

// CountClosed implements httpserver.Observer.
func (u *Startup) CountClosed(reason httpserver.CloseReason) {
	if u.isDone() {
		u.observer.CountClosed(reason)
	}
}
