// Command bench measures gupdispatch's worker side by side with a bare asynq server that makes the same HTTP request, in one
// run on one machine: on loopback, and with a millisecond of round-trip time to Redis; then how well the pace is kept, how long critical
// messages take, what an outage costs and what idle senders cost; and then the callbacks: how fast they are taken and answered while messages are
// sent; and how fast a campaign is taken in, and what its rows cost. Redis, the simulator, the workers and the receiver are processes of their own. It needs redis-server on the PATH.
//
//	go run ./bench                  all tables
//	go run ./bench -part callbacks  only one: sending, strict, pace, urgent, trouble, idle, callbacks or campaign
//	go run ./bench -n 50000 -reps 5 more messages, more repetitions
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if role := os.Getenv(roleVar); role != "" {
		if err := play(ctx, role); err != nil {
			fmt.Fprintln(os.Stderr, "bench "+role+":", err)
			os.Exit(1)
		}
		return
	}
	n := flag.Int("n", 20_000, "messages in each run on loopback; a quarter of it with a round-trip time")
	reps := flag.Int("reps", 3, "repetitions of each run; the median is shown")
	part := flag.String("part", "", "measure only this: sending, strict, pace, urgent, trouble, idle, callbacks or campaign")
	outage := flag.Duration("outage", time.Minute, "how long Gupshup is away in the part trouble")
	idle := flag.Duration("idle", 10*time.Second, "how long to count commands of an idle worker")
	rows := flag.Int("rows", 1_000_000, "recipients of the campaign in the part campaign")
	flag.Parse()
	if err := bench(ctx, *part, *n, *reps, *rows, *idle, *outage); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(ctx context.Context, part string, n, reps, rows int, idleFor, outage time.Duration) error {
	parts := []struct {
		name    string
		measure func() error
	}{
		{"sending", func() error { return workers(ctx, n, reps, idleFor) }},
		{"strict", func() error { return strict(ctx, n, reps) }},
		{"pace", func() error { return pace(ctx, reps) }},
		{"urgent", func() error { return urgent(ctx, 300) }},
		{"trouble", func() error { return trouble(ctx, outage) }},
		{"idle", func() error { return idle(ctx, idleFor) }},
		{"callbacks", func() error { return receipts(ctx, n, reps) }},
		{"campaign", func() error { return campaigns(ctx, rows, reps) }},
	}
	known, names := part == "", ""
	for _, p := range parts {
		names += " " + p.name
		if part == "" || part == p.name {
			known = true
			if err := p.measure(); err != nil {
				return err
			}
		}
	}
	if !known {
		return fmt.Errorf("-part %s: write one of%s, or leave it out for all", part, names)
	}
	return nil
}

// setting is one line of the table: which worker, how far from Redis.
type setting struct {
	role    string
	delay   time.Duration
	replica bool
}

// workers measures them side by side, each with the messages waiting for it.
func workers(ctx context.Context, n, reps int, idleFor time.Duration) error {
	w := table.NewWriter()
	w.SetOutputMirror(os.Stdout)
	w.AppendHeader(table.Row{"Redis at", "worker", "messages/s", "× bare", "worker CPU s/1,000", "Redis CPU s/1,000", "bytes waiting", "bytes after", "idle commands/s", "worker MB"})
	for _, delay := range []time.Duration{0, 500 * time.Microsecond} {
		count, place := n, "loopback"
		if delay > 0 {
			count, place = n/4, "1 ms"
		}
		results := map[string][]result{}
		for range reps { // in turn, so that a machine that grows slower slows both
			for _, role := range []string{roleBare, roleNoted, roleFull} {
				r, err := measure(ctx, setting{role: role, delay: delay}, count)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", place, role, err)
				}
				results[role] = append(results[role], r)
				fmt.Fprintf(os.Stderr, "%s %s: %.0f messages/s\n", place, role, r.rate)
			}
		}
		bare := median(results[roleBare])
		for _, role := range []string{roleBare, roleNoted, roleFull} {
			m := median(results[role])
			idle := "-"
			if delay == 0 {
				perSecond, err := idleCommands(ctx, role, 1, idleFor)
				if err != nil {
					return err
				}
				idle = fmt.Sprintf("%.0f", perSecond)
			}
			w.AppendRow(table.Row{
				place, role, fmt.Sprintf("%.0f", m.rate), fmt.Sprintf("%.2f", m.rate/bare.rate), fmt.Sprintf("%.3f", m.workerCPU), fmt.Sprintf("%.3f", m.redisCPU),
				fmt.Sprintf("%.0f", m.bytesWaiting), fmt.Sprintf("%.0f", m.bytesAfter), idle, fmt.Sprintf("%.0f", m.megabytes),
			})
		}
		w.AppendSeparator()
	}
	w.Render()
	return nil
}

// median takes each figure's median on its own.
func median(rs []result) (m result) {
	mid := func(of func(result) float64) float64 {
		xs := make([]float64, len(rs))
		for i, r := range rs {
			xs[i] = of(r)
		}
		return middle(xs)
	}
	return result{
		rate: mid(func(r result) float64 { return r.rate }), workerCPU: mid(func(r result) float64 { return r.workerCPU }),
		redisCPU: mid(func(r result) float64 { return r.redisCPU }), bytesWaiting: mid(func(r result) float64 { return r.bytesWaiting }),
		bytesAfter: mid(func(r result) float64 { return r.bytesAfter }), megabytes: mid(func(r result) float64 { return r.megabytes }),
	}
}

// middle is the median.
func middle(xs []float64) float64 { return slices.Sorted(slices.Values(xs))[len(xs)/2] }

// freePort finds a port that nobody listens on.
func freePort(ctx context.Context) (string, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}
