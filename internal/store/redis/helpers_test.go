package redis_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
	"session-api/internal/store/backend"
	"session-api/internal/store/redis"
	"session-api/internal/store/redis/conn"
	"session-api/internal/store/redis/redistest"
	"session-api/internal/store/storetest"
)

// open opens a store on the server. It is closed with the test.
func open(t testing.TB, server *redistest.Server, change ...func(*redis.Options)) *redis.Store {
	t.Helper()
	return openAt(t, server.Addr(), change...)
}

// openAt opens a store on whatever is at the address.
func openAt(t testing.TB, addr string, change ...func(*redis.Options)) *redis.Store {
	t.Helper()
	s, err := redis.Open(t.Context(), optionsAt(addr, change...))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// patience is how long a test waits for what should take no time.
const patience = 30 * time.Second

// awaitConnected waits until a store that waits for nothing long is connected.
func awaitConnected(t testing.TB, s *redis.Store) {
	t.Helper()
	require.Eventually(t, func() bool { return s.Ping(t.Context()) == nil }, patience, 5*time.Millisecond)
}

// optionsAt are those of a store that waits longer than by default: on a busy
// machine, servers may stand still for seconds. Tests of failures use brief.
func optionsAt(addr string, change ...func(*redis.Options)) redis.Options {
	opts := redis.Options{Server: conn.Server{Addresses: []string{addr}, Timeout: 10 * time.Second, DialTimeout: 10 * time.Second}}
	for _, c := range change {
		c(&opts)
	}
	return opts
}

func withPrefix(prefix string) func(*redis.Options) {
	return func(o *redis.Options) { o.Prefix = prefix }
}

func withCache(o *redis.Options) { o.ClientCache = true }

func withCompression(o *redis.Options) { o.CompressOver = 1 }

// ahead is a clock that runs ahead of the server's, so that the server lets no
// session expire by itself while a test looks at it.
func ahead() *storetest.FakeClock {
	clock := storetest.NewFakeClock()
	clock.Advance(24 * time.Hour)
	return clock
}

// spec is what a test says of a session; all that it leaves out has a default.
type spec struct {
	namespace, id, user, note string
	ttl                       time.Duration
	files                     []string
}

const hour = time.Hour

// newSession returns a session as it would be created at now.
func newSession(t testing.TB, now time.Time, sp spec) schema.Session {
	t.Helper()
	now = schema.Now(now)
	if sp.namespace == "" {
		sp.namespace = schema.DefaultNamespace
	}
	if sp.id == "" {
		sp.id = schema.NewID()
	}
	if sp.ttl == 0 {
		sp.ttl = hour
	}
	return build(t, schema.Session{
		Namespace: sp.namespace, ID: sp.id, Life: schema.NewLife(), CreatedAt: now, UpdatedAt: now, ExpiresAt: now.Add(sp.ttl),
		Revision: 1, TTL: sp.ttl,
	}, sp)
}

// build gives a session the sections of a spec.
func build(t testing.TB, sess schema.Session, sp spec) schema.Session {
	t.Helper()
	sections := schema.EmptySections()
	if sp.user != "" {
		sections.User = &schema.User{ID: sp.user, Roles: []string{}}
	}
	sections.Inputs = marshal(t, map[string]string{"note": sp.note})
	if len(sp.files) > 0 {
		sections.Results = marshal(t, map[string]any{"analysis": map[string]any{"files": sp.files}})
	}
	sess, err := new(schema.Rules).Build(sess, sections)
	require.NoError(t, err)
	return sess
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return b
}

// revised returns old as a change at now would leave it.
func revised(t testing.TB, now time.Time, old schema.Session, sp spec) schema.Session {
	t.Helper()
	next := old
	next.Revision++
	next.UpdatedAt = schema.Now(now)
	return build(t, next, sp)
}

// create stores a new session.
func create(t testing.TB, s backend.Store, now time.Time, sp spec) schema.Session {
	t.Helper()
	sess := newSession(t, now, sp)
	require.NoError(t, s.Create(t.Context(), now, sess))
	return sess
}

// document is a session as a client gets it.
func document(sess schema.Session) string { return string(sess.AppendJSON(nil)) }

// list returns the ids of a user's sessions, or of all of a namespace.
func list(t testing.TB, s backend.Store, now time.Time, user string) []string {
	t.Helper()
	page, err := s.List(t.Context(), now, backend.Query{Namespace: schema.DefaultNamespace, UserID: user, Limit: 100})
	require.NoError(t, err)
	require.Empty(t, page.Next)
	ids := []string{}
	for _, sess := range page.Sessions {
		ids = append(ids, sess.ID)
	}
	return ids
}

// files returns what Files names.
func files(t testing.TB, s backend.Store, now time.Time) []string {
	t.Helper()
	paths := []string{}
	require.NoError(t, s.Files(t.Context(), now, func(path string) error {
		paths = append(paths, path)
		return nil
	}))
	return paths
}

func entries(t testing.TB, s backend.Store) int64 {
	t.Helper()
	st, err := s.Stats(t.Context(), time.Time{})
	require.NoError(t, err)
	return st.Entries
}

// raw returns a client of the server, to look behind the store.
func raw(t testing.TB, server *redistest.Server) rueidis.Client {
	t.Helper()
	opt := server.ClientOption()
	opt.ForceSingleClient = true
	opt.DisableCache = true
	client, err := rueidis.NewClient(opt)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

// do runs a command.
func do(t testing.TB, client rueidis.Client, args ...string) {
	t.Helper()
	require.NoError(t, client.Do(t.Context(), client.B().Arbitrary(args...).Build()).Error())
}

// members returns those of an index, in its order.
func members(t testing.TB, client rueidis.Client, key string) []string {
	t.Helper()
	all, err := client.Do(t.Context(), client.B().Arbitrary("ZRANGE", key, "0", "-1").Build()).AsStrSlice()
	require.NoError(t, err)
	return all
}

// indexes returns the keys of the indexes that there are, sorted.
func indexes(t testing.TB, client rueidis.Client) []string {
	t.Helper()
	keys, err := client.Do(t.Context(), client.B().Arbitrary("KEYS", "session:#*").Build()).AsStrSlice()
	require.NoError(t, err)
	slices.Sort(keys)
	return keys
}

func contains(text, part string) bool { return strings.Contains(text, part) }

func hostPort(t testing.TB, addr string) (host, port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	return host, port
}

// occupy connects to a server until that takes nobody any more.
func occupy(t testing.TB, server *redistest.Server) []net.Conn {
	t.Helper()
	var conns []net.Conn
	for {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", server.Addr())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
		_, err = conn.Write([]byte("PING\r\n"))
		var line string
		if err == nil {
			line, err = bufio.NewReader(conn).ReadString('\n')
		}
		if err != nil || !strings.HasPrefix(line, "+PONG") {
			require.NotEmpty(t, conns)
			return conns
		}
		conns = append(conns, conn)
	}
}

func isNotFound(err error) bool { return errors.Is(err, backend.ErrNotFound) }

func isEnded(err error) bool { return errors.Is(err, backend.ErrEnded) }
