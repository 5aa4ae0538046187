package redis

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/format"
)

// valueOf returns the key and the value of a session with a file.
func valueOf(t *testing.T, c *format.Codec, id, text string) (backend.Key, string) {
	t.Helper()
	sess := newSession(t, id, func(_ *schema.Session, sec *schema.Sections) {
		sec.Inputs = []byte(`{"text":"` + text + `"}`)
		sec.Results = []byte(`{"report":"a.txt"}`)
	})
	return sess.Key(), string(c.Encode(&sess).Value(format.NewVersion(created, sess.UserID, sess.Files), format.End(&sess)))
}

// newest is what the set of a key has got last.
func (k *valueCache) newest(key backend.Key) *cachedValue {
	set := k.set(key)
	return set.values[set.next.Load()%valueWays].Load()
}

func TestKnown(t *testing.T) {
	c := newCodec(t)
	id := schema.NewID()
	key, value := valueOf(t, c, id, "one")
	_, other := valueOf(t, c, id, "two")
	large, largeValue := valueOf(t, c, schema.NewID(), strings.Repeat("x", maxCachedValue))
	k := newValueCache()
	add := func(key backend.Key, value string) format.Value {
		var st format.Value
		require.NoError(t, c.Decode(key, value, &st))
		k.put(key, value, &st)
		return st
	}
	find := func(key backend.Key, value string) (st format.Value, ok bool) {
		r := k.get(key, value)
		if r == nil {
			return st, false
		}
		return r.st, true
	}
	_, ok := find(key, value)
	require.False(t, ok, "nothing is known yet")

	want := add(key, value)
	got, ok := find(key, strings.Clone(value))
	require.True(t, ok)
	assert.Equal(t, want, got)
	assert.Equal(t, []string{"a.txt"}, got.Session.Files)
	_, ok = find(key, other)
	assert.False(t, ok, "another value")
	elsewhere := backend.Key{Namespace: "another", ID: id}
	k.set(elsewhere).values[0].Store(k.newest(key)) // as if the hashes agreed
	_, ok = find(elsewhere, value)
	assert.False(t, ok, "another key")

	want = add(key, other)
	got, ok = find(key, other)
	require.True(t, ok)
	assert.Equal(t, want, got)
	_, ok = find(key, value)
	assert.False(t, ok, "only a key's last value is known")

	add(large, largeValue)
	_, ok = find(large, largeValue)
	assert.False(t, ok, "a large one is not kept")
}

// A session that is as it was is not taken apart again.
func TestLive_knownValue(t *testing.T) {
	c := newCodec(t)
	s := &Store{codec: c, values: newValueCache()}
	key, value := valueOf(t, c, schema.NewID(), "text")
	until := created.Add(30 * time.Minute)
	read := func(k *valueCache) *format.Value {
		st, torn, err := s.live(created, key, until.UnixMilli(), value, k)
		require.NoError(t, err)
		require.True(t, torn, "nothing makes a deadline earlier")
		return st
	}
	want := read(nil)
	require.Equal(t, want, read(s.values))
	require.Equal(t, want, read(s.values))
	assert.Equal(t, until, want.Session.ExpiresAt)
	assert.InDelta(t, 1, testing.AllocsPerRun(10, func() { read(s.values) }), 0)
	assert.Greater(t, testing.AllocsPerRun(10, func() { read(nil) }), 1.0)
}

// What is no session's yet is taken apart each time: it becomes one without
// another value in between.
func TestLive_pending(t *testing.T) {
	c := newCodec(t)
	s := &Store{codec: c, values: newValueCache()}
	key, value := valueOf(t, c, schema.NewID(), "text")
	until := created.Add(time.Hour)
	st, _, err := s.live(created, key, until.UnixMilli(), string(format.Pending([]byte(value), until.UnixMilli())), s.values)
	require.NoError(t, err)
	require.True(t, st.Pending)
	assert.Nil(t, s.values.newest(key))
}
