package httpserver

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Addresses of two clients.
const (
	attackerAddr = "127.0.0.2"
	otherAddr    = "127.0.0.3"
)

// isHungUp reports whether the service has closed the other end. If it should have,
// it has the time that a busy machine takes.
func isHungUp(t *testing.T, conn net.Conn, should bool) bool {
	t.Helper()
	wait := 50 * time.Millisecond
	if should {
		wait = patience
	}
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(wait)))
	_, err := conn.Read(make([]byte, 1))
	return err != nil && !strings.Contains(err.Error(), "timeout")
}

// Clients with many connections lose those with requests to clients with few,
// the oldest first. Trusted proxies lose none of them.
func TestConnections_share(t *testing.T) {
	for name, tc := range map[string]struct {
		trusted []netip.Prefix
		client  string
		want    bool
	}{
		"another client":     {nil, otherAddr, true},
		"the same client":    {nil, attackerAddr, false},
		"of a trusted proxy": {[]netip.Prefix{netip.MustParsePrefix(attackerAddr + "/32")}, otherAddr, false},
	} {
		t.Run(name, func(t *testing.T) {
			const most = 8
			told := new(tally)
			c := newConnections(most, tc.trusted, 0, told)
			var held []net.Conn
			for range most {
				ours, theirs := connectedFrom(t, c, attackerAddr)
				c.arrive(ours)
				c.track(ours, http.StateNew)
				c.track(ours, http.StateActive)
				held = append(held, theirs)
			}
			one, _ := connectedFrom(t, c, tc.client)
			c.arrive(one)
			assert.Equal(t, tc.want, isHungUp(t, held[0], tc.want))
			assert.False(t, isHungUp(t, held[1], false))
			assert.Equal(t, most, c.open)
			if tc.want {
				assert.Equal(t, []CloseReason{ClosedShare}, told.closed)
				assert.Empty(t, c.queue)
			} else {
				assert.Len(t, c.queue, 1, "it waits")
			}
		})
	}
}

// Queued connections are admitted by how many their clients have, and a client
// that fills the queue loses its own last one.
func TestConnections_queue(t *testing.T) {
	const most = 8
	told := new(tally)
	c := newConnections(most, nil, 0, told)
	var busy []*connection
	for i := range most {
		ours, _ := connectedFrom(t, c, fmt.Sprintf("127.0.1.%d", i/2+1)) // nobody has more than a share
		c.arrive(ours)
		c.track(ours, http.StateNew)
		c.track(ours, http.StateActive)
		busy = append(busy, ours)
	}
	var waiting []net.Conn
	for range c.maxQueued + 1 {
		ours, theirs := connectedFrom(t, c, "127.0.1.1")
		c.arrive(ours)
		waiting = append(waiting, theirs)
	}
	assert.Len(t, c.queue, c.maxQueued)
	assert.True(t, isHungUp(t, waiting[c.maxQueued], true), "the last")
	other, fromOther := connectedFrom(t, c, otherAddr)
	c.arrive(other)
	assert.True(t, isHungUp(t, waiting[c.maxQueued-1], true), "of the client with the most in the queue")
	assert.Equal(t, []CloseReason{ClosedQueued, ClosedQueued}, told.closed)

	c.track(busy[7], http.StateClosed)
	require.NotEmpty(t, c.ready)
	assert.Same(t, other, c.ready[len(c.ready)-1], "who has none is next")
	assert.False(t, isHungUp(t, fromOther, false))
}

// A connection is its client's: an address of IPv4 however it is spelt, or 64
// bits of IPv6.
func TestAdmission_clients(t *testing.T) {
	a := newAdmission(10, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	of := func(addr string) *client { return a.clientOf(net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr))) }
	assert.Same(t, of("192.0.2.1:1"), of("[::ffff:192.0.2.1]:2"))
	assert.NotSame(t, of("192.0.2.1:1"), of("192.0.2.2:1"))
	assert.Same(t, of("[2001:db8::1]:1"), of("[2001:db8::ffff:0:0:1]:1"))
	assert.NotSame(t, of("[2001:db8::1]:1"), of("[2001:db8:0:1::1]:1"))
	assert.Same(t, of("[fe80::1%eth0]:1"), of("[fe80::2%eth1]:1"))
	assert.True(t, of("10.1.2.3:1").trusted)
	assert.True(t, of("[::ffff:10.1.2.3]:1").trusted)
	assert.False(t, of("192.0.2.1:1").trusted)
}

// Nothing is kept of clients that have gone.
func TestAdmission_forgets(t *testing.T) {
	c := newConnections(2, nil, 0, new(tally))
	for range 5 {
		ours, _ := connected(t, c)
		c.arrive(ours)
		c.track(ours, http.StateNew)
		c.track(ours, http.StateClosed)
	}
	assert.Empty(t, c.clients)
	assert.Empty(t, c.overShare)
	assert.Zero(t, c.open)
}
