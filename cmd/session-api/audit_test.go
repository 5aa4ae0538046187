package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
)

// auditLines returns the entries of an audit log.
func auditLines(t *testing.T, paths ...string) (entries []map[string]any) {
	t.Helper()
	for _, path := range paths {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		for line := range strings.Lines(string(content)) {
			var e map[string]any
			if err := json.Unmarshal([]byte(line), &e); err != nil { // torn off
				e = map[string]any{"act": "torn"}
			}
			entries = append(entries, e)
		}
	}
	return entries
}

// auditActs are their acts.
func auditActs(t *testing.T, paths ...string) (acts []string) {
	t.Helper()
	for _, e := range auditLines(t, paths...) {
		acts = append(acts, e["act"].(string))
	}
	return acts
}

// The audit log outlives a rename with SIGHUP, a kill and a torn line as one chain, and
// has the entry of every request that was answered.
func TestAudit_process(t *testing.T) {
	t.Parallel()
	binary := servicetest.Binary(t)
	path := filepath.Join(t.TempDir(), "audit.log")
	const before, after = "3d0f8a6c1b5e49d7a2c4f6081e3b5d7f", "b8e2c96a0d4f71358e6a2b9c0d1f4e73"
	secretFile := servicetest.SecretFile(t, before)
	environ := servicetest.Production(t, "AUDIT_LOG", "file:"+path, "AUDIT_ON_FAILURE", "refuse", "SESSION_SECRET_FILE", secretFile)
	delete(environ, "SESSION_SECRET")
	asService := http.Header{"Authorization": {"Bearer " + servicetest.Token}, "Content-Type": {"application/json"}}
	create := func(p *process, user string) {
		t.Helper()
		a := do(t, http.MethodPost, "http://"+p.addr+"/api/sessions", asService, `{"user":{"id":"`+user+`"}}`)
		require.Equal(t, http.StatusCreated, a.status, a.body)
	}
	p := launch(t, binary, environ)
	create(p, "ann")
	status, _, errOut := runOnce(t, environ, "audit", "verify", path)
	require.Zero(t, status, errOut)

	require.NoError(t, os.Rename(path, path+".1"))
	create(p, "bob")
	require.NoError(t, os.WriteFile(secretFile, []byte(after), 0o600))
	p.signal(t, syscall.SIGHUP)
	p.log.wait(t, "secrets reloaded")
	create(p, "cid")
	p.signal(t, syscall.SIGKILL)
	<-p.ended

	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.WriteString(`{"chain":"01`)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	p = launch(t, binary, environ)
	create(p, "dan")
	p.signal(t, syscall.SIGTERM)
	<-p.ended

	assert.Equal(t, []string{
		"audit.begun", "config.loaded", "session.created", "session.created", // the last one in the renamed file
		"audit.continued", "config.reloaded", "session.created", "torn",
		"audit.recovered", "config.loaded", "session.created",
	}, auditActs(t, path+".1", path))
	status, out, errOut := runOnce(t, nil, "audit", "verify", "-last", "10", path+".1", path)
	require.Zero(t, status, errOut)
	assert.Contains(t, out, "torn off by a crash")
	assert.Contains(t, out, "10 lines, sequence numbers 1 to 10")

	entries := auditLines(t, path+".1", path)
	assert.Contains(t, entries[1]["details"].(map[string]any)["settings"], "AUDIT_LOG")
	assert.Contains(t, entries[5]["details"].(map[string]any)["changed"], "SESSION_SECRET_FILE")
	for _, name := range []string{path + ".1", path} {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, secret := range []string{servicetest.Token, before, after} {
			assert.NotContains(t, string(content), secret)
		}
	}

	status, _, errOut = runOnce(t, nil, "audit", "verify", "-last", "11", path+".1", path)
	assert.Equal(t, 1, status)
	assert.Contains(t, errOut, "not in order")
	content, err := os.ReadFile(path + ".1")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path+".1", []byte(strings.Replace(string(content), `"ann"`, `"eve"`, 1)), 0o600))
	status, out, _ = runOnce(t, nil, "audit", "verify", path+".1", path)
	assert.Equal(t, 1, status)
	assert.Contains(t, out, path+".1:3: it was changed")
}

func TestAudit_usage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"audit"}, {"audit", "check"}, {"audit", "verify"}, {"audit", "verify", "-nothing", "x"}} {
		status, _, _ := runOnce(t, nil, args...)
		assert.Equal(t, 2, status, args)
	}
	status, out, _ := runOnce(t, nil, "audit", "-h")
	assert.Zero(t, status)
	assert.Contains(t, out, "audit verify")
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	status, _, errOut := runOnce(t, nil, "audit", "verify", empty)
	assert.Equal(t, 1, status)
	assert.Contains(t, errOut, "no line")
}

// A log that cannot be opened is no reason to start without one.
func TestAudit_noSuchDirectory(t *testing.T) {
	t.Parallel()
	status, _, errOut := runOnce(t, map[string]string{"PORT": "0", "AUDIT_LOG": "file:" + filepath.Join(t.TempDir(), "none", "audit.log")})
	assert.Equal(t, 1, status)
	assert.Contains(t, errOut, "AUDIT_LOG")
}

// On the standard output, the entries are lines among others.
func TestAudit_stdout(t *testing.T) {
	t.Parallel()
	s := start(t, map[string]string{"PORT": "0", "AUDIT_LOG": "stdout", "ANALYSIS_TMP_DIR": t.TempDir()})
	require.Equal(t, http.StatusCreated, do(t, http.MethodPost, s.url("/api/sessions"), http.Header{"Content-Type": {"application/json"}}, `{"user":{"id":"ann"}}`).status)
	require.Zero(t, s.end(t))
	var found []string
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	for _, line := range s.log.lines {
		if act, ok := line["act"].(string); ok {
			found = append(found, act+" by "+line["actor"].(string))
		}
	}
	assert.Equal(t, []string{"audit.begun by system", "config.loaded by system", "session.created by open"}, found)
}
