package redis

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// links are the open connections of a store. The client library looks a
// server's name up when it connects, and never again while a connection works:
// so one that leads to the wrong server, or was authenticated by what no longer
// counts, is closed here, and the library makes another.
type links struct {
	mu   sync.Mutex
	open map[*link]struct{}
	// renewed: that was done less than a renewInterval ago.
	renewed bool
	// refusal is what a Sentinel answered that does not let the store in.
	refusal string
}

// renewInterval is the least time between two renewals of all connections: a
// name that still leads to a replica is looked up that often, however many
// writes find out.
const renewInterval = 250 * time.Millisecond

// link is a connection.
type link struct {
	net.Conn
	of       *links
	sentinel bool
	heard    bool // something was read
}

// linkAddr is the address of a link's other end. It says whose credentials are
// wanted there.
type linkAddr struct {
	net.Addr
	sentinel bool
}

// dial connects to a server, or to a Sentinel, which has a resolver of its own.
func (l *links) dial(ctx context.Context, dst string, dialer *net.Dialer, config *tls.Config) (net.Conn, error) {
	var conn net.Conn
	var err error
	if config != nil {
		conn, err = (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, "tcp", dst)
	} else {
		conn, err = dialer.DialContext(ctx, "tcp", dst)
	}
	if err != nil {
		return nil, err
	}
	made := &link{Conn: conn, of: l, sentinel: dialer.Resolver != nil}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == nil {
		l.open = map[*link]struct{}{}
	}
	l.open[made] = struct{}{}
	return made, nil
}

// renew closes the connections to servers, unless that was done just now.
func (l *links) renew() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.renewed {
		return
	}
	l.renewed = true
	time.AfterFunc(renewInterval, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.renewed = false
	})
	for each := range l.open {
		if !each.sentinel {
			_ = each.Conn.Close() // whoever reads from it notices
		}
	}
}

// sentinelRefusal returns what a Sentinel answered that lets nobody in with these
// credentials, empty for nothing, and forgets it.
func (l *links) sentinelRefusal() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.refusal
	l.refusal = ""
	return text
}

// Close implements net.Conn.
func (l *link) Close() error {
	l.of.mu.Lock()
	delete(l.of.open, l)
	l.of.mu.Unlock()
	return l.Conn.Close()
}

// RemoteAddr implements net.Conn.
func (l *link) RemoteAddr() net.Addr {
	return linkAddr{Addr: l.Conn.RemoteAddr(), sentinel: l.sentinel}
}

// Read implements net.Conn. The library does not tell whether it was a Sentinel
// or a server that refused a password; the first answer of each does.
func (l *link) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	if l.sentinel && !l.heard && n > 0 {
		l.heard = true
		for _, code := range []string{"-WRONGPASS", "-NOAUTH", "-NOPERM"} {
			if bytes.HasPrefix(b[:n], []byte(code)) {
				l.of.mu.Lock()
				l.of.refusal = code[1:]
				l.of.mu.Unlock()
			}
		}
	}
	return n, err
}

// credentials returns what authenticates a connection. Passwords that are kept
// outside are asked for each time: so one that was changed is used by the next
// connection, and a connection that was refused is tried again with another.
func (s *Store) credentials(at rueidis.AuthCredentialsContext) (rueidis.AuthCredentials, error) {
	password, sentinelPassword := s.opts.Password, s.opts.SentinelPassword
	if s.opts.Passwords != nil {
		password, sentinelPassword = s.opts.Passwords()
	}
	if addr, ok := at.Address.(linkAddr); ok && addr.sentinel {
		return rueidis.AuthCredentials{Username: s.opts.SentinelUsername, Password: sentinelPassword}, nil
	}
	return rueidis.AuthCredentials{Username: s.opts.Username, Password: password}, nil
}

// heed does what an error of the server asks for. From a replica, which refuses
// to write, and from a server that no longer knows the store, only a new
// connection leads away: to the primary, under the same name.
func (s *Store) heed(err error) {
	if answered(err, "READONLY ", "NOAUTH ", "WRONGPASS ") {
		s.links.renew()
	}
}

// send sends commands, and those again of which the server says that it did
// nothing.
func (s *Store) send(ctx context.Context, client rueidis.Client, cmds ...rueidis.Completed) []rueidis.RedisResult {
	results := client.DoMulti(ctx, cmds...)
	for try := range maxTries {
		var again []rueidis.Completed
		var at []int
		for i, result := range results {
			if err := result.Error(); refused(err) {
				s.heed(err)
				again, at = append(again, cmds[i]), append(at, i) //nolint:gosec // there is a result for each command
			}
		}
		if len(again) == 0 || pause(ctx, try) != nil {
			break
		}
		for i, result := range client.DoMulti(ctx, again...) {
			results[at[i]] = result
		}
	}
	return results
}
