package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/config"
	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

func newSuppressCommand(e *env) *cobra.Command {
	return group("suppress", "Say which numbers a sender must not write to",
		newSuppressAddCommand(e), newSuppressRemoveCommand(e), newSuppressListCommand(e), newSuppressImportCommand(e))
}

const (
	byHand        = "hand" // the source of what these commands suppress
	maxReason     = 200    // characters of a reason: it becomes part of each message that is suppressed
	suppressRules = "What suppresses more stays: a rule for all messages is not narrowed by a later one for bulk only, and a lasting\n" +
		"one is not shortened. Remove the number first to do so."
)

// theSender is --sender of a command that changes something of one: it may be left out if there is only one.
func (a *app) theSender(name string) (config.Sender, error) {
	if name == "" && len(a.cfg.Senders) > 1 {
		return config.Sender{}, usagef("--sender is missing: name one of %s", strings.Join(a.names(), ", "))
	}
	names, err := a.senders(name)
	if err != nil {
		return config.Sender{}, err
	}
	s, _ := a.cfg.Sender(names[0])
	return s, nil
}

// forSender is how a command that changes something of one sender begins.
func (e *env) forSender(ctx context.Context, name string, do func(a *app, s config.Sender) error) error {
	a, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer a.close()
	s, err := a.theSender(name)
	if err != nil {
		return err
	}
	return do(a, s)
}

// forSenders is how a command about one sender, or all, begins.
func (e *env) forSenders(ctx context.Context, name string, do func(a *app, senders []string) error) error {
	a, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer a.close()
	senders, err := a.senders(name)
	if err != nil {
		return err
	}
	return do(a, senders)
}

// someNumbers demands numbers as arguments.
func someNumbers(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usagef("`%s` needs at least one phone number", c.CommandPath())
	}
	return nil
}

// numbersOf reads numbers as people write them, each one once. If one is wrong nothing shall be done: the error names them by their
// place, since a wrong number may be somebody's all the same.
func numbersOf(args []string, region string) ([]string, error) {
	var numbers, wrong []string
	for i, arg := range args {
		number, err := message.NormaliseNumber(arg, region)
		switch {
		case err != nil:
			wrong = append(wrong, fmt.Sprintf("number %d %s", i+1, err))
		case !slices.Contains(numbers, number):
			numbers = append(numbers, number)
		}
	}
	if len(wrong) > 0 {
		return nil, usagef("%s; nothing was done", strings.Join(wrong, "; "))
	}
	return numbers, nil
}

// ruleFlags say how a number is suppressed.
type ruleFlags struct {
	bulk             bool
	duration, reason string
}

// rule is a suppression without its number.
func (f ruleFlags) rule(now time.Time) (ledger.Suppression, error) {
	s := ledger.Suppression{Scope: gupshup.SuppressAll, Code: strings.TrimSpace(f.reason), Source: byHand}
	if f.bulk {
		s.Scope = gupshup.SuppressBulk
	}
	if f.duration != "" {
		d, err := config.ParseDuration(strings.TrimSpace(f.duration))
		if err != nil || d <= 0 {
			return s, usagef("--for %q is no duration: write it as 720h or 30d, or leave it out to suppress for ever", f.duration)
		}
		s.Until = now.Add(d).UTC()
	}
	if utf8.RuneCountInString(s.Code) > maxReason {
		return s, usagef("--reason has %d characters; at most %d", utf8.RuneCountInString(s.Code), maxReason)
	}
	return s, nil
}

func newSuppressAddCommand(e *env) *cobra.Command {
	var f ruleFlags
	var sender string
	var asJSON bool
	c := &cobra.Command{
		Use: "add NUMBER…", Short: "Keep a sender from writing to numbers", Args: someNumbers,
		Long: "Keep a sender from writing to numbers. Messages to them that wait already end as suppressed when their turn comes.\n" +
			suppressRules,
		Example: "  gupdispatch suppress add \"+91 98765 43210\" --sender shop --bulk --for 90d --reason \"asked by e-mail\"",
		RunE: func(c *cobra.Command, args []string) error {
			rule, err := f.rule(e.now())
			if err != nil {
				return err
			}
			return e.changeList(c, sender, args, func(a *app, name string, numbers []string) error {
				list := make([]ledger.Suppression, len(numbers))
				for i, number := range numbers {
					list[i] = rule
					list[i].Number = number
				}
				if err := a.ledger.Suppress(c.Context(), name, list); err != nil {
					return fmt.Errorf("not known which of the %s are suppressed, repeating the command is safe: %w", counted(len(numbers)), err)
				}
				if asJSON {
					return e.printJSON(suppressed{Sender: name, Suppressed: len(numbers)})
				}
				return e.say("%s suppressed for %s", counted(len(numbers)), name)
			})
		},
	}
	senderFlag(c, &sender, "the sender that must not write; may be left out if there is only one")
	c.Flags().BoolVar(&f.bulk, "bulk", false, "only what is sent with priority bulk")
	c.Flags().StringVar(&f.duration, "for", "", "for this `duration`, such as 720h or 30d (default: until removed)")
	c.Flags().StringVar(&f.reason, "reason", "", "why, shown with the number and with each message that it suppresses")
	jsonFlag(c, &asJSON)
	return c
}

func newSuppressRemoveCommand(e *env) *cobra.Command {
	var sender string
	var asJSON bool
	c := &cobra.Command{
		Use: "remove NUMBER…", Short: "Let a sender write to numbers again", Args: someNumbers,
		Long: "Let a sender write to numbers again, whoever or whatever suppressed them. What was suppressed meanwhile is not sent.",
		RunE: func(c *cobra.Command, args []string) error {
			return e.changeList(c, sender, args, func(a *app, name string, numbers []string) error {
				n, err := a.ledger.Unsuppress(c.Context(), name, numbers...)
				if err != nil {
					return err
				}
				absent := len(numbers) - n
				if asJSON {
					return e.printJSON(unsuppressed{Sender: name, Removed: n, Absent: absent})
				}
				if absent > 0 {
					e.note("%s not on the list of %s", countedWere(absent), name)
				}
				return e.say("%s removed from the list of %s", counted(n), name)
			})
		},
	}
	senderFlag(c, &sender, "the sender that may write again; may be left out if there is only one")
	jsonFlag(c, &asJSON)
	return c
}

// suppressed and unsuppressed are what the commands print with --json.
type suppressed struct {
	Sender     string `json:"sender"`
	Suppressed int    `json:"suppressed"`
	Wrong      int    `json:"wrong"` // lines of a file
	DryRun     bool   `json:"dry_run,omitempty"`
}

type unsuppressed struct {
	Sender  string `json:"sender"`
	Removed int    `json:"removed"`
	Absent  int    `json:"absent"` // were not on the list
}

// changeList opens the app, reads the numbers as the sender's region does, and acts.
func (e *env) changeList(c *cobra.Command, sender string, args []string, act func(a *app, sender string, numbers []string) error) error {
	return e.forSender(c.Context(), sender, func(a *app, s config.Sender) error {
		numbers, err := numbersOf(args, s.DefaultRegion)
		if err != nil {
			return err
		}
		return act(a, s.Name, numbers)
	})
}

// say prints a result for people.
func (e *env) say(format string, args ...any) error {
	_, err := fmt.Fprintf(e.stdout, format+"\n", args...)
	return printed(err)
}

// counted counts in words.
func counted(n int) string {
	if n == 1 {
		return "1 number"
	}
	return fmt.Sprintf("%d numbers", n)
}

func countedWere(n int) string {
	if n == 1 {
		return "1 number was"
	}
	return counted(n) + " were"
}
