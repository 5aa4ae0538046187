package redis

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/redis/format"
)

var created = time.Date(2026, 11, 21, 17, 4, 5, 123_000_000, time.UTC)

// newSession returns a session whose document package schema made.
func newSession(t testing.TB, id string, change func(*schema.Session, *schema.Sections)) schema.Session {
	t.Helper()
	sess := schema.Session{
		Namespace: schema.DefaultNamespace, ID: id, Life: schema.NewLife(), Revision: 7,
		CreatedAt: created, UpdatedAt: created.Add(time.Minute), ExpiresAt: created.Add(time.Hour),
		TTL: time.Hour,
	}
	sections := schema.EmptySections()
	if change != nil {
		change(&sess, &sections)
	}
	sess, err := new(schema.Rules).Build(sess, sections)
	require.NoError(t, err)
	return sess
}

func newCodec(t testing.TB) *format.Codec {
	t.Helper()
	c, err := format.NewCodec(0)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}
