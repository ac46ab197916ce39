package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/campaign"
	"github.com/gupdispatch/gupdispatch/ledger"
)

const (
	enqueuedTasks  = 50_000 // of the loop that intake is compared with
	enqueueWorkers = 64
	campaignWindow = 2000 // campaign.window's default
	benchTemplate  = "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b"
)

// ingested is what one campaign's rows came to. Bytes are for each row.
type ingested struct{ enqueue, intake, peak, chunks, waiting float64 }

// campaigns shows how fast the rows of a campaign are taken in, beside a loop that enqueues a task for each, and what one costs while it waits.
func campaigns(ctx context.Context, rows, reps int) error {
	file, err := people(rows)
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file) }()
	var runs []ingested
	for range reps {
		r, err := ingest(ctx, file, rows)
		if err != nil {
			return fmt.Errorf("campaign: %w", err)
		}
		fmt.Fprintf(os.Stderr, "campaign: %.0f rows/s, enqueued alone %.0f tasks/s, %.1f bytes a row\n", r.intake, r.enqueue, r.waiting)
		runs = append(runs, r)
	}
	mid := func(of func(ingested) float64) float64 {
		xs := make([]float64, len(runs))
		for i, r := range runs {
			xs[i] = of(r)
		}
		return middle(xs)
	}
	enqueue, intake := mid(func(r ingested) float64 { return r.enqueue }), mid(func(r ingested) float64 { return r.intake })
	waiting := mid(func(r ingested) float64 { return r.waiting })
	w := table.NewWriter()
	w.SetOutputMirror(os.Stdout)
	w.AppendHeader(table.Row{fmt.Sprintf("campaign of %d rows", rows), "measured", "bar", ""})
	w.AppendRow(table.Row{"rows taken in per second", fmt.Sprintf("%.0f", intake), "", ""})
	w.AppendRow(table.Row{fmt.Sprintf("tasks per second of %d goroutines that enqueue", enqueueWorkers), fmt.Sprintf("%.0f", enqueue), "", ""})
	w.AppendRow(table.Row{"rows / tasks", fmt.Sprintf("%.1f", intake/enqueue), "≥ 4", verdict(intake/enqueue >= 4)})
	w.AppendRow(table.Row{"Redis bytes a row while the file is read", fmt.Sprintf("%.1f", mid(func(r ingested) float64 { return r.peak })), "", ""})
	w.AppendRow(table.Row{"in chunks", fmt.Sprintf("%.1f", mid(func(r ingested) float64 { return r.chunks })), "", ""})
	w.AppendRow(table.Row{"with a full window of messages", fmt.Sprintf("%.1f", waiting), "≤ 100", verdict(waiting <= 100)})
	w.Render()
	return nil
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "missed"
}

// people writes a file of recipients: random Indian numbers, a name of a thousand, a code of six letters.
func people(rows int) (name string, err error) {
	f, err := os.CreateTemp("", "campaign-*.csv")
	if err != nil {
		return "", err
	}
	rnd := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a file that is the same each time
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "to,name,code")
	for i := range rows {
		// A step without a common divisor with the range visits each number once.
		number := 917_000_000_000 + (int64(i)*1_000_003)%3_000_000_000
		fmt.Fprintf(w, "%d,%s%d,%s\n", number, "Asha", rnd.IntN(1000), strings.ToUpper(strconv.FormatInt(36*36*36*36*36+rnd.Int64N(1<<30), 36)))
	}
	if err := w.Flush(); err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

func ingest(ctx context.Context, file string, rows int) (r ingested, err error) {
	b, err := newBed(ctx, 0, "")
	if err != nil {
		return r, err
	}
	defer b.close()
	if r.enqueue, err = b.enqueueAlone(ctx); err != nil {
		return r, err
	}
	if err := b.rdb.FlushAll(ctx).Err(); err != nil {
		return r, err
	}
	before, err := usedMemory(ctx, b.rdb)
	if err != nil {
		return r, err
	}
	each := func() (float64, error) {
		used, err := usedMemory(ctx, b.rdb)
		return (used - before) / float64(rows), err
	}
	in, err := os.Open(file) //nolint:gosec // our own
	if err != nil {
		return r, err
	}
	defer func() { _ = in.Close() }()
	d := campaign.Definition{ID: "spring", Sender: sender, Template: benchTemplate, Params: []string{"{name}", "{code}"}}
	if err := d.Normalise(time.Now()); err != nil {
		return r, err
	}
	books := ledger.New(b.rdb, ledger.Config{})
	progress := func(t campaign.Taken) {
		if int(t.Accepted)*100/rows == 99 {
			if peak, err := each(); err == nil {
				r.peak = max(r.peak, peak)
			}
		}
	}
	began := time.Now()
	done, err := (&campaign.Intake{Ledger: books}).Take(ctx, d, campaign.File{In: in, Format: campaign.CSV, Progress: progress})
	if err != nil {
		return r, err
	}
	r.intake = float64(done.Accepted) / time.Since(began).Seconds()
	if int(done.Accepted) != rows {
		return r, fmt.Errorf("%d of %d rows were taken in", done.Accepted, rows)
	}
	if r.chunks, err = each(); err != nil {
		return r, err
	}
	if err := b.fillWindow(ctx, books, int64(min(rows, campaignWindow))); err != nil {
		return r, err
	}
	r.waiting, err = each()
	return r, err
}

// fillWindow lets an expander make messages until no more may wait.
func (b *bed) fillWindow(ctx context.Context, books *ledger.Ledger, most int64) error {
	expanding, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() {
		campaign.NewExpander(campaign.ExpanderConfig{Redis: b.rdb, Ledger: books, Senders: []string{sender}, Window: campaignWindow}).Run(expanding)
	})
	defer group.Wait()
	defer stop()
	return wait(ctx, func() error {
		c, err := books.GetCampaign(ctx, sender, "spring")
		if err == nil && c.Expanded < most {
			err = fmt.Errorf("%d rows are messages", c.Expanded)
		}
		return err
	})
}

// enqueueAlone is the loop that an application without a ledger would write: a task for each recipient, from many goroutines.
func (b *bed) enqueueAlone(ctx context.Context) (perSecond float64, err error) {
	client := asynq.NewClientFromRedisClient(b.rdb)
	numbers := make(chan int)
	var group sync.WaitGroup
	var once sync.Once
	began := time.Now()
	for range enqueueWorkers {
		group.Go(func() {
			for n := range numbers {
				payload, _ := json.Marshal(map[string]any{"to": strconv.Itoa(917_000_000_000 + n), "template": benchTemplate, "params": []string{"Asha", "AB12CD"}})
				if _, e := client.EnqueueContext(ctx, asynq.NewTask("send", payload), asynq.Queue(bareQueue)); e != nil {
					once.Do(func() { err = e })
				}
			}
		})
	}
	for n := range enqueuedTasks {
		numbers <- n
	}
	close(numbers)
	group.Wait()
	return enqueuedTasks / time.Since(began).Seconds(), err
}

func usedMemory(ctx context.Context, rdb *redis.Client) (float64, error) {
	info, err := rdb.Info(ctx, "memory").Result()
	if err != nil {
		return 0, err
	}
	for l := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(l), "used_memory:"); ok {
			return strconv.ParseFloat(v, 64)
		}
	}
	return 0, fmt.Errorf("redis does not tell its memory")
}
