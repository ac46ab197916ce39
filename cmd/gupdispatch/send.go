package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
)

// sendFlags is the command line of `send`.
type sendFlags struct {
	sender, to                                 string
	template, text, message, media             string
	fallback                                   string
	params, postbacks, metadata, fallbackParam []string
	id, priority, sendAt, expiresAt, onInDoubt string
	file                                       string
	wait, json                                 bool
	timeout                                    time.Duration
}

// oneMessageFlags describe one message and make no sense beside --file.
var oneMessageFlags = []string{
	"to", "template", "text", "message", "media", "param", "postback", "metadata", "id", "priority", "send-at", "expires-at",
	"on-in-doubt", "wait", "timeout", "fallback-template", "fallback-param",
}

func newSendCommand(e *env) *cobra.Command {
	var f sendFlags
	c := &cobra.Command{
		Use: "send", Short: "Hand over one message, or a file of them", Args: exactly(0, ""),
		Long: "Hand over messages to the workers, and print the id and status of each. Once printed, a message comes to exactly one end.\n" +
			"The same id with the same content again is the same message.",
		Example: `  gupdispatch send --sender shop --to 919876543210 --template c6aecef6-bcb0-4fb1-8100-28c094e3bc6b --param Asha --param 4711
  gupdispatch send --sender shop --to 919876543210 --text "Your order is ready" --wait
  gupdispatch send --file messages.ndjson`,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(c); err != nil {
				return err
			}
			return e.send(c.Context(), f)
		},
	}
	fs := c.Flags()
	senderFlag(c, &f.sender, "the configured sender; may be left out if there is only one")
	fs.StringVar(&f.to, "to", "", "the recipient's `number`, with country code")
	fs.StringVar(&f.template, "template", "", "the template's `UUID` at Gupshup")
	fs.StringArrayVar(&f.params, "param", nil, "the next parameter of the template; may be given several times")
	fs.StringVar(&f.media, "media", "", "the template's header, as Gupshup's `JSON` object")
	fs.StringArrayVar(&f.postbacks, "postback", nil, "what the template's next quick-reply button posts back; may be given several times")
	fs.StringVar(&f.text, "text", "", "a text, within an open session")
	fs.StringVar(&f.message, "message", "", "any other session message, as Gupshup's `JSON` object")
	fs.StringVar(&f.fallback, "fallback-template", "", "the `UUID` of a template to send instead, if check_session is on and there is no open session")
	fs.StringArrayVar(&f.fallbackParam, "fallback-param", nil, "the next parameter of the fallback template; may be given several times")
	fs.StringVar(&f.id, "id", "", "your own id of the message (default: a new one)")
	fs.StringVar(&f.priority, "priority", "", "critical, default or bulk")
	fs.StringVar(&f.sendAt, "send-at", "", "not before this `time` (RFC 3339, or a duration from now)")
	fs.StringVar(&f.expiresAt, "expires-at", "", "not after this `time` (RFC 3339, or a duration from now)")
	fs.StringVar(&f.onInDoubt, "on-in-doubt", "", "resend or hold, when nobody knows whether Gupshup took it")
	fs.StringArrayVar(&f.metadata, "metadata", nil, "your own `key=value`, kept with the message (message show --json); may be given several times")
	fs.StringVar(&f.file, "file", "", "a `file` of message objects, one JSON object on a line; - reads standard input")
	fs.BoolVar(&f.wait, "wait", false, "wait until the message is settled; exit code 1 if Gupshup did not take it")
	fs.DurationVar(&f.timeout, "timeout", 2*time.Minute, "how long --wait waits")
	jsonFlag(c, &f.json)
	return c
}

// check finds flags that contradict each other.
func (f sendFlags) check(c *cobra.Command) error {
	if f.file != "" {
		if beside := changed(c, oneMessageFlags...); len(beside) > 0 {
			return usagef("%s cannot be used with --file: each line of the file is a whole message", strings.Join(beside, ", "))
		}
		return nil
	}
	switch content := changed(c, "template", "text", "message"); {
	case len(content) == 0:
		return usagef("the message says nothing: give one of --template, --text and --message, or --file")
	case len(content) > 1:
		return usagef("%s cannot be used together: a message says one thing", strings.Join(content, " and "))
	}
	if only := changed(c, "param", "media", "postback"); f.template == "" && len(only) > 0 {
		return usagef("%s belongs to --template", strings.Join(only, ", "))
	}
	switch {
	case f.fallback != "" && f.template != "":
		return usagef("--fallback-template cannot be used with --template: a template needs no session")
	case f.fallback == "" && len(f.fallbackParam) > 0:
		return usagef("--fallback-param belongs to --fallback-template")
	}
	if f.to == "" {
		return usagef("--to is missing: give the recipient's number with its country code")
	}
	return nil
}

func (e *env) send(ctx context.Context, f sendFlags) error {
	m, err := f.build(e.now())
	if err != nil {
		return err
	}
	a, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer a.close()
	s, err := a.sending(ctx, f)
	if err != nil {
		return err
	}
	if f.file != "" {
		return s.file(ctx, f.file)
	}
	return s.one(ctx, m, f)
}

// sending hands over messages and prints what became of them.
type sending struct {
	*app
	producer *producer.Producer
	sender   string // of messages that name none; "" if they must
	human    bool
}

func (a *app) sending(ctx context.Context, f sendFlags) (*sending, error) {
	if _, err := a.senders(f.sender); err != nil {
		return nil, err
	}
	if err := a.refuseRedis(ctx); err != nil {
		return nil, fmt.Errorf("not sent: %w", err)
	}
	p, err := a.producer()
	if err != nil {
		return nil, err
	}
	s := &sending{app: a, producer: p, sender: f.sender, human: !f.json && a.env.isTerminal(a.env.stdout)}
	if s.sender == "" && len(a.cfg.Senders) == 1 {
		s.sender = a.cfg.Senders[0].Name
	}
	return s, nil
}

// one hands over the message of the command line.
func (s *sending) one(ctx context.Context, m message.Message, f sendFlags) error {
	if m.Sender = s.sender; m.Sender == "" {
		return usagef("--sender is missing: name one of %s", strings.Join(s.names(), ", "))
	}
	result := s.handOver(ctx, []message.Message{m})[0]
	if result.Err != nil {
		return result.Err
	}
	if f.wait {
		return s.waitFor(ctx, m.Sender, result, f.timeout)
	}
	return s.print(result)
}

// handOver gives messages to the producer, each with an id, and repeats those that Redis did not confirm: with the id they had, so
// that none is taken twice. It gives up after --redis-wait. What there is no room for is not repeated: that takes longer.
func (s *sending) handOver(ctx context.Context, ms []message.Message) []producer.Result {
	for i := range ms {
		if ms[i].ID == "" {
			ms[i].ID = message.NewID()
		}
	}
	results := s.try(ctx, ms)
	for until := time.Now().Add(s.env.redisWait); time.Now().Before(until) && ctx.Err() == nil; {
		var again []message.Message
		var at []int
		for i, r := range results {
			if unconfirmed(r.Err) {
				again, at = append(again, ms[i]), append(at, i)
			}
		}
		if len(again) == 0 {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(500 * time.Millisecond):
			for i, r := range s.try(ctx, again) {
				if !full(r.Err) { // else it may be in since the first try, and stays unconfirmed
					results[at[i]] = r
				}
			}
		}
	}
	return results
}

func (s *sending) try(ctx context.Context, ms []message.Message) []producer.Result {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return s.producer.SendBatch(ctx, ms)
}

// unconfirmed tells an error that leaves open whether the message was accepted.
func unconfirmed(err error) bool {
	var fields gupshup.FieldErrors
	var conflict *producer.ConflictError
	return err != nil && !errors.As(err, &fields) && !errors.As(err, &conflict) && !full(err)
}

// full tells the error of a message that there was no room for.
func full(err error) bool {
	var full *producer.FullError
	return errors.As(err, &full)
}

// sent is what `send` prints of a message; the first two names are part of the contract.
type sent struct {
	ID        string         `json:"id"`
	Status    message.Status `json:"status"`
	MessageID string         `json:"message_id,omitempty"`
	Code      string         `json:"code,omitempty"`
	Reason    string         `json:"reason,omitempty"`
}

func (s *sending) print(r producer.Result) error {
	if !s.human {
		return s.env.printLine(sent{ID: r.ID, Status: r.Status})
	}
	what := "accepted"
	if r.Existing {
		what = "known already:"
	}
	_, err := fmt.Fprintf(s.env.stdout, "%s %s (%s)\n", what, r.ID, r.Status)
	return printed(err)
}
