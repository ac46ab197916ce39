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
	"github.com/gupdispatch/gupdispatch/worker"
)

func newSenderCommand(e *env) *cobra.Command {
	return group("sender", "Look at senders, hold them back, or release them",
		newSenderListCommand(e), newSenderHoldCommand(e), newSenderReleaseCommand(e))
}

// senderView is a sender as `sender list` prints it; name, rate, effective_rate, hold and waiting are part of the contract.
type senderView struct {
	Name          string      `json:"name"`
	Rate          float64     `json:"rate"`           // as configured
	EffectiveRate float64     `json:"effective_rate"` // what Gupshup lets it send now; 0 while it is stopped
	Used          float64     `json:"used"`           // messages in the last second
	StoppedUntil  stamp       `json:"stopped_until"`  // by a Retry-After; null if it is not stopped
	Hold          *holdView   `json:"hold"`           // the widest of holds
	Holds         []holdView  `json:"holds"`          // of the whole sender, and of some of its priorities
	TemplatesHeld int         `json:"templates_held"`
	Waiting       waitingView `json:"waiting"`
	Later         int64       `json:"later"`            // queued, and waiting for a time: a retry, send_at, the recipient, the day's budget
	Daily         *dailyView  `json:"daily_recipients"` // null without a limit
	Paused        []string    `json:"paused"`           // asynq queues that a person paused
}

type dailyView struct {
	Budget int   `json:"budget"`
	Used   int64 `json:"used"`
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
			views := make([]senderView, len(a.cfg.Senders))
			for i, s := range a.cfg.Senders {
				if views[i], err = a.senderView(c.Context(), s); err != nil {
					return err
				}
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

func (a *app) senderView(ctx context.Context, s config.Sender) (senderView, error) {
	pace, err := flow.Read(ctx, a.redis.general, s.Name, s.Rate)
	if err != nil {
		return senderView{}, err
	}
	all, own, templates, err := a.heldOf(ctx, s.Name)
	if err != nil {
		return senderView{}, err
	}
	paused, err := worker.PausedQueues(ctx, a.redis.general, s.Name)
	if err != nil {
		return senderView{}, err
	}
	v := senderView{
		Name: s.Name, Rate: s.Rate, EffectiveRate: pace.Effective, Used: pace.Used, StoppedUntil: stamp(pace.StoppedUntil),
		Holds: holdViews(own), TemplatesHeld: len(templates), Waiting: waitingViewOf(all.Waiting), Paused: append([]string{}, paused...),
	}
	if !v.StoppedUntil.IsZero() {
		v.EffectiveRate = 0
	}
	if len(v.Holds) > 0 {
		v.Hold = &v.Holds[0] // the whole sender comes first
	}
	v.Later = max(0, all.All-v.Waiting.total())
	if s.DailyRecipients > 0 {
		v.Daily = &dailyView{Budget: s.DailyRecipients, Used: all.Today}
	}
	return v, nil
}

// senderTable prints for people: a line for each sender, and below them one for each thing that keeps something back.
func (e *env) senderTable(views []senderView) error {
	now := e.now()
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SENDER\tRATE\tNOW\tUSED\tCRITICAL\tDEFAULT\tBULK\tLATER\tHELD")
	for _, v := range views {
		fmt.Fprintf(w, "%s\t%g\t%g\t%g\t%d\t%d\t%d\t%d\t%s\n", v.Name, v.Rate, rounded(v.EffectiveRate), rounded(v.Used),
			v.Waiting.Critical, v.Waiting.Default, v.Waiting.Bulk, v.Later, v.held())
	}
	if err := printed(w.Flush()); err != nil {
		return err
	}
	for _, v := range views {
		for _, line := range v.lines(now) {
			if err := e.say("%s: %s", v.Name, line); err != nil {
				return err
			}
		}
	}
	return nil
}

// rounded leaves three digits behind the point; the least rate there is has so many.
func rounded(rate float64) float64 { return math.Round(rate*1000) / 1000 }

// held is such as "all, bulk, 2 templates".
func (v senderView) held() string {
	var words []string
	for _, h := range v.Holds {
		words = append(words, h.what())
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

// lines explain a sender's row.
func (v senderView) lines(now time.Time) (lines []string) {
	for _, h := range v.Holds {
		lines = append(lines, fmt.Sprintf("%s held: %s", h.what(), h.story(now)))
	}
	if v.TemplatesHeld > 0 {
		lines = append(lines, countedTemplates(v.TemplatesHeld)+" held: see `gupdispatch template list`")
	}
	if !v.StoppedUntil.IsZero() {
		lines = append(lines, "Gupshup wants nothing for another "+roundUp(time.Time(v.StoppedUntil).Sub(now)).String()+"; `gupdispatch sender release "+v.Name+"` sends all the same")
	}
	if v.Daily != nil {
		lines = append(lines, fmt.Sprintf("%d of %d recipients within 24 hours", v.Daily.Used, v.Daily.Budget))
	}
	for _, q := range v.Paused {
		lines = append(lines, fmt.Sprintf("a person paused the queue %s: resume it in the web UI", q))
	}
	return lines
}
