package main

import (
	"context"
	"fmt"
	"math"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/config"
	"github.com/gupdispatch/gupdispatch/flow"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/view"
	"github.com/gupdispatch/gupdispatch/worker"
)

func newSenderCommand(e *env) *cobra.Command {
	return group("sender", "Look at senders, hold them back, or release them",
		newSenderListCommand(e), newSenderHoldCommand(e), newSenderReleaseCommand(e))
}

func newSenderListCommand(e *env) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List the senders: their pace, what is held, and what waits", Args: exactly(0, ""),
		Long: "List the senders: their pace, what is held, and what waits for its turn or behind a hold, by priority. LATER is what waits for a\n" +
			"time: a retry, its send_at, its recipient, the day's budget.",
		RunE: func(c *cobra.Command, _ []string) error {
			a, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer a.close()
			views := make([]view.Sender, len(a.cfg.Senders))
			for i, s := range a.cfg.Senders {
				if views[i], err = a.senderView(c.Context(), s); err != nil {
					return err
				}
			}
			if used, known := ledger.NewRoom(a.redis.general).Used(c.Context()); known && ledger.Consequence(used) != "" {
				e.note("%s", ledger.Consequence(used))
			}
			if asJSON {
				return e.printJSON(views)
			}
			return e.senderTable(views)
		},
	}
	jsonFlag(c, &asJSON)
	return c
}

func (a *app) senderView(ctx context.Context, s config.Sender) (view.Sender, error) {
	pace, err := flow.Read(ctx, a.redis.general, s.Name, s.Rate)
	if err != nil {
		return view.Sender{}, err
	}
	all, own, templates, err := a.heldOf(ctx, s.Name)
	if err != nil {
		return view.Sender{}, err
	}
	paused, err := worker.PausedQueues(ctx, a.redis.general, s.Name)
	if err != nil {
		return view.Sender{}, err
	}
	v := view.Sender{
		Name: s.Name, Rate: s.Rate, EffectiveRate: pace.Effective, Used: pace.Used, StoppedUntil: stamp(pace.StoppedUntil),
		Holds: view.HoldsOf(own), TemplatesHeld: len(templates), Waiting: view.WaitingOf(all.Waiting), Slowed: all.Slowed,
		Paused: append([]string{}, paused...),
	}
	if !v.StoppedUntil.IsZero() {
		v.EffectiveRate = 0
	}
	if len(v.Holds) > 0 {
		v.Hold = &v.Holds[0] // the whole sender comes first
	}
	v.Later = max(0, all.All-v.Waiting.Total())
	if s.DailyRecipients > 0 {
		v.Daily = &view.Daily{Budget: s.DailyRecipients, Used: all.Today}
	}
	return v, nil
}

// senderTable prints for people: a line for each sender, and below them one for each thing that keeps something back.
func (e *env) senderTable(views []view.Sender) error {
	now := e.now()
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SENDER\tRATE\tNOW\tUSED\tCRITICAL\tDEFAULT\tBULK\tLATER\tHELD")
	for _, v := range views {
		fmt.Fprintf(w, "%s\t%g\t%g\t%g\t%d\t%d\t%d\t%d\t%s\n", v.Name, v.Rate, rounded(v.EffectiveRate), rounded(v.Used),
			v.Waiting.Critical, v.Waiting.Default, v.Waiting.Bulk, v.Later, heldText(v))
	}
	if err := printed(w.Flush()); err != nil {
		return err
	}
	for _, v := range views {
		for _, line := range senderLines(v, now) {
			if err := e.say("%s: %s", v.Name, line); err != nil {
				return err
			}
		}
	}
	return nil
}

// rounded leaves three digits behind the point; the least rate there is has so many.
func rounded(rate float64) float64 { return math.Round(rate*1000) / 1000 }

// heldText is such as "all, bulk, 2 templates".
func heldText(v view.Sender) string {
	var words []string
	for _, h := range v.Holds {
		words = append(words, h.What())
	}
	if v.TemplatesHeld > 0 {
		words = append(words, countedTemplates(v.TemplatesHeld))
	}
	return orDash(strings.Join(words, ", "))
}

func countedTemplates(n int) string {
	if n == 1 {
		return "1 template"
	}
	return fmt.Sprintf("%d templates", n)
}

// senderLines explain a sender's row.
func senderLines(v view.Sender, now time.Time) (lines []string) {
	for _, h := range v.Holds {
		lines = append(lines, fmt.Sprintf("%s held: %s", h.What(), h.Story(now)))
	}
	if v.TemplatesHeld > 0 {
		lines = append(lines, countedTemplates(v.TemplatesHeld)+" held: see `gupdispatch template list`")
	}
	if !v.StoppedUntil.IsZero() {
		lines = append(lines, "Gupshup wants nothing for another "+view.RoundUp(time.Time(v.StoppedUntil).Sub(now)).String()+"; `gupdispatch sender release "+v.Name+"` sends all the same")
	}
	if v.Daily != nil {
		lines = append(lines, fmt.Sprintf("%d of %d recipients within 24 hours", v.Daily.Used, v.Daily.Budget))
	}
	if v.Slowed > 0 {
		lines = append(lines, view.Counted(v.Slowed, "recipient")+" got too much, said WhatsApp (131056): for a while they get one message after the other")
	}
	for _, q := range v.Paused {
		lines = append(lines, fmt.Sprintf("a person paused the queue %s: resume it in the web UI", q))
	}
	return lines
}
