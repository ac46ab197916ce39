//go:build unix

// Package crash kills gupdispatch again and again and counts what becomes of the messages.
//
// Workers, producers, an operator and a receiver of callbacks run as processes of their own: this test binary starts itself again in one of these
// roles. Each dies by SIGKILL, at a random moment or at a named point, which is before or after one of the commands that the
// work consists of (claim, HTTP request, commit, dequeue, …). Meanwhile Redis connections are cut, and replies get lost after
// Redis has executed what was asked. Afterwards every message that was confirmed as accepted must be accounted for, in the
// ledger and in the simulated Gupshup, which sees everything that was really sent.
//
// It needs a real Redis: the one that REDIS_ADDR names, or else a redis-server in PATH, which it starts for itself.
package crash

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// roleVar carries what a child process is to be, as a spec in JSON.
const roleVar = "GUPDISPATCH_CRASH_ROLE"

// spec tells a child process everything that it needs.
type spec struct {
	Role    string
	Sender  string
	Redis   string        // host:port, through the relay
	Gupshup string        // base URL of the simulator
	Stream  stream        // producer: what it hands over
	From    int           // producer: the first message
	Listen  string        // receiver: host:port
	Window  time.Duration // worker and receiver: how long a callback may claim a doubt
}

// The roles.
const (
	workerRole   = "worker"
	producerRole = "producer"
	operatorRole = "operator"
	receiverRole = "receiver"
)

var roles = map[string]func(ctx context.Context, s spec, h *hazard) error{
	workerRole: runWorker, producerRole: runProducer, operatorRole: runOperator, receiverRole: runReceiver,
}

func TestMain(m *testing.M) {
	raw := os.Getenv(roleVar)
	if raw == "" {
		flag.Parse()
		if err := flag.Set("test.parallel", "8"); err != nil { // however many cores there are: the tests mostly wait
			panic(err)
		}
		os.Exit(m.Run())
	}
	os.Exit(runChild(raw))
}

// runChild plays one role until SIGTERM, until its work is done, or until it is killed.
func runChild(raw string) int {
	var s spec
	if err := json.Unmarshal([]byte(raw), &s); err != nil {
		fmt.Fprintln(os.Stderr, "crash: the role is not readable:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	h := newHazard(os.NewFile(reportFD, "reports"))
	orders := json.NewDecoder(os.Stdin)
	if err := h.takeOrder(orders); err != nil {
		fmt.Fprintln(os.Stderr, "crash: no plan came:", err)
		return 2
	}
	go func() {
		for h.takeOrder(orders) == nil {
		}
		os.Exit(3) // the parent holds the other end: if it is gone, so is the reason to run
	}()
	if err := roles[s.Role](ctx, s, h); err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		return 1
	}
	return 0
}
