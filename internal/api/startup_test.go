package api_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"session-api/internal/api"
	"session-api/internal/httpserver"
)

// observer counts what it is told.
type observer struct{ refused, closed int }

func (o *observer) CountRefused(int)                   { o.refused++ }
func (o *observer) CountClosed(httpserver.CloseReason) { o.closed++ }

// Until the sessions are loaded, probes and gateways are answered at once, as the contract
// has it, and everything else waits for them.
func TestStartup(t *testing.T) {
	s := start(t)
	startup := api.NewStartup("test", slog.New(slog.DiscardHandler))
	server := httptest.NewServer(startup)
	t.Cleanup(server.Close)
	s.url = server.URL
	c := s.client()
	for range 2 {
		c.do("GET", "/healthz", "").expect(200)
		c.do("HEAD", "/healthz", "").expect(200)
		a := c.do("GET", "/readyz", "")
		a.problem(503, "not_ready")
		assert.NotEmpty(t, a.Header.Get("Retry-After"))
		c.do("GET", verify, "").problem(503, "not_ready")
		c.do("GET", verify+"?role=admin", "").problem(503, "not_ready")
	}

	answered := make(chan document)
	go func() { answered <- s.client().create(`{"inputs":{"a":1}}`) }()
	o := &observer{}
	startup.CountRefused(400)
	startup.Finish(s.api, o)
	assert.JSONEq(t, `{"a":1}`, string((<-answered).Inputs))
	startup.CountRefused(400)
	startup.CountClosed(httpserver.CloseReasons[0])
	assert.Equal(t, observer{1, 1}, *o)
	c.do("GET", "/readyz", "").expect(200)
	c.do("GET", verify, "").problem(401, "no_credential")
}

// Nobody waits for ever, nor after the client has gone.
func TestStartup_waits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		startup := api.NewStartup("test", slog.New(slog.DiscardHandler))
		ask := func(ctx context.Context) (int, time.Duration) {
			began := time.Now()
			w := httptest.NewRecorder()
			startup.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", "/api/session", http.NoBody))
			return w.Code, time.Since(began)
		}
		status, took := ask(t.Context())
		assert.Equal(t, http.StatusServiceUnavailable, status)
		assert.Equal(t, 10*time.Second, took)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, took = ask(ctx)
		assert.Equal(t, time.Second, took)

		go func() {
			<-time.After(3 * time.Second)
			startup.Finish(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }), &observer{})
		}()
		status, took = ask(t.Context())
		assert.Equal(t, http.StatusTeapot, status)
		assert.Equal(t, 3*time.Second, took)
	})
}
