package conn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// errMismatch: one side speaks TLS, the other does not.
var errMismatch = errors.New("TLS on one side only")

// handshakeWait is how long a server may take to refuse a handshake that it
// seemed to accept, as it does in TLS 1.3, or to say anything.
const handshakeWait = 300 * time.Millisecond

// explained adds to an error of the first connection what it does not say itself:
// the client library reports a refused handshake as a connection that broke.
func (c *Conn) explained(ctx context.Context, err error) error {
	if code := c.sockets.sentinelRefusal(); code != "" {
		return fmt.Errorf("a Sentinel refuses: %s: %w", code, err)
	}
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	if IsAnswer(err) || untrusted || rejected(err) || ctx.Err() != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.server.DialTimeout+handshakeWait)
	defer cancel()
	for _, addr := range c.server.Addresses {
		conn, dialErr := (&net.Dialer{Timeout: c.server.DialTimeout}).DialContext(ctx, "tcp", addr)
		if dialErr != nil {
			continue // it is away, which is what err says
		}
		why := c.handshake(ctx, conn, addr)
		if why != nil {
			return fmt.Errorf("%w (%w)", why, err)
		}
	}
	return err
}

// handshake looks at what a server makes of the TLS that the settings ask for, and
// returns why nothing comes of it; nil for no reason of that kind.
func (c *Conn) handshake(ctx context.Context, conn net.Conn, addr string) error {
	ctx, cancel := closing(ctx, conn)
	defer cancel()
	if c.server.TLS == nil {
		if speaksTLS(ctx, conn, addr) {
			return fmt.Errorf("%w: the server speaks TLS, and the settings do not", errMismatch)
		}
		return nil
	}
	config := c.server.TLS.Clone()
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(addr) // Validate has split it
	}
	secured := tls.Client(conn, config)
	err := secured.HandshakeContext(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return c.speaksPlainly(context.WithoutCancel(ctx), addr)
	case err == nil:
		_, err = secured.Read(make([]byte, 1)) // an alert, or nothing
	}
	if rejected(err) {
		return err
	}
	return nil
}

// speaksTLS reports whether the server at the other end answers a handshake.
func speaksTLS(ctx context.Context, conn net.Conn, addr string) bool {
	host, _, _ := net.SplitHostPort(addr) // Validate has split it
	err := tls.Client(conn, &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}).HandshakeContext(ctx)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	return err == nil || untrusted || rejected(err)
}

// speaksPlainly returns errMismatch if the server answers without TLS.
func (c *Conn) speaksPlainly(ctx context.Context, addr string) error {
	conn, err := (&net.Dialer{Timeout: c.server.DialTimeout}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil
	}
	_, cancel := closing(ctx, conn)
	defer cancel()
	answer := make([]byte, 1)
	if _, err := conn.Write([]byte("PING\r\n")); err == nil {
		_, _ = conn.Read(answer)
	}
	if answer[0] == '+' || answer[0] == '-' {
		return fmt.Errorf("%w: the server speaks without TLS, and the settings ask for it", errMismatch)
	}
	return nil
}

// closing bounds what is done with a connection by handshakeWait, and closes it
// then, or when cancel is called.
func closing(ctx context.Context, conn net.Conn) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, handshakeWait)
	context.AfterFunc(ctx, func() { _ = conn.Close() })
	return ctx, cancel
}
