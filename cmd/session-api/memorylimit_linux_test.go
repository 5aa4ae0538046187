package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
	"session-api/internal/soaktest"
)

// smallGroup makes a control group with that much memory, of the version that
// this machine has; "" where none can be made, as in most containers.
func smallGroup(t *testing.T, bytes int) string {
	t.Helper()
	for parent, files := range map[string][]string{
		"/sys/fs/cgroup/memory": {"memory.limit_in_bytes", "memory.memsw.limit_in_bytes"},
		"/sys/fs/cgroup":        {"memory.max", "memory.swap.max"},
	} {
		dir := filepath.Join(parent, "session-api-test-"+strconv.Itoa(os.Getpid()))
		if os.Mkdir(dir, 0o700) != nil {
			continue
		}
		t.Cleanup(func() { _ = os.Remove(dir) })
		if setLimit(filepath.Join(dir, files[0]), bytes) == nil {
			swap := map[string]int{"memory.swap.max": 0, "memory.memsw.limit_in_bytes": bytes}[files[1]]
			_ = setLimit(filepath.Join(dir, files[1]), swap) // not every kernel counts it
			return dir
		}
	}
	return ""
}

// setLimit writes to a file that the kernel has made: other directories have none.
func setLimit(file string, bytes int) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(strconv.Itoa(bytes))
	return errors.Join(err, f.Close())
}

// kills is how many processes of a control group the kernel has killed because it
// was out of memory.
func kills(t *testing.T, group string) string {
	t.Helper()
	for _, file := range []string{"memory.events", "memory.oom_control"} {
		text, err := os.ReadFile(filepath.Join(group, file))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(text)) {
			if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
				return strings.TrimSpace(n)
			}
		}
	}
	return "0"
}

// TestFloodInLittleMemory lets visitors fill a service that has little memory and
// no setting that says so: it evicts, or refuses, and lives. Where no control
// group can be made, GOMEMLIMIT says how much there is, and the kernel what was
// taken.
func TestFloodInLittleMemory(t *testing.T) {
	const limit = 64 << 20
	path := servicetest.Binary(t)
	for policy, must := range map[string][]int{
		"lru": {http.StatusCreated}, "ttl": {http.StatusCreated}, "none": {http.StatusCreated, http.StatusServiceUnavailable},
	} {
		t.Run(policy, func(t *testing.T) {
			environ := servicetest.Environment(t,
				"CREATE_RATE_PER_MINUTE", "0", "ACCESS_LOG", "errors", "LOG_LEVEL", "info", "SESSION_MAX_ENTRIES", "1000000",
				"SESSION_EVICTION_POLICY", policy, "SERVICE_TOKENS", servicetest.Token)
			var p *process
			group := smallGroup(t, limit)
			if group == "" {
				environ["GOMEMLIMIT"] = strconv.Itoa(limit)
				p = launch(t, path, environ)
			} else {
				cmd := command("/bin/sh", environ, "-c", `echo $$ > "$1/cgroup.procs" && exec "$0"`, path, group)
				p = launchCommand(t, cmd)
			}
			says := p.log.wait(t, "memory is limited")
			assert.EqualValues(t, limit, says["bytes"])
			assert.EqualValues(t, limit/100*35, says["SESSION_MAX_MEMORY_BYTES"])
			assert.EqualValues(t, limit/100*5, says["IDEMPOTENCY_MAX_BYTES"])

			service := http.Header{"Authorization": {"Bearer " + servicetest.Token}, "Content-Type": {"application/json"}}
			signIn := func(user string) (id string) {
				resp := do(t, http.MethodPost, "http://"+p.addr+"/api/sessions", service, `{"user":{"id":"`+user+`"}}`)
				require.Equal(t, http.StatusCreated, resp.status, resp.body)
				var made struct{ Session struct{ ID string } }
				require.NoError(t, json.Unmarshal([]byte(resp.body), &made))
				return made.Session.ID
			}
			user := signIn("ada")
			for _, size := range []int{0, 1 << 10, 64 << 10, 900 << 10} {
				a := newAttacker(t, p, 16)
				body := `{"inputs":{"text":"` + strings.Repeat("x", size) + `"}}`
				times := max(4, min(soaktest.Times(200, 500), (soaktest.Times(40, 100)<<20)/16/(size+500)))
				create := posting("/api/session", body)
				a.pour(16, times, func(int, int) string { return create })
				may := overloaded
				if size < 1<<10 && policy != "none" {
					may = nil
				}
				a.only(append(may, http.StatusServiceUnavailable), http.StatusCreated)
				signIn("bob") // in the middle of it
				if policy == "none" {
					break
				}
			}
			if policy == "none" {
				a := newAttacker(t, p, 16)
				body := `{"inputs":{"text":"` + strings.Repeat("x", 64<<10) + `"}}`
				create := posting("/api/session", body)
				a.pour(16, 100, func(int, int) string { return create })
				a.only(overloaded, must...)
				signIn("cy")
			}
			resp := do(t, http.MethodGet, "http://"+p.addr+"/api/sessions/"+user, service, "")
			assert.Equal(t, http.StatusOK, resp.status, "who was signed in still is")
			var stats struct{ Evictions, Bytes int64 }
			require.NoError(t, json.Unmarshal([]byte(do(t, http.MethodGet, "http://"+p.addr+"/stats", service, "").body), &stats))
			assert.LessOrEqual(t, stats.Bytes, int64(limit/100*35))
			if policy != "none" {
				assert.Positive(t, stats.Evictions)
			}
			t.Logf("in a group: %v; %d MiB at most", group != "", p.peak(t))
			if group != "" {
				assert.Equal(t, "0", kills(t, group))
			} else {
				const program = 24 // MiB of the file itself, which the limit does not count
				assert.LessOrEqual(t, p.peak(t), limit>>20+program)
			}
			assert.NoError(t, p.cmd.Process.Signal(syscall.Signal(0)), "it lives")
			require.NoError(t, p.cmd.Process.Kill())
			<-p.ended // before its group can be removed
		})
	}
}
