package conn

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"

	"github.com/redis/rueidis"
)

// sockets are the open connections. The client library looks a server's name up
// when it connects, and not again while a connection works. So a connection that
// leads to the wrong server, or was authenticated by what no longer counts, is
// closed here, and the library makes another.
type sockets struct {
	mu   sync.Mutex
	open map[*socket]struct{}
	// renewed: that was done less than a renewInterval ago.
	renewed bool
	// refusal is what a Sentinel answered that does not let the store in.
	refusal string
}

// renewInterval is the least time between two renewals of all connections: a
// name that still leads to a replica is looked up that often, however many
// writes find out.
const renewInterval = 250 * time.Millisecond

// socket is an open connection.
type socket struct {
	net.Conn
	of       *sockets
	sentinel bool
	answered bool // something was read
}

// socketAddr is the address of a socket's other end. It says whose credentials are
// wanted there.
type socketAddr struct {
	net.Addr
	sentinel bool
}

// dial connects to a server, or to a Sentinel, which has a resolver of its own.
func (s *sockets) dial(ctx context.Context, dst string, dialer *net.Dialer, config *tls.Config) (net.Conn, error) {
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
	made := &socket{Conn: conn, of: s, sentinel: dialer.Resolver != nil}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = map[*socket]struct{}{}
	}
	s.open[made] = struct{}{}
	return made, nil
}

// renew closes the connections to servers, unless that was done just now.
func (s *sockets) renew() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.renewed {
		return
	}
	s.renewed = true
	time.AfterFunc(renewInterval, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.renewed = false
	})
	for each := range s.open {
		if !each.sentinel {
			_ = each.Conn.Close() // its reader notices
		}
	}
}

// sentinelRefusal returns the answer by which a Sentinel refused these credentials,
// empty for none, and forgets it.
func (s *sockets) sentinelRefusal() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := s.refusal
	s.refusal = ""
	return text
}

// Close implements net.Conn.
func (k *socket) Close() error {
	k.of.mu.Lock()
	delete(k.of.open, k)
	k.of.mu.Unlock()
	return k.Conn.Close()
}

// RemoteAddr implements net.Conn.
func (k *socket) RemoteAddr() net.Addr {
	return socketAddr{Addr: k.Conn.RemoteAddr(), sentinel: k.sentinel}
}

// Read implements net.Conn. The library does not say whether a Sentinel or
// a server refused a password; the first answer of each connection does.
func (k *socket) Read(b []byte) (int, error) {
	n, err := k.Conn.Read(b)
	if k.sentinel && !k.answered && n > 0 {
		k.answered = true
		for _, code := range []string{"-WRONGPASS", "-NOAUTH", "-NOPERM"} {
			if bytes.HasPrefix(b[:n], []byte(code)) {
				k.of.mu.Lock()
				k.of.refusal = code[1:]
				k.of.mu.Unlock()
			}
		}
	}
	return n, err
}

// credentials returns what authenticates a connection. Passwords that are kept
// outside are asked for each time: so one that was changed is used by the next
// connection, and a connection that was refused is tried again with another.
func (c *Conn) credentials(at rueidis.AuthCredentialsContext) (rueidis.AuthCredentials, error) {
	password, sentinelPassword := c.server.Password, c.server.SentinelPassword
	if c.server.Passwords != nil {
		password, sentinelPassword = c.server.Passwords()
	}
	if addr, ok := at.Address.(socketAddr); ok && addr.sentinel {
		return rueidis.AuthCredentials{Username: c.server.SentinelUsername, Password: sentinelPassword}, nil
	}
	return rueidis.AuthCredentials{Username: c.server.Username, Password: password}, nil
}
