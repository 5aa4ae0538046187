package redistest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/redis/rueidis"
)

const (
	clusterPrimaries = 3
	clusterSlots     = 16384
	// clusterNodeTimeout, in ms, is how long a node may be silent before the
	// others take it for dead. A replica takes over about a second later.
	clusterNodeTimeout = "1000"
)

// Cluster is a Redis Cluster of three primaries with a replica each.
type Cluster struct {
	tb    testing.TB
	nodes []*Server // primaries first, as it was at the start
	buses []int     // the port that each node talks to the others on
}

// StartCluster starts a Cluster, and returns when all of it can be read and
// written, and the replicas have caught up.
func StartCluster(tb testing.TB, opts ...Option) *Cluster {
	tb.Helper()
	set := newSettings(tb, opts)
	c := &Cluster{tb: tb}
	for i := range 2 * clusterPrimaries {
		node, bus := newServer(tb, "cluster node "+strconv.Itoa(i), &set), reservePort(tb)
		directives := append(set.keeper(node.port, node.dir()),
			[]string{"cluster-enabled", "yes"},
			[]string{"cluster-port", strconv.Itoa(bus)},
			[]string{"cluster-node-timeout", clusterNodeTimeout},
			// A replica takes over however long it has been without news, and
			// stays with its primary otherwise.
			[]string{"cluster-replica-validity-factor", "0"},
			[]string{"cluster-allow-replica-migration", "no"},
		)
		if set.authority != nil {
			directives = append(directives, []string{"tls-cluster", "yes"})
		}
		node.configure(append(directives, set.directives...))
		node.launch()
		c.nodes, c.buses = append(c.nodes, node), append(c.buses, bus)
	}
	c.join()
	c.AwaitHealthy()
	return c
}

// join makes nodes that know nothing one cluster.
func (c *Cluster) join() {
	c.tb.Helper()
	ids := make([]string, len(c.nodes))
	for i, node := range c.nodes {
		node.awaitReady()
		ids[i] = node.CLI("CLUSTER", "MYID")
		c.must(node, "CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1))
		for j, other := range c.nodes[:i] {
			c.must(node, "CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(other.port), strconv.Itoa(c.buses[j]))
		}
		if i < clusterPrimaries {
			first, end := i*clusterSlots/clusterPrimaries, (i+1)*clusterSlots/clusterPrimaries
			c.must(node, "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(first), strconv.Itoa(end-1))
		}
	}
	for i, replica := range c.nodes[clusterPrimaries:] {
		// It may not have heard of its primary yet.
		await(c.tb, "the "+replica.name+" to know its primary", func(ctx context.Context) error {
			_, err := replica.do(ctx, "CLUSTER", "REPLICATE", ids[i])
			return err
		})
	}
}

// must sends a node a command that is answered with OK.
func (c *Cluster) must(node *Server, args ...string) {
	c.tb.Helper()
	if answer := node.CLI(args...); answer != "OK" {
		c.tb.Fatalf("%s of the %s: %s", strings.Join(args, " "), node.name, answer)
	}
}

// Nodes returns all nodes, also those that are down.
func (c *Cluster) Nodes() []*Server { return slices.Clone(c.nodes) }

// Addrs returns where the nodes listen.
func (c *Cluster) Addrs() []string { return addrs(c.nodes) }

// ClientOption is what a client needs to reach the cluster.
func (c *Cluster) ClientOption() rueidis.ClientOption {
	opt := c.nodes[0].ClientOption()
	opt.InitAddress = c.Addrs()
	return opt
}

// Primary returns the node that a key is written to.
func (c *Cluster) Primary(key string) *Server {
	c.tb.Helper()
	var primary *Server
	await(c.tb, "the primary of "+key, func(ctx context.Context) error {
		nodes := up(c.nodes)
		if len(nodes) == 0 {
			return errNoneUp
		}
		answer, err := nodes[0].do(ctx, "CLUSTER", "KEYSLOT", key)
		if err != nil {
			return err
		}
		slot, err := strconv.Atoi(answer)
		if err != nil {
			return err
		}
		owners, err := slotOwners(ctx, nodes[0])
		if err != nil {
			return err
		}
		addr, err := ownerOf(owners, slot)
		if err != nil {
			return err
		}
		primary, err = at(c.nodes, addr)
		return err
	})
	return primary
}

// Replicas returns the nodes that are up and follow a primary.
func (c *Cluster) Replicas(primary *Server) []*Server {
	c.tb.Helper()
	return followers(c.tb, c.nodes, primary)
}

// Failover kills the primary of a key, and returns it when a replica has taken
// over and the cluster is healthy again.
func (c *Cluster) Failover(key string) *Server {
	c.tb.Helper()
	dead := c.Primary(key)
	dead.Kill()
	c.AwaitHealthy()
	return dead
}

// AwaitHealthy returns when all nodes that are up agree that each slot is
// served by a primary that is up, and their replicas have caught up.
func (c *Cluster) AwaitHealthy() {
	c.tb.Helper()
	await(c.tb, "the cluster to be healthy", func(ctx context.Context) error {
		nodes := up(c.nodes)
		if err := c.checkSlots(ctx, nodes); err != nil {
			return err
		}
		return checkReplication(ctx, nodes)
	})
}

func (c *Cluster) checkSlots(ctx context.Context, nodes []*Server) error {
	if len(nodes) == 0 {
		return errNoneUp
	}
	var agreed map[string]string
	for _, node := range nodes {
		answer, err := node.do(ctx, "CLUSTER", "INFO")
		if err != nil {
			return fmt.Errorf("asking the %s: %w", node.name, err)
		}
		info := infoFields(answer)
		if info["cluster_state"] != "ok" || info["cluster_known_nodes"] != strconv.Itoa(len(c.nodes)) {
			return fmt.Errorf("to the %s the state is %q, with %s nodes",
				node.name, info["cluster_state"], info["cluster_known_nodes"])
		}
		owners, err := slotOwners(ctx, node)
		if err != nil {
			return err
		}
		if agreed == nil {
			agreed = owners
		}
		if !maps.Equal(owners, agreed) {
			return fmt.Errorf("the %s and the %s disagree about the slots", node.name, nodes[0].name)
		}
	}
	for _, owner := range agreed {
		if _, err := at(c.nodes, owner); err != nil {
			return fmt.Errorf("owner of slots: %w", err)
		}
	}
	return nil
}

// slotOwners returns the address of the primary of each range of slots
// ("first-last", or a single one), as the node sees it.
func slotOwners(ctx context.Context, node *Server) (map[string]string, error) {
	answer, err := node.do(ctx, "CLUSTER", "NODES")
	if err != nil {
		return nil, fmt.Errorf("asking the %s: %w", node.name, err)
	}
	owners := map[string]string{}
	for line := range strings.Lines(answer) {
		// id addr@bus flags primary ping pong epoch link slots...
		fields := strings.Fields(line)
		if len(fields) < 8 {
			return nil, fmt.Errorf("CLUSTER NODES has a line %q", line)
		}
		addr, _, _ := strings.Cut(fields[1], "@")
		for _, slots := range fields[8:] {
			// One in brackets is on the move: where it comes from owns it still.
			if !strings.HasPrefix(slots, "[") {
				owners[slots] = addr
			}
		}
	}
	return owners, nil
}

// ownerOf returns the owner of one slot.
func ownerOf(owners map[string]string, slot int) (string, error) {
	for slots, owner := range owners {
		from, to, ranged := strings.Cut(slots, "-")
		if !ranged {
			to = from
		}
		first, err := strconv.Atoi(from)
		if err != nil {
			return "", err
		}
		last, err := strconv.Atoi(to)
		if err != nil {
			return "", err
		}
		if first <= slot && slot <= last {
			return owner, nil
		}
	}
	return "", fmt.Errorf("slot %d has no owner", slot)
}
