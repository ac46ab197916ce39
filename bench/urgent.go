package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
)

// whenPath is where the simulator's process tells when it accepted the messages to numbers that begin with ?prefix=, by number, in
// microseconds since 1970.
const whenPath = "/bench/when"

const (
	urgentRate    = 80
	urgentBacklog = 100_000
	urgentPrefix  = "91999"
)

// urgent shows how long a critical message takes from the call of producer.Send to its request at Gupshup: with nothing else about,
// and behind a campaign that takes all of the rate.
func urgent(ctx context.Context, n int) error {
	w := table.NewWriter()
	w.SetOutputMirror(os.Stdout)
	w.AppendHeader(table.Row{"critical messages", "n", "p50 ms", "p90 ms", "p99 ms", "max ms", "bar of p99", ""})
	for _, backlog := range []int{0, urgentBacklog} {
		took, err := urgentBehind(ctx, backlog, n)
		if err != nil {
			return fmt.Errorf("critical behind %d: %w", backlog, err)
		}
		name, bar := "idle worker", 150.0
		if backlog > 0 {
			name, bar = fmt.Sprintf("behind %d bulk messages at %d/s", backlog, urgentRate), 300.0
		}
		verdict := "met"
		if quantile(took, 0.99) > bar {
			verdict = "missed"
		}
		row := table.Row{name, len(took)}
		for _, q := range []float64{0.5, 0.9, 0.99, 1} {
			row = append(row, fmt.Sprintf("%.0f", quantile(took, q)))
		}
		w.AppendRow(append(row, fmt.Sprintf("%.0f", bar), verdict))
	}
	w.Render()
	return nil
}

func urgentBehind(ctx context.Context, backlog, n int) ([]float64, error) {
	b, err := newBed(ctx, 0, "")
	if err != nil {
		return nil, err
	}
	defer b.close()
	if err := fill(ctx, roleFull, b.rdb, backlog); err != nil {
		return nil, err
	}
	worker, err := b.worker(ctx, roleFull, strconv.Itoa(urgentRate))
	if err != nil {
		return nil, err
	}
	defer worker.end()
	pause(ctx, 4*time.Second) // past its start, and with all handlers waiting
	sent, err := sendUrgent(ctx, b.rdb, n)
	if err != nil {
		return nil, err
	}
	var when map[string]int64
	err = wait(ctx, func() error {
		if err := b.ask(ctx, whenPath+"?prefix="+urgentPrefix, &when); err != nil {
			return err
		}
		if len(when) < n {
			return fmt.Errorf("%d of %d critical messages arrived", len(when), n)
		}
		return nil
	})
	took := make([]float64, 0, n)
	for to, at := range sent {
		took = append(took, float64(when[to]-at.UnixMicro())/1000)
	}
	slices.Sort(took)
	return took, err
}

// sendUrgent hands over n critical messages, ten a second on average, and tells when each was.
func sendUrgent(ctx context.Context, rdb *redis.Client, n int) (map[string]time.Time, error) {
	p, err := producer.New(producer.Config{Redis: rdb, Senders: []producer.Sender{{Name: sender}}})
	if err != nil {
		return nil, err
	}
	sent := make(map[string]time.Time, n)
	for i := range n {
		to := fmt.Sprintf("%s%07d", urgentPrefix, i)
		sent[to] = time.Now()
		if _, err := p.Send(ctx, message.Message{Sender: sender, To: to, Priority: message.Critical, Content: content(i)}); err != nil {
			return nil, err
		}
		pause(ctx, rand.N(200*time.Millisecond))
	}
	return sent, ctx.Err()
}

// quantile reads sorted values.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// when tells when the simulator accepted messages, by number.
func when(sim *gupshuptest.Simulator) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		prefix, at := r.URL.Query().Get("prefix"), map[string]int64{}
		for _, m := range sim.Accepted(gupshuptest.Filter{}) {
			if strings.HasPrefix(m.Destination, prefix) {
				at[m.Destination] = m.At.UnixMicro()
			}
		}
		_ = json.NewEncoder(w).Encode(at)
	}
}

// rules makes the simulator misbehave, or, with none, behave.
func (b *bed) rules(ctx context.Context, rules ...gupshuptest.Rule) error {
	body, err := json.Marshal(append([]gupshuptest.Rule{}, rules...))
	if err != nil {
		return err
	}
	u, err := url.JoinPath(b.simURL, "/_sim/rules")
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, u, strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("the simulator answered %s to its rules", res.Status)
	}
	return nil
}
