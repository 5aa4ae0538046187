package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/api"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/redistest"
)

// A real Redis that says nothing any more: the gateway is answered long before
// the store itself would give up, and passes again once Redis answers.
func TestVerifyOnARedisThatHangs(t *testing.T) {
	const patienceOfStore = 20 * time.Second
	proxy := redistest.StartProxy(t, redistest.Start(t).Addr())
	kept, err := redis.Open(t.Context(), redis.Options{Server: conn.Server{Addresses: []string{proxy.Addr()}, Timeout: patienceOfStore}})
	require.NoError(t, err)
	s := start(t, func(set *settings) {
		set.store = kept
		set.Now = time.Now // it is the time of Redis, too
	})
	c := s.client()
	made := c.create(ada)
	var passed *answer // once, on a busy machine, it is in time
	require.Eventually(t, func() bool {
		passed = c.do("GET", verify, "")
		return passed.StatusCode == http.StatusOK
	}, patience, 10*time.Millisecond)
	assert.Equal(t, made.ID, identity(t, passed.Header)[0])

	proxy.Stall(redistest.Down)
	for range 3 {
		began := time.Now()
		c.do("GET", verify, "").problem(503, "store_unavailable")
		took := time.Since(began)
		assert.GreaterOrEqual(t, took, api.DefaultVerifyTimeout)
		assert.Less(t, took, patienceOfStore)
	}
	proxy.Flow(redistest.Down)
	require.Eventually(t, func() bool { return c.do("GET", verify, "").StatusCode == http.StatusOK }, patience, 10*time.Millisecond)
}

// A Redis that has forgotten its scripts, cannot write, or does not answer
// writes: what was read is the answer.
func TestVerifyOnARedisThatCannotTouch(t *testing.T) {
	server := redistest.Start(t)
	kept, err := redis.Open(t.Context(), redis.Options{Server: conn.Server{Addresses: []string{server.Addr()}, Timeout: 30 * time.Second}})
	require.NoError(t, err)
	s := start(t, func(set *settings) {
		set.store = kept
		set.Now = time.Now
		set.life.TouchInterval = 0 // each question moves the deadline
		// More than any script load takes here, and little enough for a test.
		set.VerifyTimeout = 5 * time.Second
	})
	c := s.client()
	made := c.create(ada)
	passes := func() *answer {
		t.Helper()
		a := c.do("GET", verify, "").expect(200)
		assert.Equal(t, made.ID, identity(t, a.Header)[0])
		return a
	}
	for range 5 {
		server.CLI("SCRIPT", "FLUSH")
		assert.Len(t, passes().Header["Set-Cookie"], 1, "the script is sent again")
	}
	server.CLI("CLIENT", "PAUSE", "60000", "WRITE")
	began := time.Now()
	assert.Empty(t, passes().Header["Set-Cookie"])
	assert.Less(t, time.Since(began), 30*time.Second, "which is less than the store waits")
	server.CLI("CLIENT", "UNPAUSE")
	server.CLI("CONFIG", "SET", "min-replicas-to-write", "3") // NOREPLICAS
	passes()                                                  // with a cookie, if the touch from before has arrived since
	server.CLI("CONFIG", "SET", "min-replicas-to-write", "0")
	require.Eventually(t, func() bool { return len(passes().Header["Set-Cookie"]) == 1 }, patience, 10*time.Millisecond)
}
