package redis_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis/redistest"
)

func counted(t testing.TB, s backend.Store, now time.Time, f backend.Filter) int {
	t.Helper()
	f.Namespace = schema.DefaultNamespace
	n, err := s.Count(t.Context(), now, f)
	require.NoError(t, err)
	return n
}

// The index is a superset. What is counted is there.
func TestCountIsNotMisled(t *testing.T) {
	server := redistest.Start(t)
	s, client := open(t, server), raw(t, server)
	now := schema.Now(ahead().Now())
	const live = 40
	for n := range live {
		create(t, s, now, spec{user: "ada", files: []string{strconv.Itoa(n)}})
	}
	for range 5 { // gone without their entries
		require.Equal(t, "1", server.CLI("DEL", "session:"+create(t, s, now, spec{user: "ada"}).ID))
	}
	create(t, s, now.Add(-hour), spec{user: "ada"}) // expired
	index := members(t, client, "session:#user:default:ada")
	for n, member := range index { // under a stamp that no session carries
		if n%3 == 0 {
			do(t, client, "ZADD", "session:#user:default:ada", "0", member[:len(member)-12]+"aaa\x00\x00\x00\x00\x00aaaa")
		}
	}
	do(t, client, "ZADD", "session:#user:default:ada", "0", "garbage")
	foreign := newSession(t, now, spec{})
	do(t, client, "SET", "session:"+foreign.ID, "something else", "PX", "100000000")
	for range 2 {
		assert.Equal(t, live, counted(t, s, now, backend.Filter{UserID: "ada"}))
		assert.Equal(t, live, counted(t, s, now, backend.Filter{}))
	}
	// What leads nowhere for good does not stay.
	assert.Equal(t, live, counted(t, s, now.Add(later), backend.Filter{UserID: "ada"}))
	assert.Len(t, members(t, client, "session:#user:default:ada"), live)
	assert.Zero(t, counted(t, s, now.Add(hour), backend.Filter{}))
}

func TestCountOfMany(t *testing.T) {
	s := open(t, redistest.Start(t))
	now := schema.Now(ahead().Now())
	const many = 5_000
	fill(t, s, now, many, func(n int) string {
		if n%4 == 0 {
			return "ada"
		}
		return ""
	})
	assert.Equal(t, many, counted(t, s, now, backend.Filter{}))
	assert.Equal(t, many/4, counted(t, s, now, backend.Filter{UserID: "ada"}))
	page, err := s.List(t.Context(), now, backend.Query{Namespace: schema.DefaultNamespace, UserID: "ada", Limit: 1})
	require.NoError(t, err)
	assert.Equal(t, many/4-1, counted(t, s, now, backend.Filter{UserID: "ada", Except: page.Sessions[0].ID}))
}

// A session that goes on under another id is one all the while.
func TestCountOfSessionsThatAreRegenerated(t *testing.T) {
	server := redistest.Start(t)
	one, other := open(t, server), open(t, server)
	now := schema.Now(ahead().Now())
	create(t, one, now, spec{user: "ada"})
	sess := create(t, one, now, spec{user: "ada"})
	for n := range 200 {
		done := make(chan struct{})
		go func() {
			defer close(done)
			next := sess.WithID(schema.NewID())
			assert.NoError(t, one.Regenerate(t.Context(), now, sess, next, now))
			sess = next
		}()
		f := backend.Filter{UserID: "ada"}
		if n%2 == 0 {
			f = backend.Filter{}
		}
		require.Equal(t, 2, counted(t, other, now, f))
		<-done
	}
}

// BenchmarkCount costs what is counted, whatever the store holds.
func BenchmarkCount(b *testing.B) {
	for _, size := range []int{1_000, 20_000} {
		s := open(b, redistest.Start(b))
		now := schema.Now(ahead().Now())
		fill(b, s, now, size, func(n int) string { return "user-" + strconv.Itoa(n/10) })
		for name, c := range map[string]struct {
			user string
			want int
		}{"user": {"user-7", 10}, "all": {"", size}} {
			b.Run(name+"-of-"+strconv.Itoa(size), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if n := counted(b, s, now, backend.Filter{UserID: c.user}); n != c.want {
						b.Fatal(n)
					}
				}
			})
		}
	}
}
