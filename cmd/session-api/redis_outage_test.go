package main

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
	"session-api/internal/soaktest"
	"session-api/internal/store/redis/redistest"
)

// healing is how long an instance may take to serve again once Redis answers.
const healing = time.Second

// patching is writers that patch one session until they are told to stop.
type patching struct {
	visitor visitor
	acked   sync.Map // members of inputs whose patch was answered with 200
	counts  sync.Map // answers, *atomic.Int64 by base and status; 0 where there was none
	stop    context.CancelFunc
	writers sync.WaitGroup
}

// startLoad lets writers go, as many at each of the instances.
func startLoad(t *testing.T, v visitor, writers int, bases ...string) *patching {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &patching{visitor: v, stop: cancel}
	t.Cleanup(l.end)
	client := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: writers}, Timeout: patience}
	t.Cleanup(client.CloseIdleConnections)
	for _, base := range bases {
		for writer := range writers {
			l.writers.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					member := fmt.Sprintf("%s-%d-%d", base, writer, n)
					status, retryAfter, err := patch(t, &client, base, v.token, member)
					if err != nil {
						status = 0
					}
					l.count(base, status).Add(1)
					switch status {
					case http.StatusOK:
						l.acked.Store(member, true)
					case http.StatusServiceUnavailable:
						assert.Equal(t, "1", retryAfter)
					}
				}
			})
		}
	}
	return l
}

func (l *patching) count(base string, status int) *atomic.Int64 {
	n, _ := l.counts.LoadOrStore(fmt.Sprint(base, " ", status), &atomic.Int64{})
	return n.(*atomic.Int64)
}

// await returns when the instance has given that answer so many more times.
func (l *patching) await(t *testing.T, base string, status int, times int64) {
	t.Helper()
	n := l.count(base, status)
	before := n.Load()
	look := time.NewTicker(time.Millisecond) // and leave the processor to the load
	defer look.Stop()
	tooLate := time.After(patience)
	for n.Load() < before+times {
		select {
		case <-look.C:
		case <-tooLate:
			require.FailNow(t, "no such answers", "%s does not answer %d", base, status)
		}
	}
}

// end ends the load.
func (l *patching) end() {
	l.stop()
	l.writers.Wait()
}

// requireKept ends the load, and holds the session at the instance against what
// was acknowledged. It returns how much that was.
func (l *patching) requireKept(t *testing.T, base string) (acked int) {
	t.Helper()
	l.end()
	kept := l.visitor.read(base)
	l.acked.Range(func(member, _ any) bool {
		acked++
		assert.Contains(t, kept.Inputs, member)
		return true
	})
	require.Positive(t, acked)
	l.counts.Range(func(answer, n any) bool {
		t.Logf("%v: %d times", answer, n.(*atomic.Int64).Load())
		return true
	})
	return acked
}

// requireOnly holds the answers of an instance against those that are right.
func (l *patching) requireOnly(t *testing.T, base string, statuses ...int) {
	t.Helper()
	right := map[string]bool{}
	for _, status := range statuses {
		right[fmt.Sprint(base, " ", status)] = true
	}
	l.counts.Range(func(answer, n any) bool {
		if count := n.(*atomic.Int64).Load(); count > 0 && len(answer.(string)) > len(base) && answer.(string)[:len(base)] == base {
			assert.Contains(t, right, answer)
		}
		return true
	})
}

func status(t *testing.T, url string) int {
	t.Helper()
	return do(t, http.MethodGet, url, nil, "").status
}

// awaitReady returns how long the instances take from now on to serve again.
func awaitReady(t *testing.T, v visitor, instances ...*running) time.Duration {
	t.Helper()
	began := time.Now()
	for _, instance := range instances {
		untilTrue(t, "the instance is ready", func() bool { return status(t, instance.url("/readyz")) == http.StatusOK })
		untilTrue(t, "sessions are read", func() bool {
			return v.token == "" || v.ask(http.MethodGet, instance.url("/api/session"), "").status == http.StatusOK
		})
	}
	return time.Since(began)
}

func TestRedis_killedUnderLoad(t *testing.T) {
	server := redistest.Start(t, redistest.AppendOnly("always"))
	one, other := two(t, server)
	v := visit(t, one.url(""), "")
	l := startLoad(t, v, 4, one.url(""), other.url(""))
	for range 3 {
		l.await(t, one.url(""), http.StatusOK, 20)
		l.await(t, other.url(""), http.StatusOK, 20)
		server.Kill()
		for _, instance := range []*running{one, other} {
			l.await(t, instance.url(""), http.StatusServiceUnavailable, 5)
			assert.Equal(t, http.StatusServiceUnavailable, status(t, instance.url("/readyz")))
			assert.Equal(t, http.StatusOK, status(t, instance.url("/healthz")), "it lives")
			resp := v.ask(http.MethodGet, instance.url("/api/session"), "")
			assert.Equal(t, http.StatusServiceUnavailable, resp.status, "not a signed-out user")
			assert.Equal(t, "1", resp.header.Get("Retry-After"))
		}
		server.Restart()
		took := awaitReady(t, v, one, other)
		t.Logf("served again after %v", took)
		soaktest.Within(t, took, healing)
	}
	l.await(t, one.url(""), http.StatusOK, 20)
	l.await(t, other.url(""), http.StatusOK, 20)
	t.Logf("%d acknowledged writes", l.requireKept(t, one.url("")))
	l.requireOnly(t, one.url(""), http.StatusOK, http.StatusServiceUnavailable)
	l.requireOnly(t, other.url(""), http.StatusOK, http.StatusServiceUnavailable)
}

// A server that stands still holds requests up no longer than the timeout.
func TestRedis_standsStill(t *testing.T) {
	server := redistest.Start(t)
	one := start(t, instanceOn(t, server, "REDIS_TIMEOUT_MS", "3000"))
	v := visit(t, one.url(""), "")
	server.Pause()
	began := time.Now()
	assert.Equal(t, http.StatusServiceUnavailable, v.ask(http.MethodGet, one.url("/api/session"), "").status)
	assert.Equal(t, http.StatusServiceUnavailable, status(t, one.url("/readyz")))
	soaktest.Within(t, time.Since(began), 7*time.Second)
	server.Resume()
	took := awaitReady(t, v, one)
	t.Logf("served again after %v", took)
	soaktest.Within(t, took, healing)
}

// Instances and Redis may be started in any order.
func TestRedis_notThereAtStart(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	one := start(t, instanceOn(t, server))
	one.log.wait(t, "redis is not available yet")
	assert.Equal(t, http.StatusServiceUnavailable, status(t, one.url("/readyz")))
	assert.Equal(t, http.StatusOK, status(t, one.url("/healthz")))
	resp := do(t, http.MethodPost, one.url("/api/session"), nil, "")
	assert.Equal(t, http.StatusServiceUnavailable, resp.status)
	assert.Equal(t, "1", resp.header.Get("Retry-After"))
	assert.Equal(t, http.StatusServiceUnavailable, do(t, http.MethodPost, one.url("/api/cleanup"), nil, "").status)

	server.Restart()
	took := awaitReady(t, visitor{t: t}, one)
	t.Logf("ready after %v", took)
	soaktest.Within(t, took, healing)
	v := visit(t, one.url(""), "")
	v.read(one.url(""))
	assert.Zero(t, one.end(t), one.errOut)
}

// One that was never reached does not hold the end.
func TestRedis_neverThere(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	one := start(t, instanceOn(t, server))
	began := time.Now()
	assert.Zero(t, one.end(t), one.errOut)
	soaktest.Within(t, time.Since(began), 3*time.Second)
}

// An instance that is killed has lost nothing that it acknowledged.
func TestRedis_instanceKilledUnderLoad(t *testing.T) {
	path := servicetest.Binary(t)
	server := redistest.Start(t)
	environ := instanceOn(t, server)
	one, other := launch(t, path, environ), launch(t, path, environ)
	v := visit(t, "http://"+one.addr, "")
	l := startLoad(t, v, 8, "http://"+one.addr)
	l.await(t, "http://"+one.addr, http.StatusOK, 100)
	require.NoError(t, one.cmd.Process.Kill())
	l.await(t, "http://"+one.addr, 0, 1)
	acked := l.requireKept(t, "http://"+other.addr)
	t.Logf("%d acknowledged writes", acked)
	l.requireOnly(t, "http://"+one.addr, http.StatusOK, 0)
}
