package conn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

// Confirmation says how many replicas have to confirm a write, and within what
// time. The zero value asks for none.
type Confirmation struct {
	Replicas int
	Timeout  time.Duration
}

// ErrUnconfirmed: the server made the change, but too few replicas confirmed it in
// time, so that a failover may lose it or keep it.
var ErrUnconfirmed = errors.New("made, but not confirmed by enough replicas: the outcome of a failover is unknown")

// ErrNotSent: the server was not asked at all.
var ErrNotSent = errors.New("not sent")

// maxConfirming is how many connections wait for replicas at once. WAIT blocks its
// connection, so each has one of its own, which costs about a megabyte. While the
// replicas are away, writes beyond that wait for a connection and then fail, and
// reads go on.
const maxConfirming = 64

// SendConfirmed sends commands, and WAIT directly behind them on the same
// connection: it counts the replicas that have the writes of that connection.
// The connection is one of those that the client library keeps for blocking
// commands, so nothing else queues behind it. In a Cluster there is one command,
// which has a key.
//
// If the commands were not sent, results is nil and the error says why. Otherwise
// it is nil or ErrUnconfirmed, which means nothing for commands that wrote nothing.
// Commands are not repeated where the answer is lost.
func (c *Conn) SendConfirmed(ctx context.Context, client rueidis.Client, want Confirmation, key string, cmds ...rueidis.Completed) (results []rueidis.RedisResult, err error) {
	select {
	case c.confirming <- struct{}{}:
		defer func() { <-c.confirming }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: waiting for a connection: %w", ErrNotSent, ctx.Err())
	}
	limit := max(want.Timeout.Milliseconds(), 1) // 0 would be no limit
	wait := client.B().Arbitrary("WAIT").Args(strconv.Itoa(want.Replicas), strconv.FormatInt(limit, 10)).Blocking().Pin()
	if client.Mode() == rueidis.ClientModeCluster {
		results, err = c.sendToOwner(ctx, client, key, cmds[0], wait)
	} else {
		results = client.DoMulti(ctx, append(slices.Clip(cmds), wait)...)
	}
	if err != nil {
		return nil, err
	}
	last := len(results) - 1
	replicas, err := results[last].AsInt64()
	switch {
	case err != nil:
		err = fmt.Errorf("%w: %v", ErrUnconfirmed, err) //nolint:errorlint // what became of WAIT is not what became of the write
	case replicas < int64(want.Replicas):
		err = fmt.Errorf("%w: %d of %d", ErrUnconfirmed, replicas, want.Replicas)
	}
	return results[:last], err
}

// sendToOwner sends a command and WAIT to the server of a Cluster that has the key.
// The client library follows redirections command by command: a command that is
// redirected would leave its WAIT behind, which then succeeds at a server that
// wrote nothing. So the two are sent to a single server, and redirected here.
func (c *Conn) sendToOwner(ctx context.Context, client rueidis.Client, key string, cmd, wait rueidis.Completed) ([]rueidis.RedisResult, error) {
	slot := cmd.Slot()
	addr, asking := "", false
	for try := 0; ; try++ {
		if !asking {
			var err error
			if addr, err = c.owner(ctx, client, slot, key); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
			}
		}
		node := client.Nodes()[addr]
		if node == nil {
			if try == MaxTries {
				return nil, fmt.Errorf("%w: the server that has the key is not known yet", ErrNotSent)
			}
			// The library gets to know a server that it is redirected to.
			c.owners.Delete(slot)
			if err := client.Do(ctx, exists(client, key)).Error(); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrNotSent, err)
			}
			asking = false
			continue
		}
		pipeline := []rueidis.Completed{cmd, wait}
		if asking {
			pipeline = []rueidis.Completed{client.B().Arbitrary("ASKING").Build().Pin(), cmd, wait}
		}
		results := node.DoMulti(ctx, pipeline...)
		results = results[len(results)-2:]
		err := results[0].Error()
		moved, ask := redirection(err)
		switch {
		case moved != "":
			c.owners.Store(slot, moved)
			asking = false
		case ask != "":
			addr, asking = ask, true
		case err != nil && !IsAnswer(err):
			c.forgetOwner(addr)
			return results, nil
		default:
			return results, nil
		}
		if try == MaxTries {
			return results, nil
		}
	}
}

// owner returns the address of the server of a Cluster that has the key. It asks
// one server after another until one says so, and remembers that.
func (c *Conn) owner(ctx context.Context, client rueidis.Client, slot uint16, key string) (string, error) {
	known, _ := c.owners.Load(slot)
	if addr, ok := known.(string); ok {
		return addr, nil
	}
	err := errors.New("no server of the Cluster is known")
	for addr, node := range client.Nodes() {
		if err = node.Do(ctx, exists(client, key)).Error(); err != nil && !IsAnswer(err) {
			continue
		}
		if moved, _ := redirection(err); moved != "" {
			addr = moved
		}
		c.owners.Store(slot, addr)
		return addr, nil
	}
	return "", err
}

// forgetOwner forgets what a server has that did not answer: after a failover, another
// has it.
func (c *Conn) forgetOwner(addr string) {
	c.owners.Range(func(slot, _ any) bool {
		c.owners.CompareAndDelete(slot, addr)
		return true
	})
}

// exists is a command that the server which has the key answers, and no other.
func exists(client rueidis.Client, key string) rueidis.Completed {
	return client.B().Exists().Key(key).Build().Pin()
}

// redirection returns where an error of a Cluster's server says that the key is, or
// will be.
func redirection(err error) (moved, ask string) {
	if answer, ok := errors.AsType[*rueidis.RedisError](err); ok {
		moved, _ = answer.IsMoved()
		ask, _ = answer.IsAsk()
	}
	return moved, ask
}
