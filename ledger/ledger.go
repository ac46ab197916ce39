// Package ledger is the truth about every message: its record in Redis, where it has to be looked for, and the counts that
// must add up. Each change is one Lua script, one round trip, and safe to apply twice. asynq's view of a message is only a
// hint that somebody should look here.
//
// Keys of a sender, all in one slot (P is "gupdispatch:{sender}:"):
//
//	P m:<id>                 hash, the record (fields: see record.go)
//	P waiting:<priority>     zset by time of enqueueing: an asynq task is on its way to a handler
//	P due                    zset by time: the sweeper has to look at the message then
//	P expiry                 zset by time: alarms of messages that must not be sent after it
//	P dead                   zset by time: dead letters
//	P settled                list of <ms>:<id>, oldest first: what retention will retire
//	P x:<day>:<bucket>       hash messageId (Gupshup's and WhatsApp's) → <id>:<attempt>:<stamp of the record>
//	P wire                   zset <number>:<id>, all of score 0: requests under way
//	P doubt:<number>         zset <id>:<attempt> by intent: attempts to that number that a callback may claim
//	P parked                 zset messageId by time of arrival: receipts that nobody has asked for yet
//	P parked:<messageId>     list of those receipts (lines: see receipt.lua)
//	P parkedto:<number>      zset messageId by time of arrival: those parked for that number
//	P suppress               hash number, or number/bulk → whom not to write to, see suppression.go
//	P suppress:until         zset of its fields by the time they run out
//	P session                zset number by the time the user last wrote
//	P heard                  hash: last (when a receipt came), dropped (parked messageIds given up)
//	P events                 stream of changes of state, if configured
//	P count                  hash: accepted, retired, duplicates, one number for each state, and rows: queued, but no messages yet
//	P mark                   zset priority by enqueue time of the latest message claimed
//	P hold                   hash: sender, some (priorities), template:<id>, campaign:<id> → what is held, why and until when, see hold.lua
//	P held:<scope>           zset by priority and time: queued messages that wait behind a hold
//	P news                   list of {scope, hold as JSON}: holds that began or ended, of which somebody is still to be told
//	P pulse, P run           hashes: what went well while something was held, and failures in a row, see hold.lua
//	P fence                  string, empty: written before replicas are asked for what they have, see confirm.go
//	P pair:<number>          string: when the next message to that number may go, see limit.lua
//	P slowed                 zset number by time: those that WhatsApp said got too much, see limit.lua
//	P daily, P daily:line    zset number by time, string: recipients of the last 24 hours, see limit.lua
//	P sweeper, P expander    hashes: owner, till
//	P campaigns              zset campaign by time of creation; campaigns:open those that are not over, campaigns:ended and campaigns:rows
//	                         those that are, and whose rows are still kept, by the time of their end
//	P c:<id>                 hash, a campaign (fields: see campaign.lua); c:<id>:count its rows by state; c:<id>:rows chunk → compressed
//	                         rows; c:<id>:z:<zone> how far those in a zone are; c:<id>:n:<bucket> and c:<id>:i:<bucket> sets of numbers and ids that were read, until all are
package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/message"
)

// Config says how long records are kept and how the ledger tells the time.
type Config struct {
	Retention     time.Duration                      // of settled records; default 7 days
	DeadRetention time.Duration                      // of dead letters; default 90 days
	Expiry        map[message.Priority]time.Duration // how long a message without expires_at may wait; default critical 10 minutes
	DoubtWindow   time.Duration                      // how long after an attempt in doubt a callback may claim it; default 2 minutes
	ParkedMost    int                                // messageIds whose receipts are parked at a time, per sender; default 50,000
	Events        map[string]int                     // by sender: how many entries its stream of events keeps; 0 or absent: none is written
	Limits        map[string]Limits                  // by sender: what recipients and a day can take; absent: anything
	MaxQueued     map[string]int                     // by sender: how many messages may be queued before more are refused; 0 or absent: any number
	Confirm       time.Duration                      // how long a replica may take to confirm a change; 0: none is asked, see confirm.go
	Process       string                             // who writes here, for holds to tell who saw what they are for; empty: they do not tell
	Offset        func() time.Duration               // added to Redis's clock; nil in production, tests move time with it
}

// Limits bound what one recipient, and the recipients of one day, are sent. The zero value bounds nothing.
type Limits struct {
	PairEvery       time.Duration // the time between two messages to one number, in the long run; 0: no limit
	PairBurst       int           // how many of them may go at once after a rest; less than 1 means 1
	DailyRecipients int           // numbers that get templates outside a session within any 24 hours; 0: no limit
}

// Ledger keeps the records of any number of senders in one Redis.
// It is safe for concurrent use. An error from it means "unknown", never "not applied": repeat the call, each may be applied twice.
type Ledger struct {
	rdb redis.UniversalClient
	cfg Config
}

// New makes a ledger over a client that the caller closes.
func New(rdb redis.UniversalClient, cfg Config) *Ledger {
	if cfg.Retention == 0 {
		cfg.Retention = 7 * 24 * time.Hour
	}
	if cfg.DeadRetention == 0 {
		cfg.DeadRetention = 90 * 24 * time.Hour
	}
	if cfg.DoubtWindow == 0 {
		cfg.DoubtWindow = 2 * time.Minute
	}
	if cfg.ParkedMost == 0 {
		cfg.ParkedMost = 50000
	}
	if cfg.Expiry == nil {
		cfg.Expiry = map[message.Priority]time.Duration{message.Critical: message.Critical.Lifetime()}
	}
	return &Ledger{rdb: rdb, cfg: cfg}
}

func prefix(sender string) string { return "gupdispatch:{" + sender + "}:" }

func (l *Ledger) offset() int64 {
	if l.cfg.Offset == nil {
		return 0
	}
	return l.cfg.Offset().Milliseconds()
}

// setting is what every script is told: how far to move the clock, and, behind a semicolon, how long the stream of events is.
func (l *Ledger) setting(sender string) string {
	s := strconv.FormatInt(l.offset(), 10)
	if n := l.cfg.Events[sender]; n > 0 {
		s += ";" + strconv.Itoa(n)
	}
	return s
}

// indexDays is how many days back a messageId may be found, and indexKept how long its entry lives.
func (l *Ledger) indexDays() int           { return int(l.cfg.Retention.Hours()/24) + 1 }
func (l *Ledger) indexKept() time.Duration { return l.cfg.Retention + 24*time.Hour }

// Outcome of handing over a message.
const (
	AcceptedNew      = "accepted" // it is in
	AcceptedExisting = "exists"   // it was in already, with the same content
	AcceptConflict   = "conflict" // its id belongs to another message
	AcceptFull       = "full"     // its sender has as many queued messages as MaxQueued allows: nothing was written
)

// Acceptance tells what became of a message that was handed over.
type Acceptance struct {
	Outcome string
	Status  message.Status
	Enqueue bool // its first task, of generation 1, is to be enqueued now; doing so twice is harmless
}

// Accept takes in messages that Normalise has passed, in one round trip for all of them. Results and errors come in the order
// of the messages; an error in one does not touch the others. All messages must have the same sender.
func (l *Ledger) Accept(ctx context.Context, ms []message.Message) ([]Acceptance, []error) {
	if len(ms) == 0 {
		return nil, nil
	}
	out := make([]Acceptance, len(ms))
	invalid := make([]error, len(ms))
	replies, errs := l.runEach(ctx, acceptScript, ms[0].Sender, len(ms), func(i int) []any {
		var args []any
		args, invalid[i] = l.acceptArgs(ms[i])
		return args
	})
	for i, r := range replies {
		switch {
		case invalid[i] != nil:
			errs[i] = invalid[i]
		case errs[i] == nil:
			out[i] = Acceptance{Outcome: r.text(0), Status: message.Status(r.text(1)), Enqueue: r.text(2) == "1"}
		}
	}
	return out, errs
}

func (l *Ledger) acceptArgs(m message.Message) ([]any, error) {
	content, err := packContent(m.Content)
	if err != nil {
		return nil, fmt.Errorf("message %s: content cannot be written: %w", m.ID, err)
	}
	fingerprint, err := m.Fingerprint()
	if err != nil {
		return nil, fmt.Errorf("message %s: %w", m.ID, err)
	}
	var metadata []byte
	if len(m.Metadata) > 0 {
		if metadata, err = json.Marshal(m.Metadata); err != nil {
			return nil, fmt.Errorf("message %s: metadata cannot be written: %w", m.ID, err)
		}
	}
	var fallback []byte
	if m.HasFallback() {
		if fallback, err = packContent(m.Fallback); err != nil {
			return nil, fmt.Errorf("message %s: fallback cannot be written: %w", m.ID, err)
		}
	}
	return []any{
		m.ID, fingerprint, string(m.Priority), m.To, content, m.Content.TemplateID(),
		millis(m.SendAt), millis(m.ExpiresAt), string(m.OnInDoubt), metadata, l.cfg.Expiry[m.Priority].Milliseconds(),
		fallback, m.Fallback.TemplateID(), otherForm(m.To), l.mayQueue(m.Sender, m.Priority), m.Trace,
	}, nil
}

// mayQueue is how many messages may be queued for one of this priority to be accepted; 0 is any number. Bulk leaves the last tenth to
// the others: a campaign that is handed over as fast as it is taken must not be why a one-time password is refused.
func (l *Ledger) mayQueue(sender string, p message.Priority) int {
	most := l.cfg.MaxQueued[sender]
	if p == message.Bulk {
		most -= most / 10
	}
	return most
}

// otherForm is the number as keys have it, where that is not the number itself.
func otherForm(number string) string {
	if key := message.NumberKey(number); key != number {
		return key
	}
	return ""
}

// now is our own clock, for what needs no agreement with Redis's.
func (l *Ledger) now() time.Time { return time.Now().Add(time.Duration(l.offset()) * time.Millisecond) }

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func parseInt(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		f, _ := strconv.ParseFloat(s, 64)
		return int64(f)
	}
	return n
}
