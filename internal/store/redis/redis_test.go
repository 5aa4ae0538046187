package redis_test

import (
	"context"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/soaktest"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/redistest"
	"session-api/internal/store/storetest"
)

// suite opens the stores of the conformance suite on one server, each empty. They
// are the documented user: what it lacks would be missed here.
func suite(server *redistest.Server, change ...func(*redis.Options)) storetest.Open {
	return func(t testing.TB, limits storetest.Limits) (backend.Store, storetest.Clock) {
		t.Helper()
		require.Equal(t, "OK", server.CLI("FLUSHALL"))
		s, err := redis.Open(t.Context(), optionsAt(server.Addr(), append(change, within(limits), asLimited)...))
		require.NoError(t, err)
		return s, ahead()
	}
}

// within keeps what the suite asks for, and gives operations the time that they
// may need on a busy machine.
func within(limits storetest.Limits) func(*redis.Options) {
	return func(o *redis.Options) {
		o.Tombstone, o.Events = limits.Tombstone, limits.Events
		unhurried(o)
	}
}

func unhurried(o *redis.Options) { o.Timeout, o.DialTimeout = patience, patience }

// ofOneReader are groups of the suite in which it makes no difference how a value
// is written, or by which instance: they walk indexes, or try every combination of
// settings.
var ofOneReader = []string{"Count", "Cursor", "LimitLife", "Settings", "Many"}

// ofRules are groups about store.Sessions: the rules above a store, which use it by
// the operations that other groups are about.
var ofRules = []string{"Settings", "Sessions", "Put", "SignIn", "Attempts"}

// ofOneKey are groups in which it makes no difference that keys are on several
// servers: they look at one session, or at what the process makes of the answers of
// all, of which other groups have a few.
var ofOneKey = []string{"Tombstones", "Life", "LimitLife", "Cursor", "Many"}

// ofReaders are groups in which it makes no difference whether a change is confirmed:
// they look at what was changed, or at what tells of it.
var ofReaders = []string{"Read", "Namespaces", "Stats", "Events", "Follow"}

// ofOneServer are groups in which it makes no difference how a server is found:
// cases of what the server does, of which others tell whether it is asked.
var ofOneServer = slices.Concat([]string{
	"Tombstones", "OldKeys", "Grace", "Expiry", "List", "Clear", "Files", "Concurrent", "Model",
}, ofOneReader, ofRules)

func TestStore(t *testing.T) {
	for _, binary := range redistest.Binaries(t) {
		variants := map[string]func(*redis.Options){
			"plain":                    func(*redis.Options) {},
			"compressed, client cache": func(o *redis.Options) { withCompression(o); withCache(o) },
		}
		if soaktest.Long() {
			variants["compressed"], variants["client cache"] = withCompression, withCache
		}
		for name, change := range variants {
			t.Run(filepath.Base(binary)+", "+name, func(t *testing.T) {
				soaktest.RandomRuns(t, 8)
				open := suite(redistest.Start(t, redistest.Binary(binary), limited(t)), change)
				if name == "plain" {
					storetest.Run(t, open)
				} else {
					storetest.RunWithout(t, open, ofOneReader...)
				}
			})
		}
	}
}

// Every operation on another instance than the one before, under another
// prefix: what one does, the other sees at once, whether it compresses or not.
func TestStoreOfTwoInstances(t *testing.T) {
	server := redistest.Start(t)
	soaktest.RandomRuns(t, 8)
	storetest.RunWithout(t, func(t testing.TB, limits storetest.Limits) (backend.Store, storetest.Clock) {
		t.Helper()
		prefix := withPrefix("app/v1.sess_2-")
		require.Equal(t, "OK", server.CLI("FLUSHALL"))
		clock := ahead()
		one := open(t, server, prefix, within(limits))
		return &pair{instances: [2]backend.Store{one, open(t, server, prefix, withCompression, within(limits))}}, clock
	}, ofOneReader...)
}

// pair is a store that is two instances of one.
type pair struct {
	instances [2]backend.Store
	calls     atomic.Int64
}

func (p *pair) next() backend.Store { return p.instances[p.calls.Add(1)%2] }

func (p *pair) Name() string { return p.next().Name() }

func (p *pair) Create(ctx context.Context, now time.Time, s schema.Session, opts ...backend.CreateOption) error {
	return p.next().Create(ctx, now, s, opts...)
}

func (p *pair) Get(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	return p.next().Get(ctx, now, key)
}

func (p *pair) Peek(ctx context.Context, now time.Time, key backend.Key) (schema.Session, error) {
	return p.next().Peek(ctx, now, key)
}

func (p *pair) Swap(ctx context.Context, now time.Time, old, next schema.Session) (schema.Session, error) {
	return p.next().Swap(ctx, now, old, next)
}

func (p *pair) Touch(ctx context.Context, now time.Time, key backend.Key, until time.Time) (schema.Session, error) {
	return p.next().Touch(ctx, now, key, until)
}

func (p *pair) Regenerate(ctx context.Context, now time.Time, old, next schema.Session, graceUntil time.Time) error {
	return p.next().Regenerate(ctx, now, old, next, graceUntil)
}

func (p *pair) Delete(ctx context.Context, now time.Time, key backend.Key, revision int64) error {
	return p.next().Delete(ctx, now, key, revision)
}

func (p *pair) GetAll(ctx context.Context, now time.Time, b backend.Batch) ([]backend.Found[schema.Session], error) {
	return p.next().GetAll(ctx, now, b)
}

func (p *pair) Summarize(ctx context.Context, now time.Time, namespace string, ids []string) ([]backend.Found[schema.Summary], error) {
	return p.next().Summarize(ctx, now, namespace, ids)
}

func (p *pair) DeleteAll(ctx context.Context, now time.Time, namespace string, ids []string) ([]bool, error) {
	return p.next().DeleteAll(ctx, now, namespace, ids)
}

func (p *pair) Summaries(ctx context.Context, now time.Time, q backend.Query) (backend.SummaryPage, error) {
	return p.next().Summaries(ctx, now, q)
}

func (p *pair) List(ctx context.Context, now time.Time, q backend.Query) (backend.Page, error) {
	return p.next().List(ctx, now, q)
}

func (p *pair) Namespaces(ctx context.Context, now time.Time) ([]string, error) {
	return p.next().Namespaces(ctx, now)
}

func (p *pair) Count(ctx context.Context, now time.Time, f backend.Filter) (int, error) {
	return p.next().Count(ctx, now, f)
}

func (p *pair) Follow(ctx context.Context, after string, yield func(backend.Event) error) error {
	return p.next().Follow(ctx, after, yield)
}

func (p *pair) Clear(ctx context.Context, now time.Time, f backend.Filter) (int, error) {
	return p.next().Clear(ctx, now, f)
}

func (p *pair) Files(ctx context.Context, now time.Time, yield func(path string) error) error {
	return p.next().Files(ctx, now, yield)
}

func (p *pair) HasFile(ctx context.Context, now time.Time, paths ...string) (bool, error) {
	return p.next().HasFile(ctx, now, paths...)
}

func (p *pair) LoadState(ctx context.Context, name string) ([]byte, error) {
	return p.next().LoadState(ctx, name)
}

func (p *pair) SwapState(ctx context.Context, name string, old, next []byte) error {
	return p.next().SwapState(ctx, name, old, next)
}

func (p *pair) BeginRequest(ctx context.Context, now time.Time, key backend.RequestKey, r backend.Request) (backend.Request, bool, error) {
	return p.next().BeginRequest(ctx, now, key, r)
}

func (p *pair) AnswerRequest(ctx context.Context, now time.Time, key backend.RequestKey, r backend.Request) error {
	return p.next().AnswerRequest(ctx, now, key, r)
}

func (p *pair) AbandonRequest(ctx context.Context, now time.Time, key backend.RequestKey, lease time.Time, forget bool) error {
	return p.next().AbandonRequest(ctx, now, key, lease, forget)
}

func (p *pair) LimitLife(limit time.Duration) {
	for _, s := range p.instances {
		s.LimitLife(limit)
	}
}

func (p *pair) Sweep(ctx context.Context, now time.Time) (int, error) {
	return p.next().Sweep(ctx, now)
}

// Stats adds up what each instance counts for itself.
func (p *pair) Stats(ctx context.Context, now time.Time) (backend.Stats, error) {
	sum, err := p.instances[0].Stats(ctx, now)
	if err != nil {
		return backend.Stats{}, err
	}
	other, err := p.instances[1].Stats(ctx, now)
	sum.Hits += other.Hits
	sum.Misses += other.Misses
	sum.Sets += other.Sets
	sum.Deletes += other.Deletes
	sum.Evictions += other.Evictions
	sum.Expirations += other.Expirations
	return sum, err
}

func (p *pair) Ping(ctx context.Context) error { return p.next().Ping(ctx) }

func (p *pair) Close() error { return p.instances[0].Close() }

func TestStoreOnCluster(t *testing.T) {
	cluster := redistest.StartCluster(t, limited(t))
	soaktest.RandomRuns(t, 8)
	storetest.RunWithout(t, func(t testing.TB, limits storetest.Limits) (backend.Store, storetest.Clock) {
		t.Helper()
		for _, node := range cluster.Nodes() {
			node.CLI("FLUSHALL") // a replica refuses, and follows
		}
		s, err := redis.Open(t.Context(), redis.Options{
			Server: conn.Server{Username: userOfServer, Password: passwordOfUsers, Addresses: cluster.Addrs(), Cluster: true, Timeout: patience, DialTimeout: patience}, Tombstone: limits.Tombstone, Events: limits.Events,
		})
		require.NoError(t, err)
		return s, ahead()
	}, slices.Concat(ofOneKey, ofRules)...)
}

func TestStoreUnderSentinel(t *testing.T) {
	group := redistest.StartSentinel(t, limited(t), limitedSentinel(t))
	soaktest.RandomRuns(t, 8)
	storetest.RunWithout(t, func(t testing.TB, limits storetest.Limits) (backend.Store, storetest.Clock) {
		t.Helper()
		require.Equal(t, "OK", group.Primary().CLI("FLUSHALL"))
		s, err := redis.Open(t.Context(), redis.Options{
			Server: conn.Server{Username: userOfServer, Password: passwordOfUsers, SentinelUsername: userOfSentinels, SentinelPassword: passwordOfUsers, Addresses: group.Addrs(), Primary: group.MasterName(), Timeout: patience, DialTimeout: patience}, Tombstone: limits.Tombstone, Events: limits.Events,
		})
		require.NoError(t, err)
		return s, ahead()
	}, ofOneServer...)
}
