package view

import (
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// Sender is a sender with its pace; name, rate, effective_rate, hold and waiting are part of the contract.
type Sender struct {
	Name          string   `json:"name"`
	Rate          float64  `json:"rate" doc:"messages per second, as configured"`
	EffectiveRate float64  `json:"effective_rate" doc:"what Gupshup lets it send now; 0 while it is stopped"`
	Used          float64  `json:"used" doc:"messages in the last second"`
	StoppedUntil  Stamp    `json:"stopped_until" nullable:"true" doc:"by a Retry-After; null if it is not stopped"`
	Hold          *Hold    `json:"hold" doc:"the widest of holds; null if nothing of it is held"`
	Holds         []Hold   `json:"holds" nullable:"false" doc:"of the whole sender, and of some of its priorities"`
	TemplatesHeld int      `json:"templates_held"`
	Waiting       Waiting  `json:"waiting" doc:"for their turn, or behind a hold"`
	Later         int64    `json:"later" doc:"queued, and waiting for a time: a retry, send_at, the recipient, the day's budget"`
	Daily         *Daily   `json:"daily_recipients" doc:"null without a limit"`
	Slowed        int64    `json:"slowed_recipients" doc:"who are written to slowly for a while, since WhatsApp said that they got too much (131056)"`
	Paused        []string `json:"paused" nullable:"false" doc:"asynq queues that a person paused"`
}

// Daily is a limit on the recipients within 24 hours, and how much of it is used.
type Daily struct {
	Budget int   `json:"budget"`
	Used   int64 `json:"used"`
}

// Held is the answer to holding a sender.
type Held struct {
	Sender  string  `json:"sender"`
	Hold    Hold    `json:"hold"`
	Waiting Waiting `json:"waiting" doc:"of what is held"`
}

// Released is the answer to releasing a sender.
type Released struct {
	Sender   string  `json:"sender"`
	Released []Hold  `json:"released" nullable:"false" doc:"the holds that were ended"`
	Restored bool    `json:"pace_restored" doc:"Gupshup had slowed it down, or stopped it; it has its rate back"`
	Waiting  Waiting `json:"waiting" doc:"what is let go now, bit by bit"`
}

// Template is a held template of a sender.
type Template struct {
	Sender   string  `json:"sender"`
	Template string  `json:"template" doc:"its id"`
	Reason   string  `json:"reason" doc:"a class of failures, storm or by_hand"`
	Code     string  `json:"code" doc:"Gupshup's, if there was one"`
	Note     string  `json:"note" doc:"what the person wrote who holds it"`
	By       string  `json:"by" doc:"that person; empty: the policy"`
	SeenBy   string  `json:"seen_by" doc:"the process whose message failed; empty: by a person, or it is not known"`
	Since    Stamp   `json:"since"`
	Until    Stamp   `json:"until" nullable:"true" doc:"by the policy: when it is tried next; by a person: when it ends, null when somebody releases it"`
	Probe    string  `json:"probe" doc:"the message it is being tried with"`
	Waiting  Waiting `json:"waiting" doc:"behind it; what has not had its turn yet is not known by its template"`
}

// TemplateOf shows the hold of a sender's template.
func TemplateOf(sender string, h ledger.HeldScope) Template {
	return Template{
		Sender: sender, Template: h.Template, Reason: h.Reason, Code: h.Code, Note: h.Note, By: h.By, SeenBy: h.SeenBy, Since: Stamp(h.Since),
		Until: Stamp(h.Until), Probe: h.Probe, Waiting: WaitingOf(func(p message.Priority) int64 { return h.Waiting[p] }),
	}
}

// Hold is the same as a sender's, for telling it.
func (v Template) Hold() Hold {
	return Hold{Reason: v.Reason, Code: v.Code, Note: v.Note, By: v.By, SeenBy: v.SeenBy, Since: v.Since, Until: v.Until, Probe: v.Probe}
}

// SplitHolds tells what is held of a sender now: its own holds, the widest first, and its templates'.
func SplitHolds(all ledger.Holds) (own, templates []ledger.HeldScope) {
	for _, h := range all.Scopes {
		switch {
		case !h.On():
		case h.Template != "":
			templates = append(templates, h)
		default:
			own = append(own, h)
		}
	}
	return own, templates
}
