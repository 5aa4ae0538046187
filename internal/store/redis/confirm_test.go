package redis_test

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/redistest"
	"session-api/internal/store/storetest"
)

// replicated is a primary with a replica, and the link between the two.
type replicated struct {
	primary, replica *redistest.Server
	link             *redistest.Proxy
}

func startReplicated(t testing.TB, opts ...redistest.Option) *replicated {
	t.Helper()
	r := &replicated{primary: redistest.Start(t, opts...), replica: redistest.Start(t, opts...)}
	r.link = redistest.StartProxy(t, r.primary.Addr())
	host, port := hostPort(t, r.link.Addr())
	require.Equal(t, "OK", r.replica.CLI("REPLICAOF", host, port))
	require.Eventually(t, func() bool {
		return strings.Contains(r.primary.CLI("INFO", "replication"), "state=online") &&
			strings.Contains(r.replica.CLI("INFO", "replication"), "master_link_status:up")
	}, patience, 5*time.Millisecond)
	return r
}

// cut stops what the primary sends the replica: neither of them notices.
func (r *replicated) cut() { r.link.Stall(redistest.Down) }

// promote makes the replica a primary, as a failover does, and returns a store on it.
func (r *replicated) promote(t testing.TB) *redis.Store {
	t.Helper()
	require.Equal(t, "OK", r.replica.CLI("REPLICAOF", "NO", "ONE"))
	return open(t, r.replica)
}

// confirmed makes changes wait for a replica, for as long as it takes.
func confirmed(o *redis.Options) {
	unhurried(o)
	o.WaitReplicas, o.WaitTimeout = 1, patience
}

// inVain makes changes wait for a replica that will not answer, and not for long.
func inVain(o *redis.Options) {
	confirmed(o)
	o.WaitTimeout = 20 * time.Millisecond
}

func endsOnly(o *redis.Options) { o.WaitEndsOnly = true }

// unconfirmed requires an error that says what is unknown.
func unconfirmed(t testing.TB, err error) {
	t.Helper()
	require.ErrorIs(t, err, conn.ErrUnconfirmed)
	require.ErrorIs(t, err, backend.ErrUnavailable)
	var unready *backend.UnreadyError
	require.ErrorAs(t, err, &unready)
	assert.Contains(t, unready.Reason, "outcome is unknown")
	assert.Contains(t, err.Error(), "0 of 1")
}

// before are sessions that the replica has when the link is cut, one for each change
// that follows.
type before struct {
	patched, moved, deleted, cleared, regenerated schema.Session
}

func createBefore(t testing.TB, s *redis.Store, now time.Time) before {
	t.Helper()
	return before{
		patched: create(t, s, now, spec{user: "ada", note: "old"}), moved: create(t, s, now, spec{user: "ada"}),
		deleted: create(t, s, now, spec{user: "ada"}), cleared: create(t, s, now, spec{user: "bob"}),
		regenerated: create(t, s, now, spec{user: "ada"}),
	}
}

// Without the setting, a failover loses what the replica had not heard of, although it
// was acknowledged. That is what the setting is for.
func TestAFailoverLosesWhatIsNotConfirmed(t *testing.T) {
	servers := startReplicated(t)
	now := schema.Now(ahead().Now())
	old := createBefore(t, open(t, servers.primary, confirmed), now)
	servers.cut()

	s := open(t, servers.primary)
	lost := create(t, s, now, spec{})
	_, err := s.Swap(t.Context(), now, old.patched, revised(t, now, old.patched, spec{user: "ada", note: "new"}))
	require.NoError(t, err)
	require.NoError(t, s.Delete(t.Context(), now, old.deleted.Key(), 0))

	promoted := servers.promote(t)
	_, err = promoted.Get(t.Context(), now, lost.Key())
	require.ErrorIs(t, err, backend.ErrNotFound)
	got, err := promoted.Get(t.Context(), now, old.patched.Key())
	require.NoError(t, err)
	assert.Equal(t, old.patched.Revision, got.Revision)
	_, err = promoted.Get(t.Context(), now, old.deleted.Key())
	require.NoError(t, err, "it was ended, and is back")
}

// With it, no change is acknowledged that the replica has not heard of.
func TestUnconfirmedChangesAreNotAcknowledged(t *testing.T) {
	servers := startReplicated(t)
	now := schema.Now(ahead().Now())
	linked := open(t, servers.primary, confirmed)
	old := createBefore(t, linked, now)
	created := create(t, linked, now, spec{note: "acknowledged"})
	ended := create(t, linked, now, spec{})
	require.NoError(t, linked.Delete(t.Context(), now, ended.Key(), 0))
	next := revised(t, now, created, spec{note: "acknowledged, too"})
	_, err := linked.Swap(t.Context(), now, created, next)
	require.NoError(t, err)
	servers.cut()

	s := open(t, servers.primary, inVain)
	fresh := newSession(t, now, spec{})
	unconfirmed(t, s.Create(t.Context(), now, fresh))
	_, err = s.Swap(t.Context(), now, old.patched, revised(t, now, old.patched, spec{user: "ada", note: "new"}))
	unconfirmed(t, err)
	_, err = s.Swap(t.Context(), now, old.moved, revised(t, now, old.moved, spec{user: "eve"}))
	unconfirmed(t, err)
	unconfirmed(t, s.Delete(t.Context(), now, old.deleted.Key(), 0))
	_, err = s.Clear(t.Context(), now, backend.Filter{Namespace: schema.DefaultNamespace, UserID: "bob"})
	unconfirmed(t, err)
	successor := old.regenerated.WithID(schema.NewID())
	unconfirmed(t, s.Regenerate(t.Context(), now, old.regenerated, successor, now))

	// All of them were made, and the primary shows it; reads wait for nobody.
	_, err = s.Get(t.Context(), now, fresh.Key())
	require.NoError(t, err)
	for _, gone := range []schema.Session{old.deleted, old.cleared, old.regenerated} {
		_, err = s.Get(t.Context(), now, gone.Key())
		require.ErrorIs(t, err, backend.ErrNotFound)
	}
	_, err = s.Get(t.Context(), now, successor.Key())
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{old.patched.ID, successor.ID}, list(t, s, now, "ada"))
	assert.Equal(t, []string{old.moved.ID}, list(t, s, now, "eve"))
	// What is refused is no change whose outcome were unknown.
	require.ErrorIs(t, s.Create(t.Context(), now, fresh), backend.ErrExists)
	require.ErrorIs(t, s.Delete(t.Context(), now, old.deleted.Key(), 0), backend.ErrNotFound)
	_, err = s.Swap(t.Context(), now, old.patched, revised(t, now, old.patched, spec{user: "ada"}))
	require.ErrorIs(t, err, backend.ErrConflict)
	_, err = s.Touch(t.Context(), now, fresh.Key(), now.Add(2*hour))
	require.NoError(t, err)

	promoted := servers.promote(t)
	got, err := promoted.Get(t.Context(), now, created.Key())
	require.NoError(t, err)
	assert.Equal(t, document(next), document(got))
	_, err = promoted.Get(t.Context(), now, ended.Key())
	require.ErrorIs(t, err, backend.ErrNotFound)
	// What was not acknowledged is as it was, and can be found and ended again: its
	// entries in the indexes were left alone.
	assert.ElementsMatch(t, []string{old.patched.ID, old.moved.ID, old.deleted.ID, old.regenerated.ID}, list(t, promoted, now, "ada"))
	n, err := promoted.Clear(t.Context(), now, backend.Filter{Namespace: schema.DefaultNamespace, UserID: "bob"})
	require.NoError(t, err)
	assert.Equal(t, 1, n)
}

// Ends can be waited for alone.
func TestOnlyEndsAreConfirmed(t *testing.T) {
	servers := startReplicated(t)
	now := schema.Now(ahead().Now())
	old := createBefore(t, open(t, servers.primary, confirmed), now)
	servers.cut()
	s := open(t, servers.primary, inVain, endsOnly)
	create(t, s, now, spec{})
	_, err := s.Swap(t.Context(), now, old.patched, revised(t, now, old.patched, spec{user: "ada", note: "new"}))
	require.NoError(t, err)
	_, err = s.Swap(t.Context(), now, old.moved, revised(t, now, old.moved, spec{user: "eve"}))
	unconfirmed(t, err)
	unconfirmed(t, s.Delete(t.Context(), now, old.deleted.Key(), 0))
	_, err = s.Clear(t.Context(), now, backend.Filter{Namespace: schema.DefaultNamespace, UserID: "bob"})
	unconfirmed(t, err)
	unconfirmed(t, s.Regenerate(t.Context(), now, old.regenerated, old.regenerated.WithID(schema.NewID()), now))
}

// history is what a client has done to a session.
type history struct {
	revision int64 // the last that was acknowledged
	ending   bool  // its end was asked for
	ended    bool  // and acknowledged
}

// While many clients create, change and end sessions, the link is cut, the primary
// dies and the replica is promoted: of what was acknowledged, nothing is missing and
// nothing ended is back.
func TestAFailoverBehindACutLink(t *testing.T) {
	servers := startReplicated(t)
	now := schema.Now(ahead().Now())
	s := open(t, servers.primary, confirmed)
	const clients = 8
	histories := make([]map[backend.Key]*history, clients)
	var rounds [clients]atomic.Int64
	var running sync.WaitGroup
	for i := range clients {
		histories[i] = map[backend.Key]*history{}
		running.Go(func() {
			for err := error(nil); err == nil; rounds[i].Add(1) {
				err = liveConfirmed(t, s, now, histories[i], rounds[i].Load()%2 == 0)
				if err != nil {
					assert.ErrorIs(t, err, backend.ErrUnavailable)
				}
			}
		})
	}
	progress := func() bool {
		for i := range rounds {
			if rounds[i].Load() < 10 {
				return false
			}
		}
		return true
	}
	require.Eventually(t, progress, patience, time.Millisecond)
	servers.cut()
	// None of them gets any further.
	require.Eventually(t, func() bool {
		return strings.Contains(servers.primary.CLI("INFO", "clients"), "blocked_clients:"+strconv.Itoa(clients)+"\r")
	}, patience, time.Millisecond)
	servers.primary.Kill()
	running.Wait()

	promoted := servers.promote(t)
	live, ended := 0, 0
	for _, each := range histories {
		for key, h := range each {
			got, err := promoted.Get(t.Context(), now, key)
			switch {
			case h.ended:
				ended++
				assert.ErrorIs(t, err, backend.ErrNotFound, "it was ended, and is back")
			case h.ending && errors.Is(err, backend.ErrNotFound):
			case assert.NoError(t, err, "it was acknowledged, and is missing"):
				live++
				assert.GreaterOrEqual(t, got.Revision, h.revision)
			}
		}
	}
	assert.Positive(t, live)
	assert.Positive(t, ended)
}

// liveConfirmed creates a session, changes it and perhaps ends it, and notes what was
// acknowledged.
func liveConfirmed(t testing.TB, s *redis.Store, now time.Time, done map[backend.Key]*history, end bool) error {
	t.Helper()
	sess := newSession(t, now, spec{user: "ada"})
	if err := s.Create(t.Context(), now, sess); err != nil {
		return err
	}
	h := &history{revision: sess.Revision}
	done[sess.Key()] = h
	next := revised(t, now, sess, spec{user: "ada", note: "new"})
	if _, err := s.Swap(t.Context(), now, sess, next); err != nil {
		return err
	}
	h.revision = next.Revision
	if !end {
		return nil
	}
	h.ending = true
	err := s.Delete(t.Context(), now, sess.Key(), 0)
	h.ended = err == nil
	return err
}

// onCluster are the options of a store on a Cluster.
func onCluster(cluster *redistest.Cluster, change ...func(*redis.Options)) redis.Options {
	return optionsAt("", append([]func(*redis.Options){unhurried, func(o *redis.Options) {
		o.Addresses, o.Cluster = cluster.Addrs(), true
	}}, change...)...)
}

// A change that a Cluster redirects is confirmed by the replicas of the server that
// makes it, not by those of the server that was asked first.
func TestTheServerThatMakesAChangeConfirmsIt(t *testing.T) {
	cluster := redistest.StartCluster(t)
	stores := map[bool]*redis.Store{}
	for vain, change := range map[bool]func(*redis.Options){false: confirmed, true: inVain} {
		s, err := redis.Open(t.Context(), onCluster(cluster, change))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		stores[vain] = s
	}
	now := schema.Now(ahead().Now())
	const id = "session-number-0"
	number := slotOf("session:" + id)
	slot := strconv.Itoa(int(number))
	ids := idsOf(number, 8)
	next := func() spec {
		id := ids[0]
		ids = ids[1:]
		return spec{id: id}
	}
	source := cluster.Primary("session:" + id)
	var target, replica *redistest.Server
	for _, node := range cluster.Nodes() {
		if replicas := cluster.Replicas(node); node != source && len(replicas) > 0 {
			target, replica = node, replicas[0]
		}
	}
	// Both stores have asked the source before.
	sess := create(t, stores[false], now, next())
	require.NoError(t, stores[false].Delete(t.Context(), now, sess.Key(), 0))
	if err := stores[true].Delete(t.Context(), now, sess.Key(), 0); err != nil {
		require.ErrorIs(t, err, backend.ErrNotFound)
	}
	replica.Pause()
	require.Equal(t, "OK", target.CLI("CLUSTER", "SETSLOT", slot, "IMPORTING", source.CLI("CLUSTER", "MYID")))
	require.Equal(t, "OK", source.CLI("CLUSTER", "SETSLOT", slot, "MIGRATING", target.CLI("CLUSTER", "MYID")))
	unconfirmed(t, stores[true].Create(t.Context(), now, newSession(t, now, next()))) // by ASK
	for _, node := range []*redistest.Server{target, source} {
		require.Equal(t, "OK", node.CLI("CLUSTER", "SETSLOT", slot, "NODE", target.CLI("CLUSTER", "MYID")))
	}
	unconfirmed(t, stores[true].Create(t.Context(), now, newSession(t, now, next()))) // by MOVED
	replica.Resume()
	create(t, stores[false], now, next())
}

// withWait are the documented rights, and the one that waiting needs.
func withWait(t testing.TB) redistest.Option {
	t.Helper()
	rules := append([]string{userOfServer, "on", ">" + passwordOfUsers}, documented(t, userOfServer)...)
	return redistest.Set("user", append(rules, "+wait")...)
}

func TestTheRightToWait(t *testing.T) {
	servers := startReplicated(t, withWait(t))
	exercise(t, open(t, servers.primary, asLimited, confirmed))

	_, err := redis.Open(t.Context(), optionsAt(redistest.Start(t, limited(t)).Addr(), asLimited, confirmed))
	require.ErrorContains(t, err, "+wait")
}

// The suite holds where every change is confirmed by a replica.
func TestStoreWithConfirmedChanges(t *testing.T) {
	servers := startReplicated(t, withWait(t))
	soaktest.RandomRuns(t, 8)
	storetest.RunWithout(t, suite(servers.primary, confirmed), slices.Concat(ofOneReader, ofReaders, ofRules)...)
}

func TestStoreOnClusterWithConfirmedChanges(t *testing.T) {
	cluster := redistest.StartCluster(t, withWait(t))
	soaktest.RandomRuns(t, 8)
	storetest.RunWithout(t, func(t testing.TB, limits storetest.Limits) (backend.Store, storetest.Clock) {
		t.Helper()
		for _, node := range cluster.Nodes() {
			node.CLI("FLUSHALL") // a replica refuses, and follows
		}
		s, err := redis.Open(t.Context(), onCluster(cluster, asLimited, within(limits), confirmed))
		require.NoError(t, err)
		return s, ahead()
	}, slices.Concat(ofOneServer, ofOneKey, ofReaders)...)
}
