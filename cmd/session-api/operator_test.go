package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
	"session-api/internal/store/bolt"
)

// What an operator does to a data directory, by the commands of the binary.

// filledDir returns a directory with so many sessions in its file.
func filledDir(t *testing.T, count int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	kept, err := bolt.Open(time.Now(), bolt.Options{Dir: dir, Interval: time.Hour})
	require.NoError(t, err)
	fill(t, kept, count)
	require.NoError(t, kept.Close())
	return dir
}

func fileOf(t *testing.T, dir string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "sessions.db"))
	require.NoError(t, err)
	return b
}

// An export reads all that there is, whatever its environment says of limits, and
// leaves the file as it is.
func TestOperator_exportOnlyReads(t *testing.T) {
	const count = 300
	dir := filledDir(t, count)
	before := fileOf(t, dir)
	path := filepath.Join(dir, "sessions.db")
	require.NoError(t, os.Chmod(path, 0o640))
	require.NoError(t, os.Chown(path, 65532, 65532), "it takes root, as whoever exports often is")
	environ := onData(t, dir, "SESSION_MAX_ENTRIES", "10")
	status, out, errOut := runOnce(t, environ, "export")
	require.Zero(t, status, errOut)
	assert.Equal(t, count, strings.Count(out, "\n"))
	assert.Equal(t, before, fileOf(t, dir))
	info, err := os.Stat(path)
	require.NoError(t, err)
	owner, _ := info.Sys().(*syscall.Stat_t)
	assert.EqualValues(t, 65532, owner.Uid)
	assert.EqualValues(t, 0o640, info.Mode().Perm())

	at := t.TempDir() // a snapshot
	require.NoError(t, syscall.Mount(dir, at, "", syscall.MS_BIND, ""), "mounting takes the right to mount")
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(at, 0)) })
	require.NoError(t, syscall.Mount("", at, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	status, again, errOut := runOnce(t, onData(t, at), "export")
	require.Zero(t, status, errOut)
	assert.Equal(t, out, again)
	status, report, errOut := runOnce(t, nil, "check", at)
	require.Zero(t, status, errOut)
	assert.Contains(t, report, "300 sessions, 0 more expired")
	assert.Regexp(t, `the live sessions take \d{5,} bytes, the largest of them \d{5}; compact would leave about \d+`, report)

	s := start(t, onData(t, at, "SESSION_DATA_READONLY", "true", "SESSION_MAX_ENTRIES", "10"))
	assert.Contains(t, do(t, http.MethodGet, s.url("/stats"), nil, "").body, `"entryCount":300`)
	assert.Equal(t, http.StatusServiceUnavailable, do(t, http.MethodPost, s.url("/api/session"), nil, "").status)
	assert.Equal(t, http.StatusOK, do(t, http.MethodGet, s.url("/readyz"), nil, "").status, "that is what it is for")
	assert.Equal(t, http.StatusOK, do(t, http.MethodGet, s.url("/api/sessions?limit=1"), nil, "").status)
	assert.Equal(t, count, strings.Count(do(t, http.MethodGet, s.url("/api/export"), nil, "").body, "\n"))
	require.Zero(t, s.end(t))
}

func TestOperator_existingIsRequired(t *testing.T) {
	empty := t.TempDir()
	status, _, errOut := runOnce(t, onData(t, empty, "SESSION_DATA_REQUIRE", "existing", "LOG_FORMAT", "json"))
	assert.Equal(t, 1, status)
	assert.Contains(t, errOut, "is the volume mounted?")
	entries, err := os.ReadDir(empty)
	require.NoError(t, err)
	assert.Empty(t, entries)

	s := start(t, onData(t, empty))
	s.log.wait(t, "new data file made: there are no sessions yet")
	require.Zero(t, s.end(t))
	s = start(t, onData(t, empty, "SESSION_DATA_REQUIRE", "existing"))
	line := s.log.wait(t, "sessions loaded")
	assert.EqualValues(t, 0, line["sessions"])
	assert.NotEmpty(t, line["lastWritten"])
	require.Zero(t, s.end(t))
}

// An import that does not fit in is refused before any of it is stored, and one
// through a pipe stops where the store is full. Nobody else's session goes for it.
func TestOperator_importAsksForRoom(t *testing.T) {
	_, records, errOut := runOnce(t, onData(t, filledDir(t, 100)), "export")
	file := filepath.Join(t.TempDir(), "sessions.ndjson")
	require.NoError(t, os.WriteFile(file, []byte(records), 0o600), errOut)
	into := func(in io.Reader, environ map[string]string) outcome {
		var out, errOut bytes.Buffer
		status := 0
		if err := runTransfer(t.Context(), "import", nil, environ, streams{in, &out, &errOut}); err != nil {
			status = 1
			fmt.Fprintln(&errOut, err)
		}
		return outcome{status, out.String(), errOut.String()}
	}
	opened := func() *os.File {
		f, err := os.Open(file)
		require.NoError(t, err)
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	dir := filledDir(t, 20)
	present := func() int {
		_, out, _ := runOnce(t, onData(t, dir), "export")
		return strings.Count(out, "\n")
	}
	small := func() map[string]string { return onData(t, dir, "SESSION_MAX_ENTRIES", "60") }
	result := into(opened(), small())
	assert.Equal(t, 1, result.status)
	assert.Contains(t, result.errOut, "there is not enough room: 95 sessions")
	assert.Contains(t, result.errOut, "40 more sessions fit in")
	assert.Contains(t, result.errOut, "SESSION_MAX_ENTRIES")
	assert.Equal(t, 20, present(), "nothing was stored")

	result = into(strings.NewReader(records), small())
	assert.Equal(t, 1, result.status)
	assert.Contains(t, result.errOut, "store is full")
	assert.Contains(t, result.errOut, "imported 40 sessions")
	assert.Equal(t, 60, present(), "and nobody had to go")

	result = into(opened(), onData(t, dir))
	require.Zero(t, result.status, result.errOut)
	assert.Contains(t, result.errOut, "imported 55 sessions from 100 lines")
	assert.Contains(t, result.errOut, "present now: 100")
	assert.Equal(t, 115, present(), "of the 20, five were in the file as well")
}

func TestOperator_importIntoARunningService(t *testing.T) {
	_, records, _ := runOnce(t, onData(t, filledDir(t, 100)), "export")
	for _, store := range []string{"memory", "bolt"} {
		t.Run(store, func(t *testing.T) {
			environ := servicetest.Environment(t, "SESSION_MAX_ENTRIES", "60", "SESSION_SECRET", servicetest.SessionSecret)
			if store == "bolt" {
				environ["SESSION_DATA_DIR"] = t.TempDir()
			}
			s := start(t, environ)
			var ids []string
			for range 30 {
				made := do(t, http.MethodPost, s.url("/api/sessions"), http.Header{"Content-Type": {"application/json"}}, "{}")
				require.Equal(t, http.StatusCreated, made.status)
				ids = append(ids, match(t, `"id":"([^"]+)"`, made.body))
			}
			header := http.Header{"Content-Type": {"application/x-ndjson"}}
			full := do(t, http.MethodPost, s.url("/api/import"), header, records)
			assert.Equal(t, http.StatusServiceUnavailable, full.status, full.body)
			assert.Contains(t, full.body, "store_full")
			s.log.wait(t, "import stopped")
			for _, id := range ids {
				assert.Equal(t, http.StatusOK, do(t, http.MethodHead, s.url("/api/sessions/"+id), nil, "").status)
			}
			assert.Contains(t, do(t, http.MethodGet, s.url("/stats"), nil, "").body, `"entryCount":60`)
			assert.Contains(t, do(t, http.MethodGet, s.url("/stats"), nil, "").body, `"evictions":0`)
			require.Zero(t, s.end(t))
		})
	}
	s := start(t, servicetest.Environment(t, "SESSION_SECRET", servicetest.SessionSecret))
	header := http.Header{"Content-Type": {"application/x-ndjson"}}
	all := do(t, http.MethodPost, s.url("/api/import"), header, records)
	assert.JSONEq(t, `{"imported":100,"existing":0,"ended":0,"expired":0,"present":100}`, all.body)
	assert.EqualValues(t, 100, s.log.wait(t, "import done")["present"])
	exported := do(t, http.MethodGet, s.url("/api/export"), nil, "")
	assert.Equal(t, 100, strings.Count(exported.body, "\n"))
	assert.Equal(t, http.StatusOK, do(t, http.MethodGet, s.url("/api/export?namespace=none"), nil, "").status)
	require.Zero(t, s.end(t))
	assert.NotContains(t, s.log.String(), "superfluous")
}

// backedUp runs the command backup.
func backedUp(t *testing.T, environ map[string]string, args ...string) outcome {
	t.Helper()
	status, out, errOut := runOnce(t, environ, append([]string{"backup"}, args...)...)
	return outcome{status, out, errOut}
}

// environOf returns the environment of a service that runs, for a command.
func environOf(t *testing.T, s *running, dir string, more ...string) map[string]string {
	t.Helper()
	host, port, _ := strings.Cut(s.addr, ":")
	return onData(t, dir, append([]string{"HOST", host, "PORT", port}, more...)...)
}

// How large a session may be is the service's to say: a command that was not told so
// backs it up all the same.
func TestOperator_backupKnowsNoLimits(t *testing.T) {
	s := start(t, servicetest.Environment(t, "SESSION_MAX_BYTES", "4194304"))
	resp, _ := send(t, http.DefaultClient, http.MethodPost, s.url("/api/session"), `{"inputs":{"a":"`+strings.Repeat("x", 2<<20)+`"}}`, "Content-Type", "application/json")
	require.Equal(t, http.StatusCreated, resp.status)
	host, port, _ := strings.Cut(s.addr, ":")
	result := backedUp(t, servicetest.Environment(t, "HOST", host, "PORT", port), "-")
	require.Zero(t, result.status, result.errOut)
	assert.Equal(t, 3, strings.Count(result.out, "\n"))
}

func TestOperator_backupAndRestore(t *testing.T) {
	const count = 400
	const token = "a-service-token-of-this-test-only-0123456789"
	dir := filledDir(t, count)
	kept, err := bolt.Open(time.Now(), bolt.Options{Dir: dir, ReadOnly: true})
	require.NoError(t, err)
	want := contents(t, kept)
	require.NoError(t, kept.Close())

	stopped := filepath.Join(t.TempDir(), "stopped.ndjson")
	result := backedUp(t, onData(t, dir), stopped)
	require.Zero(t, result.status, result.errOut)
	assert.Contains(t, result.errOut, "400 sessions of store bolt")
	info, err := os.Stat(stopped)
	require.NoError(t, err)
	assert.EqualValues(t, 0o600, info.Mode().Perm())

	s := start(t, onData(t, dir, "SERVICE_TOKENS", token))
	running := filepath.Join(t.TempDir(), "running.ndjson")
	refused := backedUp(t, environOf(t, s, dir), running)
	assert.Equal(t, 1, refused.status)
	assert.Contains(t, refused.errOut, "401")
	assert.NoFileExists(t, running)
	result = backedUp(t, environOf(t, s, dir, "SERVICE_TOKENS", token), running)
	require.Zero(t, result.status, result.errOut)
	byURL := backedUp(t, map[string]string{"SERVICE_TOKENS": token}, "-url", "http://"+s.addr, "-")
	require.Zero(t, byURL.status, byURL.errOut)
	assert.Equal(t, count+2, strings.Count(byURL.out, "\n"))
	status, _, errOut := runOnce(t, onData(t, dir), "restore", running)
	assert.Equal(t, 1, status)
	assert.Contains(t, errOut, "another process uses it")
	require.Zero(t, s.end(t))
	status, _, errOut = runOnce(t, onData(t, dir), "restore", running)
	assert.Equal(t, 1, status)
	assert.Contains(t, errOut, "there is a data file in it already")

	for _, file := range []string{stopped, running} {
		into := filepath.Join(t.TempDir(), "new")
		status, _, errOut := runOnce(t, onData(t, into), "restore", file)
		require.Zero(t, status, errOut)
		assert.Contains(t, errOut, "restored 400 sessions of 400")
		kept, err := bolt.Open(time.Now(), bolt.Options{Dir: into})
		require.NoError(t, err)
		assert.Equal(t, want, contents(t, kept), "ids, deadlines, revisions and all")
		require.NoError(t, kept.Close())
	}
	// A backup can be imported, too.
	file, err := os.ReadFile(running)
	require.NoError(t, err)
	s = start(t, servicetest.Environment(t))
	moved := do(t, http.MethodPost, s.url("/api/import"), http.Header{"Content-Type": {"application/x-ndjson"}}, string(file))
	assert.Contains(t, moved.body, `"imported":400`)
	again := do(t, http.MethodGet, s.url("/api/backup"), nil, "") // of sessions in memory
	assert.Equal(t, count+2, strings.Count(again.body, "\n"))
	require.Zero(t, s.end(t))
}

func TestOperator_restoreBefore(t *testing.T) {
	dir := filledDir(t, 200) // the nth was created 10 ms before the one before
	backup := filepath.Join(t.TempDir(), "b")
	require.Zero(t, backedUp(t, onData(t, dir), backup).status)
	into := filepath.Join(t.TempDir(), "new")
	status, _, errOut := runOnce(t, onData(t, into), "restore", "-before", time.Now().Add(time.Hour).UTC().Format(time.RFC3339), backup)
	require.Zero(t, status, errOut)
	assert.Contains(t, errOut, "restored 0 sessions of 200")
	assert.Contains(t, errOut, "200 created before")
	into = filepath.Join(t.TempDir(), "all")
	status, _, errOut = runOnce(t, onData(t, into), "restore", "-before", "2020-01-01T00:00:00Z", backup)
	require.Zero(t, status, errOut)
	assert.Contains(t, errOut, "restored 200 sessions of 200")
}

// A backup that is not whole makes no data file.
func TestOperator_damagedBackup(t *testing.T) {
	backup := filepath.Join(t.TempDir(), "b")
	require.Zero(t, backedUp(t, onData(t, filledDir(t, 50)), backup).status)
	whole, err := os.ReadFile(backup)
	require.NoError(t, err)
	lines := bytes.SplitAfter(whole, []byte("\n"))
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"cut off":       {whole[:len(whole)/2], "ends before its tail"},
		"without tail":  {bytes.Join(lines[:51], nil), "ends before its tail, after 50 of 50 sessions"},
		"a letter":      {bytes.Replace(whole, []byte("é@example"), []byte("e@example"), 1), "its checksum is wrong"},
		"a line less":   {bytes.Join(append(append([][]byte{}, lines[:7]...), lines[8:]...), nil), "its checksum is wrong"},
		"something on":  {append(append([]byte{}, whole...), "x"...), "something follows its tail"},
		"an export":     {bytes.Join(lines[1:51], nil), "it is no backup"},
		"empty":         {nil, "it is no backup"},
		"of the future": {bytes.Replace(whole, []byte(`{"backup":1`), []byte(`{"backup":9`), 1), "a newer version"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "b")
			require.NoError(t, os.WriteFile(file, c.file, 0o600))
			into := t.TempDir()
			status, _, errOut := runOnce(t, onData(t, into), "restore", file)
			assert.Equal(t, 1, status)
			assert.Contains(t, errOut, c.says)
			assert.NoFileExists(t, filepath.Join(into, "sessions.db"))
		})
	}
}

func TestOperator_salvageAndCompact(t *testing.T) {
	dir := filledDir(t, 300)
	path := filepath.Join(dir, "sessions.db")
	b := fileOf(t, dir)
	at := bytes.Index(b, []byte(`"large":"`)) // one letter of a large document
	require.Positive(t, at)
	b[at+40] ^= 1
	require.NoError(t, os.WriteFile(path, b, 0o600))
	status, _, errOut := runOnce(t, onData(t, dir))
	assert.Equal(t, 1, status)
	assert.Contains(t, errOut, "session-api salvage")
	status, out, errOut := runOnce(t, onData(t, dir), "salvage")
	require.Zero(t, status, errOut)
	assert.GreaterOrEqual(t, strings.Count(out, "\n"), 290)
	assert.Regexp(t, `saved 29\d sessions from .*; left out: 0 expired, \d+ records? of the log lost`, errOut)
	into := filepath.Join(t.TempDir(), "new")
	status, _, errOut = runOnce(t, nil, "salvage", "-to", into, dir)
	require.Zero(t, status, errOut)
	assert.Equal(t, b, fileOf(t, dir), "the damaged one stays as it is")
	status, out, errOut = runOnce(t, nil, "compact", into)
	require.Zero(t, status, errOut)
	assert.Regexp(t, `sessions.db: \d+ bytes, \d+ before; 29\d records kept`, out)
	s := start(t, onData(t, into))
	assert.Regexp(t, `"entryCount":29\d`, do(t, http.MethodGet, s.url("/stats"), nil, "").body)
	status, _, errOut = runOnce(t, nil, "compact", into)
	assert.Equal(t, 1, status)
	assert.Contains(t, errOut, "another process uses it")
	require.Zero(t, s.end(t))
}

func TestOperator_usage(t *testing.T) {
	for args, want := range map[string]struct {
		status int
		says   string
	}{
		"backup":                     {2, "name a file to write"},
		"backup -rate -1 a":          {2, "-rate is a number"},
		"backup -h":                  {0, "Usage: session-api backup"},
		"restore":                    {2, "name a file to read"},
		"restore a":                  {2, "name a directory with -dir"},
		"restore -before x -dir a b": {2, "-before takes a time"},
		"restore -h":                 {0, "Usage: session-api restore"},
		"salvage":                    {2, "name a directory"},
		"salvage a b":                {2, `unknown argument "b"`},
		"salvage /nonexistent":       {1, "there is no data file in it"},
		"salvage -h":                 {0, "Usage: session-api salvage"},
		"compact":                    {2, "name a directory"},
		"compact /nonexistent":       {1, "there is no data file in it"},
		"compact -h":                 {0, "Usage: session-api compact"},
	} {
		t.Run(args, func(t *testing.T) {
			status, out, errOut := runOnce(t, map[string]string{}, strings.Fields(args)...)
			assert.Equal(t, want.status, status)
			assert.Contains(t, out+errOut, want.says)
		})
	}
}
