package conn

import (
	"context"
	"time"

	"github.com/redis/rueidis"
)

// Heed acts on an error of the server: after one of a replica, which refuses to
// write, or of a server that no longer accepts the credentials, it makes the
// client connect anew.
func (c *Conn) Heed(err error) {
	if Answered(err, "READONLY ", "NOAUTH ", "WRONGPASS ") {
		c.sockets.renew()
	}
}

// Send sends commands, and repeats those of which the server says that it did
// nothing.
func (c *Conn) Send(ctx context.Context, client rueidis.Client, cmds ...rueidis.Completed) []rueidis.RedisResult {
	results := client.DoMulti(ctx, cmds...)
	for try := range MaxTries {
		var again []rueidis.Completed
		var at []int
		for i, result := range results {
			if err := result.Error(); Refused(err) {
				c.Heed(err)
				again, at = append(again, cmds[i]), append(at, i)
			}
		}
		if len(again) == 0 || Pause(ctx, try) != nil {
			break
		}
		for i, result := range client.DoMulti(ctx, again...) {
			results[at[i]] = result
		}
	}
	return results
}

// MaxTries is how often something that is safe to repeat is repeated.
const MaxTries = 4

// Pause waits before the next try, longer as they add up: 10 ms to 80 ms. The
// error is the context's.
func Pause(ctx context.Context, try int) error {
	t := time.NewTimer(10 * time.Millisecond << min(try, 3))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
