package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

const (
	demoLook  = 100 * time.Millisecond // how often the books are looked at
	demoQuiet = 300 * time.Millisecond // nothing has moved for so long: see whether all is at rest
	demoStuck = 45 * time.Second       // nothing has moved for so long: report what there is
)

// longWaits are what a message may wait for longer than a demo lasts. A retry or a limit to one person is soon over.
var longWaits = map[string]string{
	"account":  "the sender is held, its wallet is empty: tried again after a minute",
	"template": "the template is held, it is paused: tried again after a minute",
	"wait_day": "no more marketing to these people today: tried again tomorrow",
}

// watch shows the progress until all messages are accepted, every one is settled or waits for something that takes long, and
// Gupshup has told everything about them.
func (s *demoStage) watch(ctx context.Context) error {
	show := s.progress()
	defer show.end()
	ticker := time.NewTicker(demoLook)
	defer ticker.Stop()
	open := s.ids()
	last, moved := demoBooks{}, time.Now()
	for {
		now, err := s.books(ctx)
		if err != nil {
			return err
		}
		if now != last {
			last, moved = now, time.Now()
			show.update(now)
		}
		switch quiet := time.Since(moved); {
		case quiet >= demoStuck:
			return nil
		case quiet >= demoQuiet && now.accepted >= int64(len(s.sample)):
			var over bool
			if open, over, err = s.over(ctx, open); over || err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-s.ended:
			s.ended <- nil
			return fmt.Errorf("the worker has ended too early: %w", errors.Join(err, ctx.Err()))
		case <-ticker.C:
		}
	}
}

// over tells whether nothing will move any more soon. open are messages to look at first; it returns those that still move. A
// message that seems to be at its end may yet fail by callback and be sent again. So all have to be at rest after the last callback
// of what Gupshup took was told, and Gupshup must not have taken anything meanwhile.
func (s *demoStage) over(ctx context.Context, open []demoID) ([]demoID, bool, error) {
	open, err := s.restless(ctx, open)
	if err != nil || len(open) > 0 || s.sim.Pending() > 0 {
		return open, false, err
	}
	taken := s.sim.Stats().Accepted
	for range 2 {
		if open, err = s.restless(ctx, s.ids()); err != nil || len(open) > 0 || s.sim.Pending() > 0 {
			return open, false, err
		}
	}
	return nil, s.sim.Stats().Accepted == taken, nil
}

// demoInterrupted prefers Ctrl-C to whatever it has broken.
func demoInterrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted before every message had come to its end")
	}
	return err
}

// demoBooks is what the progress shows, summed over the senders.
type demoBooks struct {
	accepted, open, taken, delivered, read, failed, dead, expired, doubt int64
}

// done is how many messages have come to an end, for as long as no callback says otherwise.
func (b demoBooks) done() int64 { return b.accepted - b.open }

func (s *demoStage) books(ctx context.Context) (demoBooks, error) {
	var b demoBooks
	for _, d := range demoSenders() {
		a, err := s.app.ledger.Audit(ctx, d.name)
		if err != nil {
			return b, err
		}
		b.accepted += a.Accepted
		b.open += a.Unsettled()
		for status, n := range a.Counts {
			if status.Taken() {
				b.taken += n
			}
		}
		b.delivered += a.Counts[message.Delivered]
		b.read += a.Counts[message.Read]
		b.failed += a.Counts[message.Failed]
		b.dead += a.Counts[message.Dead]
		b.expired += a.Counts[message.Expired]
		b.doubt += a.Counts[message.InDoubt]
	}
	return b, nil
}

// demoID names one message.
type demoID struct{ sender, id string }

func (s *demoStage) ids() []demoID {
	ids := make([]demoID, len(s.sample))
	for i, d := range s.sample {
		ids[i] = demoID{d.Sender, d.ID}
	}
	return ids
}

// restless returns those messages that will still move soon.
func (s *demoStage) restless(ctx context.Context, ids []demoID) ([]demoID, error) {
	var open []demoID
	for _, id := range ids {
		rec, err := s.app.ledger.Get(ctx, id.sender, id.id)
		if err != nil {
			return nil, fmt.Errorf("message %s: %w", id.id, err)
		}
		if !atRest(rec) {
			open = append(open, id)
		}
	}
	return open, nil
}

func atRest(rec ledger.Record) bool {
	_, long := longWaits[rec.WaitingFor]
	return rec.Status.Settled() || (rec.Status == message.Queued && long)
}

// demoProgress shows how far it is: a bar for a person at a terminal, a line a second otherwise.
type demoProgress struct {
	env   *env
	total int
	bar   *progressbar.ProgressBar // nil: lines
	began time.Time
	told  time.Time
}

func (s *demoStage) progress() *demoProgress {
	p := &demoProgress{env: s.env, total: len(s.sample), began: time.Now(), told: time.Now()}
	if s.env.isTerminal(s.env.stderr) && !s.flags.verbose {
		p.bar = progressbar.NewOptions(
			p.total,
			progressbar.OptionSetWriter(s.env.stderr),
			progressbar.OptionSetWidth(12), // with the rest it stays below 80 columns
			progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetElapsedTime(true),
			progressbar.OptionThrottle(60*time.Millisecond),
			progressbar.OptionShowDescriptionAtLineEnd(),
			progressbar.OptionSetTheme(progressbar.Theme{Saucer: "█", SaucerPadding: "░"}),
		)
	}
	return p
}

func (p *demoProgress) update(b demoBooks) {
	if p.bar != nil {
		p.bar.Describe(fmt.Sprintf("%s delivered, %s read, %s dead", thousands(b.delivered), thousands(b.read), thousands(b.dead)))
		_ = p.bar.Set64(min(b.done(), int64(p.total)-1)) // it would vanish when it is full
		return
	}
	if time.Since(p.told) < time.Second {
		return
	}
	p.told = time.Now()
	p.env.note("%4ds  %6s of %s at their end: %s taken by Gupshup, of them %s delivered and %s read; %s failed, %s dead, %s in doubt",
		int(time.Since(p.began).Seconds()), thousands(b.done()), thousands(p.total), thousands(b.taken), thousands(b.delivered),
		thousands(b.read), thousands(b.failed), thousands(b.dead), thousands(b.doubt))
}

func (p *demoProgress) end() {
	if p.bar != nil {
		_ = p.bar.Clear()
	}
}
