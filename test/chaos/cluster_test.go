//go:build linux

package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// cluster is three masters, each with a replica.
type cluster struct {
	t     testing.TB
	nodes []*server
	rdb   *redis.ClusterClient
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	cli := needs(t, "redis-cli")
	c := &cluster{t: t}
	var addrs []string
	for range 6 {
		s := newServer(t, "--cluster-enabled", "yes", "--cluster-port", freePort(t), "--cluster-node-timeout", "2000")
		c.nodes, addrs = append(c.nodes, s), append(addrs, s.addr())
	}
	args := append([]string{"--cluster", "create"}, addrs...)
	out, err := exec.Command(cli, append(args, "--cluster-replicas", "1", "--cluster-yes")...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	c.rdb = redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, MaxRedirects: 10, Protocol: 2})
	t.Cleanup(func() { _ = c.rdb.Close() })
	require.Eventually(t, func() bool {
		for _, s := range c.nodes {
			info, err := s.rdb.ClusterInfo(context.Background()).Result()
			linked, _ := s.rdb.Info(context.Background(), "replication").Result()
			if err != nil || !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, "cluster_known_nodes:6") ||
				strings.Contains(linked, "master_link_status:down") || strings.Contains(linked, "role:master") && strings.Contains(linked, "connected_slaves:0") {
				return false
			}
		}
		return true
	}, 60*time.Second, 100*time.Millisecond, "the cluster does not come together")
	return c
}

// ownerOf returns the node whose slots a key is in.
func (c *cluster) ownerOf(key string) *server {
	ctx := context.Background()
	slot, err := c.rdb.ClusterKeySlot(ctx, key).Result()
	require.NoError(c.t, err)
	slots, err := c.rdb.ClusterSlots(ctx).Result()
	require.NoError(c.t, err)
	for _, s := range slots {
		if int64(s.Start) <= slot && slot <= int64(s.End) {
			_, port, _ := net.SplitHostPort(s.Nodes[0].Addr)
			i := slices.IndexFunc(c.nodes, func(n *server) bool { return n.port == port })
			require.GreaterOrEqual(c.t, i, 0)
			return c.nodes[i]
		}
	}
	c.t.Fatalf("nobody has slot %d", slot)
	return nil
}

func (c *cluster) config() string {
	addrs := make([]string, 0, 2)
	for _, s := range c.nodes[:2] { // the others are learnt
		addrs = append(addrs, s.addr())
	}
	return fmt.Sprintf("{durability: strict, cluster: {addrs: [%s]}}", strings.Join(addrs, ", "))
}

// The master with the sender's books dies while messages are sent, and its replica takes over. With strict nothing is lost by that.
func TestRedisClusterFailover(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	s := newSite(t, options{rdb: c.rdb, redis: c.config()})
	for i := range 2 {
		s.worker()
		s.receiver(i)
	}
	var all sync.WaitGroup
	all.Go(s.handOver)
	s.passed(.5)
	owner := c.ownerOf("gupdispatch:{" + s.sender + "}:")
	killed := time.Now()
	owner.run.kill()
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		c.rdb.ReloadState(ctx)
		_, err := s.ledger.Audit(ctx, s.sender)
		return err == nil
	}, 60*time.Second, 50*time.Millisecond)
	t.Logf("another master of the sender %s after the first was killed", time.Since(killed).Round(10*time.Millisecond))
	s.count("failover", 1)
	owner.start() // as the new master's replica; until there is one, strict accepts and sends nothing
	all.Wait()
	s.settle()
	s.mustHold()
	s.commandsWork()
}

// commandsWork runs those commands that ask Redis in ways of their own.
func (s *site) commandsWork() {
	s.t.Helper()
	var listed []map[string]any
	require.NoError(s.t, json.Unmarshal([]byte(s.command("", "message", "list", "--to", number(1), "--json")), &listed))
	require.Len(s.t, listed, 1, "message list looks through all records")
	require.NotEmpty(s.t, s.command("", "message", "show", messageID(1), "--json"))
	var audit struct {
		Accepted int  `json:"accepted"`
		Balanced bool `json:"balanced"`
	}
	require.NoError(s.t, json.Unmarshal([]byte(s.command("", "audit", "--deep", "--json")), &audit))
	require.True(s.t, audit.Balanced)
	require.Equal(s.t, s.n, audit.Accepted)
	require.Contains(s.t, s.command("", "sender", "list", "--json"), s.sender)
	s.command("", "audit-log", "--json")
	s.command("", "sender", "hold", s.sender, "--reason", "test")
	s.command("", "sender", "release", s.sender)
	s.command("", "suppress", "add", "919800009999", "--sender", s.sender)
	require.Contains(s.t, s.command("", "suppress", "list", "--sender", s.sender), "9198")
	s.command("", "suppress", "remove", "919800009999", "--sender", s.sender)
	s.command("", "dead", "list", "--json")
	s.command("", "template", "list", "--json")
	s.command("", "receipts", "parked", "--json")
	s.command("", "config", "check")

	rows := "to,name\n"
	for i := range 50 {
		rows += fmt.Sprintf("9199%08d,N%d\n", i, i)
	}
	s.command(rows, "campaign", "create", "--id", "c1", "--sender", s.sender, "--template", "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b", "--param", "{name}", "--csv", "-")
	require.Eventually(s.t, func() bool {
		var c struct {
			Status string `json:"status"`
		}
		return json.Unmarshal([]byte(s.command("", "campaign", "show", "c1", "--json")), &c) == nil && c.Status == "completed"
	}, time.Minute, 200*time.Millisecond)
	s.settle()
}
