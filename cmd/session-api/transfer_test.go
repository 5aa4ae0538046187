package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/servicetest"
	"session-api/internal/soaktest"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/redistest"
)

// outcome is what a command did.
type outcome struct {
	status      int
	out, errOut string
}

// exported runs the export of a server.
func exported(t *testing.T, server *redistest.Server, args ...string) outcome {
	t.Helper()
	var out, errOut bytes.Buffer
	status := run(t.Context(), append([]string{"export"}, args...), instanceOn(t, server, unhurried...), &out, &errOut)
	return outcome{status, out.String(), errOut.String()}
}

// imported runs the import into a server.
func imported(ctx context.Context, t *testing.T, server *redistest.Server, in io.Reader, args ...string) outcome {
	t.Helper()
	var out, errOut bytes.Buffer
	status := 0
	err := runTransfer(ctx, "import", args, instanceOn(t, server, append(unhurried, "SESSION_COMPRESS_OVER_BYTES", "0")...), streams{in, &out, &errOut})
	if err != nil {
		status = 1
		fmt.Fprintln(&errOut, err)
	}
	return outcome{status, out.String(), errOut.String()}
}

// unhurried are settings of commands that a busy machine does not end.
var unhurried = []string{"REDIS_TIMEOUT_MS", "20000", "REDIS_DIAL_TIMEOUT_MS", "20000"}

// storeOn opens the store on a server, as a service does.
func storeOn(t *testing.T, server *redistest.Server) *redis.Store {
	t.Helper()
	kept, err := redis.Open(t.Context(), redis.Options{
		Server: conn.Server{Addresses: []string{server.Addr()}, Timeout: 30 * time.Second, DialTimeout: patience}, CompressOver: 1 << 10,
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, kept.Close()) })
	return kept
}

var spaces = []string{schema.DefaultNamespace, "a", "shop", "shop-2"}

// someSession returns the nth session of a test: in one of several namespaces,
// of one of several users or none, small or large, young or old.
func someSession(t *testing.T, n int) schema.Session {
	t.Helper()
	now := schema.Now(time.Now())
	sec := schema.EmptySections()
	if n%3 > 0 {
		sec.User = &schema.User{ID: fmt.Sprintf("user-%d", n%97), Email: "é@example.com", Roles: []string{"r"}}
	}
	sec.Inputs = []byte(fmt.Sprintf(`{"n":%d.50,"text":"a\u0041\n\"<b>"}`, n))
	if n%5 == 0 {
		sec.Results = []byte(fmt.Sprintf(`{"report":"report-%d.txt"}`, n))
	}
	if n%50 == 0 {
		sec.Meta = []byte(`{"large":"` + strings.Repeat("text ", 4000) + `"}`)
	}
	sess := schema.Session{
		Namespace: spaces[n%len(spaces)], ID: schema.NewID(),
		CreatedAt: now.Add(-time.Duration(n) * 10 * time.Millisecond), UpdatedAt: now,
		Revision: int64(1 + n%1000), TTL: time.Duration(1+n%7) * time.Hour,
	}
	if n%4 == 0 {
		sess.ID = fmt.Sprintf("foreign-session-%d", n)
	}
	if n%11 == 0 {
		sess.OwnTTL = sess.TTL
	}
	sess.ExpiresAt = now.Add(sess.TTL - time.Duration(n)*time.Millisecond)
	sess, err := new(schema.Rules).Build(sess, sec)
	require.NoError(t, err)
	return sess
}

// fill creates so many sessions.
func fill(t *testing.T, kept backend.Store, count int) {
	t.Helper()
	sessions := make([]schema.Session, count)
	for n := range sessions {
		sessions[n] = someSession(t, n)
	}
	var creators sync.WaitGroup
	for first := range 16 {
		creators.Go(func() {
			for n := first; n < count; n += 16 {
				assert.NoError(t, kept.Create(t.Context(), time.Now(), sessions[n]))
			}
		})
	}
	creators.Wait()
}

// contents are the records of all sessions, by namespace and id, with what is
// made of them.
func contents(t *testing.T, kept backend.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	names, err := kept.Namespaces(t.Context(), time.Now())
	require.NoError(t, err)
	for _, name := range names {
		for q := (backend.Query{Namespace: name, Limit: 256}); ; {
			page, err := kept.List(t.Context(), time.Now(), q)
			require.NoError(t, err)
			for _, sess := range page.Sessions {
				key := name + "/" + sess.ID
				_, twice := all[key]
				assert.False(t, twice, key)
				all[key] = fmt.Sprintf("%s %q %q", sess.AppendRecord(nil), sess.UserID, sess.Files)
			}
			if q.Cursor = page.Next; q.Cursor == "" {
				break
			}
		}
	}
	return all
}

// match returns the first group of the pattern in text.
func match(t *testing.T, pattern, text string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	require.NotNil(t, found, text)
	return found[1]
}

func TestTransfer(t *testing.T) {
	count := soaktest.Times(2000, 10_000)
	here, there := redistest.Start(t), redistest.Start(t)
	source, target := storeOn(t, here), storeOn(t, there)
	fill(t, source, count)
	before := contents(t, source)
	require.Len(t, before, count)

	file := exported(t, here)
	require.Zero(t, file.status, file.errOut)
	assert.Regexp(t, fmt.Sprintf(`^session-api: exported %d sessions of 4 namespaces in \S+ \(\d+ a second\)\n$`, count), file.errOut)
	assert.Equal(t, count, strings.Count(file.out, "\n"))
	assert.Equal(t, before, contents(t, source), "an export changes nothing")

	dry := imported(t.Context(), t, there, strings.NewReader(file.out), "-dry-run")
	require.Zero(t, dry.status, dry.errOut)
	assert.Contains(t, dry.errOut, fmt.Sprintf("would import %d sessions from %[1]d lines", count))
	assert.Equal(t, "1", there.CLI("DBSIZE"), "that there is a deployment, no session")

	first := imported(t.Context(), t, there, strings.NewReader(file.out))
	require.Zero(t, first.status, first.errOut)
	assert.Regexp(t, fmt.Sprintf(`^session-api: imported %d sessions from %[1]d lines in \S+ \(\d+ a second\); `+
		`left as they are: 0, ended there: 0, expired: 0; present now: %[1]d\n$`, count), first.errOut)
	assert.Equal(t, before, contents(t, target))
	for n := range 3 {
		key := fmt.Sprintf("session:foreign-session-%d", 4*n)
		assert.Equal(t, here.CLI("PEXPIRETIME", key), there.CLI("PEXPIRETIME", key))
	}
	for _, name := range spaces {
		q := backend.Query{Namespace: name, UserID: "user-5", Limit: 256}
		want, err := source.List(t.Context(), time.Now(), q)
		require.NoError(t, err)
		got, err := target.List(t.Context(), time.Now(), q)
		require.NoError(t, err)
		require.NotEmpty(t, want.Sessions)
		assert.Len(t, got.Sessions, len(want.Sessions))
	}

	size := there.CLI("DBSIZE")
	again := imported(t.Context(), t, there, strings.NewReader(file.out))
	require.Zero(t, again.status, again.errOut)
	assert.Contains(t, again.errOut, fmt.Sprintf("imported 0 sessions from %d lines", count))
	assert.Contains(t, again.errOut, fmt.Sprintf("left as they are: %d", count))
	assert.Equal(t, before, contents(t, target))
	assert.Equal(t, size, there.CLI("DBSIZE"))
}

func TestTransfer_oneNamespace(t *testing.T) {
	server := redistest.Start(t)
	fill(t, storeOn(t, server), 100)
	file := exported(t, server, "-namespace", "shop")
	require.Zero(t, file.status, file.errOut)
	assert.Contains(t, file.errOut, "exported 25 sessions of 1 namespace ")
	assert.Equal(t, 25, strings.Count(file.out, `{"namespace":"shop",`))
	assert.Equal(t, 25, strings.Count(file.out, "\n"))
	none := exported(t, server, "-namespace", "nobody-s")
	require.Zero(t, none.status, none.errOut)
	assert.Empty(t, none.out)
}

// stopper calls stop once so many bytes went through.
type stopper struct {
	io.Reader
	io.Writer
	left int
	stop func()
}

func (s *stopper) Write(p []byte) (int, error) {
	s.count(len(p))
	return s.Writer.Write(p)
}

func (s *stopper) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p[:min(len(p), 4096)])
	s.count(n)
	return n, err
}

func (s *stopper) count(n int) {
	if s.left -= n; s.left <= 0 && s.stop != nil {
		s.stop()
		s.stop = nil
	}
}

func TestTransfer_interruptedAndGoneOn(t *testing.T) {
	count := soaktest.Times(1500, 3000)
	here, there := redistest.Start(t), redistest.Start(t)
	source, target := storeOn(t, here), storeOn(t, there)
	fill(t, source, count)
	before := contents(t, source)
	size := 0
	for _, text := range before {
		size += len(text)
	}

	var file bytes.Buffer
	args := []string{"export"}
	stops := 0
	for part := 1; ; part++ {
		ctx, cancel := context.WithCancel(t.Context())
		var errOut bytes.Buffer
		status := run(ctx, args, instanceOn(t, here), &stopper{Writer: &file, left: size / 5, stop: cancel}, &errOut)
		cancel()
		if status == 0 {
			break
		}
		require.Equal(t, 1, status)
		stops++
		require.Less(t, part, 20)
		assert.Contains(t, errOut.String(), "session-api: export: interrupted")
		args = []string{"export", "-after", match(t, `to go on: session-api export -after (\S+)\n`, errOut.String())}
	}
	assert.GreaterOrEqual(t, stops, 3)
	assert.Equal(t, count, strings.Count(file.String(), "\n"), "each session once")

	var skip []string
	stops = 0
	for part := 1; ; part++ {
		ctx, cancel := context.WithCancel(t.Context())
		in := &stopper{Reader: bytes.NewReader(file.Bytes()), left: part * size / 5, stop: cancel}
		result := imported(ctx, t, there, in, skip...)
		cancel()
		if result.status == 0 {
			break
		}
		stops++
		require.Less(t, part, 20)
		assert.Contains(t, result.errOut, "interrupted")
		skip = []string{"-skip", match(t, `to go on: session-api import -skip (\d+)\n`, result.errOut)}
	}
	assert.GreaterOrEqual(t, stops, 3)
	assert.Equal(t, before, contents(t, target))
}

// Whatever is written to either store meanwhile, what nobody touches arrives,
// and what is in the target stays as it is there.
func TestTransfer_whileSessionsChange(t *testing.T) {
	count := soaktest.Times(800, 2000)
	here, there := redistest.Start(t), redistest.Start(t)
	source, target := storeOn(t, here), storeOn(t, there)
	fill(t, source, count)
	quiet := contents(t, source)

	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for writer := range 4 {
		writers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				sess := someSession(t, rand.IntN(count))
				sess = sess.WithID(fmt.Sprintf("writer-session-%d-%d", writer, n))
				if !assert.NoError(t, source.Create(t.Context(), time.Now(), sess)) {
					return
				}
				next := sess
				next.Revision++
				next, err := new(schema.Rules).Build(next, schema.EmptySections())
				assert.NoError(t, err)
				next, err = source.Swap(t.Context(), time.Now(), sess, next)
				assert.NoError(t, err)
				moved := next.WithID(next.ID + "-moved")
				assert.NoError(t, source.Regenerate(t.Context(), time.Now(), next, moved, time.Now().Add(time.Minute)))
				if n%2 == 0 {
					assert.NoError(t, source.Delete(t.Context(), time.Now(), moved.Key(), 0))
				}
			}
		})
	}
	file := exported(t, here)
	stop()
	writers.Wait()
	require.Zero(t, file.status, file.errOut)

	// One of them is in the target already, and another than in the source.
	own := someSession(t, 0)
	own.Revision = 4242
	own, err := new(schema.Rules).Build(own, schema.EmptySections())
	require.NoError(t, err)
	require.NoError(t, target.Create(t.Context(), time.Now(), own))
	delete(quiet, own.Namespace+"/"+own.ID)

	result := imported(t.Context(), t, there, strings.NewReader(file.out))
	require.Zero(t, result.status, result.errOut)
	assert.Contains(t, result.errOut, "left as they are: 1,")
	arrived := contents(t, target)
	for key, text := range quiet {
		require.Equal(t, text, arrived[key])
	}
	assert.Contains(t, arrived[own.Namespace+"/"+own.ID], `"revision":4242`)
}

// lines are the records of n sessions.
func lines(t *testing.T, n int) []string {
	t.Helper()
	list := make([]string, n)
	for i := range list {
		sess := someSession(t, i+1)
		list[i] = string(sess.AppendRecord(nil)) + "\n"
	}
	return list
}

func TestImport_badLines(t *testing.T) {
	server := redistest.Start(t)
	kept := storeOn(t, server)
	good := lines(t, 9)
	with := func(n int, line string) string {
		list := append([]string(nil), good...)
		list[n-1] = line
		return strings.Join(list, "")
	}
	long := strings.Repeat("x", 1<<20+5000)
	for name, c := range map[string]struct {
		input  string
		stored int
		errOut []string
		goOn   string
	}{
		"damaged":        {with(5, "{\"namespace\":\"hunter2\n"), 4, []string{"line 5: invalid_json:"}, "-skip 4, or without line 5: -skip 5\n"},
		"the first":      {with(1, "hunter2\n"), 0, []string{"line 1: invalid_json:"}, "-skip 0, or without line 1: -skip 1\n"},
		"something else": {with(7, "{\"id\":\"hunter2\"}\n"), 6, []string{"line 7: validation_failed:", "/namespace: is required", "/id: is not"}, "-skip 6,"},
		"half a last one": {
			with(9, good[8][:len(good[8])/2]), 8,
			[]string{"line 9: invalid_json:", "ends too early", "cut off"},
			"-skip 8,",
		},
		"a byte order mark": {"\ufeff" + with(2, ""), 0, []string{"line 1:", "byte order mark"}, "-skip 0,"},
		"too long":          {with(4, long+"\n"), 3, []string{"line 4: the line is longer than", "(SESSION_MAX_BYTES)"}, "-skip 3, or without line 4: -skip 4\n"},
		"too long and last": {with(9, long), 8, []string{"line 9: the line is longer"}, "-skip 8,"},
		"too large a document": {
			with(6, strings.Replace(good[5], `"meta":{}`, `"meta":{"a":"`+long[:1<<20]+`"}`, 1)), 5,
			[]string{"line 6: too_large:"},
			"-skip 5,",
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, "OK", server.CLI("FLUSHALL"))
			result := imported(t.Context(), t, server, strings.NewReader(c.input))
			assert.Equal(t, 1, result.status)
			for _, text := range c.errOut {
				assert.Contains(t, result.errOut, text)
			}
			assert.Contains(t, result.errOut, "to go on: session-api import "+c.goOn)
			assert.NotContains(t, result.errOut, "hunter2")
			assert.NotContains(t, result.errOut, "xxxx")
			assert.Len(t, contents(t, kept), c.stored, "all before it")

			if bad := match(t, `without line (\d+)`, result.errOut); bad != "9" {
				result = imported(t.Context(), t, server, strings.NewReader(c.input), "-skip", bad)
				assert.Zero(t, result.status, result.errOut)
				assert.GreaterOrEqual(t, len(contents(t, kept)), 8-strings.Count(c.input, "\ufeff"))
			}
		})
	}
}

func TestImport_linesOfAnyForm(t *testing.T) {
	server := redistest.Start(t)
	kept := storeOn(t, server)
	list := lines(t, 6)
	list[0] = "\n \r\n" + list[0]
	list[1] = strings.Replace(list[1], "\n", "\r\n", 1)
	list[5] = strings.TrimSuffix(list[5], "\n")
	expired := someSession(t, 1)
	expired.ID, expired.ExpiresAt = "expired-session-1", time.Now().Add(-time.Second)
	expired, err := new(schema.Rules).Build(expired, schema.EmptySections())
	require.NoError(t, err)
	input := strings.Join(list[:3], "") + string(expired.AppendRecord(nil)) + "\n\n" + strings.Join(list[3:], "")
	result := imported(t.Context(), t, server, strings.NewReader(input))
	require.Zero(t, result.status, result.errOut)
	assert.Contains(t, result.errOut, "imported 6 sessions from 10 lines")
	assert.Contains(t, result.errOut, "left as they are: 0, ended there: 0, expired: 1; present now: 6\n")
	assert.Len(t, contents(t, kept), 6)

	rest := imported(t.Context(), t, server, strings.NewReader(input), "-skip", "9", "-dry-run")
	require.Zero(t, rest.status, rest.errOut)
	assert.Contains(t, rest.errOut, "would import 0 sessions from 1 line in")
	assert.Contains(t, rest.errOut, "left as they are: 1,")
	none := imported(t.Context(), t, server, strings.NewReader(input), "-skip", "10")
	assert.Zero(t, none.status, none.errOut)
	much := imported(t.Context(), t, server, strings.NewReader(input), "-skip", "11")
	assert.Equal(t, 1, much.status)
	assert.Contains(t, much.errOut, "-skip: fewer lines than are to be left out: 10")
	assert.NotContains(t, much.errOut, "to go on")
	empty := imported(t.Context(), t, server, strings.NewReader(""))
	assert.Zero(t, empty.status, empty.errOut)
}

// The target goes away in the middle. What is said to be done is done.
func TestImport_redisGoesAway(t *testing.T) {
	server := redistest.Start(t, redistest.AppendOnly("always"))
	list := lines(t, 2000)
	in := &stopper{Reader: strings.NewReader(strings.Join(list, "")), left: 500_000, stop: func() { server.Kill() }}
	result := imported(t.Context(), t, server, in)
	require.Equal(t, 1, result.status, result.errOut)
	assert.Contains(t, result.errOut, "store unavailable")
	skip := match(t, `to go on: session-api import -skip (\d+)\n`, result.errOut)
	assert.Equal(t, match(t, `from (\d+) lines`, result.errOut), skip)

	away := imported(t.Context(), t, server, strings.NewReader(""))
	assert.Equal(t, 1, away.status)
	assert.Contains(t, away.errOut, "store unavailable")

	server.Restart()
	result = imported(t.Context(), t, server, strings.NewReader(strings.Join(list, "")), "-skip", skip)
	require.Zero(t, result.status, result.errOut)
	assert.Len(t, contents(t, storeOn(t, server)), len(list))
}

// failing is a writer that is full after a while.
type failing struct{ left int }

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, syscall.ENOSPC
	}
	return len(p), nil
}

func TestExport_outputIsFull(t *testing.T) {
	server := redistest.Start(t)
	fill(t, storeOn(t, server), 500)
	var errOut bytes.Buffer
	status := run(t.Context(), []string{"export"}, instanceOn(t, server), &failing{left: 100_000}, &errOut)
	assert.Equal(t, 1, status)
	assert.Contains(t, errOut.String(), "export: writing: no space left on device")
	assert.Contains(t, errOut.String(), "the file may end within a line")
	place := match(t, `to go on: session-api export -after (\S+)\n`, errOut.String())
	rest := exported(t, server, "-after", place)
	assert.Zero(t, rest.status, rest.errOut)
	assert.Contains(t, rest.errOut, "exported ")
}

// A signal ends an import that waits for input, and nothing that came is lost.
func TestImport_signal(t *testing.T) {
	server := redistest.Start(t)
	kept := storeOn(t, server)
	cmd := command(servicetest.Binary(t), instanceOn(t, server), "import")
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	_, err = io.WriteString(in, strings.Join(lines(t, 10), "")+`{"namespace":"shop`)
	require.NoError(t, err)
	untilTrue(t, "what came is stored", func() bool { return len(contents(t, kept)) == 10 })
	require.NoError(t, cmd.Process.Signal(syscall.SIGINT))
	err = cmd.Wait()
	exit := new(exec.ExitError)
	require.ErrorAs(t, err, &exit)
	assert.Equal(t, 1, exit.ExitCode())
	assert.Contains(t, errOut.String(), "imported 10 sessions from 10 lines")
	assert.Contains(t, errOut.String(), "to go on: session-api import -skip 10\n")
	assert.Contains(t, errOut.String(), "session-api: import: interrupted\n")
}

func TestTransfer_refusals(t *testing.T) {
	redisURL := []string{"REDIS_URL", "redis://127.0.0.1:1"}
	for name, c := range map[string]struct {
		args    string
		environ []string
		status  int
		errOut  []string
	}{
		"export of memory":       {"export", nil, 1, []string{"export: SESSION_STORE is memory", "REDIS_URL"}},
		"import into memory":     {"import -dry-run", []string{"SESSION_STORE", "memory"}, 1, []string{"import: SESSION_STORE is memory"}},
		"a slip":                 {"export", []string{"REDIS_ULR", "redis://x"}, 1, []string{"REDIS_ULR is not a setting, did you mean REDIS_URL?"}},
		"a bad setting":          {"export", []string{"REDIS_URL", "http://x", "PORT", "x"}, 1, []string{"REDIS_URL: "}},
		"a bad size":             {"import", append(redisURL, "SESSION_MAX_BYTES", "1"), 1, []string{"SESSION_MAX_BYTES: "}},
		"nobody there":           {"export", append(redisURL, "APP_ENV", "production", "PORT", "x"), 1, []string{"store unavailable"}},
		"an argument":            {"export sessions.ndjson", redisURL, 2, []string{`export: unknown argument "sessions.ndjson"`}},
		"an unknown flag":        {"import -force", redisURL, 2, []string{"-force"}},
		"no namespace":           {"export -namespace Shop", redisURL, 2, []string{`"Shop" is no namespace`}},
		"no place":               {"export -after shop", redisURL, 2, []string{"not a place"}},
		"a place elsewhere":      {"export -namespace shop -after default/abc", redisURL, 2, []string{"in another namespace"}},
		"a negative number":      {"import -skip -1", redisURL, 2, []string{"number of lines"}},
		"no number":              {"import -skip all", redisURL, 2, []string{"-skip"}},
		"a flag of the other":    {"import -namespace shop", redisURL, 2, []string{"-namespace"}},
		"a flag without a value": {"export -after", redisURL, 2, []string{"-after"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errOut bytes.Buffer
			assert.Equal(t, c.status, run(t.Context(), strings.Fields(c.args), servicetest.Environment(t, c.environ...), &out, &errOut))
			assert.Empty(t, out.String())
			for _, text := range c.errOut {
				assert.Contains(t, errOut.String(), text)
			}
			assert.NotContains(t, errOut.String(), "PORT:")
		})
	}
}

func TestExport_aPlaceThatIsNone(t *testing.T) {
	server := redistest.Start(t)
	fill(t, storeOn(t, server), 8)
	result := exported(t, server, "-after", "shop/garbage")
	assert.Equal(t, 2, result.status)
	assert.Contains(t, result.errOut, "-after is not a place that an export named")
	after := exported(t, server, "-after", "shop/")
	assert.Zero(t, after.status)
	assert.Equal(t, 2, strings.Count(after.out, `{"namespace":"shop-2"`))
	assert.Equal(t, 2, strings.Count(after.out, "\n"))
}

func TestTransfer_help(t *testing.T) {
	for _, args := range []string{"export -h", "import --help"} {
		var out, errOut bytes.Buffer
		assert.Zero(t, run(t.Context(), strings.Fields(args), nil, &out, &errOut))
		assert.Equal(t, transferUsage, out.String())
		assert.Empty(t, errOut.String())
	}
}
