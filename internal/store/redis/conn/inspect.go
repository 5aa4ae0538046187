package conn

import (
	"context"
	"errors"
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

// inspect looks at a server before it is used: whether it can be.
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
