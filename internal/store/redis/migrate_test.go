package redis_test

import (
	"fmt"
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
	"session-api/internal/store/redis/redistest"
)

// idsOf returns ids whose keys are in that slot of a Cluster.
func idsOf(slot uint16, n int) []string {
	var ids []string
	for i := 0; len(ids) < n; i++ {
		id := fmt.Sprintf("session-number-%d", i)
		if slotOf("session:"+id) == slot {
			ids = append(ids, id)
		}
	}
	return ids
}

// slotOf is the slot of a key without braces: its CRC16 (XMODEM).
func slotOf(key string) uint16 {
	var sum uint16
	for _, c := range []byte(key) {
		sum ^= uint16(c) << 8
		for range 8 {
			if sum&0x8000 != 0 {
				sum = sum<<1 ^ 0x1021
			} else {
				sum <<= 1
			}
		}
	}
	return sum % 16384
}

// A slot that moves from one server to another, while its sessions are read,
// changed, ended and made, is noticed by nobody: neither while some of its keys
// are here and some there, nor when it has arrived.
func TestASlotThatMoves(t *testing.T) {
	cluster := redistest.StartCluster(t, withWait(t))
	for name, change := range map[string]func(*redis.Options){
		"plain": func(*redis.Options) {}, "client cache": withCache, "confirmed": confirmed,
	} {
		t.Run(name, func(t *testing.T) {
			s, err := redis.Open(t.Context(), onCluster(cluster, asLimited, change, func(o *redis.Options) { o.Tombstone = time.Minute }))
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			now := schema.Now(ahead().Now())
			source := cluster.Primary("session:session-number-0")
			number := slotOf("session:session-number-0")
			slot := strconv.Itoa(int(number))
			require.Equal(t, slot, source.CLI("CLUSTER", "KEYSLOT", "session:session-number-0"))
			ids := idsOf(number, soaktest.Times(6, 12))
			var target *redistest.Server
			for _, node := range cluster.Nodes() {
				if node != source && len(cluster.Replicas(node)) > 0 {
					target = node
				}
			}

			done := make(chan struct{})
			var running sync.WaitGroup
			rounds := make([]atomic.Int64, len(ids))
			for i, id := range ids {
				running.Go(func() {
					for {
						select {
						case <-done:
							return
						default:
						}
						if !assert.NoError(t, live(t, s, now, id, ids), "session %d, round %d", i, rounds[i].Load()) {
							return
						}
						rounds[i].Add(1)
					}
				})
			}
			// The second round that ends in a stage has also begun in it.
			further := int64(soaktest.Times(2, 3))
			progress := func() {
				before := make([]int64, len(ids))
				for i := range rounds {
					before[i] = rounds[i].Load()
				}
				require.Eventually(t, func() bool {
					for i := range rounds {
						if rounds[i].Load() < before[i]+further {
							return t.Failed()
						}
					}
					return true
				}, 60*time.Second, time.Millisecond)
			}
			progress()
			sourceID, targetID := source.CLI("CLUSTER", "MYID"), target.CLI("CLUSTER", "MYID")
			require.Equal(t, "OK", target.CLI("CLUSTER", "SETSLOT", slot, "IMPORTING", sourceID))
			require.Equal(t, "OK", source.CLI("CLUSTER", "SETSLOT", slot, "MIGRATING", targetID))
			progress() // nothing has moved yet
			host, port := hostPort(t, target.Addr())
			migrate := func(keys []string) {
				if len(keys) == 0 || keys[0] == "" {
					return
				}
				answer := source.CLI(append([]string{"MIGRATE", host, port, "", "0", "5000", "KEYS"}, keys...)...)
				require.Contains(t, []string{"OK", "NOKEY"}, answer)
			}
			half := strings.Split(source.CLI("CLUSTER", "GETKEYSINSLOT", slot, "1000"), "\n")
			slices.Sort(half)
			migrate(half[:(len(half)+1)/2])
			progress() // some are here, some there
			for {
				keys := source.CLI("CLUSTER", "GETKEYSINSLOT", slot, "10")
				if keys == "" {
					break
				}
				migrate(strings.Split(keys, "\n"))
			}
			progress() // all of them are there
			for _, node := range []*redistest.Server{target, source} {
				require.Equal(t, "OK", node.CLI("CLUSTER", "SETSLOT", slot, "NODE", targetID))
			}
			progress()
			close(done)
			running.Wait()
			cluster.AwaitHealthy()
		})
	}
}

// live is the life of a session: what each step leaves is what the next one finds.
func live(t testing.TB, s *redis.Store, now time.Time, id string, ids []string) error {
	t.Helper()
	ctx := t.Context()
	sess := newSession(t, now, spec{id: id, user: "user-of-" + id, files: []string{id}})
	if err := s.Create(ctx, now, sess, backend.Revive); err != nil {
		return fmt.Errorf("creating: %w", err)
	}
	next := revised(t, now, sess, spec{user: "user-of-" + id, files: []string{id}, note: "changed"})
	if _, err := s.Swap(ctx, now, sess, next); err != nil {
		return fmt.Errorf("changing: %w", err)
	}
	if _, err := s.Touch(ctx, now.Add(time.Second), sess.Key(), now.Add(2*hour)); err != nil {
		return fmt.Errorf("touching: %w", err)
	}
	got, err := s.Get(ctx, now, sess.Key())
	if err != nil || got.Revision != 2 {
		return fmt.Errorf("reading revision %d: %w", got.Revision, err)
	}
	for _, other := range ids {
		if _, err := s.Peek(ctx, now, backend.Key{Namespace: sess.Namespace, ID: other}); err != nil && !isNotFound(err) {
			return fmt.Errorf("reading another: %w", err)
		}
	}
	if page, err := s.List(ctx, now, backend.Query{Namespace: sess.Namespace, UserID: "user-of-" + id, Limit: 5}); err != nil || len(page.Sessions) != 1 {
		return fmt.Errorf("listing %d: %w", len(page.Sessions), err)
	}
	third := got.WithID(id + "-" + strconv.Itoa(len(id)) + "th-successor")
	if err := s.Regenerate(ctx, now, got, third, now.Add(hour)); err != nil {
		return fmt.Errorf("regenerating: %w", err)
	}
	if got, err := s.Get(ctx, now, sess.Key()); err != nil || got.ID != third.ID {
		return fmt.Errorf("reading in the grace: %w", err)
	}
	if err := s.Create(ctx, now, sess); !isEnded(err) {
		return fmt.Errorf("creating what was ended: %w", err)
	}
	if err := s.Delete(ctx, now, third.Key(), third.Revision); err != nil {
		return fmt.Errorf("ending: %w", err)
	}
	if _, err := s.Get(ctx, now, sess.Key()); !isNotFound(err) {
		return fmt.Errorf("reading what was ended: %w", err)
	}
	return nil
}
