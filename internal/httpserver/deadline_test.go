package httpserver

import (
	"bytes"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// longAgo is how net/http ends a read that waits.
var longAgo = time.Unix(1, 0)

// told returns a deadline of a connection since now, and what the runtime is
// told of it.
func told(now time.Time) (*deadline, *[]time.Time) {
	var all []time.Time
	return &deadline{since: now, arm: func(t time.Time) error {
		all = append(all, t)
		return nil
	}}, &all
}

// What net/http does with the deadlines of a connection at each request concerns
// the runtime once: the first time.
func TestDeadline_requestsTellNothing(t *testing.T) {
	now := time.Now()
	d, all := told(now)
	wait := func() {
		require.True(t, d.begin(false))
		require.False(t, d.resume(nil))
	}
	require.NoError(t, d.set(now.Add(5*time.Second)))
	wait()
	require.Equal(t, []time.Time{now.Add(5 * time.Second)}, *all)
	*all = nil
	request := func() {
		now = now.Add(time.Millisecond)
		require.NoError(t, d.set(now.Add(5*time.Second)))  // for the headers
		require.NoError(t, d.set(now.Add(15*time.Second))) // for all of it
		require.NoError(t, d.set(time.Time{}))
		require.True(t, d.begin(false)) // watches the client while the handler runs
		require.False(t, d.resume(nil))
		require.NoError(t, d.set(longAgo))
		require.False(t, d.begin(false), "or did not get to it before it was ended")
		require.NoError(t, d.set(time.Time{}))
		require.NoError(t, d.set(now.Add(time.Minute))) // for the next one
		wait()
		require.NoError(t, d.set(time.Time{}))
	}
	for range 3 {
		request()
	}
	assert.Empty(t, *all)
	assert.Zero(t, testing.AllocsPerRun(10, request))
}

// When the runtime ends a wait, it goes on if there is more time by
// then, and does not if there is none.
func TestDeadline_resume(t *testing.T) {
	now := time.Now()
	soon, later := now.Add(time.Second), now.Add(time.Minute)
	for name, c := range map[string]struct {
		while []time.Time // set while somebody waits, in this order
		again bool
		told  []time.Time
	}{
		"nothing else":      {nil, false, []time.Time{soon}},
		"later":             {[]time.Time{later}, true, []time.Time{soon, later}},
		"never":             {[]time.Time{{}}, true, []time.Time{soon, {}}},
		"later, then never": {[]time.Time{later, {}}, true, []time.Time{soon, {}}},
		"back":              {[]time.Time{later, soon}, false, []time.Time{soon}},
		"ended":             {[]time.Time{longAgo}, false, []time.Time{soon, longAgo}},
		"later, then ended": {[]time.Time{later, longAgo}, false, []time.Time{soon, longAgo}},
		"ended, then later": {[]time.Time{longAgo, later}, true, []time.Time{soon, longAgo, later}},
	} {
		t.Run(name, func(t *testing.T) {
			d, all := told(now)
			require.NoError(t, d.set(soon))
			require.True(t, d.begin(false))
			for _, at := range c.while {
				require.NoError(t, d.set(at))
			}
			require.Equal(t, c.again, d.resume(os.ErrDeadlineExceeded))
			assert.Equal(t, c.told, *all)
		})
	}
}

// What is over is not left to end the next wait, and an error that is no
// deadline's ends a wait at any time.
func TestDeadline_afterAnEnd(t *testing.T) {
	now := time.Now()
	d, all := told(now)
	soon, later := now.Add(time.Second), now.Add(time.Minute)
	require.NoError(t, d.set(soon))
	require.True(t, d.begin(false))
	require.False(t, d.resume(os.ErrDeadlineExceeded))
	require.NoError(t, d.set(later))
	require.True(t, d.begin(false))
	assert.Equal(t, []time.Time{soon, later}, *all)
	require.NoError(t, d.set(time.Time{}))
	require.False(t, d.resume(io.EOF))
	assert.Equal(t, []time.Time{soon, later}, *all)
}

// A deadline that is always right, for who cannot go on.
func TestDeadline_exact(t *testing.T) {
	now := time.Now()
	d, all := told(now)
	soon, later, latest := now.Add(time.Second), now.Add(time.Minute), now.Add(time.Hour)
	require.NoError(t, d.set(soon))
	require.True(t, d.begin(false))
	require.False(t, d.resume(nil))
	require.NoError(t, d.set(later))
	require.True(t, d.begin(true))
	require.NoError(t, d.set(latest))
	assert.Equal(t, []time.Time{soon, later, latest}, *all)
	require.False(t, d.resume(os.ErrDeadlineExceeded))

	require.NoError(t, d.set(time.Time{}))
	require.True(t, d.begin(false), "what comes after it")
	require.NoError(t, d.set(latest))
	assert.Equal(t, []time.Time{soon, later, latest, {}, latest}, *all)
	require.NoError(t, d.set(time.Time{}))
	assert.Len(t, *all, 5, "it is lazy again")
}

// blocked returns once somebody waits.
func blocked(t *testing.T, d *deadline) {
	t.Helper()
	require.Eventually(t, func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.waiters > 0
	}, patience, time.Millisecond)
}

// A read that waits ends by its deadline: not by an earlier one that was
// replaced, and at once where net/http says so.
func TestConnection_readDeadline(t *testing.T) {
	ours, theirs := connected(t, newConnections(1, nil, 0, new(tally)))
	began := time.Now()
	require.NoError(t, ours.SetReadDeadline(began.Add(2*time.Second)))
	read := make(chan error)
	var b [1]byte
	reads := func() {
		_, err := ours.Read(b[:])
		read <- err
	}
	go reads()
	blocked(t, &ours.reads)
	require.NoError(t, ours.SetDeadline(began.Add(2200*time.Millisecond)))
	require.ErrorIs(t, <-read, os.ErrDeadlineExceeded)
	assert.GreaterOrEqual(t, time.Since(began), 2200*time.Millisecond)

	require.NoError(t, ours.SetReadDeadline(time.Time{}))
	go reads()
	blocked(t, &ours.reads)
	require.NoError(t, ours.SetReadDeadline(longAgo))
	require.ErrorIs(t, <-read, os.ErrDeadlineExceeded)
	go reads()
	var failure net.Error
	require.ErrorAs(t, <-read, &failure, "nor does one wait that comes later")
	assert.True(t, failure.Timeout(), "which net/http asks")

	require.NoError(t, ours.SetReadDeadline(time.Time{}))
	go reads()
	blocked(t, &ours.reads)
	_, err := theirs.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, <-read)
	assert.Equal(t, "x", string(b[:]))
}

// A write that was ended too early goes on where it was.
func TestConnection_writeDeadline(t *testing.T) {
	const size = 16 << 20 // more than sockets hold
	sent := make([]byte, size)
	for i := range sent {
		sent[i] = byte(i / 251)
	}
	for name, write := range map[string]func(c *connection) (int64, error){
		"Write": func(c *connection) (int64, error) {
			n, err := c.Write(sent)
			return int64(n), err
		},
		"ReadFrom": func(c *connection) (int64, error) { return c.ReadFrom(bytes.NewReader(sent)) },
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := connected(t, newConnections(1, nil, 0, new(tally)))
			began := time.Now()
			require.NoError(t, ours.SetWriteDeadline(began.Add(2*time.Second)))
			wrote := make(chan error)
			go func() {
				n, err := write(ours)
				assert.Equal(t, err == nil, n == size)
				wrote <- err
			}()
			blocked(t, &ours.writes)
			require.NoError(t, ours.SetWriteDeadline(time.Time{}))
			<-time.After(time.Until(began.Add(2100 * time.Millisecond)))
			got := make([]byte, size)
			_, err := io.ReadFull(theirs, got)
			require.NoError(t, err)
			require.NoError(t, <-wrote)
			assert.True(t, bytes.Equal(sent, got))

			require.NoError(t, ours.SetWriteDeadline(time.Now().Add(10*time.Millisecond)))
			go func() {
				_, err := write(ours)
				wrote <- err
			}()
			require.ErrorIs(t, <-wrote, os.ErrDeadlineExceeded, "nobody reads")
			_, err = write(ours)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		})
	}
}
