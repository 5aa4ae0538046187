package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"time"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	memorystore "session-api/internal/store/memory"
)

const (
	// storeRow is the name of the rows about the store in memory alone.
	storeRow = "store in memory"
	// storeCommand makes this program measure the store, in a process of its own, so
	// that its memory is freed.
	storeCommand = "measure-store"
	// docBytes is the length of a document in those rows.
	docBytes = 1024
)

// storeFigures are the costs of the store in memory without the service.
type storeFigures struct {
	Sessions int
	// Beyond is the memory of a session beyond its document, in bytes.
	Beyond float64
	// Insert and Evict are the times of an insert in nanoseconds, by round: below the
	// cap, and at the cap, where each evicts another session.
	Insert, Evict []float64
	// Unswept is that of the first inserts at the cap after reads of all sessions,
	// without a sweep: they update the order of eviction.
	Unswept float64
	// Reads are the times of a read in nanoseconds, by round, for each of
	// readCores.
	Reads [len(readCores)][]float64
}

// readCores are the numbers of cores that read concurrently, or of threads on a machine
// with fewer cores.
var readCores = [...]int{1, 2, 8, 32}

// measureStore runs the command.
func (l *harness) measureStore(ctx context.Context) (*storeFigures, error) {
	sessions := 100 * thousand
	if l.million {
		sessions = million
	}
	l.logf("%s: %d sessions, %d rounds", storeRow, sessions, l.rounds)
	f := &storeFigures{}
	return f, runSelf(ctx, f, storeCommand, strconv.Itoa(sessions), strconv.Itoa(l.rounds))
}

// figures returns the lines of the table.
func (f *storeFigures) figures() []figure {
	name := fmt.Sprintf("%s, %d sessions", storeRow, f.Sessions)
	list := []figure{
		absoluteFigure(name, "a session beyond its document", singleValue(f.Beyond), inBytes, target{atMost: 250}),
		comparison(name, "insert at the cap, beside one with room", f.Evict, f.Insert, target{atMost: 2}),
		absoluteFigure(name, "the first ones after all were read, before the next sweep", singleValue(f.Unswept), nanos, target{}),
	}
	for i, cores := range readCores[1:] {
		t := target{}
		if cores >= 8 {
			t.atMost = 1
		}
		list = append(list, comparison(name, fmt.Sprintf("read on %d cores, beside 1", cores), f.Reads[i+1], f.Reads[0], t))
	}
	return list
}

// comparison returns a figure with its yardstick, by round.
func comparison(row, what string, ours, theirs []float64, t target) figure {
	ratios := make([]float64, len(ours))
	for i := range ours {
		ratios[i] = ours[i] / theirs[i]
	}
	r := spreadOf(ratios)
	return figure{
		row: row, what: what, value: nanos(spreadOf(ours).median), yardstick: nanos(spreadOf(theirs).median),
		ratio: r.String(), target: t.String(), reached: t.reached(r.median),
	}
}

// measureStoreHere is the command: it writes the figures as JSON.
func measureStoreHere(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) != 2 {
		return fmt.Errorf("%s takes the numbers of sessions and of rounds", storeCommand)
	}
	sessions, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	rounds, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	f, err := measureStoreIn(ctx, sessions, rounds)
	if err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(f)
}

func measureStoreIn(ctx context.Context, sessions, rounds int) (*storeFigures, error) {
	debug.SetGCPercent(50) // two stores are a lot to have twice
	m, err := newStoreMeter()
	if err != nil {
		return nil, err
	}
	f := &storeFigures{Sessions: sessions}
	before := heap()
	full := memorystore.New(memorystore.Options{Policy: memorystore.LRU, MaxEntries: sessions})
	if _, err := m.insert(ctx, full, sessions); err != nil {
		return nil, err
	}
	f.Beyond = (heap()-before)/float64(sessions) - docBytes

	keys := make([]backend.Key, sessions)
	for n := range keys {
		keys[n] = backend.Key{Namespace: schema.DefaultNamespace, ID: nthID(n)}
	}
	for range rounds {
		for i, cores := range readCores {
			ns, err := m.read(ctx, full, keys, cores)
			if err != nil {
				return nil, err
			}
			f.Reads[i] = append(f.Reads[i], ns)
		}
	}

	roomy := memorystore.New(memorystore.Options{Policy: memorystore.LRU, MaxEntries: 2*sessions + rounds*storeInserts})
	if _, err := m.insert(ctx, roomy, sessions); err != nil {
		return nil, err
	}
	if f.Unswept, err = m.insert(ctx, full, storeInserts); err != nil {
		return nil, err
	}
	if _, err := full.Sweep(ctx, m.now); err != nil { // as the service does each minute
		return nil, err
	}
	for range rounds {
		ns, err := m.insert(ctx, roomy, storeInserts)
		if err != nil {
			return nil, err
		}
		f.Insert = append(f.Insert, ns)
		if ns, err = m.insert(ctx, full, storeInserts); err != nil {
			return nil, err
		}
		f.Evict = append(f.Evict, ns)
	}
	st, err := full.Stats(ctx, m.now)
	if err == nil && st.Evictions != int64((rounds+1)*storeInserts) {
		err = fmt.Errorf("%d sessions were evicted in place of %d", st.Evictions, (rounds+1)*storeInserts)
	}
	return f, err
}

const (
	// storeInserts is the number of inserts in a round.
	storeInserts = 20 * thousand
	// storeReading is the duration of a round of reads.
	storeReading = 100 * time.Millisecond
)

// storeMeter measures a store.
type storeMeter struct {
	now   time.Time
	model schema.Session
	made  int // the number of ids used
}

// nthID returns the n-th id.
func nthID(n int) string {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n)))
	return hex.EncodeToString(sum[:])
}

func newStoreMeter() (*storeMeter, error) {
	m := &storeMeter{now: schema.Now(time.Now())}
	build := func(filler int) (schema.Session, error) {
		sections := schema.EmptySections()
		sections.Inputs = []byte(`{"text":"` + strings.Repeat("x", filler) + `"}`)
		return new(schema.Rules).Build(schema.Session{
			Namespace: schema.DefaultNamespace, ID: schema.NewID(), Revision: 1,
			CreatedAt: m.now, UpdatedAt: m.now, ExpiresAt: m.now.Add(time.Hour), TTL: time.Hour,
		}, sections)
	}
	bare, err := build(0)
	if err != nil {
		return nil, err
	}
	m.model, err = build(docBytes - len(bare.Doc))
	return m, err
}

// insert inserts sessions and returns the time of one insert in nanoseconds, without the
// creation of the sessions themselves.
func (m *storeMeter) insert(ctx context.Context, s *memorystore.Store, count int) (float64, error) {
	const batch = 1000
	sessions := make([]schema.Session, 0, batch)
	var spent time.Duration
	for done := 0; done < count && ctx.Err() == nil; done += len(sessions) {
		sessions = sessions[:0]
		for range min(batch, count-done) {
			next := m.model.WithID(nthID(m.made))
			next.CreatedAt = m.now.Add(time.Duration(m.made/perMilli) * time.Millisecond)
			sessions = append(sessions, next)
			m.made++
		}
		began := time.Now()
		for i := range sessions {
			if err := s.Create(ctx, m.now, sessions[i]); err != nil {
				return 0, err
			}
		}
		spent += time.Since(began)
	}
	return float64(spent.Nanoseconds()) / float64(count), ctx.Err()
}

// read reads sessions from as many goroutines as cores and returns the wall-clock time
// of one read over all of them.
func (m *storeMeter) read(ctx context.Context, s *memorystore.Store, keys []backend.Key, cores int) (float64, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
	var work sync.WaitGroup
	counts, failed := make([]int, cores), make([]error, cores)
	began := time.Now()
	for c := range cores {
		work.Go(func() {
			var n int
			for time.Since(began) < storeReading && failed[c] == nil {
				for range 100 {
					if _, err := s.Get(ctx, m.now, keys[rand.IntN(len(keys))]); err != nil {
						failed[c] = err
					}
					n++
				}
			}
			counts[c] = n
		})
	}
	work.Wait()
	took, sum := time.Since(began), 0
	for c, n := range counts {
		if failed[c] != nil {
			return 0, failed[c]
		}
		sum += n
	}
	return float64(took.Nanoseconds()) / float64(sum), nil
}

// heap returns the size of the reachable heap, as the allocator rounds it, in bytes.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return float64(sample[0].Value.Uint64())
}
