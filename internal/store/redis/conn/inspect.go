package conn

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

var (
	// errVersion: the server lacks commands that the store needs.
	errVersion = errors.New("redis 7 or newer, or valkey, is needed")
	// errMode: the server is not what the settings say.
	errMode = errors.New("the server is part of a cluster: the settings must say so")
)

// inspect looks at a server before it is used: whether it can be, and whether
// it will keep what it is given.
func (c *Conn) inspect(ctx context.Context, client rueidis.Client) error {
	ctx, cancel := c.WithTimeout(ctx)
	defer cancel()
	info, err := client.Do(ctx, client.B().Info().Build().Pin()).ToString()
	if Answered(err, "NOPERM ") {
		return nil // then what is missing shows when it is missed
	}
	if err != nil {
		return err
	}
	facts := ParseInfo(info)
	major, _, _ := strings.Cut(facts["redis_version"], ".")
	if n, err := strconv.Atoi(major); err == nil && n < 7 {
		return errVersion
	}
	if facts["redis_mode"] == "cluster" && client.Mode() != rueidis.ClientModeCluster {
		return errMode
	}
	if policy := facts["maxmemory_policy"]; policy != "" && policy != "noeviction" {
		c.log.WarnContext(ctx, "redis may evict sessions to make room, which signs people out and leaves no trace: "+
			"set maxmemory-policy to noeviction, and creating sessions is refused instead while memory is full",
			slog.String("maxmemory_policy", policy))
	}
	return nil
}

// ParseInfo reads what INFO answers.
func ParseInfo(text string) map[string]string {
	facts := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			facts[name] = value
		}
	}
	return facts
}
