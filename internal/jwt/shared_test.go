package jwt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/soaktest"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/redistest"
)

// keysOf returns the ids of an issuer's keys at now.
func keysOf(t testing.TB, i *Issuer, now time.Time) []string {
	t.Helper()
	set, err := i.keys(t.Context(), now)
	require.NoError(t, err)
	ids := make([]string, len(set.keys))
	for n, k := range set.keys {
		ids[n] = k.id
	}
	return ids
}

// each calls f for each of n instances at the same time.
func each(n int, f func(int)) {
	var all sync.WaitGroup
	ready := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-ready
			f(i)
		})
	}
	close(ready)
	all.Wait()
}

// 64 instances start at the same time, live through several replacements of the key, with
// clocks that differ by some minutes, and each verifies at once what any other signs; a
// consumer that reads the published keys no more often than they say does, too.
func TestSharedKeys_instances(t *testing.T) {
	t.Run("memory", func(t *testing.T) {
		states := newStates(t)
		tryInstances(t, 233*time.Minute, soaktest.Times(26, 100), func(int) States { return states })
	})
	t.Run("redis", func(t *testing.T) {
		server := redistest.Start(t)
		stores := make([]States, 8) // a connection for eight instances
		for n := range stores {
			kept, err := redis.Open(t.Context(), redis.Options{Server: conn.Server{Addresses: []string{server.Addr()}}})
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, kept.Close()) })
			stores[n] = kept
		}
		tryInstances(t, 193*time.Minute, soaktest.Times(32, 100), func(n int) States { return stores[n%len(stores)] })
	})
}

// tryInstances lets 64 instances sign and verify in so many rounds, with a step of time
// between them.
func tryInstances(t *testing.T, step time.Duration, rounds int, statesOf func(n int) States) {
	t.Helper()
	const instances = 64
	issuers, skews := make([]*Issuer, instances), make([]time.Duration, instances)
	random := rand.New(rand.NewPCG(1, 2)) // so that a failure can be repeated
	for n := range issuers {
		issuers[n] = newTestIssuer(t, statesOf(n), [][]byte{secret}, func(o *Options) { o.Rotate = 24 * time.Hour })
		if n > 0 {
			skews[n] = time.Duration(random.Int64N(int64(2*time.Minute))) - time.Minute
		}
	}
	lead := issuers[0].schedule.lead()
	require.Equal(t, 6*time.Hour, lead)

	var cached []byte
	var cachedAt time.Time
	signers := map[string]bool{}
	now := began
	for range rounds {
		tokens := make([]Token, instances)
		each(instances, func(n int) {
			at := now.Add(skews[n])
			sess := newSession(t, at.Add(-time.Minute), signedIn)
			tokens[n] = issueTo(t, issuers[n], at, sess)
		})
		byKey := map[string]string{} // what goes for one token of a key goes for all
		for _, token := range tokens {
			byKey[token.signedBy] = token.Text
			signers[token.signedBy] = true
		}
		maxAge := issuers[0].schedule.maxAge()
		if cachedAt.IsZero() || now.Sub(cachedAt) >= maxAge {
			cached, cachedAt = keySetOf(t, issuers[random.IntN(instances)], now), now
		}
		each(instances, func(n int) {
			at := now.Add(skews[n])
			for _, token := range byKey {
				_, err := issuers[n].Open(t.Context(), at, token)
				assert.NoError(t, err, "instance %d at %v", n, at)
			}
		})
		for _, token := range byKey {
			_, _, ok := verifyByHand(t, cached, token)
			require.True(t, ok, "a consumer's cache of %v at %v", cachedAt, now)
		}
		if t.Failed() {
			return
		}
		now = now.Add(step)
	}
	// All see one set once they have looked again.
	sets := make([]string, instances)
	each(instances, func(n int) { sets[n] = strings.Join(keysOf(t, issuers[n], now.Add(2*time.Minute)), " ") })
	assert.Len(t, slices.Compact(slices.Sorted(slices.Values(sets))), 1)
	assert.GreaterOrEqual(t, len(signers), 4, "a key a day signs")
}

// Instances that start at the same time make one key.
func TestSharedKeys_firstKey(t *testing.T) {
	states := newStates(t)
	sets := make([]string, 64)
	each(len(sets), func(n int) {
		sets[n] = string(keySetOf(t, newTestIssuer(t, states, [][]byte{secret}), began))
	})
	assert.Len(t, slices.Compact(sets), 1)
	assert.Equal(t, 1, strings.Count(sets[0], `"kid"`))
}

// The next key is published a day before it signs, and the last one until its tokens have
// expired.
func TestSharedKeys_schedule(t *testing.T) {
	i := newTestIssuer(t, newStates(t), [][]byte{secret})
	day := 24 * time.Hour
	first := keysOf(t, i, began)
	require.Len(t, first, 1)
	assert.Equal(t, first, keysOf(t, i, began.Add(29*day-time.Minute)))
	both := keysOf(t, i, began.Add(29*day))
	require.Len(t, both, 2)
	assert.Equal(t, first[0], both[0])
	signedWith := func(now time.Time) string { return issueTo(t, i, now, newSession(t, now, `{}`)).signedBy }
	assert.Equal(t, both[0], signedWith(began.Add(30*day-time.Millisecond)))
	assert.Equal(t, both[1], signedWith(began.Add(30*day)))
	assert.Equal(t, both, keysOf(t, i, began.Add(30*day+retention)))
	assert.Equal(t, both[1:], keysOf(t, i, began.Add(30*day+retention+2*time.Minute)))

	// After a long pause, the old key goes on until the next has been published.
	late := began.Add(200 * day)
	after := keysOf(t, i, late)
	require.Len(t, after, 2)
	assert.Equal(t, both[1], after[0])
	assert.Equal(t, after[0], signedWith(late.Add(day-time.Millisecond)))
	assert.Equal(t, after[1], signedWith(late.Add(day)))
}

// Another algorithm begins with a key that has been published, and both are there while
// instances differ.
func TestSharedKeys_algorithm(t *testing.T) {
	states := newStates(t)
	before := newTestIssuer(t, states, [][]byte{secret})
	require.Len(t, keysOf(t, before, began), 1)
	after := newTestIssuer(t, states, [][]byte{secret}, func(o *Options) { o.Algorithm = EdDSA })
	now := began.Add(time.Hour)
	for range 100 {
		for _, signs := range []*Issuer{before, after} {
			token := issueTo(t, signs, now, newSession(t, now, `{}`))
			for _, verifies := range []*Issuer{before, after} {
				_, err := verifies.Open(t.Context(), now, token.Text)
				require.NoError(t, err)
			}
		}
		now = now.Add(time.Hour)
	}
	set, err := after.keys(t.Context(), began.Add(time.Hour))
	require.NoError(t, err)
	assert.Equal(t, ES256, set.signing(began.Add(25*time.Hour-time.Millisecond)).algorithm)
	alone := newTestIssuer(t, newStates(t), [][]byte{secret}, func(o *Options) { o.Algorithm = EdDSA })
	set, err = alone.keys(t.Context(), began)
	require.NoError(t, err)
	assert.Equal(t, EdDSA, set.signing(began).algorithm)
}

// Private keys are not to be found in the store, and nobody without the secret can put
// keys there.
func TestSharedKeys_sealed(t *testing.T) {
	states := newStates(t)
	i := newTestIssuer(t, states, [][]byte{secret})
	set, err := i.keys(t.Context(), began)
	require.NoError(t, err)
	raw, err := states.LoadState(t.Context(), stateName)
	require.NoError(t, err)
	assert.NotContains(t, string(raw), `"d"`)
	assert.NotContains(t, string(raw), set.keys[0].id)

	foreign := newTestIssuer(t, newStates(t), [][]byte{other})
	planted := keysOf(t, foreign, began)[0]
	sealers, err := newSealers([][]byte{other})
	require.NoError(t, err)
	theirs, err := foreign.keys(t.Context(), began)
	require.NoError(t, err)
	forged, err := sealState(raw, sealers, theirs.keys, began)
	require.NoError(t, err)
	require.NoError(t, states.SwapState(t.Context(), stateName, raw, forged))
	fresh := newTestIssuer(t, states, [][]byte{secret})
	assert.NotContains(t, keysOf(t, fresh, began), planted)
	assert.Equal(t, keysOf(t, i, began), keysOf(t, fresh, began), "the own copy is there as before")
}

// Whatever is changed in a state, an issuer does not take keys from it that are not its
// own, and goes on.
func TestSharedKeys_damagedState(t *testing.T) {
	states := newStates(t)
	before := keysOf(t, newTestIssuer(t, states, [][]byte{secret}), began)
	raw, err := states.LoadState(t.Context(), stateName)
	require.NoError(t, err)
	for at := range raw {
		damaged := bytes.Clone(raw)
		damaged[at] ^= 0x01
		s := newStates(t)
		require.NoError(t, s.SwapState(t.Context(), stateName, nil, damaged))
		i := newTestIssuer(t, s, [][]byte{secret})
		set, err := i.keys(t.Context(), began)
		if errors.Is(err, errNewer) { // the version
			continue
		}
		require.NoError(t, err, "byte %d", at)
		if set.keys[0].id != before[0] {
			require.Len(t, set.keys, 1)
		}
		_, err = i.Open(t.Context(), began, issueTo(t, i, began, newSession(t, began, `{}`)).Text)
		require.NoError(t, err)
	}
}

// The copy is of one secret: one that is moved to the name of another does not open.
func TestSealer_bindsItsName(t *testing.T) {
	sealers, err := newSealers([][]byte{secret, other})
	require.NoError(t, err)
	k, err := newKey(ES256, began)
	require.NoError(t, err)
	c, err := sealers[0].seal([]*key{k}, began)
	require.NoError(t, err)
	_, err = sealers[0].open(&c)
	require.NoError(t, err)
	_, err = sealers[1].open(&c)
	require.ErrorIs(t, err, errSealed)
	renamed := sealer{sealers[1].name, sealers[0].aead}
	_, err = renamed.open(&c)
	require.ErrorIs(t, err, errSealed)
}

// A secret is replaced while instances run: whatever the order in which they learn of it,
// they verify each other's tokens, and in the end the old secret opens nothing.
func TestSharedKeys_secretIsReplaced(t *testing.T) {
	states := newStates(t)
	a, b := newTestIssuer(t, states, [][]byte{secret}), newTestIssuer(t, states, [][]byte{secret})
	now := began
	agree := func() {
		t.Helper()
		for _, signs := range []*Issuer{a, b} {
			token := issueTo(t, signs, now, newSession(t, now, `{}`))
			for _, verifies := range []*Issuer{a, b} {
				_, err := verifies.Open(t.Context(), now, token.Text)
				require.NoError(t, err)
			}
		}
		now = now.Add(2 * time.Minute)
	}
	agree()
	first := keysOf(t, a, now)
	require.NoError(t, a.SetSecrets([][]byte{other, secret}, nil))
	for range 60 { // for longer than foreignFor
		agree()
	}
	require.NoError(t, b.SetSecrets([][]byte{other, secret}, nil))
	agree()
	require.NoError(t, a.SetSecrets([][]byte{other}, nil))
	agree()
	require.NoError(t, b.SetSecrets([][]byte{other}, nil))
	for range 60 {
		agree()
	}
	assert.Equal(t, first, keysOf(t, b, now), "the keys are the same all the time")

	raw, err := states.LoadState(t.Context(), stateName)
	require.NoError(t, err)
	old, err := newSealers([][]byte{secret})
	require.NoError(t, err)
	opened, _, err := openState(raw, old, now)
	require.NoError(t, err)
	assert.Empty(t, opened)
}

// Where every start has another secret, in development, keys are made anew, and the state
// does not grow.
func TestSharedKeys_randomSecrets(t *testing.T) {
	states := newStates(t)
	seen := map[string]bool{}
	for n := range 2 * maxCopies {
		i := newTestIssuer(t, states, [][]byte{fmt.Appendf(nil, "random secret %d of development", n)})
		ids := keysOf(t, i, began)
		require.Len(t, ids, 1)
		require.False(t, seen[ids[0]])
		seen[ids[0]] = true
	}
	raw, err := states.LoadState(t.Context(), stateName)
	require.NoError(t, err)
	assert.Equal(t, maxCopies, strings.Count(string(raw), `"sealed"`))
}

// failing are states that fail on demand, and count their calls.
type failing struct {
	States
	broken, conflicting atomic.Bool
	loads               atomic.Int64
}

var errBroken = errors.New("the store is down")

func (f *failing) LoadState(ctx context.Context, name string) ([]byte, error) {
	f.loads.Add(1)
	if f.broken.Load() {
		return nil, errBroken
	}
	return f.States.LoadState(ctx, name)
}

func (f *failing) SwapState(ctx context.Context, name string, old, next []byte) error {
	if f.conflicting.Load() {
		return errBroken
	}
	return f.States.SwapState(ctx, name, old, next)
}

// While the store is down, an instance goes on with the keys that it has, but not for so
// long that others could sign with a key that it does not know.
func TestSharedKeys_storeFails(t *testing.T) {
	states := &failing{States: newStates(t)}
	var log bytes.Buffer
	i, err := New(Options{Issuer: testIssuer, Algorithm: ES256, TTL: time.Minute, Rotate: 24 * time.Hour},
		states, [][]byte{secret}, slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)
	states.broken.Store(true)
	_, err = i.KeySet(t.Context(), began)
	require.ErrorIs(t, err, errBroken)
	states.broken.Store(false)
	states.conflicting.Store(true)
	_, err = i.KeySet(t.Context(), began)
	require.ErrorIs(t, err, errBroken, "a write that fails is no conflict")
	states.conflicting.Store(false)
	first := keysOf(t, i, began)

	states.broken.Store(true)
	before := states.loads.Load()
	for n := range 10 {
		assert.Equal(t, first, keysOf(t, i, began.Add(time.Hour+time.Duration(n)*time.Second)))
	}
	assert.Equal(t, before+2, states.loads.Load(), "it is asked every few seconds")
	assert.Contains(t, log.String(), "cannot be read")
	_, err = i.KeySet(t.Context(), began.Add(3*time.Hour))
	require.ErrorIs(t, err, errBroken)
	states.broken.Store(false)
	assert.Equal(t, first, keysOf(t, i, began.Add(3*time.Hour)))
}

// Tokens that name unknown keys do not make the store read at will.
func TestSharedKeys_unknownKeys(t *testing.T) {
	states := &failing{States: newStates(t)}
	i := newTestIssuer(t, states, [][]byte{secret})
	require.Len(t, keysOf(t, i, began), 1)
	sess := newSession(t, began, `{}`)
	token := issueTo(t, newTestIssuer(t, newStates(t), [][]byte{secret}), began, sess).Text
	before := states.loads.Load()
	for n := range 100 {
		_, err := i.Open(t.Context(), began.Add(time.Duration(n)*100*time.Millisecond), token)
		require.ErrorIs(t, err, ErrInvalid)
	}
	assert.LessOrEqual(t, states.loads.Load()-before, int64(10))
}

// A newer version's state is not overwritten.
func TestSharedKeys_newerState(t *testing.T) {
	states := newStates(t)
	newer := []byte(`{"version":2,"copies":[]}`)
	require.NoError(t, states.SwapState(t.Context(), stateName, nil, newer))
	_, err := newTestIssuer(t, states, [][]byte{secret}).KeySet(t.Context(), began)
	require.ErrorIs(t, err, errNewer)
	raw, err := states.LoadState(t.Context(), stateName)
	require.NoError(t, err)
	assert.Equal(t, newer, raw)
}

// FuzzOpenState reads arbitrary states: no keys come out of one that no secret sealed.
func FuzzOpenState(f *testing.F) {
	sealers, err := newSealers([][]byte{secret})
	require.NoError(f, err)
	k, err := newKey(EdDSA, began)
	require.NoError(f, err)
	good, err := sealState(nil, sealers, []*key{k}, began)
	require.NoError(f, err)
	f.Add(good)
	f.Add([]byte(`{"version":1,"copies":[{"for":"x","at":0,"sealed":""}]}`))
	f.Add([]byte(`{"version":9}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		keys, _, _ := openState(raw, sealers, began)
		for _, opened := range keys {
			require.Equal(t, k.id, opened.id)
		}
	})
}
