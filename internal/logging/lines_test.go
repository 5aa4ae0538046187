package logging

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writes are what a writer was given, write by write.
type writes struct {
	mu  sync.Mutex
	got []string
}

func (w *writes) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.got = append(w.got, string(p))
	return len(p), nil
}

func (w *writes) all() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.got)
}

func put(t *testing.T, w io.Writer, line string) {
	t.Helper()
	n, err := io.WriteString(w, line)
	require.NoError(t, err)
	require.Equal(t, len(line), n)
}

// A line that comes alone is written at once, others with those that come soon
// after it, and what the logger says is written when it has said it.
func TestLogLinesAreWrittenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out writes
		lines := NewLines(&out)
		soon := lines.Soon()
		pass := func(d time.Duration) {
			time.Sleep(d) //nolint:forbidigo // the clock of the bubble
			synctest.Wait()
		}

		put(t, soon, "1\n")
		synctest.Wait()
		assert.Equal(t, []string{"1\n"}, out.all())
		put(t, soon, "2\n")
		put(t, soon, "3\n")
		synctest.Wait()
		assert.Len(t, out.all(), 1)
		pass(gatherFor)
		assert.Equal(t, []string{"1\n", "2\n3\n"}, out.all())

		put(t, soon, "4\n")
		put(t, lines, "5\n")
		assert.Equal(t, "4\n5\n", out.all()[2])
		put(t, lines, "6\n")
		assert.Equal(t, "6\n", out.all()[3])

		pass(2 * gatherFor)
		put(t, soon, "7\n")
		synctest.Wait()
		assert.Equal(t, []string{"1\n", "2\n3\n", "4\n5\n", "6\n", "7\n"}, out.all())
		put(t, soon, "8\n")
		lines.Close()
		assert.Equal(t, "8\n", out.all()[5])
		assert.Len(t, out.all(), 6)
	})
}

// Whoever reads the lines may be slow, and gets all of them, each in one piece
// and in the order of who wrote them; what waits for it meanwhile is bounded.
func TestLogLinesWaitForTheirReader(t *testing.T) {
	read, write := io.Pipe()
	lines := NewLines(write)
	const writers, each = 8, 2000
	text := strings.Repeat("x", 100)
	var all sync.WaitGroup
	for i := range writers {
		w := lines.Soon()
		if i%4 == 0 {
			w = lines
		}
		all.Go(func() {
			for n := range each {
				_, err := fmt.Fprintf(w, "%d %d %s\n", i, n, text)
				assert.NoError(t, err)
				lines.mu.Lock()
				waiting := len(lines.gathered)
				lines.mu.Unlock()
				assert.LessOrEqual(t, waiting, gatherMost+writers*2*len(text))
			}
		})
	}
	go func() {
		all.Wait()
		lines.Close()
		assert.NoError(t, write.Close())
	}()
	got, err := io.ReadAll(read)
	require.NoError(t, err)
	var next [writers]int
	for line := range strings.Lines(string(got)) {
		var i, n int
		_, err := fmt.Sscanf(line, "%d %d "+text+"\n", &i, &n)
		require.NoError(t, err, line)
		require.Equal(t, next[i], n)
		next[i]++
	}
	for _, n := range next {
		assert.Equal(t, each, n)
	}
}

// An output that takes nothing for a while holds its writers up once, for
// stallAfter, bounds what is kept for it, and hears how much was dropped.
func TestLogLinesOfABlockedOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		blocked := make(chan struct{})
		var out writes
		lines := NewLines(writerFunc(func(p []byte) (int, error) {
			<-blocked
			return out.Write(p)
		}))
		lost := make(chan int, 1)
		lines.OnLoss = func(n int) { lost <- n }

		began := time.Now()
		put(t, lines, "1\n")
		assert.Equal(t, stallAfter, time.Since(began))
		big := strings.Repeat("x", gatherMost) + "\n"
		const many = 2 * stalledMost / gatherMost
		for range many {
			put(t, lines, big)
			put(t, lines.Soon(), big)
		}
		assert.Equal(t, stallAfter, time.Since(began), "nobody waits again")
		assert.LessOrEqual(t, len(lines.gathered), stalledMost)

		close(blocked)
		n := <-lost
		assert.Positive(t, n)
		put(t, lines, "last\n")
		written := strings.Join(out.all(), "")
		assert.Equal(t, 2*many, n+strings.Count(written, "x\n"))
		assert.True(t, strings.HasSuffix(written, "\nlast\n"), "the last line is the last, whatever it is written with")
		lines.Close()
	})
}

// A log that cannot be written says so to who waits for it, and works again
// when it can. That it has no reader is told apart.
func TestLogLinesSurviveAnError(t *testing.T) {
	fails := errors.New("no space left on device")
	var out bytes.Buffer
	lines := NewLines(writerFunc(func(p []byte) (int, error) {
		if fails != nil {
			return 0, fails
		}
		return out.Write(p)
	}))
	t.Cleanup(lines.Close)
	_, err := io.WriteString(lines, "1\n")
	require.ErrorIs(t, err, fails)
	fails = nil
	put(t, lines, "2\n")
	assert.Equal(t, "2\n", out.String())
	assert.False(t, isClosed(lines.broken))

	fails = &os.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.EPIPE}
	_, err = io.WriteString(lines, "3\n")
	require.ErrorIs(t, err, fails)
	<-lines.broken
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
