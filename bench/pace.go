package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/gupdispatch/gupdispatch/flow"
	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

// arrivalsPath is where the simulator's process tells when it accepted each message, in microseconds since 1970.
const arrivalsPath = "/bench/arrivals"

const (
	paceWarmUp = 4 * time.Second // until all workers have their handlers waiting, and more
	paceSpan   = 15 * time.Second
)

// pace shows how close to the set rate workers send while their backlog never ends, and how far above it the busiest second is. The
// bars are those of the design: never above 1.02 R + 1 in any second, at least 97 % of R used. The timer is the control: what it
// misses, the machine does.
func pace(ctx context.Context, reps int) error {
	w := table.NewWriter()
	w.SetOutputMirror(os.Stdout)
	w.AppendHeader(table.Row{"set", "by", "achieved", "of the rate", "busiest second", "at most", ""})
	for _, rate := range []int{20, 80, 1000} {
		for _, workers := range []int{0, 1, 4} {
			by := map[int]string{0: "a timer", 1: "1 worker", 4: "4 workers"}[workers]
			var means []float64
			most := 0
			for range reps {
				mean, busiest, err := keepPace(ctx, rate, workers)
				if err != nil {
					return fmt.Errorf("pace of %d/s by %s: %w", rate, by, err)
				}
				fmt.Fprintf(os.Stderr, "set %d/s, %s: %.1f/s, busiest second %d\n", rate, by, mean, busiest)
				means, most = append(means, mean), max(most, busiest)
			}
			mean, bar, verdict := middle(means), 1.02*float64(rate)+1, "met"
			if float64(most) > bar || mean < 0.97*float64(rate) {
				verdict = "missed"
			}
			w.AppendRow(table.Row{
				fmt.Sprintf("%d/s", rate), by, fmt.Sprintf("%.1f/s", mean), fmt.Sprintf("%.1f %%", 100*mean/float64(rate)),
				most, fmt.Sprintf("%.1f", bar), verdict,
			})
		}
	}
	w.Render()
	return nil
}

// keepPace lets workers send at a rate, or a timer without any, and tells the mean and the most messages that arrived in any second.
func keepPace(ctx context.Context, rate, workers int) (mean float64, most int, err error) {
	b, err := newBed(ctx, 0, "")
	if err != nil {
		return 0, 0, err
	}
	defer b.close()
	lasting := (paceWarmUp + paceSpan).Seconds() + 10
	if err := fill(ctx, roleFull, b.rdb, int(float64(rate)*lasting)); err != nil {
		return 0, 0, err
	}
	role := roleFull
	if workers == 0 {
		role, workers = roleTimer, 1
	}
	for range workers {
		p, err := b.worker(ctx, role, strconv.Itoa(rate))
		if err != nil {
			return 0, 0, err
		}
		defer p.end()
	}
	if err := wait(ctx, func() error { return b.sending(ctx) }); err != nil {
		return 0, 0, err
	}
	pause(ctx, paceWarmUp)
	from := time.Now()
	pause(ctx, paceSpan)
	var arrivals []int64
	if err := b.ask(ctx, arrivalsPath, &arrivals); err != nil {
		return 0, 0, err
	}
	if len(arrivals) >= int(float64(rate)*lasting) {
		return 0, 0, fmt.Errorf("the messages did not last: all %d were sent", len(arrivals))
	}
	arrivals = within(arrivals, from.UnixMicro(), from.Add(paceSpan).UnixMicro())
	return float64(len(arrivals)) / paceSpan.Seconds(), busiest(arrivals), ctx.Err()
}

// timer sends at the pace of the clock: one request at each moment, on time or not at all, with nothing behind it.
func timer(ctx context.Context) error {
	rate, err := strconv.ParseFloat(os.Getenv(rateVar), 64)
	if err != nil {
		return err
	}
	client, err := newClient()
	if err != nil {
		return err
	}
	start := time.Now()
	for i := 0; ctx.Err() == nil; i++ {
		due := start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		pause(ctx, time.Until(due))
		if time.Since(due) <= flow.MaxLate {
			go func() {
				_, _ = client.Send(ctx, gupshup.Request{Source: "917834811114", AppName: "BenchApp", Destination: number(i), Content: content(i)})
			}()
		}
	}
	return nil
}

// sending fails until the first message has arrived.
func (b *bed) sending(ctx context.Context) error {
	s, err := b.stats(ctx)
	if err == nil && s.Accepted == 0 {
		err = errors.New("no message arrived")
	}
	return err
}

// within keeps the moments from from to before to; they are in order.
func within(moments []int64, from, to int64) []int64 {
	for len(moments) > 0 && moments[0] < from {
		moments = moments[1:]
	}
	for len(moments) > 0 && moments[len(moments)-1] >= to {
		moments = moments[:len(moments)-1]
	}
	return moments
}

// busiest counts the most moments in any second; they are in order.
func busiest(moments []int64) int {
	most, from := 0, 0
	for to := range moments {
		for moments[to]-moments[from] >= time.Second.Microseconds() {
			from++
		}
		most = max(most, to-from+1)
	}
	return most
}

// arrivals tells when the simulator accepted its messages.
func arrivals(sim *gupshuptest.Simulator) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		at := []int64{}
		for _, m := range sim.Accepted(gupshuptest.Filter{}) {
			at = append(at, m.At.UnixMicro())
		}
		_ = json.NewEncoder(w).Encode(at)
	}
}
