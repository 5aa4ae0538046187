package conn

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// Conn is the way to a server that may not be there yet. Once it has been there,
// the client library finds it again by itself.
type Conn struct {
	server Server
	accept func(context.Context, rueidis.Client) error
	log    *slog.Logger

	sockets sockets
	// clients are nil until the server was reached for the first time.
	clients atomic.Pointer[clients]
	// lastErr is why there is no client yet; nil until that was tried.
	lastErr atomic.Pointer[error]

	// confirming has an element for each connection that waits for replicas.
	confirming chan struct{}
	// owners has the addresses of the servers of a Cluster by slot, as far as
	// SendConfirmed needed them.
	owners sync.Map

	closed context.Context // ends with the Conn
	close  context.CancelFunc
	// background is the goroutine that ends with closed.
	background sync.WaitGroup
}

// clients are those of a server that was accepted.
type clients struct {
	rueidis.Client
	// reader has connections of its own, which no write holds up: a server that takes
	// no writes for a while (CLIENT PAUSE WRITE, a failover that it was asked for)
	// leaves a connection with a write alone until it does. It has the client cache.
	reader rueidis.Client
}

func (c *clients) close() {
	c.Client.Close()
	c.reader.Close()
}

// ErrNotConnected: the server has not been reached yet.
var ErrNotConnected = errors.New("not connected yet")

// New returns the way to a server. It is to be opened, and closed.
func New(server Server, log *slog.Logger) *Conn {
	c := &Conn{server: server.WithDefaults(), log: log, confirming: make(chan struct{}, maxConfirming)}
	c.closed, c.close = context.WithCancel(context.Background())
	return c
}

// Open connects to the server. That it is not there yet is no error: until it is,
// Client returns one. accept is asked about a server that was reached, before Client
// returns its client, and again if that is not accepted for now. The error of Open,
// and of accept where it is Permanent, is one that waiting does not change.
func (c *Conn) Open(ctx context.Context, accept func(context.Context, rueidis.Client) error) error {
	c.accept = accept
	if err := c.connect(ctx); err != nil {
		if !temporary(err) {
			return err
		}
		c.lastErr.Store(&err)
		c.log.WarnContext(ctx, "redis is not available yet", slog.Any("error", err))
		c.background.Go(c.keepConnecting)
	}
	return nil
}

// connectInterval is how often a server is tried that has never been reached.
const connectInterval = 250 * time.Millisecond

// keepConnecting tries to connect until that succeeds.
func (c *Conn) keepConnecting() {
	tick := time.NewTicker(connectInterval)
	defer tick.Stop()
	for logged := ""; ; {
		select {
		case <-c.closed.Done():
			return
		case <-tick.C:
		}
		err := c.connect(c.closed)
		c.lastErr.Store(&err)
		if err == nil {
			c.log.InfoContext(c.closed, "redis is available")
			return
		}
		if text := err.Error(); !temporary(err) && text != logged {
			c.log.ErrorContext(c.closed, "redis cannot be used", slog.Any("error", err))
			logged = text
		}
	}
}

// connect makes the clients.
func (c *Conn) connect(ctx context.Context) error {
	client, err := c.newClient(ctx, false)
	if err != nil {
		return err
	}
	if err := c.inspect(ctx, client); err != nil {
		client.Close()
		return err
	}
	if err := c.accept(ctx, client); err != nil {
		client.Close()
		return err
	}
	reader, err := c.newClient(ctx, true)
	if err != nil {
		client.Close()
		return err
	}
	c.clients.Store(&clients{client, reader})
	return nil
}

func (c *Conn) newClient(ctx context.Context, reader bool) (rueidis.Client, error) {
	client, err := rueidis.NewClient(c.clientOption(reader))
	if err != nil {
		if client != nil {
			client.Close()
		}
		return nil, c.explained(ctx, err)
	}
	return client, nil
}

// Client returns the client, or an error that is ErrNotConnected and why.
func (c *Conn) Client() (rueidis.Client, error) {
	if clients := c.clients.Load(); clients != nil {
		return clients.Client, nil
	}
	if why := c.lastErr.Load(); why != nil && *why != nil {
		return nil, &notConnectedError{*why}
	}
	return nil, ErrNotConnected
}

// Reader returns the client for commands that only read, which do not wait for those
// that write. There is one once there is a Client.
func (c *Conn) Reader() (rueidis.Client, error) {
	if clients := c.clients.Load(); clients != nil {
		return clients.reader, nil
	}
	return c.Client()
}

// notConnectedError is ErrNotConnected with its cause.
type notConnectedError struct{ cause error }

func (e *notConnectedError) Error() string   { return ErrNotConnected.Error() + ": " + e.cause.Error() }
func (e *notConnectedError) Unwrap() []error { return []error{ErrNotConnected, e.cause} }

// WithTimeout bounds an operation on one session, or one batch of a longer one.
func (c *Conn) WithTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.server.Timeout)
}

// Afterwards returns a context for what has to follow a change that was made, even
// if the caller's context ends.
func (c *Conn) Afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	return c.WithTimeout(context.WithoutCancel(ctx))
}

// Close closes the connections.
func (c *Conn) Close() {
	c.close()
	c.background.Wait()
	if clients := c.clients.Load(); clients != nil {
		clients.close()
	}
}
