package storetest

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// The clients of the suite's sessions.
var (
	firefox = schema.Facts{}.WithClient(schema.Client{
		Label: "Firefox on Windows", UserAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0", IP: "192.0.2.0/24",
	})
	curl = schema.Facts{}.WithClient(schema.Client{Label: "curl", UserAgent: "curl/8.11.1"}).WithRemember(true)
)

func testFacts(t *testing.T, open Open) {
	t.Run("stay with the session", func(t *testing.T) {
		longest := schema.Facts{}.WithClient(schema.Client{
			Label: strings.Repeat(`"`, schema.MaxClientLabel), UserAgent: strings.Repeat(`,"stored":{}}`, 60), IP: "2001:db8::1",
		}).WithRemember(false)
		applied := firefox.WithApplied(strings.Repeat("a", schema.MarkLen)).WithApplied(strings.Repeat("_", schema.MarkLen))
		for n := range 4 {
			longest = longest.WithApplied(strings.Repeat(strconv.Itoa(n), schema.MarkLen))
		}
		for name, facts := range map[string]schema.Facts{"none": {}, "a client": firefox, "remembered": curl, "the longest": longest, "changed by a request": applied} {
			t.Run(name, func(t *testing.T) {
				f := newFixture(t, open)
				sess := f.created(spec{user: "ada", files: []string{"a"}, facts: facts})
				document := string(sess.AppendJSON(nil))
				f.requireStored(sess)

				f.clock.Advance(time.Minute)
				got, err := f.Touch(f.ctx(), f.now(), sess.Key(), f.now().Add(ttl))
				require.NoError(t, err)
				sess.ExpiresAt = f.now().Add(ttl)
				requireSame(t, sess, got)
				assert.Len(t, got.AppendJSON(nil), len(document), "they are no part of the document")

				next := f.revised(sess, spec{user: "bob", note: "new", files: manyFiles("b", 80)})
				_, err = f.Swap(f.ctx(), f.now(), sess, next)
				require.NoError(t, err)
				f.requireStored(next)

				successor := f.regenerated(next, 0)
				f.requireStored(successor)
				again := f.regenerated(successor, time.Minute)
				old, err := f.Peek(f.ctx(), f.now(), successor.Key())
				require.NoError(t, err)
				requireSame(t, again, old)
				page, err := f.List(f.ctx(), f.now(), backend.Query{Namespace: sess.Namespace, Limit: 10})
				require.NoError(t, err)
				require.Len(t, page.Sessions, 1)
				requireSame(t, again, page.Sessions[0])
			})
		}
	})

	t.Run("change without the document", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{user: "ada", note: "text", facts: firefox})
		for _, facts := range []schema.Facts{curl, {}, firefox, firefox.WithRemember(false)} {
			next := old
			next.Facts = facts
			got, err := f.Swap(f.ctx(), f.now(), old, next)
			require.NoError(t, err)
			requireSame(t, next, got)
			f.requireStored(next)
			old = next
		}
	})

	t.Run("a change of them is a conflict", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{facts: firefox})
		next := old
		next.Facts = firefox.WithRemember(true)
		_, err := f.Swap(f.ctx(), f.now(), old, next)
		require.NoError(t, err)
		_, err = f.Swap(f.ctx(), f.now(), old, f.revised(old, spec{note: "late"}))
		require.ErrorIs(t, err, backend.ErrConflict)
		require.ErrorIs(t, f.Regenerate(f.ctx(), f.now(), old, old.WithID(schema.NewID()), f.now()), backend.ErrConflict)
		f.requireStored(next)
	})

	t.Run("a regeneration brings others", func(t *testing.T) {
		f := newFixture(t, open)
		old := f.created(spec{facts: firefox})
		next := old.WithID(schema.NewID())
		next.Facts = curl
		require.NoError(t, f.Regenerate(f.ctx(), f.now(), old, next, f.now()))
		f.requireStored(next)
	})

	t.Run("events of a client of another family", func(t *testing.T) {
		f := newFixture(t, open)
		fo := f.follow()
		changed := func(s schema.Session, previous, label string) backend.Event {
			ev := f.event(backend.EventClientChanged, s)
			ev.PreviousClient, ev.Client = previous, label
			return ev
		}
		sess := f.created(spec{user: `"ada"`, facts: firefox})
		fo.requireNext(f.event(backend.EventCreated, sess))

		next := f.revised(sess, spec{user: `"ada"`, note: "new", facts: curl})
		_, err := f.Swap(f.ctx(), f.now(), sess, next)
		require.NoError(t, err)
		fo.requireNext(f.event(backend.EventUpdated, next))
		fo.requireNext(changed(next, "Firefox on Windows", "curl"))

		same := next
		same.Facts = next.Facts.WithClient(schema.Client{Label: "curl on Linux", UserAgent: "curl/9"})
		_, err = f.Swap(f.ctx(), f.now(), next, same)
		require.NoError(t, err)
		fo.requireNext(f.event(backend.EventUpdated, same))

		successor := same.WithID(schema.NewID())
		successor.Facts = firefox
		require.NoError(t, f.Regenerate(f.ctx(), f.now(), same, successor, f.now()))
		fo.requireNext(changed(same, "curl on Linux", "Firefox on Windows"))
		want := f.event(backend.EventRegenerated, successor)
		want.Previous = same.ID
		fo.requireNext(want)

		unknown := successor
		unknown.Facts = schema.Facts{}
		_, err = f.Swap(f.ctx(), f.now(), successor, unknown)
		require.NoError(t, err)
		fo.requireNext(f.event(backend.EventUpdated, unknown))
		require.NoError(t, f.Delete(f.ctx(), f.now(), unknown.Key(), 0))
		fo.requireNext(f.deleted(unknown))
	})
}
