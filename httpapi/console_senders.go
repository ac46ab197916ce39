package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/view"
)

// senderCard is a sender as the page shows it.
type senderCard struct {
	view.Sender
	Templates []view.Template // that are held
	Counts    map[message.Status]int64
}

// State is the one word about a sender, and the colour that goes with it.
func (s senderCard) State() string {
	switch {
	case s.Hold != nil && s.Hold.Whole():
		return "held"
	case !s.StoppedUntil.IsZero():
		return "stopped"
	case s.Hold != nil:
		return "partly held"
	case s.EffectiveRate < s.Rate:
		return "slowed down"
	case len(s.Templates) > 0:
		return "templates held"
	}
	return "sending"
}

// Releasable says that its release button would do something.
func (s senderCard) Releasable() bool {
	return s.Hold != nil || !s.StoppedUntil.IsZero() || s.EffectiveRate < s.Rate
}

// Taken is what Gupshup took.
func (s senderCard) Taken() (n int64) {
	for status, k := range s.Counts {
		if status.Taken() {
			n += k
		}
	}
	return n
}

// Dead and Doubts are how many messages are dead letters, and in doubt.
func (s senderCard) Dead() int64   { return s.Counts[message.Dead] }
func (s senderCard) Doubts() int64 { return s.Counts[message.InDoubt] }

func (c *console) sendersPage(r *http.Request, d *consoleData) error {
	d.Title, d.Live = "Senders", true
	var cards []senderCard
	for _, s := range c.api.Senders {
		v, err := c.api.Sender(r.Context(), s.Name)
		if err != nil {
			return err
		}
		card := senderCard{Sender: v}
		if card.Templates, err = c.api.heldTemplates(r.Context(), s.Name); err != nil {
			return err
		}
		books, err := c.api.Ledger.Audit(r.Context(), s.Name)
		if err != nil {
			return err
		}
		card.Counts = books.Counts
		cards = append(cards, card)
	}
	d.Body = cards
	return nil
}

func releasesSender(r *http.Request) act {
	return act{name: "sender.release", target: r.PathValue("name")}
}

func (c *console) releaseSender(ctx context.Context, r *http.Request, by account, done *act) error {
	name := r.PathValue("name")
	if err := c.api.known(name); err != nil {
		return err
	}
	out, err := c.api.release(ctx, name, by.name)
	if err != nil {
		return err
	}
	done.said = name + " was not held: nothing had to be released."
	if n := len(out.Released); n > 0 || out.Restored {
		done.said = fmt.Sprintf("%s is released. What waits is let go bit by bit: %s.", name, counted(out.Waiting.Total(), "message"))
		for _, h := range out.Released {
			done.detail = joinTexts(done.detail, h.What()+" held "+h.Past(c.now())+".")
		}
		if out.Restored {
			done.detail = joinTexts(done.detail, "Pace restored.")
		}
	}
	return nil
}

func releasesTemplate(r *http.Request) act {
	return act{name: "template.release", target: r.PostForm.Get("sender") + " " + r.PathValue("id")}
}

func (c *console) releaseTemplate(ctx context.Context, r *http.Request, by account, done *act) error {
	ref, sender := TemplateRef{ID: r.PathValue("id")}, r.PostForm.Get("sender")
	if err := ref.check(); err != nil {
		return err
	}
	if err := c.api.known(sender); err != nil {
		return err
	}
	if _, err := c.api.Ledger.Release(ctx, sender, ref.ID, by.name); err != nil {
		return err
	}
	done.said = fmt.Sprintf("The template %s of %s is released. What waits is let go bit by bit.", ref.ID, sender)
	return nil
}

// counted is such as "1 message" and "1,200 messages".
func counted(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return view.Thousands(n) + " " + what + "s"
}

// ago tells for how long something has been so.
func ago(now time.Time, at view.Stamp) string {
	if at.IsZero() {
		return "-"
	}
	d := now.Sub(time.Time(at))
	switch {
	case d < 0:
		return "in " + span(-d)
	case d < time.Second:
		return "just now"
	}
	return span(d) + " ago"
}

// span is a duration in its largest unit: nobody needs seconds of yesterday.
func span(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
