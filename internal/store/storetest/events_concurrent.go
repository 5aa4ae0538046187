package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store"
	"session-api/internal/store/backend"
)

// testEventOrder has many writers change, touch, renew and end sessions at
// once. Put together from its events, each session has a life in which nothing
// is missing, and nothing is out of order.
func testEventOrder(t *testing.T, open Open) {
	f := newLimited(t, open, Limits{Events: 100_000})
	s := f.sessions(store.Lifetimes{})
	fo := f.follow()
	const sessions, writers = 6, 4
	changes := soaktest.Times(5, 15)
	last := make([]schema.Session, sessions)
	together(sessions, func(i int) {
		id := testID(i)
		last[i] = f.session(spec{id: id, user: fmt.Sprintf("user-%d", i)})
		assert.NoError(t, f.Create(f.ctx(), f.now(), last[i]))
		together(writers, func(w int) {
			for n := range changes {
				key := backend.Key{Namespace: schema.DefaultNamespace, ID: id}
				_, _, err := s.Update(f.ctx(), f.now(), key, store.Update{Change: count(fmt.Sprintf("w%d-%d", w, n))})
				assert.NoError(t, err)
				_, err = f.Touch(f.ctx(), f.now().Add(time.Duration(n)*time.Second), key, f.now().Add(2*ttl))
				assert.NoError(t, err)
			}
		})
		for range 10 {
			var err error
			key := backend.Key{Namespace: schema.DefaultNamespace, ID: id}
			last[i], _, err = s.Renew(f.ctx(), f.now(), key, time.Minute)
			assert.NoError(t, err)
			id = last[i].ID
			last[i], _, err = s.Update(f.ctx(), f.now(), last[i].Key(), store.Update{Change: count("")})
			assert.NoError(t, err)
		}
		assert.NoError(t, f.Delete(f.ctx(), f.now(), last[i].Key(), 0))
	})

	lives := map[string]*life{} // by the id that the session has at the time
	for ended := 0; ended < sessions; {
		ev := fo.next()
		switch ev.Type {
		case backend.EventCreated:
			require.NotContains(t, lives, ev.Session.ID)
			lives[ev.Session.ID] = &life{user: ev.UserID, revision: 1, expires: ev.ExpiresAt}
		case backend.EventRegenerated:
			l := lives[ev.Previous]
			require.NotNil(t, l, "a session that there was")
			delete(lives, ev.Previous)
			lives[ev.Session.ID] = l
			l.renewed++
		}
		l := lives[ev.Session.ID]
		require.NotNil(t, l, "%s of a session that there is", ev.Type)
		l.live(t, ev)
		if ev.Type == backend.EventDeleted {
			ended++
			assert.EqualValues(t, 1+writers*changes+10, l.revision)
			assert.Equal(t, 10, l.renewed)
			delete(lives, ev.Session.ID)
		}
	}
	sess := f.created(spec{})
	fo.requireNext(f.event(backend.EventCreated, sess))
}

// life is what is known of a session from its events.
type life struct {
	user     string
	revision int64
	expires  time.Time
	renewed  int
}

// live goes on with an event.
func (l *life) live(t *testing.T, ev backend.Event) {
	t.Helper()
	if ev.Type == backend.EventUpdated {
		l.revision++
	}
	require.Equal(t, l.revision, ev.Revision, ev.Type)
	require.Equal(t, l.user, ev.UserID)
	switch ev.Type {
	case backend.EventDeleted:
		require.Zero(t, ev.ExpiresAt)
		return
	case backend.EventTouched:
		require.True(t, ev.ExpiresAt.After(l.expires), "a touch that moves nothing is none")
	case backend.EventUpdated:
		require.False(t, ev.ExpiresAt.Before(l.expires))
	default:
	}
	l.expires = ev.ExpiresAt
}

// testEventsOfOneKey creates, ends and revives one key from many goroutines.
func testEventsOfOneKey(t *testing.T, open Open) {
	f := newLimited(t, open, Limits{Events: 100_000, Tombstone: window})
	fo := f.follow()
	key := backend.Key{Namespace: schema.DefaultNamespace, ID: testID(1)}
	together(8, func(i int) {
		for n := range soaktest.Times(15, 40) {
			if (i+n)%2 == 0 {
				_ = f.Create(f.ctx(), f.now(), f.session(spec{id: key.ID}), backend.Revive)
			} else {
				_ = f.Delete(f.ctx(), f.now(), key, 0)
			}
		}
	})
	_ = f.Delete(f.ctx(), f.now(), key, 0) // what the last left
	f.requireEnded(key)
	f.revived(spec{id: key.ID, user: "mark"})

	created := false
	for n := 0; ; n++ {
		ev := fo.next()
		require.Equal(t, key, ev.Session)
		if created = !created; !created {
			require.Equal(t, backend.EventDeleted, ev.Type, "by turns")
			continue
		}
		require.Equal(t, backend.EventCreated, ev.Type, "by turns")
		if ev.UserID == "mark" {
			assert.Positive(t, n)
			return
		}
	}
}
