package redis_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/historytest"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/redistest"
)

// histories are what a run over a store on Redis is like. The clock is ahead of
// the server's, so that nothing expires.
func histories(stores ...backend.Store) historytest.Load {
	return historytest.Load{
		Instances: stores, Now: ahead().Now(), Tombstones: true, TwoSteps: true, Hasty: 20,
	}
}

func remembering(o *redis.Options) {
	o.Timeout, o.DialTimeout = 300*time.Millisecond, 300*time.Millisecond // so that much gets no answer
	o.Tombstone = 72 * hour
}

func TestHistories(t *testing.T) {
	server := redistest.Start(t)
	historytest.Check(t, histories(open(t, server, remembering), open(t, server, remembering)))
}

// Sessions with so many files keep what a change leaves of their entries.
func TestHistoriesWithManyFiles(t *testing.T) {
	server := redistest.Start(t)
	load := histories(open(t, server, remembering), open(t, server, remembering))
	load.Files = 80
	historytest.Check(t, load)
}

func TestHistoriesWithManyFilesInACluster(t *testing.T) {
	cluster := redistest.StartCluster(t)
	inCluster := func(o *redis.Options) { o.Addresses, o.Cluster = cluster.Addrs(), true }
	load := histories(openAt(t, "", remembering, inCluster), openAt(t, "", remembering, inCluster))
	load.Files = 80
	historytest.Check(t, load)
}

// One instance is far away, so that much happens between two steps of it.
func TestHistoriesOfADistantInstance(t *testing.T) {
	server := redistest.Start(t)
	far := redistest.StartProxy(t, server.Addr())
	far.SetLatency(redistest.Up, 3*time.Millisecond)
	historytest.Check(t, histories(open(t, server, remembering), openAt(t, far.Addr(), remembering)))
}

func TestHistoriesInACluster(t *testing.T) {
	cluster := redistest.StartCluster(t)
	inCluster := func(o *redis.Options) { o.Addresses, o.Cluster = cluster.Addrs(), true }
	historytest.Check(t, histories(openAt(t, "", remembering, inCluster), openAt(t, "", remembering, inCluster)))
}

// What another instance changed shows when the word arrives: that takes longer
// on a busy machine than on any network.
func TestHistoriesWithAClientCache(t *testing.T) {
	server := redistest.Start(t)
	load := histories(open(t, server, remembering, withCache), open(t, server, remembering, withCache))
	load.Readers = 1
	load.Stale = 200 * time.Millisecond
	load.Families, load.Operations, load.Pace = 20, 100, 2*time.Millisecond
	historytest.Check(t, load)
}

// network are the faults of the ways between instances and their server.
func network(proxies []*redistest.Proxy) func(r *historytest.Run) {
	return func(r *historytest.Run) {
		r.PauseUpTo(50 * time.Millisecond)
		r.Fault()
		p := proxies[r.Rand().IntN(len(proxies))]
		direction := redistest.Direction(r.Rand().IntN(2))
		switch r.Rand().IntN(6) {
		case 0, 1:
			p.Cut()
		case 2:
			p.Stall(direction)
			r.PauseUpTo(500 * time.Millisecond) // longer than operations wait
			p.Flow(direction)
		case 3: // what was on its way is lost
			p.Stall(direction)
			r.PauseUpTo(100 * time.Millisecond)
			p.Cut()
			p.Flow(direction)
		case 4:
			p.SetLatency(direction, time.Duration(r.Rand().IntN(20))*time.Millisecond)
			r.PauseUpTo(200 * time.Millisecond)
			p.SetLatency(direction, 0)
		default:
			p.Refuse()
			p.Cut()
			r.PauseUpTo(100 * time.Millisecond)
			p.Accept()
		}
	}
}

// behindProxies opens two instances, each behind a proxy of its own.
func behindProxies(t *testing.T, server *redistest.Server, change ...func(*redis.Options)) ([]backend.Store, []*redistest.Proxy) {
	t.Helper()
	var stores []backend.Store
	var proxies []*redistest.Proxy
	for range 2 {
		p := redistest.StartProxy(t, server.Addr())
		proxies = append(proxies, p)
		stores = append(stores, openAt(t, p.Addr(), append(change, remembering)...))
	}
	return stores, proxies
}

func TestHistoriesOnABadNetwork(t *testing.T) {
	stores, proxies := behindProxies(t, redistest.Start(t))
	load := histories(stores...)
	load.Faults = network(proxies)
	historytest.Check(t, load)
}

// A cache that hears nothing any more is found out after this time.
func TestHistoriesOnABadNetworkWithAClientCache(t *testing.T) {
	stores, proxies := behindProxies(t, redistest.Start(t), withCache)
	load := histories(stores...)
	load.Readers = 1
	load.Stale = 2*500*time.Millisecond + 300*time.Millisecond + 200*time.Millisecond
	load.Families, load.Operations, load.Pace = 60, 60, 5*time.Millisecond
	load.Faults = network(proxies)
	historytest.Check(t, load)
}

// kill -9, an interruption of any length, and all faults of the network.
func TestHistoriesOfAServerThatIsKilled(t *testing.T) {
	server := redistest.Start(t, redistest.AppendOnly("always"))
	stores, proxies := behindProxies(t, server)
	load := histories(stores...)
	bad := network(proxies)
	load.Faults = func(r *historytest.Run) {
		switch r.Rand().IntN(6) {
		case 0:
			r.PauseUpTo(100 * time.Millisecond)
			r.Fault()
			server.Kill()
			server.Restart()
		case 1:
			r.PauseUpTo(100 * time.Millisecond)
			r.Fault()
			server.Pause()
			r.PauseUpTo(500 * time.Millisecond)
			server.Resume()
		default:
			bad(r)
		}
	}
	historytest.Check(t, load)
}

// Whoever is told of a successor, by its old id's grace, can use it at once:
// also where the instance that makes it is not yet done.
func TestASuccessorThatIsShownIsThere(t *testing.T) {
	server := redistest.Start(t)
	far := redistest.StartProxy(t, server.Addr())
	maker, other := openAt(t, far.Addr()), open(t, server)
	now := schema.Now(ahead().Now())
	exercise(t, maker) // it is connected, and the server knows the scripts
	sess := create(t, other, now, spec{})
	next := sess.WithID(schema.NewID())
	far.SetLatency(redistest.Up, 100*time.Millisecond)
	made := make(chan error, 1)
	go func() { made <- maker.Regenerate(t.Context(), now, sess, next, now.Add(hour)) }()
	for {
		got, err := other.Get(t.Context(), now, sess.Key())
		require.NoError(t, err)
		if got.ID != sess.ID {
			require.Equal(t, next.ID, got.ID)
			break
		}
	}
	_, err := other.Get(t.Context(), now, next.Key())
	require.NoError(t, err)
	require.NoError(t, <-made)
}

// A reader reads the deadline, then the session with its grace. Who puts a session
// in the place of the grace between the two makes neither of them missing.
func TestAReaderBetweenAGraceAndASessionFindsOneOfThem(t *testing.T) {
	server := redistest.Start(t)
	way := redistest.StartProxy(t, server.Addr())
	reader, other := openAt(t, way.Addr()), open(t, server)
	now := schema.Now(ahead().Now())
	exercise(t, reader)
	for name, read := range map[string]func(key schema.Key) (schema.Session, error){
		"Peek": func(key schema.Key) (schema.Session, error) { return reader.Peek(t.Context(), now, key) },
		"Get":  func(key schema.Key) (schema.Session, error) { return reader.Get(t.Context(), now, key) },
	} {
		t.Run(name, func(t *testing.T) {
			sess := create(t, other, now, spec{})
			next := sess.WithID(schema.NewID())
			require.NoError(t, other.Regenerate(t.Context(), now, sess, next, now.Add(hour)))
			between := false
			way.Before("*3\r\n$4\r\nMGET\r\n", func() {
				between = true
				revived := sess
				revived.Life = schema.NewLife()
				assert.NoError(t, other.Create(t.Context(), now, revived, backend.Revive))
			})
			got, err := read(sess.Key())
			require.NoError(t, err)
			assert.Contains(t, []string{sess.ID, next.ID}, got.ID)
			assert.True(t, between)
		})
	}
}
