package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"session-api/internal/config"
	"session-api/internal/schema"
	"session-api/internal/store"
	"session-api/internal/store/backend"
	"session-api/internal/store/bolt"
	"session-api/internal/store/memory"
	"session-api/internal/store/redis"
)

// openStore opens the store that the settings name.
//
// A Redis that does not answer is no reason to fail: readiness says so until
// it does, and instances need not be started in any order. One that answers,
// and refuses what the settings say, is: no waiting mends a wrong password, and
// a new version that is rolled out with one must not replace what works.
func openStore(ctx context.Context, c *config.Config, logger *slog.Logger) (backend.Store, error) {
	switch {
	case c.OnBolt():
		return openBolt(ctx, c, logger)
	case !c.OnRedis():
		return memory.New(c.MemoryOptions()), nil
	}
	options, err := c.RedisOptions()
	if err != nil {
		return nil, err
	}
	options.Logger = logger
	kept, err := redis.Open(ctx, options)
	if err != nil {
		if hint := hintAt(err); hint != "" {
			err = fmt.Errorf("%s: %w", hint, err)
		}
		// Where logs are collected, standard error is often not.
		logger.ErrorContext(ctx, "redis cannot be used with these settings", "error", err)
		return nil, err
	}
	return kept, nil
}

// openBolt opens the store with the data file. What is wrong with that must be
// decided by a person.
func openBolt(ctx context.Context, c *config.Config, logger *slog.Logger) (backend.Store, error) {
	options := c.BoltOptions()
	options.Logger = logger
	return openData(ctx, options, logger)
}

// openToRead opens the data file for a command that writes nothing: without
// limits, which are the service's and not the file's.
func openToRead(ctx context.Context, c *config.Config, logger *slog.Logger) (backend.Store, error) {
	return openData(ctx, bolt.Options{Dir: c.Store.DataDir, ReadOnly: true, Logger: logger}, logger)
}

func openData(ctx context.Context, options bolt.Options, logger *slog.Logger) (backend.Store, error) {
	kept, err := bolt.Open(time.Now(), options)
	if err != nil {
		err = fmt.Errorf("SESSION_DATA_DIR: %w%s", err, boltAdvice(err))
		logger.ErrorContext(ctx, "the data directory cannot be used", "error", err)
		return nil, err
	}
	return kept, nil
}

// boltAdvice says what to do about a data file that cannot be used.
func boltAdvice(err error) string {
	switch {
	case errors.Is(err, bolt.ErrInUse):
		return "; each instance needs a directory of its own, and instances that share sessions need Redis"
	case errors.Is(err, bolt.ErrNewer):
		return "; start that one again, or take its backup into this one: docs/reliability.md says how"
	case errors.Is(err, bolt.ErrNoData):
		return "; is the volume mounted? SESSION_DATA_REQUIRE=any makes a new one"
	case errors.Is(err, bolt.ErrDamaged):
		return "; save what is whole in it: session-api salvage; put a copy of it in its place, or put it aside and start without: session-api check -move-aside"
	}
	return ""
}

// refusals are what Redis answers to wrong settings, and which these are. The
// first that fits counts.
var refusals = []struct{ answer, hint string }{
	{"a Sentinel refuses: WRONGPASS", "the Sentinels know no such user and password (REDIS_SENTINEL_USERNAME, REDIS_SENTINEL_PASSWORD)"},
	{"a Sentinel refuses: NOAUTH", "the Sentinels ask for a password (REDIS_SENTINEL_PASSWORD)"},
	{"a Sentinel refuses: NOPERM", "the Sentinels do not let this user do what is needed (REDIS_SENTINEL_USERNAME)"},
	{"a Sentinel refuses", "the Sentinels do not let the service in (REDIS_SENTINEL_USERNAME, REDIS_SENTINEL_PASSWORD)"},
	{"WRONGPASS", "Redis knows no such user and password (REDIS_URL, or REDIS_USERNAME and REDIS_PASSWORD)"},
	{"NOAUTH", "Redis asks for a password (REDIS_URL or REDIS_PASSWORD)"},
	{"the user lacks rights", "Redis does not let this user do what is needed (REDIS_URL or REDIS_USERNAME)"},
	{"NOPERM", "Redis does not let this user do what is needed (REDIS_URL or REDIS_USERNAME)"},
	{"another deployment uses the same keys", "REDIS_PREFIX"},
	{"x509: certificate is valid for", "Redis's certificate is for another name (REDIS_TLS_SERVER_NAME)"},
	{"doesn't contain any IP SANs", "Redis's certificate is for a name, not for this address (REDIS_TLS_SERVER_NAME)"},
	{"x509: certificate is not valid for any names", "Redis's certificate is for another name (REDIS_TLS_SERVER_NAME)"},
	{"x509: certificate has expired", "Redis's certificate has expired, or is not valid yet"},
	{"x509", "Redis's certificate is not trusted (REDIS_TLS_CA_FILE)"},
	{"remote error: tls: certificate required", "Redis asks for a certificate of the service (REDIS_TLS_CERT_FILE, REDIS_TLS_KEY_FILE)"},
	{"remote error: tls:", "Redis refuses the TLS handshake (REDIS_TLS_CERT_FILE, REDIS_TLS_SERVER_NAME)"},
	{"the server speaks TLS", "Redis speaks TLS there (REDIS_TLS=true, or rediss:// in REDIS_URL)"},
	{"the server speaks without TLS", "Redis does not speak TLS there (REDIS_TLS, or rediss:// in REDIS_URL)"},
	{"does not look like a TLS handshake", "Redis does not speak TLS there (REDIS_TLS, or rediss:// in REDIS_URL)"},
	{"DB index", "Redis has no such database (REDIS_URL or REDIS_DB)"},
	{"part of a cluster", "Redis is a Cluster (REDIS_CLUSTER in place of REDIS_URL or REDIS_HOST)"},
	{"No such master", "the Sentinels know no primary of that name (REDIS_SENTINEL_MASTER)"},
}

// hintAt says which settings are to blame for a refusal.
func hintAt(err error) string {
	for _, one := range refusals {
		if strings.Contains(err.Error(), one.answer) {
			return one.hint
		}
	}
	return ""
}

// storedSessions returns the sessions of a store as they are: for commands, which
// apply none of the service's rules.
func storedSessions(kept backend.Store) *store.Sessions {
	return store.NewSessions(kept, new(schema.Rules), store.Lifetimes{}, store.UserLimit{})
}
