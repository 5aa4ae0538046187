package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
	"session-api/internal/store/redis/redistest"
)

// instanceOn is the environment of one of several instances. It waits longer than by
// default: on a busy machine, Redis may stand still for seconds.
func instanceOn(t *testing.T, server *redistest.Server, pairs ...string) map[string]string {
	t.Helper()
	return servicetest.Environment(t, append([]string{
		"REDIS_URL", server.URL(), "SESSION_SECRET", servicetest.SessionSecret, "CREATE_RATE_PER_MINUTE", "0", "ACCESS_LOG", "errors",
		"REDIS_TIMEOUT_MS", "15000", "REDIS_DIAL_TIMEOUT_MS", "15000",
	}, pairs...)...)
}

// two starts two instances on one server.
func two(t *testing.T, server *redistest.Server, pairs ...string) (one, other *running) {
	t.Helper()
	return start(t, instanceOn(t, server, pairs...)), start(t, instanceOn(t, server, pairs...))
}

// visitor is a client with a session, at whichever instance it asks.
type visitor struct {
	t     *testing.T
	token string
}

// visit creates a session at the instance.
func visit(t *testing.T, base, body string) visitor {
	t.Helper()
	v := visitor{t: t}
	resp := v.ask(http.MethodPost, base+"/api/session?transport=bearer", body)
	require.Equal(t, http.StatusCreated, resp.status, resp.body)
	var created struct{ Token string }
	require.NoError(t, json.Unmarshal([]byte(resp.body), &created))
	v.token = created.Token
	return v
}

func (v visitor) ask(method, url, body string) answer {
	v.t.Helper()
	header := http.Header{}
	if body != "" {
		header.Set("Content-Type", "application/json")
	}
	if v.token != "" {
		header.Set("Authorization", "Bearer "+v.token)
	}
	return do(v.t, method, url, header, body)
}

// document is what a session looks like to its client.
type document struct {
	Revision int
	Inputs   map[string]any
	Meta     map[string]any
}

func (v visitor) read(base string) document {
	v.t.Helper()
	resp := v.ask(http.MethodGet, base+"/api/session", "")
	require.Equal(v.t, http.StatusOK, resp.status, resp.body)
	var d document
	require.NoError(v.t, json.Unmarshal([]byte(resp.body), &d))
	return d
}

func TestRedis_oneSessionOnTwoInstances(t *testing.T) {
	for name, cache := range map[string]string{"plain": "false", "with client cache": "true"} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			one, other := two(t, server, "REDIS_CLIENT_CACHE", cache)
			v := visit(t, one.url(""), `{"inputs":{"step":1}}`)
			assert.InDelta(t, 1, v.read(other.url("")).Inputs["step"], 0)

			resp := v.ask(http.MethodPatch, other.url("/api/session"), `{"inputs":{"step":2}}`)
			require.Equal(t, http.StatusOK, resp.status, resp.body)
			assert.InDelta(t, 2, v.read(one.url("")).Inputs["step"], 0)

			resp = v.ask(http.MethodDelete, other.url("/api/session"), "")
			require.Equal(t, http.StatusNoContent, resp.status)
			for _, instance := range []*running{one, other} {
				assert.Equal(t, http.StatusUnauthorized, v.ask(http.MethodGet, instance.url("/api/session"), "").status)
				assert.Equal(t, http.StatusUnauthorized, v.ask(http.MethodPatch, instance.url("/api/session"), `{}`).status)
			}
		})
	}
}

// A session is a string of JSON under a name that other programs can make up.
func TestRedis_otherProgramsReadIt(t *testing.T) {
	server := redistest.Start(t)
	one := start(t, instanceOn(t, server))
	v := visit(t, one.url(""), `{"inputs":{"step":1}}`)
	id, _, _ := strings.Cut(strings.TrimPrefix(v.token, "s:"), ".")
	var d document
	require.NoError(t, json.Unmarshal([]byte(server.CLI("GET", "session:"+id)), &d))
	assert.InDelta(t, 1, d.Inputs["step"], 0)
	assert.NotEqual(t, "-1", server.CLI("PTTL", "session:"+id))
}

func TestRedis_writersOnTwoInstancesLoseNothing(t *testing.T) {
	const writers, each = 64, 3
	server := redistest.Start(t)
	one, other := two(t, server)
	v := visit(t, one.url(""), "")
	client := http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: writers}, Timeout: patience}
	t.Cleanup(client.CloseIdleConnections)

	var all sync.WaitGroup
	for writer := range writers {
		base := []string{one.url(""), other.url("")}[writer%2]
		all.Go(func() {
			for n := range each {
				status, _, err := patch(t, &client, base, v.token, fmt.Sprintf("w%d-%d", writer, n))
				assert.NoError(t, err)
				assert.Equal(t, http.StatusOK, status)
			}
		})
	}
	all.Wait()
	d := v.read(one.url(""))
	assert.Equal(t, d, v.read(other.url("")))
	assert.Len(t, d.Inputs, writers*each)
	assert.Equal(t, 1+writers*each, d.Revision, "each patch is a revision of its own")
}

// patch sets one member of inputs, and returns the status and Retry-After.
func patch(t *testing.T, client *http.Client, base, token, member string) (status int, retryAfter string, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPatch, base+"/api/session",
		strings.NewReader(`{"inputs":{"`+member+`":true}}`))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/merge-patch+json")
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	return resp.StatusCode, resp.Header.Get("Retry-After"), resp.Body.Close()
}

func TestRedis_stats(t *testing.T) {
	server := redistest.Start(t)
	one, other := two(t, server)
	v := visit(t, one.url(""), "")
	visit(t, one.url(""), "")
	v.read(one.url(""))
	stats := func(instance *running) (s struct {
		Store, Scope           string
		EntryCount, Sets, Hits int
	},
	) {
		require.NoError(t, json.Unmarshal([]byte(v.ask(http.MethodGet, instance.url("/stats"), "").body), &s))
		return s
	}
	here, there := stats(one), stats(other)
	assert.Equal(t, "redis", here.Store)
	assert.Equal(t, "cluster", here.Scope)
	assert.Equal(t, 2, here.EntryCount)
	assert.Equal(t, 2, there.EntryCount, "the sessions are everybody's")
	assert.Equal(t, 2, here.Sets)
	assert.Equal(t, 1, here.Hits)
	assert.Zero(t, there.Sets, "what was done is the instance's")
	assert.Zero(t, there.Hits)
}

// A Redis that lost its data is one whose sessions have ended.
func TestRedis_flushed(t *testing.T) {
	for name, cache := range map[string]string{"plain": "false", "with client cache": "true"} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			one := start(t, instanceOn(t, server, "REDIS_CLIENT_CACHE", cache))
			v := visit(t, one.url(""), "")
			v.read(one.url(""))
			server.CLI("FLUSHALL")
			untilTrue(t, "the session has ended", func() bool {
				return v.ask(http.MethodGet, one.url("/api/session"), "").status == http.StatusUnauthorized
			})
			assert.Equal(t, http.StatusUnauthorized, v.ask(http.MethodPatch, one.url("/api/session"), "{}").status)
			visit(t, one.url(""), "").read(one.url(""))
		})
	}
}

// Files that sessions of any instance refer to stay, whichever cleans.
func TestRedis_cleanup(t *testing.T) {
	server := redistest.Start(t)
	dir := t.TempDir()
	one, other := two(t, server, "ANALYSIS_TMP_DIR", dir, "FILE_GRACE_MS", "0")
	hourAgo := time.Now().Add(-time.Hour)
	for _, name := range []string{"mine", "stray"} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte("content"), 0o600))
		require.NoError(t, os.Chtimes(path, hourAgo, hourAgo))
	}
	visit(t, one.url(""), `{"results":{"report":"mine"}}`)

	// An instance that died while it was cleaning holds nobody up for long.
	const lease, held = "session:#lock:cleanup", 500 * time.Millisecond
	server.CLI("SET", lease, "another instance's", "PX", strconv.FormatInt(held.Milliseconds(), 10))
	began := time.Now()
	resp := do(t, http.MethodPost, other.url("/api/cleanup"), nil, "")
	require.Equal(t, http.StatusOK, resp.status, resp.body)
	assert.GreaterOrEqual(t, time.Since(began), held-50*time.Millisecond)
	assert.FileExists(t, dir+"/mine")
	assert.NoFileExists(t, dir+"/stray")
	untilTrue(t, "the lease is given back", func() bool { return server.CLI("EXISTS", lease) == "0" })
}
