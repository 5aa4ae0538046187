package redis

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/format"
	"session-api/internal/store/redis/redistest"
)

// halfDone is a Regenerate whose process dies on the way.
type halfDone struct {
	*Store
	t         *testing.T
	server    *redistest.Server
	client    rueidis.Client
	now       time.Time
	old, next schema.Session
	entry     format.Entry
}

// begin stores a session, and its successor as pending.
func begin(t *testing.T) *halfDone {
	t.Helper()
	server := redistest.Start(t)
	return beginAt(t, server, server.Addr())
}

// beginAt is begin on a server, by that address.
func beginAt(t *testing.T, server *redistest.Server, addr string) *halfDone {
	t.Helper()
	s, err := Open(t.Context(), Options{Server: conn.Server{Addresses: []string{addr}, Timeout: time.Second}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	client, err := s.client()
	require.NoError(t, err)
	h := &halfDone{Store: s, t: t, server: server, client: client, now: schema.Now(time.Now())}
	h.old = newSession(t, schema.NewID(), func(sess *schema.Session, sec *schema.Sections) {
		sess.CreatedAt, sess.UpdatedAt, sess.ExpiresAt = h.now, h.now, h.now.Add(sess.TTL)
		sec.User = &schema.User{ID: "ada", Roles: []string{}}
		sec.Results = []byte(`{"report":"a"}`)
	})
	require.NoError(t, s.Create(t.Context(), h.now, h.old))
	h.next = h.old.WithID(schema.NewID())
	h.entry = format.NewEntry(&h.next, format.NewVersion(h.now, h.next.UserID, h.next.Files))
	value := s.codec.Encode(&h.next).Value(h.entry.Version, format.End(&h.next))
	require.NoError(t, s.placeIndexed(t.Context(), client, h.now, &h.entry, placement{
		key: h.next.Key(), value: format.Pending(value, h.next.ExpiresAt.UnixMilli()), deadline: h.next.ExpiresAt, pending: true, revive: true,
	}))
	return h
}

// move ends the old key in favour of the successor.
func (h *halfDone) move(grace time.Duration) {
	h.t.Helper()
	_, err := h.Store.move(h.t.Context(), h.client, h.now, &h.old, &h.entry, h.now.Add(grace))
	require.NoError(h.t, err)
}

func (h *halfDone) listed() []string {
	h.t.Helper()
	page, err := h.List(h.t.Context(), h.now, backend.Query{Namespace: h.old.Namespace, UserID: "ada", Limit: 10})
	require.NoError(h.t, err)
	ids := []string{}
	for _, sess := range page.Sessions {
		ids = append(ids, sess.ID)
	}
	return ids
}

func TestAPendingSessionIsNone(t *testing.T) {
	h := begin(t)
	ctx := t.Context()
	_, err := h.Get(ctx, h.now, h.next.Key())
	require.ErrorIs(t, err, backend.ErrNotFound)
	_, err = h.Touch(ctx, h.now, h.next.Key(), h.now.Add(2*time.Hour))
	require.ErrorIs(t, err, backend.ErrNotFound)
	_, err = h.Swap(ctx, h.now, h.next, h.next)
	require.ErrorIs(t, err, backend.ErrNotFound)
	require.ErrorIs(t, h.Store.Regenerate(ctx, h.now, h.next, h.next.WithID(schema.NewID()), h.now), backend.ErrNotFound)
	require.ErrorIs(t, h.Create(ctx, h.now, h.next), backend.ErrExists, "but its id is taken")
	assert.Equal(t, []string{h.old.ID}, h.listed())
	got, err := h.Get(ctx, h.now, h.old.Key())
	require.NoError(t, err)
	assert.Equal(t, h.old, got)

	// Its key goes by itself, and its entry with the sweep.
	assert.NotEqual(t, "-1", h.server.CLI("PTTL", h.keys.Session(h.next.Key())))
	require.Equal(t, "1", h.server.CLI("DEL", h.keys.Session(h.next.Key())))
	_, err = h.Sweep(ctx, h.old.ExpiresAt)
	require.NoError(t, err)
	assert.Equal(t, "{session:}:deployment", h.server.CLI("KEYS", "*"))
}

// Who comes by the old id publishes the successor that its maker has not
// published yet, or never will.
func TestASuccessorIsReachedBeforeItIsPublished(t *testing.T) {
	h := begin(t)
	ctx := t.Context()
	h.move(time.Minute)
	has, err := h.HasFile(ctx, h.now, "a")
	require.NoError(t, err)
	assert.True(t, has, "its files are safe")
	_, err = h.Get(ctx, h.now, h.next.Key())
	require.ErrorIs(t, err, backend.ErrNotFound, "nobody knows of it")
	got, err := h.Get(ctx, h.now, h.old.Key())
	require.NoError(t, err)
	assert.Equal(t, h.next, got, "with its own deadline")

	got, err = h.Get(ctx, h.now, h.next.Key())
	require.NoError(t, err)
	assert.Equal(t, h.next, got)
	require.NoError(t, h.activate(ctx, h.client, h.now, h.old.ID, &h.entry, format.Entry{}), "once more does nothing")

	// Nor does it to what became of it.
	changed, err := h.Swap(ctx, h.now, h.next, newSession(t, h.next.ID, func(sess *schema.Session, _ *schema.Sections) {
		sess.CreatedAt, sess.UpdatedAt, sess.ExpiresAt, sess.Revision = h.now, h.now, h.next.ExpiresAt, h.next.Revision+1
	}))
	require.NoError(t, err)
	require.NoError(t, h.activate(ctx, h.client, h.now, h.old.ID, &h.entry, format.Entry{}))
	got, err = h.Get(ctx, h.now, h.next.Key())
	require.NoError(t, err)
	assert.Equal(t, changed, got)
	require.NoError(t, h.Delete(ctx, h.now, h.next.Key(), 0))
	require.NoError(t, h.activate(ctx, h.client, h.now, h.old.ID, &h.entry, format.Entry{}), "it was made, and ended since")
	_, err = h.Get(ctx, h.now, h.next.Key())
	require.ErrorIs(t, err, backend.ErrNotFound)
}

func TestASuccessorCanBeEndedBeforeItsMakerIsDone(t *testing.T) {
	h := begin(t)
	first, err := h.lastEvent(t.Context(), h.client)
	require.NoError(t, err)
	h.move(time.Minute)
	got, err := h.Get(t.Context(), h.now, h.old.Key())
	require.NoError(t, err)
	require.NoError(t, h.Delete(t.Context(), h.now, got.Key(), 0))
	_, err = h.Get(t.Context(), h.now, h.old.Key())
	require.ErrorIs(t, err, backend.ErrNotFound)
	require.NoError(t, h.activate(t.Context(), h.client, h.now, h.old.ID, &h.entry, format.Entry{}))
	_, err = h.Get(t.Context(), h.now, h.next.Key())
	require.ErrorIs(t, err, backend.ErrNotFound)

	// Followers hear of it in this order, and once.
	require.NoError(t, h.Create(t.Context(), h.now, h.old))
	var told []backend.EventType
	enough := errors.New("enough")
	require.ErrorIs(t, h.Follow(t.Context(), first, func(ev backend.Event) error {
		if told = append(told, ev.Type); ev.Type == backend.EventCreated {
			return enough
		}
		assert.Equal(t, h.next.Key(), ev.Session)
		return nil
	}), enough)
	assert.Equal(t, []backend.EventType{backend.EventRegenerated, backend.EventDeleted, backend.EventCreated}, told)
}

// Clear waits for what is pending: whatever comes of it does not escape.
func TestClearWaitsForPendingSessions(t *testing.T) {
	for name, c := range map[string]struct {
		finish func(h *halfDone)
		ended  int
	}{
		"that are published":          {func(h *halfDone) { _ = h.activate(h.t.Context(), h.client, h.now, h.old.ID, &h.entry, format.Entry{}) }, 1},
		"that are retracted":          {func(h *halfDone) { h.retract(h.t.Context(), h.client, h.now, &h.entry) }, 0},
		"whose process died for good": {func(h *halfDone) { h.server.CLI("PEXPIRE", h.keys.Session(h.next.Key()), "1") }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := begin(t)
			h.move(0)
			ended := make(chan int)
			go func() {
				n, err := h.Clear(t.Context(), h.now, backend.Filter{Namespace: h.old.Namespace, UserID: "ada"})
				assert.NoError(t, err)
				ended <- n
			}()
			select {
			case <-ended:
				t.Fatal("it does not wait")
			case <-time.After(100 * time.Millisecond):
			}
			c.finish(h)
			assert.Equal(t, c.ended, <-ended)
			assert.Empty(t, h.listed())
		})
	}
}

// Pending is by the server's clock: an instance whose own is behind can
// regenerate all the same.
func TestRegenerateWithAClockThatIsBehind(t *testing.T) {
	h := begin(t)
	behind := h.now.Add(-time.Minute / 2)
	next := h.old.WithID(schema.NewID())
	require.NoError(t, h.Store.Regenerate(t.Context(), behind, h.old, next, behind))
	got, err := h.Get(t.Context(), behind, next.Key())
	require.NoError(t, err)
	assert.Equal(t, next, got)
}

// Between the end of a session and its successor nothing can get lost: not even where its
// maker never hears that both were done, and dies.
func TestASessionEndsInOneStepWithItsSuccessor(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.StartProxy(t, server.Addr())
	h := beginAt(t, server, proxy.Addr())
	near, err := Open(t.Context(), Options{Server: conn.Server{Addresses: []string{server.Addr()}, Timeout: 10 * time.Second}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, near.Close()) })
	_, err = h.succeed(t.Context(), h.client, h.now, &h.next, &h.entry, h.now, "")
	require.ErrorIs(t, err, backend.ErrNotFound, "a pending one has no successor; and the script is known to the server")

	proxy.Stall(redistest.Down)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = h.succeed(ctx, h.client, h.now, &h.old, &h.entry, h.now, "")
	require.ErrorIs(t, err, backend.ErrUnavailable)
	got, err := near.Get(t.Context(), h.now, h.next.Key())
	require.NoError(t, err)
	assert.Equal(t, h.next, got)
	_, err = near.Get(t.Context(), h.now, h.old.Key())
	require.ErrorIs(t, err, backend.ErrNotFound)
	proxy.Flow(redistest.Down)
}

// A successor that is not pending any more, as after a long stall, ends nothing.
func TestASessionOutlivesItsPendingSuccessor(t *testing.T) {
	server := redistest.Start(t)
	h := beginAt(t, server, server.Addr())
	require.Equal(t, "1", server.CLI("DEL", h.keys.Session(h.next.Key())))
	_, err := h.succeed(t.Context(), h.client, h.now, &h.old, &h.entry, h.now, "")
	require.ErrorIs(t, err, backend.ErrConflict)
	got, err := h.Get(t.Context(), h.now, h.old.Key())
	require.NoError(t, err)
	assert.Equal(t, h.old, got)
}
