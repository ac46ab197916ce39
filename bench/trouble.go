package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

const (
	troubleRate = 80
	calm        = 6 * time.Second // of sending before the trouble begins
)

// trouble shows what an outage and a storm of 429 cost, and how soon a sender is back at its rate afterwards.
func trouble(ctx context.Context, lasting time.Duration) error {
	w := table.NewWriter()
	w.SetOutputMirror(os.Stdout)
	w.AppendHeader(table.Row{"trouble", "requests meanwhile", "first message after", "half the rate after", "90 % after", "attempts spent on it", "dead letters"})
	for _, t := range []struct {
		name  string
		fault gupshuptest.Fault
		last  time.Duration
	}{
		{fmt.Sprintf("503 for %s", lasting), gupshuptest.Fault{Kind: gupshuptest.KindHTTP, Status: http.StatusServiceUnavailable}, lasting},
		{fmt.Sprintf("no answer for %s", lasting), gupshuptest.Fault{Kind: gupshuptest.KindHang}, lasting},
		{"429 for 10s", gupshuptest.Fault{Kind: gupshuptest.Kind429}, 10 * time.Second},
	} {
		r, err := recovery(ctx, t.fault, t.last)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		w.AppendRow(table.Row{t.name, r.requests, r.first.Round(100 * time.Millisecond), r.half.Round(100 * time.Millisecond), r.most.Round(100 * time.Millisecond), r.spent, r.dead})
	}
	w.Render()
	return nil
}

// recovered is what trouble cost, and how long after its end the sender was back.
type recovered struct {
	requests, spent, dead int
	first, half, most     time.Duration
}

// recovery has a worker send at its rate, lets all requests fail for a while, and watches it come back.
func recovery(ctx context.Context, fault gupshuptest.Fault, last time.Duration) (r recovered, err error) {
	b, err := newBed(ctx, 0, "")
	if err != nil {
		return r, err
	}
	defer b.close()
	if err := fill(ctx, roleFull, b.rdb, int(troubleRate*(calm+3*time.Minute).Seconds())); err != nil {
		return r, err
	}
	w, err := b.worker(ctx, roleFull, strconv.Itoa(troubleRate))
	if err != nil {
		return r, err
	}
	defer w.end()
	if err := wait(ctx, func() error { return b.sending(ctx) }); err != nil {
		return r, err
	}
	pause(ctx, calm)
	before, err := b.stats(ctx)
	if err != nil {
		return r, err
	}
	if err := b.rules(ctx, gupshuptest.Rule{Fault: fault}); err != nil {
		return r, err
	}
	pause(ctx, last)
	over := time.Now()
	if err := b.rules(ctx); err != nil {
		return r, err
	}
	after, err := b.stats(ctx)
	if err != nil {
		return r, err
	}
	r.requests = int(after.Requests - before.Requests) //nolint:gosec // a count
	if err := r.watch(ctx, b, over); err != nil {
		return r, err
	}
	return r, r.count(ctx, b)
}

// watch waits until the worker sends at nine tenths of its rate again.
func (r *recovered) watch(ctx context.Context, b *bed, over time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, 150*time.Second)
	defer cancel()
	for {
		var moments []int64
		if err := b.ask(ctx, arrivalsPath, &moments); err != nil {
			return fmt.Errorf("it did not come back: %w", err)
		}
		moments = within(moments, over.UnixMicro(), time.Now().UnixMicro()+1)
		if len(moments) > 0 {
			r.first = time.UnixMicro(moments[0]).Sub(over)
		}
		r.half = reached(moments, over, troubleRate/2)
		if r.most = reached(moments, over, 9*troubleRate/10); r.most > 0 {
			return nil
		}
		pause(ctx, 200*time.Millisecond)
	}
}

// reached is how long after over the first second ended in which so many messages arrived; 0 if there was none.
func reached(moments []int64, over time.Time, rate int) time.Duration {
	from := 0
	for to := range moments {
		for moments[to]-moments[from] >= time.Second.Microseconds() {
			from++
		}
		if to-from+1 >= rate {
			return time.UnixMicro(moments[to]).Sub(over)
		}
	}
	return 0
}

// count looks at the books: what was spent beyond one attempt for each message.
func (r *recovered) count(ctx context.Context, b *bed) error {
	books := ledger.New(b.rdb, ledger.Config{})
	audit, err := books.Audit(ctx, sender)
	if err != nil {
		return err
	}
	r.dead = int(audit.Counts[message.Dead])
	keys := b.rdb.Scan(ctx, 0, "gupdispatch:{"+sender+"}:m:*", 1000).Iterator()
	for keys.Next(ctx) {
		fields, err := b.rdb.HMGet(ctx, keys.Val(), "sp", "st").Result()
		if err != nil {
			return err
		}
		spent, _ := strconv.Atoi(fmt.Sprint(fields[0]))
		if status := message.Status(fmt.Sprint(fields[1])); status.Taken() {
			spent-- // the one that it was taken with
		} else if status == message.Sending {
			spent--
		}
		r.spent += max(0, spent)
	}
	return keys.Err()
}
