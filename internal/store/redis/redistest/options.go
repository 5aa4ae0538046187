package redistest

import (
	"cmp"
	"strconv"
	"strings"
	"testing"
)

// Option changes how servers are started. In a Cluster and under Sentinel it
// holds for each server that keeps data.
type Option func(*settings)

// Binary starts another server than the first of Binaries.
func Binary(path string) Option {
	return func(s *settings) { s.binary = path }
}

// AppendOnly lets the server keep an append-only file, so that its data
// survives Kill. fsync is when the file is flushed: always, everysec or no.
func AppendOnly(fsync string) Option {
	return func(s *settings) {
		s.add("appendonly", "yes")
		s.add("appendfsync", fsync)
	}
}

// Password asks clients for a password. The user may do everything; any other
// than "default" is an ACL user, and the default user is off then.
func Password(user, password string) Option {
	return func(s *settings) { s.account = newAccount(user, password) }
}

// SentinelPassword is what Password is, for the Sentinels themselves.
func SentinelPassword(user, password string) Option {
	return func(s *settings) { s.sentinelAccount = newAccount(user, password) }
}

// TLS lets the server speak nothing but TLS, to clients and to other servers.
// Its certificate, for 127.0.0.1 and localhost, is of an authority made for
// this test.
func TLS() Option {
	return func(s *settings) { s.tls = true }
}

// MaxMemory limits the memory for data ("50mb"), and says what happens beyond
// ("noeviction", "allkeys-lru", ...).
func MaxMemory(limit, policy string) Option {
	return func(s *settings) {
		s.add("maxmemory", limit)
		s.add("maxmemory-policy", policy)
	}
}

// Set adds a directive to the configuration file. It takes precedence over the
// ones that are always there.
func Set(directive string, values ...string) Option {
	return func(s *settings) { s.add(directive, values...) }
}

// SetSentinel is what Set is, for the Sentinels themselves.
func SetSentinel(directive string, values ...string) Option {
	return func(s *settings) { s.ofSentinels = append(s.ofSentinels, append([]string{directive}, values...)) }
}

// settings are what the options come to.
type settings struct {
	binary          string
	account         account
	sentinelAccount account
	tls             bool
	authority       *authority // nil without TLS
	directives      [][]string
	ofSentinels     [][]string
}

// account is whom clients log in as; the zero account does not log in.
type account struct{ user, password string }

func newAccount(user, password string) account {
	return account{user: cmp.Or(user, "default"), password: password}
}

func newSettings(tb testing.TB, opts []Option) settings {
	tb.Helper()
	var s settings
	for _, opt := range opts {
		opt(&s)
	}
	if s.binary == "" {
		s.binary = Binaries(tb)[0]
	}
	if s.tls {
		s.authority = newAuthority(tb)
	}
	return s
}

func (s *settings) add(directive string, values ...string) {
	s.directives = append(s.directives, append([]string{directive}, values...))
}

// listener returns the directives that any kind of server has: where it
// listens, where it keeps its files, and who may come in.
func (s *settings) listener(port int, dir string) [][]string {
	lines := [][]string{
		{"bind", "127.0.0.1"},
		{"dir", dir},
		{"daemonize", "no"},
		{"logfile", ""}, // standard output
	}
	if s.authority == nil {
		lines = append(lines, []string{"port", strconv.Itoa(port)})
	} else {
		lines = append(lines, []string{"port", "0"}, []string{"tls-port", strconv.Itoa(port)})
		lines = append(lines, s.authority.directives()...)
	}
	switch s.account.user {
	case "":
	case "default":
		lines = append(lines, []string{"requirepass", s.account.password})
	default:
		lines = append(lines,
			[]string{"user", "default", "off"},
			[]string{"user", s.account.user, "on", ">" + s.account.password, "~*", "&*", "+@all"})
	}
	return lines
}

// keeper returns the directives of a server that keeps data. It forks by itself
// for nothing, and a replica need not wait for others to join it.
func (s *settings) keeper(port int, dir string) [][]string {
	lines := append(s.listener(port, dir),
		[]string{"save", ""},
		[]string{"appendonly", "no"},
		[]string{"auto-aof-rewrite-percentage", "0"},
		[]string{"enable-debug-command", "local"},
		[]string{"repl-diskless-sync", "yes"},
		[]string{"repl-diskless-sync-delay", "0"},
	)
	if s.account.user != "" {
		lines = append(lines, []string{"masteruser", s.account.user}, []string{"masterauth", s.account.password})
	}
	if s.authority != nil {
		lines = append(lines, []string{"tls-replication", "yes"})
	}
	return lines
}

// escapes are those of a quoted value in a configuration file.
var escapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// configFile writes directives down as Redis reads them.
func configFile(directives [][]string) []byte {
	var b strings.Builder
	for _, line := range directives {
		b.WriteString(line[0])
		for _, value := range line[1:] {
			b.WriteString(` "` + escapes.Replace(value) + `"`)
		}
		b.WriteByte('\n')
	}
	return []byte(b.String())
}
