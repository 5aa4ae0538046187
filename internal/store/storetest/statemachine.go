package storetest

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
)

// machine runs random operations on a store and on the model.
type machine struct {
	*fixture
	*model
	// past are sessions as they once were, to be written over later states.
	past []schema.Session
}

func testModel(t *testing.T, open Open) {
	rapid.Check(t, func(rt *rapid.T) { runMachine(t, rt, open, Limits{Tombstone: drawWindow(rt)}, nil) })
}

// runMachine checks one random run. cost says what a session takes of
// Limits.MaxBytes.
func runMachine(t *testing.T, rt *rapid.T, open Open, limits Limits, cost func(schema.Session) int64) {
	t.Helper()
	s, clock := open(t, limits)
	m := &machine{fixture: &fixture{Store: s, t: t, clock: clock}, model: newModel()}
	m.limits = limits
	if cost != nil {
		m.cost = cost
	}
	rt.Repeat(map[string]func(*rapid.T){
		"create":     m.doCreate,
		"revive":     m.doRevive,
		"read":       m.doRead,
		"swap":       m.doSwap,
		"touch":      m.doTouch,
		"regenerate": m.doRegenerate,
		"delete":     m.doDelete,
		"clear":      m.doClear,
		"list":       m.doList,
		"count":      m.doCount,
		"files":      m.doFiles,
		"sweep":      m.doSweep,
		"several":    m.doSeveral,
		"delete all": m.doDeleteAll,
		"begin":      m.doBegin,
		"answer":     m.doAnswer,
		"abandon":    m.doAbandon,
		"wait":       m.doWait,
		"":           m.check,
	})
	require.NoError(rt, s.Close())
}

// The draws: few values each, so that they meet.

func (m *machine) drawKey(rt *rapid.T) backend.Key {
	return backend.Key{
		Namespace: rapid.SampledFrom([]string{schema.DefaultNamespace, "shop"}).Draw(rt, "namespace"),
		ID:        testID(rapid.IntRange(0, 9).Draw(rt, "id")),
	}
}

func (m *machine) drawSpec(rt *rapid.T) spec {
	return spec{
		user:  rapid.SampledFrom([]string{"", "ada", "bob"}).Draw(rt, "user"),
		files: rapid.SampledFrom([][]string{nil, {"a"}, {"b", "a"}, {"c", "ab"}, manyFiles("a", 79), manyFiles("c", 80)}).Draw(rt, "files"),
		note:  strings.Repeat("x", rapid.SampledFrom([]int{0, 1, 200, 700}).Draw(rt, "note")),
		facts: rapid.SampledFrom([]schema.Facts{{}, firefox, curl, schema.Facts{}.WithRemember(true)}).Draw(rt, "facts"),
	}
}

func (m *machine) drawTTL(rt *rapid.T) time.Duration {
	return time.Duration(rapid.SampledFrom([]int{1, 3, 10, 1000}).Draw(rt, "ttl")) * time.Millisecond
}

func drawWindow(rt *rapid.T) time.Duration {
	return rapid.SampledFrom([]time.Duration{0, 5 * time.Millisecond, time.Hour}).Draw(rt, "tombstone")
}

func (m *machine) drawFilter(rt *rapid.T) backend.Filter {
	return backend.Filter{
		Namespace: m.drawKey(rt).Namespace,
		UserID:    rapid.SampledFrom([]string{"", "ada"}).Draw(rt, "user"),
		Except:    rapid.SampledFrom([]string{"", testID(1), testID(2)}).Draw(rt, "except"),
	}
}

// drawState returns a session as it is now, or as it was some time ago.
func (m *machine) drawState(rt *rapid.T) schema.Session {
	key := m.drawKey(rt)
	cur, ok := m.live[key]
	if ok && (len(m.past) == 0 || rapid.IntRange(0, 4).Draw(rt, "stale") > 0) {
		m.past = append(m.past, cur)
		return cur
	}
	if len(m.past) > 0 {
		return rapid.SampledFrom(m.past).Draw(rt, "past")
	}
	return m.session(spec{namespace: key.Namespace, id: key.ID})
}

// changed returns the error of writing over old.
func (m *machine) changed(old schema.Session) error {
	cur, ok := m.live[old.Key()]
	switch {
	case !ok:
		return backend.ErrNotFound
	case backend.VersionOf(&cur) != backend.VersionOf(&old):
		return backend.ErrConflict
	}
	return nil
}

// The operations.

func (m *machine) doCreate(rt *rapid.T) { m.add(rt) }

func (m *machine) doRevive(rt *rapid.T) { m.add(rt, backend.Revive) }

// add stores a new session, which is refused to a key that has ended.
func (m *machine) add(rt *rapid.T, opts ...backend.CreateOption) {
	m.expire(m.now())
	key, sp := m.drawKey(rt), m.drawSpec(rt)
	sp.namespace, sp.id, sp.ttl = key.Namespace, key.ID, m.drawTTL(rt)
	sess := m.session(sp)
	sess.Trusted = rapid.Bool().Draw(rt, "trusted")
	var want error
	if _, ok := m.live[key]; ok {
		want = backend.ErrExists
	} else if !backend.Revives(opts) && m.ended(m.now(), key) {
		want = m.why[key]
	} else {
		want = m.makeRoom(m.now(), nil, sess)
	}
	require.ErrorIs(rt, m.Create(m.ctx(), m.now(), sess, opts...), want)
	if want == nil {
		delete(m.graces, key)
		m.put(sess)
		m.want.Sets++
	}
}

func (m *machine) doRead(rt *rapid.T) {
	m.expire(m.now())
	key := m.drawKey(rt)
	if len(m.graces) > 0 && rapid.Bool().Draw(rt, "old key") {
		key = rapid.SampledFrom(slices.SortedFunc(maps.Keys(m.graces), compareKeys)).Draw(rt, "key")
	}
	want, ok := m.find(m.now(), key)
	read := m.Peek
	if rapid.Bool().Draw(rt, "get") {
		read = m.Get
		if ok {
			m.want.Hits++
			m.use(want.Key())
		} else {
			m.want.Misses++
		}
	}
	got, err := read(m.ctx(), m.now(), key)
	if !ok {
		require.ErrorIs(rt, err, backend.ErrNotFound)
		return
	}
	require.NoError(rt, err)
	require.Equal(rt, visible(want), visible(got))
}

func (m *machine) doSwap(rt *rapid.T) {
	m.expire(m.now())
	old := m.drawState(rt)
	next := m.revised(old, m.drawSpec(rt))
	if rapid.Bool().Draw(rt, "other life") {
		next.TTL = m.drawTTL(rt)
		next.OwnTTL = rapid.SampledFrom([]time.Duration{0, next.TTL}).Draw(rt, "own")
	}
	next.ExpiresAt = m.now().Add(next.TTL)
	next.Trusted = rapid.Bool().Draw(rt, "trusted")
	want := m.changed(old)
	if want == nil {
		if cur := m.live[old.Key()]; cur.TTL == next.TTL && cur.OwnTTL == next.OwnTTL && cur.ExpiresAt.After(next.ExpiresAt) {
			next.ExpiresAt = cur.ExpiresAt
		}
		want = m.makeRoom(m.now(), &old, next)
	}
	got, err := m.Swap(m.ctx(), m.now(), old, next)
	require.ErrorIs(rt, err, want)
	if want == nil {
		require.Equal(rt, visible(next), visible(got))
		if next.UserID != old.UserID {
			m.endGraces(next.Key())
		}
		m.put(next)
		m.want.Sets++
	}
}

func (m *machine) doTouch(rt *rapid.T) {
	m.expire(m.now())
	key := m.drawKey(rt)
	until := m.now().Add(m.drawTTL(rt))
	got, err := m.Touch(m.ctx(), m.now(), key, until)
	sess, ok := m.live[key]
	if !ok {
		require.ErrorIs(rt, err, backend.ErrNotFound)
		return
	}
	require.NoError(rt, err)
	m.use(key)
	if until = backend.Touched(m.now(), until, sess.TTL); until.After(sess.ExpiresAt) {
		sess.ExpiresAt = until
		m.put(sess)
	}
	require.Equal(rt, visible(sess), visible(got))
}

func (m *machine) doRegenerate(rt *rapid.T) {
	m.expire(m.now())
	old := m.drawState(rt)
	next := old.WithID(m.drawKey(rt).ID)
	if m.ended(m.now(), next.Key()) {
		next = old.WithID(schema.NewID()) // a new id is one that nobody has had
	}
	if rapid.IntRange(0, 3).Draw(rt, "sign-in") == 0 {
		next = m.build(next, m.drawSpec(rt))
	}
	next.ExpiresAt = m.now().Add(next.TTL)
	graceUntil := m.now().Add(time.Duration(rapid.IntRange(-1, 4).Draw(rt, "grace")) * time.Millisecond)
	want := m.changed(old)
	if _, taken := m.live[next.Key()]; want == nil && taken {
		want = backend.ErrExists
	}
	if want == nil {
		want = m.makeRoom(m.now(), &old, next)
	}
	require.ErrorIs(rt, m.Regenerate(m.ctx(), m.now(), old, next, graceUntil), want)
	if want != nil {
		return
	}
	made := m.served[old.Key()]
	m.remove(old.Key())
	m.bury(m.now(), old.Key(), backend.ErrEnded)
	delete(m.graces, next.Key())
	next.Trusted = made
	m.put(next)
	m.again[next.Key()] = true
	m.want.Sets++
	if graceUntil.After(m.now()) && next.UserID == old.UserID {
		m.graces[old.Key()] = modelGrace{to: next.Key(), until: graceUntil}
	}
}

func (m *machine) doDelete(rt *rapid.T) {
	m.expire(m.now())
	key := m.drawKey(rt)
	revision := rapid.Int64Range(0, 2).Draw(rt, "revision")
	err := m.Delete(m.ctx(), m.now(), key, revision)
	sess, ok := m.live[key]
	switch {
	case !ok:
		require.ErrorIs(rt, err, backend.ErrNotFound)
	case !backend.AtRevision(revision, sess.Revision):
		require.ErrorIs(rt, err, backend.ErrConflict)
	default:
		require.NoError(rt, err)
		m.remove(key)
		m.bury(m.now(), key, backend.ErrEnded)
		m.want.Deletes++
	}
}

func (m *machine) doClear(rt *rapid.T) {
	m.expire(m.now())
	f := m.drawFilter(rt)
	match := m.matching(f)
	n, err := m.Clear(m.ctx(), m.now(), f)
	require.NoError(rt, err)
	require.Equal(rt, len(match), n)
	for _, s := range match {
		m.remove(s.Key())
		m.bury(m.now(), s.Key(), backend.ErrEnded)
		m.want.Deletes++
	}
}

func (m *machine) doCount(rt *rapid.T) {
	m.expire(m.now())
	f := m.drawFilter(rt)
	n, err := m.Count(m.ctx(), m.now(), f)
	require.NoError(rt, err)
	require.Len(rt, m.matching(f), n)
}

func (m *machine) doList(rt *rapid.T) {
	m.expire(m.now())
	q := backend.Query{
		Namespace: m.drawKey(rt).Namespace,
		UserID:    rapid.SampledFrom([]string{"", "ada", "bob"}).Draw(rt, "user"),
		Limit:     rapid.IntRange(1, 5).Draw(rt, "limit"),
	}
	want := m.sorted(func(s schema.Session) bool {
		return s.Namespace == q.Namespace && (q.UserID == "" || s.UserID == q.UserID)
	})
	got := []schema.Session{}
	for {
		page, err := m.List(m.ctx(), m.now(), q)
		require.NoError(rt, err)
		got = append(got, page.Sessions...)
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	require.Len(rt, got, len(want))
	for i := range want {
		require.Equal(rt, visible(want[i]), visible(got[i]))
	}
}

func (m *machine) doFiles(rt *rapid.T) {
	m.expire(m.now())
	want := m.files()
	require.ElementsMatch(rt, want, m.fileSet())
	for _, path := range []string{"a", "b", "c", "ab", "x"} {
		require.Equal(rt, slices.Contains(want, path), m.hasFile(path), path)
	}
}

func (m *machine) doSweep(rt *rapid.T) {
	before := m.stats()
	m.expire(m.now())
	n := m.sweep()
	after := m.stats()
	require.EqualValues(rt, len(m.live), before.Entries, "they count no longer, swept or not")
	require.EqualValues(rt, n, after.Expirations-before.Expirations)
	require.EqualValues(rt, len(m.live), after.Entries)
	require.Equal(rt, m.want.Expirations, after.Expirations)
}

func (m *machine) doWait(rt *rapid.T) {
	m.clock.Advance(time.Duration(rapid.IntRange(1, 4).Draw(rt, "ms")) * time.Millisecond)
}

// check holds after every operation.
func (m *machine) check(rt *rapid.T) {
	m.expire(m.now())
	got := m.stats()
	require.EqualValues(rt, len(m.live), got.Entries)
	require.LessOrEqual(rt, got.Expirations, m.want.Expirations)
	if m.limits.MaxEntries > 0 {
		require.LessOrEqual(rt, got.Entries, int64(m.limits.MaxEntries))
	}
	if m.limits.MaxBytes > 0 {
		require.LessOrEqual(rt, got.Bytes, m.limits.MaxBytes)
	}
	got.Entries, got.Bytes, got.Expirations = 0, 0, 0
	got.Requests, got.RequestBytes = 0, 0
	want := m.want
	want.MaxEntries = int64(m.limits.MaxEntries)
	want.Expirations = 0
	require.Equal(rt, want, got)
}

func compareKeys(a, b backend.Key) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.ID, b.ID))
}
