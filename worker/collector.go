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

	up, servers, memory                       *prometheus.Desc
	depth, oldest, messages, inDoubt          *prometheus.Desc
	duplicates, rate, pace                    *prometheus.Desc
	parked, parkedAge, parkedDropped, silence *prometheus.Desc
	hold, templateHolds, held, today, slowed  *prometheus.Desc
	swept, overdue                            *prometheus.Desc
	campaigns, recipients                     *prometheus.Desc
}

// NewCollector makes a collector for the queues and books of senders, given with their rates. The client stays the caller's.
func NewCollector(rdb redis.UniversalClient, l *ledger.Ledger, rates map[string]float64) *Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &Collector{
		rdb: rdb, ledger: l, rates: rates, room: ledger.NewRoom(rdb),
		up:         desc("gupdispatch_redis_up", "1 if Redis answered this scrape, else 0; then what is read from Redis is missing."),
		servers:    desc("gupdispatch_asynq_servers", "asynq servers that are alive, over all processes: several for each worker and sender; 0 if no worker runs."),
		memory:     desc("gupdispatch_redis_memory_ratio", "Which part of its maxmemory Redis uses; absent if it has none or does not tell."),
		depth:      desc("gupdispatch_queue_depth", "Tasks of an asynq queue by state.", "queue", "state"),
		oldest:     desc("gupdispatch_oldest_pending_seconds", "How long the first task of an asynq queue has been waiting to be taken; 0 if none waits.", "queue"),
		messages:   desc("gupdispatch_ledger_messages", "Messages by the state that they are in, rows of campaigns included, as the ledger's books have it.", "sender", "status"),
		inDoubt:    desc("gupdispatch_in_doubt", "Messages of which nobody knows whether Gupshup took them.", "sender"),
		duplicates: desc("gupdispatch_duplicates_total", "Messages that Gupshup took twice, each out of a doubt.", "sender"),
		rate:       desc("gupdispatch_rate", "Messages per second that a sender is set to send at most, over all workers.", "sender"),
		pace:       desc("gupdispatch_effective_rate", "Messages per second that a sender may send now: its rate, less while Gupshup finds it too fast; 0 while it is stopped.", "sender"),

		hold:          desc("gupdispatch_sender_hold", "1 for each reason for which a sender, or some of its priorities, is held; absent if it is not.", "sender", "reason"),
		templateHolds: desc("gupdispatch_template_holds", "Templates of a sender that are held.", "sender"),
		held:          desc("gupdispatch_held_messages", "Messages that wait behind a hold, or are being let go after one.", "sender"),
		slowed:        desc("gupdispatch_slowed_recipients", "Recipients who are written to slowly for a while, since WhatsApp said that they got too much (131056).", "sender"),
		today:         desc("gupdispatch_daily_recipients", "Recipients of the last 24 hours that count against daily_recipients; 0 without such a limit.", "sender"),

		parked:        desc("gupdispatch_parked_receipts", "MessageIds with receipts that no message is known for, kept for an hour.", "sender"),
		parkedAge:     desc("gupdispatch_parked_receipts_oldest_seconds", "How long the oldest of them has been parked; 0 if there is none.", "sender"),
		parkedDropped: desc("gupdispatch_parked_receipts_dropped_total", "MessageIds whose parked receipts were given up.", "sender"),
		silence:       desc("gupdispatch_seconds_since_last_receipt", "How long ago the latest receipt came; absent if none ever did.", "sender"),

		swept:   desc("gupdispatch_sweeper_late_seconds", "How long ago the lease of the sender's sweeper ran out; 0 while one is at work, absent if none ever was.", "sender"),
		overdue: desc("gupdispatch_oldest_due_seconds", "How long ago the sweeper should have looked at the message that is due longest; 0 if none is due.", "sender"),

		campaigns:  desc("gupdispatch_campaigns", "Campaigns that are not over, by status.", "sender", "status"),
		recipients: desc("gupdispatch_campaign_recipients", "Recipients of all campaigns that are not over, by the state of their messages.", "sender", "status"),
	}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.up, c.servers, c.memory, c.depth, c.oldest, c.messages, c.inDoubt, c.duplicates, c.rate, c.pace,
		c.parked, c.parkedAge, c.parkedDropped, c.silence, c.hold, c.templateHolds, c.held, c.today, c.slowed, c.swept, c.overdue, c.campaigns, c.recipients,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. What Redis does not answer in time is missing from the scrape, and logged by its server.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	servers, err := c.rdb.ZCount(ctx, asynqServers, strconv.FormatInt(time.Now().Unix(), 10), "+inf").Result()
	if err != nil {
		gauge(ch, c.up, 0)
		ch <- prometheus.NewInvalidMetric(c.servers, err)
		return
	}
	gauge(ch, c.up, 1)
	gauge(ch, c.servers, float64(servers))
	if used, known := c.room.Used(ctx); known {
		gauge(ch, c.memory, used)
	}
	for _, s := range slices.Sorted(maps.Keys(c.rates)) {
		for _, part := range []struct {
			collect func(context.Context, string, chan<- prometheus.Metric) error
			about   *prometheus.Desc
		}{
			{c.queues, c.depth}, {c.books, c.messages}, {c.hearing, c.parked}, {c.speed, c.pace}, {c.holds, c.hold}, {c.upkeep, c.swept}, {c.campaigning, c.campaigns},
		} {
			if err := part.collect(ctx, s, ch); err != nil {
				ch <- prometheus.NewInvalidMetric(part.about, err)
				return
			}
		}
	}
}

func gauge(ch chan<- prometheus.Metric, d *prometheus.Desc, value float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func counter(ch chan<- prometheus.Metric, d *prometheus.Desc, value float64, labels ...string) {
	ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, value, labels...)
}

// ago is how long ago that was, never negative, and 0 for no time.
func ago(t, now time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return max(0, now.Sub(t).Seconds())
}

// books tells in which states messages are.
func (c *Collector) books(ctx context.Context, sender string, ch chan<- prometheus.Metric) error {
	books, err := c.ledger.Audit(ctx, sender)
	if err != nil {
		return err
	}
	for _, status := range message.Statuses {
		gauge(ch, c.messages, float64(books.Counts[status]), sender, string(status))
	}
	gauge(ch, c.inDoubt, float64(books.Counts[message.InDoubt]), sender)
	counter(ch, c.duplicates, float64(books.Duplicates), sender)
	return nil
}

// speed tells how fast a sender may send, and does.
func (c *Collector) speed(ctx context.Context, sender string, ch chan<- prometheus.Metric) error {
	pace, err := flow.Read(ctx, c.rdb, sender, c.rates[sender])
	if err != nil {
		return err
	}
	if !pace.StoppedUntil.IsZero() {
		pace.Effective = 0
	}
	gauge(ch, c.rate, c.rates[sender], sender)
	gauge(ch, c.pace, pace.Effective, sender)
	return nil
}

// upkeep tells whether the sender's sweeper is at work.
func (c *Collector) upkeep(ctx context.Context, sender string, ch chan<- prometheus.Metric) error {
	u, err := c.ledger.Upkeep(ctx, sender)
	if err != nil {
		return err
	}
	if !u.SweeperTill.IsZero() {
		gauge(ch, c.swept, ago(u.SweeperTill, u.Now), sender)
	}
	gauge(ch, c.overdue, ago(u.OldestDue, u.Now), sender)
	return nil
}

// campaigning adds up the campaigns that are not over. A campaign's id is no label: there is no end to them.
func (c *Collector) campaigning(ctx context.Context, sender string, ch chan<- prometheus.Metric) error {
	open, err := c.ledger.OpenCampaigns(ctx, sender)
	if err != nil {
		return err
	}
	campaigns, recipients := map[message.CampaignStatus]int{}, map[message.Status]int64{}
	for _, campaign := range open {
		if campaign.Status.Ended() {
			continue // cancelled, and its messages are still being taken back
		}
		campaigns[campaign.Status]++
		for status, n := range campaign.Counts {
			recipients[status] += n
		}
	}
	for _, status := range message.CampaignStatuses {
		if !status.Ended() {
			gauge(ch, c.campaigns, float64(campaigns[status]), sender, string(status))
		}
	}
	for _, status := range message.Statuses {
		gauge(ch, c.recipients, float64(recipients[status]), sender, string(status))
	}
	return nil
}

// holds tells what is held of a sender. The sender and some of its priorities may be held for one reason: that is one sample.
func (c *Collector) holds(ctx context.Context, sender string, ch chan<- prometheus.Metric) error {
	holds, err := c.ledger.Holds(ctx, sender)
	if err != nil {
		return err
	}
	reasons, templates, waiting := map[string]bool{}, 0, int64(0)
	for _, h := range holds.Scopes {
		for _, n := range h.Waiting {
			waiting += n
		}
		switch {
		case !h.On():
		case h.Template != "":
			templates++
		default:
			reasons[h.Reason] = true
		}
	}
	for reason := range reasons {
		gauge(ch, c.hold, 1, sender, reason)
	}
	gauge(ch, c.templateHolds, float64(templates), sender)
	gauge(ch, c.held, float64(waiting), sender)
	gauge(ch, c.today, float64(holds.Today), sender)
	gauge(ch, c.slowed, float64(holds.Slowed), sender)
	return nil
}

// hearing tells how a sender's callbacks are coming in.
func (c *Collector) hearing(ctx context.Context, sender string, ch chan<- prometheus.Metric) error {
	h, err := c.ledger.Hearing(ctx, sender)
	if err != nil {
		return err
	}
	now := time.Now()
	gauge(ch, c.parked, float64(h.Parked), sender)
	gauge(ch, c.parkedAge, ago(h.Oldest, now), sender)
	counter(ch, c.parkedDropped, float64(h.Dropped), sender)
	if !h.Last.IsZero() {
		gauge(ch, c.silence, ago(h.Last, now), sender)
	}
	return nil
}

// asynqServers is where asynq keeps the servers that are alive, by the time until which they said so.
const asynqServers = "asynq:servers"

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
			gauge(ch, c.depth, float64(a.counts[i].Val()), queue, q.state)
		}
		gauge(ch, c.oldest, waited(since[p], now).Seconds(), queue)
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
