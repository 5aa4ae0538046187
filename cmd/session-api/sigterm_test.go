package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
	"session-api/internal/soaktest"
)

// fate is what a client knows of a session of its own.
type fate struct {
	token   string
	changes int
	ended   bool
}

// live makes sessions, changes them, and ends every other one, until it cannot
// connect any more. All that was answered is in the fates; what was not, the
// service never got.
func live(t *testing.T, base string) (fates []fate) {
	t.Helper()
	a := &attacker{
		t: t, base: base, answers: make(map[int]int),
		// A connection that is kept may end just when a request is on its way.
		client: http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience},
	}
	for n := 0; ; n++ {
		began := time.Now()
		status, answer, err := a.try(http.MethodPost, "/api/session?transport=bearer", asJSON, `{"inputs":{}}`)
		if gone(t, status, err, http.StatusCreated, time.Since(began)) {
			return fates
		}
		var created struct{ Token string }
		if !assert.NoError(t, json.Unmarshal([]byte(answer), &created)) {
			return fates
		}
		fates = append(fates, fate{token: created.Token})
		one := &fates[len(fates)-1]
		for range 3 {
			began = time.Now()
			status, _, err = a.try(http.MethodPatch, "/api/session", as(one.token, asMerge), fmt.Sprintf(`{"inputs":{"n":%d}}`, one.changes+1))
			if gone(t, status, err, http.StatusOK, time.Since(began)) {
				return fates
			}
			one.changes++
		}
		if n%2 == 1 {
			began = time.Now()
			status, _, err = a.try(http.MethodDelete, "/api/session", as(one.token, http.Header{}), "")
			if gone(t, status, err, http.StatusNoContent, time.Since(began)) {
				return fates
			}
			one.ended = true
		}
	}
}

// gone reports whether the service is gone. Until then it gives the right
// answer, and when it is, nobody can connect: no request is left without one,
// unless the client was so slow to send it that the service took its connection
// for a silent one.
func gone(t *testing.T, status int, err error, want int, took time.Duration) bool {
	t.Helper()
	const slow = time.Second // half of what the service gives a new connection
	if err != nil {
		if took < slow || soaktest.Long() {
			assert.ErrorIs(t, err, syscall.ECONNREFUSED)
		}
		return true
	}
	return !assert.Equal(t, want, status)
}

// A service that is told to end under load has answered every request that it
// was sent, and has kept all that it answered.
func TestSIGTERM_losesNothing(t *testing.T) {
	const clients = 16
	path := servicetest.Binary(t)
	for _, sync := range []string{"always", "interval"} {
		t.Run(sync, func(t *testing.T) {
			dir := t.TempDir()
			environ := func() map[string]string {
				return servicetest.Environment(t, "SESSION_DATA_DIR", dir, "SESSION_SYNC", sync, "SESSION_SECRET", servicetest.SessionSecret, "SHUTDOWN_DELAY_MS", "200",
					"CREATE_RATE_PER_MINUTE", "0", "SESSION_MAX_ENTRIES", "1000000", "ACCESS_LOG", "errors")
			}
			times := rounds(t, "ROLLS", soaktest.Times(1, 50))
			changes, ended := 0, 0
			for range times {
				p := launch(t, path, environ())
				fates := begin(t, p, clients)
				p.signal(t, syscall.SIGTERM)
				require.Zero(t, p.end(t), p.errOut)
				require.Empty(t, p.log.all("requests were cut off"))

				p = launch(t, path, environ())
				for _, one := range fates() {
					resp := visitor{t, one.token}.ask(http.MethodGet, "http://"+p.addr+"/api/session", "")
					if one.ended {
						ended++
						require.Equal(t, http.StatusUnauthorized, resp.status)
						continue
					}
					changes += one.changes
					require.Equal(t, http.StatusOK, resp.status)
					var d document
					require.NoError(t, json.Unmarshal([]byte(resp.body), &d))
					require.Equal(t, 1+one.changes, d.Revision, resp.body)
				}
				p.signal(t, syscall.SIGTERM)
				require.Zero(t, p.end(t), p.errOut)
			}
			t.Logf("%d times: %d changes and %d ends, all kept", times, changes, ended)
			require.Positive(t, changes)
			require.Positive(t, ended)
		})
	}
}

// begin lets clients live at the service, and returns when they have some
// sessions. What it returns waits for their end.
func begin(t *testing.T, p *process, clients int) (fates func() []fate) {
	t.Helper()
	var all sync.WaitGroup
	lives := make([][]fate, clients)
	for i := range clients {
		all.Go(func() { lives[i] = live(t, "http://"+p.addr) })
	}
	untilTrue(t, "there are sessions", func() bool { return created(t, p) > soaktest.Times(4, 10)*clients })
	return func() (fates []fate) {
		all.Wait()
		for _, some := range lives {
			fates = append(fates, some...)
		}
		return fates
	}
}
