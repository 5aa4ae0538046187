package redis

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/redistest"
)

// A value of the version before sessions had lives names no birth: then its
// stamp is the life, and stays it, whatever becomes of the session.
func TestLifeOfWhatAnEarlierVersionStored(t *testing.T) {
	server := redistest.Start(t)
	var instances [2]*Store
	for i := range instances {
		s, err := Open(t.Context(), Options{Server: conn.Server{Addresses: []string{server.Addr()}}, Tombstone: 5 * time.Minute})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		instances[i] = s
	}
	ctx, now := t.Context(), schema.Now(time.Now())
	sess := newSession(t, schema.NewID(), func(s *schema.Session, _ *schema.Sections) {
		s.CreatedAt, s.UpdatedAt, s.ExpiresAt = now, now, now.Add(s.TTL)
	})
	require.NoError(t, instances[0].Create(ctx, now, sess))
	name := "session:" + sess.ID
	value := server.CLI("GET", name)
	birth := `,"birth":"` + sess.Life.String() + `"`
	require.Contains(t, value, birth)
	server.CLI("SET", name, strings.Replace(value, birth, "", 1), "KEEPTTL")
	server.CLI("DEL", "{"+name+"}:end")

	old, err := instances[0].Peek(ctx, now, sess.Key())
	require.NoError(t, err)
	assert.NotEqual(t, schema.Life{}, old.Life)
	other, err := instances[1].Get(ctx, now, sess.Key())
	require.NoError(t, err)
	assert.Equal(t, old.ETag(), other.ETag(), "every instance says the same")

	next := old
	next.Revision++
	next.UserID = "ada" // which makes it be indexed anew
	next, err = new(schema.Rules).Build(next, schema.Sections{
		User: &schema.User{ID: "ada", Roles: []string{}}, Inputs: []byte("{}"), APIConfig: []byte("{}"), Results: []byte("{}"), Meta: []byte("{}"),
	})
	require.NoError(t, err)
	_, err = instances[1].Swap(ctx, now, sess, next)
	require.ErrorIs(t, err, backend.ErrConflict, "of another life")
	changed, err := instances[1].Swap(ctx, now, old, next)
	require.NoError(t, err)
	read, err := instances[0].Peek(ctx, now, sess.Key())
	require.NoError(t, err)
	assert.Equal(t, old.Life, read.Life)
	assert.Equal(t, changed.ETag(), read.ETag())

	// Its tombstone it gets when its deadline is first moved.
	touched, err := instances[0].Touch(ctx, now.Add(time.Minute), sess.Key(), now.Add(2*time.Hour))
	require.NoError(t, err)
	assert.Equal(t, read.ETag(), touched.ETag())
	late := touched.ExpiresAt.Add(time.Minute)
	require.ErrorIs(t, instances[1].Create(ctx, late, sess), backend.ErrLapsed)
}

// A change that was worked out from one life is not made to another, although
// all else is the same.
func TestSwapOfAnIDMadeAnew(t *testing.T) {
	server := redistest.Start(t)
	s, err := Open(t.Context(), Options{Server: conn.Server{Addresses: []string{server.Addr()}}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	ctx, now := t.Context(), schema.Now(time.Now())
	first := newSession(t, schema.NewID(), func(s *schema.Session, _ *schema.Sections) {
		s.CreatedAt, s.UpdatedAt, s.ExpiresAt = now, now, now.Add(s.TTL)
	})
	second := first
	second.Life = schema.NewLife()
	require.NoError(t, s.Create(ctx, now, first))
	require.NoError(t, s.Delete(ctx, now, first.Key(), 0))
	require.NoError(t, s.Create(ctx, now, second))
	_, err = s.Swap(ctx, now, first, first)
	require.ErrorIs(t, err, backend.ErrConflict)
	require.ErrorIs(t, s.Regenerate(ctx, now, first, first.WithID(schema.NewID()), now), backend.ErrConflict)
	_, err = s.Swap(ctx, now, second, second)
	require.NoError(t, err)
}
