package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
)

// callbacks says when they come.
type callbacks int

const (
	never callbacks = iota
	meanwhile
	afterwards // as fast as they are taken, when no worker sends any more
)

// traffic is a line of the table: how messages are sent, and when their callbacks come.
type traffic struct {
	name string
	rate int // messages per second; 0 for as fast as it goes
	n    int // messages
	callbacks
}

// traffics are the lines of the table. n is for those without a rate; the others take 15 seconds.
func traffics(n int) []traffic {
	var all []traffic
	for _, rate := range []int{80, 500, 1000} {
		all = append(all, traffic{fmt.Sprintf("%d/s", rate), rate, 15 * rate, meanwhile})
	}
	return append(all,
		traffic{"full speed", 0, n, meanwhile},
		traffic{"none any more", 0, n, afterwards},
		traffic{"full speed, no callbacks", 0, n, never},
	)
}

// heard is what came of it. The answers' times are in milliseconds, CPU in seconds for 1,000 callbacks; Redis's contains what the
// worker cost it meanwhile.
type heard struct {
	sends, callbacks, p50, p99, slowest, refused float64
	receiverCPU, redisCPU, bytes                 float64
}

// receipts shows what taking three callbacks for each message costs while messages are sent, and alone.
func receipts(ctx context.Context, n, reps int) error {
	w := table.NewWriter()
	w.SetOutputMirror(os.Stdout)
	w.AppendHeader(table.Row{"sending", "messages/s", "callbacks/s", "p50 ms", "p99 ms", "max ms", "not 2xx", "receiver CPU s/1,000", "Redis CPU s/1,000", "bytes after"})
	for _, t := range traffics(n) {
		var runs []heard
		for range reps {
			h, err := t.measure(ctx)
			if err != nil {
				return fmt.Errorf("callbacks, sending %s: %w", t.name, err)
			}
			fmt.Fprintf(os.Stderr, "sending %s: %.0f messages/s, %.0f callbacks/s, p99 %.1f ms\n", t.name, h.sends, h.callbacks, h.p99)
			runs = append(runs, h)
		}
		w.AppendRow(t.row(runs))
	}
	w.Render()
	return nil
}

// row shows the median of each figure, but of the slowest answer and of refusals the worst run's.
func (t traffic) row(runs []heard) table.Row {
	all := func(of func(heard) float64) (xs []float64) {
		for _, h := range runs {
			xs = append(xs, of(h))
		}
		return xs
	}
	row := table.Row{t.name}
	for _, c := range []struct {
		format string
		of     func(heard) float64
		pick   func([]float64) float64
		always bool
	}{
		{"%.0f", func(h heard) float64 { return h.sends }, middle, true},
		{"%.0f", func(h heard) float64 { return h.callbacks }, middle, false},
		{"%.2f", func(h heard) float64 { return h.p50 }, middle, false},
		{"%.2f", func(h heard) float64 { return h.p99 }, middle, false},
		{"%.1f", func(h heard) float64 { return h.slowest }, slices.Max[[]float64], false},
		{"%.0f", func(h heard) float64 { return h.refused }, slices.Max[[]float64], false},
		{"%.3f", func(h heard) float64 { return h.receiverCPU }, middle, false},
		{"%.3f", func(h heard) float64 { return h.redisCPU }, middle, false},
		{"%.0f", func(h heard) float64 { return h.bytes }, middle, true},
	} {
		cell := ""
		if c.always || t.callbacks != never {
			cell = fmt.Sprintf(c.format, c.pick(all(c.of)))
		}
		row = append(row, cell)
	}
	return row
}

// measure sends the messages and has their callbacks taken, to the last one.
func (t traffic) measure(ctx context.Context) (h heard, err error) {
	s, err := newStage(ctx, t)
	if err != nil {
		return h, err
	}
	defer s.close()
	switch t.callbacks {
	case never:
		h.sends, err = s.send(ctx)
	case meanwhile:
		err = s.watch(ctx, &h, func() error { h.sends, err = s.send(ctx); return err })
		if err == nil {
			err = s.toldAll(ctx)
		}
	case afterwards:
		if h.sends, err = s.send(ctx); err == nil {
			err = s.watch(ctx, &h, func() error { return s.toldAll(ctx) })
		}
	}
	if err != nil {
		return h, err
	}
	return h, s.conclude(ctx, &h)
}

// watch takes the time of callbacks while something is done.
func (s *stage) watch(ctx context.Context, h *heard, do func() error) error {
	cpu, err := s.redisCPU(ctx)
	if err != nil {
		return err
	}
	if _, err := s.answers(ctx); err != nil { // lets the callbacks go
		return err
	}
	if err := do(); err != nil {
		return err
	}
	a, err := s.answers(ctx)
	if err != nil {
		return err
	}
	h.callbacks, h.refused = float64(a.Count)/a.Seconds, float64(a.Refused)
	h.p50, h.p99, h.slowest = a.P50, a.P99, a.Max
	used, err := s.redisCPU(ctx)
	h.redisCPU = (used - cpu) / float64(a.Count) * 1000
	return err
}
