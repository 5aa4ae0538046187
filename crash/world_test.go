package crash_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// clients is how many there are in a world.
const clients = 12

// world is a service with its data directory, and its clients.
type world struct {
	t        *testing.T
	random   *rand.Rand
	root     string
	data     string // the data directory
	files    string
	interval time.Duration
	busy     time.Duration // the longest time between start and kill
	clients  []*client

	// command makes the command that runs the service; started is called once
	// it runs.
	command func() *exec.Cmd
	started func()
	// lose happens to the data once the service has been killed.
	lose func()

	mu      sync.Mutex
	wrong   []string
	serving *service
}

func newWorld(t *testing.T, interval time.Duration) *world {
	t.Helper()
	root := onDisk(t)
	w := &world{
		t: t, random: newRandom(t), root: root, interval: interval, busy: 500 * time.Millisecond,
		data: filepath.Join(root, "data"), files: filepath.Join(root, "validator-analysis"),
		command: func() *exec.Cmd { return exec.Command(binary) },
		started: func() {},
		lose:    func() {},
	}
	require.NoError(t, os.Mkdir(w.files, 0o700))
	for n := range clients {
		c := &client{
			n: n, random: rand.New(rand.NewPCG(w.random.Uint64(), 0)), files: w.files, interval: interval,
			report: w.report, hangs: w.hangs, http: &http.Client{Transport: &http.Transport{}, Timeout: patience},
		}
		t.Cleanup(c.http.CloseIdleConnections)
		w.clients = append(w.clients, c)
	}
	return w
}

// report notes what must not be.
func (w *world) report(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
}

// hangs ends a service that does not answer, which says what it was doing.
func (w *world) hangs() {
	w.mu.Lock()
	s := w.serving
	w.serving = nil
	w.mu.Unlock()
	if s == nil {
		return
	}
	said := fmt.Sprintf("no answer within %v: %s", patience, s.quit())
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wrong = slices.Insert(w.wrong, 0, said)
}

// requireRight fails the test if anything was reported.
func (w *world) requireRight(when string) {
	w.t.Helper()
	for i, text := range w.wrong {
		if i < 10 {
			w.t.Errorf("%s: %s", when, text)
		}
	}
	if len(w.wrong) > 0 {
		w.t.Fatalf("%s: %d things are wrong", when, len(w.wrong))
	}
}

func (w *world) sum(of func(c *client) int) (n int) {
	for _, c := range w.clients {
		n += of(c)
	}
	return n
}

// start starts the service, and returns at once.
func (w *world) start() *service {
	w.t.Helper()
	settings := []string{
		"HOME=" + w.root,
		"TMPDIR=" + w.root,
		"SESSION_DATA_DIR=" + w.data,
		"SESSION_MAX_ENTRIES=100000",
		"SESSION_TOMBSTONE_MS=86400000",
		"SESSION_TOUCH_INTERVAL_MS=0",
		"SESSION_SWEEP_INTERVAL_MS=200",
		"ANALYSIS_TMP_DIR=" + w.files,
		"FILE_CLEANUP_INTERVAL_MS=0",
		"FILE_GRACE_MS=0",
	}
	if w.interval > 0 {
		settings = append(settings, "SESSION_SYNC=interval", fmt.Sprintf("SESSION_SYNC_INTERVAL_MS=%d", w.interval.Milliseconds()))
	}
	s := launch(w.t, w.command(), settings)
	w.mu.Lock()
	w.serving = s
	w.mu.Unlock()
	w.started()
	return s
}

// serve starts the service, and waits until it serves.
func (w *world) serve() (*service, string) {
	w.t.Helper()
	s := w.start()
	url, err := s.url()
	require.NoError(w.t, err)
	return s, url
}

// between waits for some time between the two.
func (w *world) between(least, most time.Duration) {
	<-time.After(least + time.Duration(w.random.Int64N(int64(most-least))))
}

// load lets all clients work until the service is killed, at some moment, and
// returns when that was.
func (w *world) load(s *service) crash {
	var running sync.WaitGroup
	for _, c := range w.clients {
		running.Go(c.work)
	}
	w.between(10*time.Millisecond, w.busy)
	over := crash{at: time.Now()}
	s.kill()
	running.Wait()
	for _, c := range w.clients {
		if c.told.last.After(over.working) {
			over.working = c.told.last
		}
	}
	return over
}

// crash starts the service, compares what it has with what clients were told
// until the last crash, puts it under load and kills it.
func (w *world) crash(last crash) crash {
	w.t.Helper()
	if chance(w.random, 6) { // one that does not get far
		s := w.start()
		w.between(0, 60*time.Millisecond)
		s.kill()
		w.lose()
	}
	s, url := w.serve()
	w.verify(url, last)
	last = w.load(s)
	w.lose()
	if err := checkFile(w.data); err != nil {
		w.report("%v", err)
	}
	return last
}

// finish compares once more, after the last crash, and says what there was.
func (w *world) finish(crashes int, last crash) {
	w.t.Helper()
	s, url := w.serve()
	w.verify(url, last)
	w.requireRight("at the end")
	s.kill()
	var all told
	for _, c := range w.clients {
		all.changes += c.told.changes
		all.ends += c.told.ends
		all.unknown += c.told.unknown
		all.made += c.told.made
		all.refused += c.told.refused
		all.lost += c.told.lost
		all.oldest, all.span = max(all.oldest, c.told.oldest), max(all.span, c.told.span)
	}
	w.t.Logf("%d crashes: %d changes and %d ends of sessions acknowledged; %d requests without an answer, %d of them made; %d refused",
		crashes, all.changes, all.ends, all.unknown, all.made, all.refused)
	if w.interval > 0 {
		w.t.Logf("of an interval of %v: %d changes lost, the oldest %v before the crash and %v before the last change; no end of a session",
			w.interval, all.lost, all.oldest.Round(time.Millisecond), all.span.Round(time.Millisecond))
	} else {
		w.t.Log("nothing is lost")
	}
	if crashes >= 10 {
		require.Positive(w.t, all.changes*all.ends*all.made*(all.unknown-all.made), "a run that says something")
	}
}

// crashes lets that many happen.
func (w *world) crashes(n int) {
	w.t.Helper()
	began, last := time.Now(), crash{}
	for i := range n {
		last = w.crash(last)
		w.requireRight(fmt.Sprintf("crash %d", i+1))
		if (i+1)%50 == 0 {
			w.t.Logf("%d crashes in %v", i+1, time.Since(began).Round(time.Second))
		}
	}
	w.finish(n, last)
}
