package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
)

// replication is how a server sees its place: its own word, from INFO.
type replication struct {
	primary  string // whom it follows, or "" if it is a primary itself
	linkUp   bool   // whether a replica has caught up with its primary
	replicas int    // how many replicas follow a primary, and have caught up
}

// replication asks the server.
func (s *Server) replication(ctx context.Context) (replication, error) {
	answer, err := s.do(ctx, "INFO", "replication")
	if err != nil {
		return replication{}, fmt.Errorf("asking the %s at %s: %w", s.name, s.Addr(), err)
	}
	fields := infoFields(answer)
	var r replication
	if fields["role"] == "slave" {
		r.primary = net.JoinHostPort(fields["master_host"], fields["master_port"])
		r.linkUp = fields["master_link_status"] == "up"
	}
	for name, value := range fields {
		if strings.HasPrefix(name, "slave") && strings.Contains(value, "state=online") {
			r.replicas++
		}
	}
	return r, nil
}

// infoFields takes an answer apart that has a name:value on each line, as INFO
// and CLUSTER INFO have.
func infoFields(answer string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(answer) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			fields[name] = value
		}
	}
	return fields
}

// checkReplication returns an error unless each server is a primary, or has
// caught up with one of the others that knows so.
func checkReplication(ctx context.Context, servers []*Server) error {
	want, got := map[string]int{}, map[string]int{}
	for _, s := range servers {
		r, err := s.replication(ctx)
		switch {
		case err != nil:
			return err
		case r.primary == "":
			got[s.Addr()] = r.replicas
		case !r.linkUp:
			return fmt.Errorf("the %s has not caught up with %s", s.name, r.primary)
		default:
			want[r.primary]++
		}
	}
	for primary, replicas := range want {
		if got[primary] != replicas {
			return fmt.Errorf("%d replicas follow %s, which knows of %d", replicas, primary, got[primary])
		}
	}
	return nil
}

// up returns the servers that run and are not paused.
func up(servers []*Server) []*Server {
	var found []*Server
	for _, s := range servers {
		if s.Up() {
			found = append(found, s)
		}
	}
	return found
}

// at returns the server with the address, which has to be up.
func at(servers []*Server, addr string) (*Server, error) {
	for _, s := range servers {
		if s.Addr() != addr {
			continue
		}
		if !s.Up() {
			return nil, fmt.Errorf("the %s at %s is down", s.name, addr)
		}
		return s, nil
	}
	return nil, fmt.Errorf("nothing is known of a server at %q", addr)
}

var errNoneUp = errors.New("no server is up")

// followers returns the servers that are up and follow the primary.
func followers(tb testing.TB, servers []*Server, primary *Server) []*Server {
	tb.Helper()
	var found []*Server
	await(tb, "the replicas of the "+primary.name, func(ctx context.Context) error {
		found = nil
		for _, s := range up(servers) {
			r, err := s.replication(ctx)
			if err != nil {
				return err
			}
			if r.primary == primary.Addr() {
				found = append(found, s)
			}
		}
		return nil
	})
	return found
}

// addrs returns where servers listen.
func addrs(servers []*Server) []string {
	found := make([]string, len(servers))
	for i, s := range servers {
		found[i] = s.Addr()
	}
	return found
}
