package worker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/flow"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// scrapeTimeout is how long one scrape may ask Redis: below Prometheus' own limit, so that the process's other metrics arrive
// when Redis does not.
const scrapeTimeout = 3 * time.Second

// Collector tells Prometheus how queues and books stand in Redis, which is the same whichever process is asked.
type Collector struct {
	rdb    redis.UniversalClient
	ledger *ledger.Ledger
	rates  map[string]float64 // by sender
	room   *ledger.Room

	memory                                    *prometheus.Desc
	depth, oldest, inDoubt, duplicates, pace  *prometheus.Desc
	parked, parkedAge, parkedDropped, silence *prometheus.Desc
	hold, templateHolds, today                *prometheus.Desc
}

// NewCollector makes a collector for the queues and books of senders, given with their rates. The client stays the caller's.
func NewCollector(rdb redis.UniversalClient, l *ledger.Ledger, rates map[string]float64) *Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &Collector{
		rdb: rdb, ledger: l, rates: rates, room: ledger.NewRoom(rdb),
		memory:     desc("gupdispatch_redis_memory_ratio", "Which part of its maxmemory Redis uses; absent if it has none or does not tell."),
		depth:      desc("gupdispatch_queue_depth", "Tasks of an asynq queue by state.", "queue", "state"),
		oldest:     desc("gupdispatch_oldest_pending_seconds", "How long the first task of an asynq queue has been waiting to be taken; 0 if none waits.", "queue"),
		inDoubt:    desc("gupdispatch_in_doubt", "Messages of which nobody knows whether Gupshup took them.", "sender"),
		duplicates: desc("gupdispatch_duplicates_total", "Messages that Gupshup took twice, each out of a doubt.", "sender"),
		pace:       desc("gupdispatch_effective_rate", "Messages per second that a sender may send now: its rate, less while Gupshup finds it too fast; 0 while it is stopped.", "sender"),

		hold:          desc("gupdispatch_sender_hold", "1 for each reason for which a sender, or some of its priorities, is held; absent if it is not.", "sender", "reason"),
		templateHolds: desc("gupdispatch_template_holds", "Templates of a sender that are held.", "sender"),
		today:         desc("gupdispatch_daily_recipients", "Recipients of the last 24 hours that count against daily_recipients; 0 without such a limit.", "sender"),

		parked:        desc("gupdispatch_parked_receipts", "MessageIds with receipts that no message is known for, kept for an hour.", "sender"),
		parkedAge:     desc("gupdispatch_parked_receipts_oldest_seconds", "How long the oldest of them has been parked; 0 if there is none.", "sender"),
		parkedDropped: desc("gupdispatch_parked_receipts_dropped_total", "MessageIds whose parked receipts were given up.", "sender"),
		silence:       desc("gupdispatch_seconds_since_last_receipt", "How long ago the latest receipt came; absent if none ever did.", "sender"),
	}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.memory, c.depth, c.oldest, c.inDoubt, c.duplicates, c.pace, c.parked, c.parkedAge, c.parkedDropped, c.silence,
		c.hold, c.templateHolds, c.today,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. What Redis does not answer in time is missing from the scrape, and logged by its server.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	if used, known := c.room.Used(ctx); known {
		ch <- prometheus.MustNewConstMetric(c.memory, prometheus.GaugeValue, used)
	}
	for _, s := range slices.Sorted(maps.Keys(c.rates)) {
		if err := c.queues(ctx, s, ch); err != nil {
			ch <- prometheus.NewInvalidMetric(c.depth, err)
			return
		}
		books, err := c.ledger.Audit(ctx, s)
		if err != nil {
			ch <- prometheus.NewInvalidMetric(c.inDoubt, err)
			return
		}
		ch <- prometheus.MustNewConstMetric(c.inDoubt, prometheus.GaugeValue, float64(books.Counts[message.InDoubt]), s)
		ch <- prometheus.MustNewConstMetric(c.duplicates, prometheus.CounterValue, float64(books.Duplicates), s)
		hearing, err := c.ledger.Hearing(ctx, s)
		if err != nil {
			ch <- prometheus.NewInvalidMetric(c.parked, err)
			return
		}
		c.hearing(s, hearing, time.Now(), ch)
		pace, err := flow.Read(ctx, c.rdb, s, c.rates[s])
		if err != nil {
			ch <- prometheus.NewInvalidMetric(c.pace, err)
			return
		}
		if !pace.StoppedUntil.IsZero() {
			pace.Effective = 0
		}
		ch <- prometheus.MustNewConstMetric(c.pace, prometheus.GaugeValue, pace.Effective, s)
		holds, err := c.ledger.Holds(ctx, s)
		if err != nil {
			ch <- prometheus.NewInvalidMetric(c.hold, err)
			return
		}
		c.holds(s, holds, ch)
	}
}

// holds tells what is held of a sender. The sender and some of its priorities may be held for one reason: that is one sample.
func (c *Collector) holds(sender string, holds ledger.Holds, ch chan<- prometheus.Metric) {
	reasons, templates := map[string]bool{}, 0
	for _, h := range holds.Scopes {
		switch {
		case !h.On():
		case h.Template != "":
			templates++
		default:
			reasons[h.Reason] = true
		}
	}
	for reason := range reasons {
		ch <- prometheus.MustNewConstMetric(c.hold, prometheus.GaugeValue, 1, sender, reason)
	}
	ch <- prometheus.MustNewConstMetric(c.templateHolds, prometheus.GaugeValue, float64(templates), sender)
	ch <- prometheus.MustNewConstMetric(c.today, prometheus.GaugeValue, float64(holds.Today), sender)
}

// hearing tells how a sender's callbacks are coming in.
func (c *Collector) hearing(sender string, h ledger.Hearing, now time.Time, ch chan<- prometheus.Metric) {
	since := func(t time.Time) float64 {
		if t.IsZero() {
			return 0
		}
		return max(0, now.Sub(t).Seconds())
	}
	ch <- prometheus.MustNewConstMetric(c.parked, prometheus.GaugeValue, float64(h.Parked), sender)
	ch <- prometheus.MustNewConstMetric(c.parkedAge, prometheus.GaugeValue, since(h.Oldest), sender)
	ch <- prometheus.MustNewConstMetric(c.parkedDropped, prometheus.CounterValue, float64(h.Dropped), sender)
	if !h.Last.IsZero() {
		ch <- prometheus.MustNewConstMetric(c.silence, prometheus.GaugeValue, since(h.Last), sender)
	}
}

// queueCounts says where asynq keeps the tasks of each state: lists, and sorted sets.
var queueCounts = []struct {
	state string
	set   bool
}{{"pending", false}, {"active", false}, {"scheduled", true}, {"retry", true}, {"archived", true}, {"completed", true}}

// queues reads the queues of a sender in two round trips; like queueStates, and for the same reason, from asynq's own keys.
func (c *Collector) queues(ctx context.Context, sender string, ch chan<- prometheus.Metric) error {
	type answers struct {
		counts []*redis.IntCmd
		first  *redis.StringCmd
	}
	asked := map[message.Priority]answers{}
	_, err := c.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, p := range message.Lanes {
			key, a := asynqKey(sender, p), answers{}
			for _, q := range queueCounts {
				if q.set {
					a.counts = append(a.counts, pipe.ZCard(ctx, key+q.state))
				} else {
					a.counts = append(a.counts, pipe.LLen(ctx, key+q.state))
				}
			}
			a.first = pipe.LIndex(ctx, key+"pending", -1) // asynq adds in front and takes from the back
			asked[p] = a
		}
		return nil
	})
	if err != nil && err != redis.Nil { //nolint:errorlint // an empty queue's LIndex; the pipeline returns it bare
		return fmt.Errorf("queues of %s: %w", sender, err)
	}
	since := map[message.Priority]*redis.StringCmd{}
	_, err = c.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for p, a := range asked {
			if id := a.first.Val(); id != "" {
				since[p] = pipe.HGet(ctx, asynqKey(sender, p)+"t:"+id, "pending_since")
			}
		}
		return nil
	})
	if err != nil && err != redis.Nil { //nolint:errorlint // a task that was taken meanwhile
		return fmt.Errorf("queues of %s: %w", sender, err)
	}
	now := time.Now()
	for p, a := range asked {
		queue := message.Queue(sender, p)
		for i, q := range queueCounts {
			ch <- prometheus.MustNewConstMetric(c.depth, prometheus.GaugeValue, float64(a.counts[i].Val()), queue, q.state)
		}
		ch <- prometheus.MustNewConstMetric(c.oldest, prometheus.GaugeValue, waited(since[p], now).Seconds(), queue)
	}
	return nil
}

// waited reads a task's pending_since, nanoseconds since 1970; 0 for no task.
func waited(since *redis.StringCmd, now time.Time) time.Duration {
	if since == nil {
		return 0
	}
	ns, err := strconv.ParseInt(since.Val(), 10, 64)
	if err != nil {
		return 0
	}
	return max(0, now.Sub(time.Unix(0, ns)))
}
