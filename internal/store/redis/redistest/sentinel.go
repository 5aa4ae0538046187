package redistest

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/rueidis"
)

const (
	sentinelCount = 3
	sentinelData  = 3 // the primary and two replicas
	// masterName is what the Sentinels call the primary and its replicas.
	masterName = "sessions"
)

// sentinelTiming makes Sentinels notice soon. Their own intervals are seconds,
// and no setting changes them; tests of Redis itself do it like this.
var sentinelTiming = []string{
	"SENTINEL", "DEBUG",
	"ping-period", "200", "ask-period", "200", "info-period", "200", "publish-period", "200",
	// A machine that stood still is no reason to do nothing for half a minute.
	"tilt-period", "1000",
}

// Sentinel is a primary with two replicas, and the three Sentinels that watch
// over them.
type Sentinel struct {
	tb        testing.TB
	servers   []*Server // the first is the primary at the start
	sentinels []*Server
}

// StartSentinel starts all six, and returns when they know each other and the
// replicas have caught up.
func StartSentinel(tb testing.TB, opts ...Option) *Sentinel {
	tb.Helper()
	set := newSettings(tb, opts)
	s := &Sentinel{tb: tb}
	for i := range sentinelData {
		server := newServer(tb, "server "+strconv.Itoa(i), &set)
		directives := set.keeper(server.port, server.dir())
		if i > 0 {
			directives = append(directives, []string{"replicaof", "127.0.0.1", strconv.Itoa(s.servers[0].port)})
		}
		server.configure(append(directives, set.directives...))
		server.launch()
		s.servers = append(s.servers, server)
	}
	for _, server := range s.servers {
		server.awaitReady()
	}
	own := set // their own account, the same certificate
	own.account = set.sentinelAccount
	for i := range sentinelCount {
		sentinel := newServer(tb, "sentinel "+strconv.Itoa(i), &own)
		sentinel.configure(slices.Concat(own.listener(sentinel.port, sentinel.dir()), s.watch(&set), set.ofSentinels))
		sentinel.args = append(sentinel.args, "--sentinel")
		sentinel.onStart = [][]string{sentinelTiming}
		sentinel.launch()
		s.sentinels = append(s.sentinels, sentinel)
	}
	for _, sentinel := range s.sentinels {
		sentinel.awaitReady()
	}
	s.AwaitHealthy()
	return s
}

// watch returns the directives that tell a Sentinel what to watch, and how.
func (s *Sentinel) watch(set *settings) [][]string {
	lines := [][]string{
		{"sentinel", "monitor", masterName, "127.0.0.1", strconv.Itoa(s.servers[0].port), "2"},
		{"sentinel", "down-after-milliseconds", masterName, "1000"},
		{"sentinel", "failover-timeout", masterName, "2000"},
		{"sentinel", "parallel-syncs", masterName, "2"},
	}
	if set.account.user != "" {
		lines = append(lines,
			[]string{"sentinel", "auth-user", masterName, set.account.user},
			[]string{"sentinel", "auth-pass", masterName, set.account.password})
	}
	if set.sentinelAccount.user != "" {
		lines = append(lines,
			[]string{"sentinel", "sentinel-user", set.sentinelAccount.user},
			[]string{"sentinel", "sentinel-pass", set.sentinelAccount.password})
	}
	if set.authority != nil {
		lines = append(lines, []string{"tls-replication", "yes"})
	}
	return lines
}

// MasterName is what clients ask the Sentinels for.
func (s *Sentinel) MasterName() string { return masterName }

// Addrs returns where the Sentinels listen.
func (s *Sentinel) Addrs() []string { return addrs(s.sentinels) }

// Sentinels returns the Sentinels, also those that are down.
func (s *Sentinel) Sentinels() []*Server { return slices.Clone(s.sentinels) }

// Servers returns what the Sentinels watch, also those that are down.
func (s *Sentinel) Servers() []*Server { return slices.Clone(s.servers) }

// ClientOption is what a client needs to reach the primary, whichever it is.
func (s *Sentinel) ClientOption() rueidis.ClientOption {
	opt := s.servers[0].ClientOption()
	opt.InitAddress = s.Addrs()
	opt.Sentinel = rueidis.SentinelOption{
		MasterSet: masterName,
		Username:  s.sentinels[0].account.user,
		Password:  s.sentinels[0].account.password,
		TLSConfig: s.sentinels[0].TLS(),
	}
	return opt
}

// Primary returns the server that the Sentinels send clients to.
func (s *Sentinel) Primary() *Server {
	s.tb.Helper()
	var primary *Server
	await(s.tb, "a primary that all Sentinels agree on", func(ctx context.Context) error {
		addr, err := s.agreed(ctx)
		if err != nil {
			return err
		}
		primary, err = at(s.servers, addr)
		return err
	})
	return primary
}

// Replicas returns the servers that are up and follow the primary.
func (s *Sentinel) Replicas() []*Server {
	s.tb.Helper()
	return followers(s.tb, s.servers, s.Primary())
}

// Failover kills the primary, and returns it when another has taken its place
// and all is healthy again.
func (s *Sentinel) Failover() *Server {
	s.tb.Helper()
	dead := s.Primary()
	dead.Kill()
	s.AwaitHealthy()
	return dead
}

// AwaitHealthy returns when all Sentinels that are up agree on a primary that
// is up, nothing is amiss with it, and all other servers that are up have
// caught up with it.
func (s *Sentinel) AwaitHealthy() {
	s.tb.Helper()
	await(s.tb, "the Sentinels to be content", func(ctx context.Context) error {
		addr, err := s.agreed(ctx)
		if err != nil {
			return err
		}
		if _, err := at(s.servers, addr); err != nil {
			return err
		}
		for _, sentinel := range up(s.sentinels) {
			if err := checkSentinel(ctx, sentinel, up(s.servers), addr); err != nil {
				return err
			}
		}
		for _, server := range up(s.servers) {
			r, err := server.replication(ctx)
			if err != nil {
				return err
			}
			if server.Addr() != addr && r.primary != addr {
				return fmt.Errorf("the %s follows %q, not %s", server.name, r.primary, addr)
			}
		}
		return checkReplication(ctx, up(s.servers))
	})
}

// agreed returns the primary's address, as all Sentinels that are up see it.
func (s *Sentinel) agreed(ctx context.Context) (string, error) {
	var agreed string
	for _, sentinel := range up(s.sentinels) {
		answer, err := sentinel.do(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", masterName)
		if err != nil {
			return "", fmt.Errorf("asking the %s: %w", sentinel.name, err)
		}
		host, port, _ := strings.Cut(answer, "\n")
		addr := net.JoinHostPort(host, port)
		if agreed == "" {
			agreed = addr
		}
		if addr != agreed {
			return "", fmt.Errorf("the %s sees the primary at %s, others at %s", sentinel.name, addr, agreed)
		}
	}
	if agreed == "" {
		return "", errNoneUp
	}
	return agreed, nil
}

// checkSentinel returns an error unless a Sentinel knows all others, and sees
// the primary and each other server well.
func checkSentinel(ctx context.Context, sentinel *Server, servers []*Server, primary string) error {
	answer, err := sentinel.do(ctx, "SENTINEL", "MASTER", masterName)
	if err != nil {
		return fmt.Errorf("asking the %s: %w", sentinel.name, err)
	}
	state := pairs(answer)
	if state["flags"] != "master" || state["num-other-sentinels"] != strconv.Itoa(sentinelCount-1) {
		return fmt.Errorf("to the %s the primary is %q, and there are %s other Sentinels",
			sentinel.name, state["flags"], state["num-other-sentinels"])
	}
	// One array a replica, all of the same names: each begins with its own.
	answer, err = sentinel.do(ctx, "SENTINEL", "REPLICAS", masterName)
	if err != nil {
		return fmt.Errorf("asking the %s: %w", sentinel.name, err)
	}
	seen := map[string]bool{}
	for replica := range strings.SplitSeq("\n"+answer, "\nname\n") {
		state := pairs("name\n" + replica)
		seen[state["name"]] = state["flags"] == "slave" && state["master-link-status"] == "ok"
	}
	for _, server := range servers {
		if addr := server.Addr(); addr != primary && !seen[addr] {
			return fmt.Errorf("the %s does not see the %s well", sentinel.name, server.name)
		}
	}
	return nil
}

// pairs takes an answer apart that has a name and its value on every two lines.
func pairs(answer string) map[string]string {
	fields := map[string]string{}
	lines := strings.Split(answer, "\n")
	for i := 0; i+1 < len(lines); i += 2 {
		fields[lines[i]] = lines[i+1]
	}
	return fields
}
