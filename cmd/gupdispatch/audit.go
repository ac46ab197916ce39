package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// auditView is what `audit --json` prints; the first three names are part of the contract.
type auditView struct {
	Sender     string                   `json:"sender,omitempty"` // none for the sum
	Accepted   int64                    `json:"accepted"`
	Balanced   bool                     `json:"balanced"`
	Moving     bool                     `json:"moving,omitempty"` // the deep count could not be compared: messages moved meanwhile
	Counts     map[message.Status]int64 `json:"counts"`
	Retired    int64                    `json:"retired"`
	Duplicates int64                    `json:"duplicates"`
	Problems   []string                 `json:"problems"`
	Senders    []auditView              `json:"senders,omitempty"` // of the sum
}

func newAuditCommand(e *env) *cobra.Command {
	var sender string
	var deep, asJSON bool
	c := &cobra.Command{
		Use: "audit", Short: "Prove that nothing accepted was lost", Args: exactly(0, ""),
		Long: "Compare what was accepted with what became of it: accepted = the sum over all states + retired. Exit code 1 if it does not\n" +
			"balance. --deep counts the records themselves, and checks that each unsettled one has exactly one place.",
		RunE: func(c *cobra.Command, _ []string) error {
			a, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer a.close()
			sum, err := a.audit(c.Context(), sender, deep)
			if err != nil {
				return err
			}
			if asJSON {
				err = e.printJSON(sum)
			} else {
				tellAudit(e.stdout, sum, deep)
			}
			if err == nil && !sum.Balanced {
				for _, p := range sum.Problems {
					e.note("%s", p)
				}
				err = fmt.Errorf("the audit does not balance")
			}
			return err
		},
	}
	senderFlag(c, &sender, "only this sender's")
	c.Flags().BoolVar(&deep, "deep", false, "count the records themselves instead of trusting the counters")
	jsonFlag(c, &asJSON)
	return c
}

// audit adds up the books of the senders.
func (a *app) audit(ctx context.Context, sender string, deep bool) (auditView, error) {
	names, err := a.senders(sender)
	if err != nil {
		return auditView{}, err
	}
	sum := auditView{Balanced: true, Counts: map[message.Status]int64{}, Problems: []string{}}
	for _, s := range message.Statuses {
		sum.Counts[s] = 0
	}
	for _, name := range names {
		one, err := a.auditOf(ctx, name, deep)
		if err != nil {
			return auditView{}, err
		}
		sum.Accepted += one.Accepted
		sum.Retired += one.Retired
		sum.Duplicates += one.Duplicates
		sum.Balanced = sum.Balanced && one.Balanced
		sum.Moving = sum.Moving || one.Moving
		for s, n := range one.Counts {
			sum.Counts[s] += n
		}
		for _, p := range one.Problems {
			sum.Problems = append(sum.Problems, name+": "+p)
		}
		sum.Senders = append(sum.Senders, one)
	}
	return sum, nil
}

func (a *app) auditOf(ctx context.Context, sender string, deep bool) (auditView, error) {
	var d ledger.DeepAudit
	var err error
	if deep {
		d, err = a.ledger.AuditDeep(ctx, sender)
	} else {
		d.Audit, err = a.ledger.Audit(ctx, sender)
	}
	if err != nil {
		return auditView{}, err
	}
	v := auditView{
		Sender: sender, Accepted: d.Accepted, Balanced: d.Balanced(), Counts: d.Counts, Retired: d.Retired, Duplicates: d.Duplicates,
		Problems: append([]string{}, d.Problems...),
	}
	if !d.Audit.Balanced() {
		v.Problems = append(v.Problems, fmt.Sprintf("%d were accepted, but the states and the retired add up to %d", d.Accepted, total(d.Audit)))
	}
	v.Moving = d.Moving
	return v, nil
}

func total(a ledger.Audit) int64 {
	sum := a.Retired
	for _, n := range a.Counts {
		sum += n
	}
	return sum
}

// tellAudit prints the books for people.
func tellAudit(w io.Writer, sum auditView, deep bool) {
	balance := "balances"
	if !sum.Balanced {
		balance = "DOES NOT BALANCE"
	} else if deep && !sum.Moving {
		balance += ", and the records agree with it"
	}
	fmt.Fprintf(w, "%d accepted, %d retired: the audit %s\n", sum.Accepted, sum.Retired, balance)
	for _, s := range message.Statuses {
		if n := sum.Counts[s]; n != 0 {
			fmt.Fprintf(w, "  %-10s %d\n", s, n)
		}
	}
	if sum.Moving {
		fmt.Fprintln(w, "messages moved while they were counted, so the counters were not compared with the records: ask again when less is going on")
	}
	if sum.Duplicates > 0 {
		fmt.Fprintf(w, "%d were taken twice by Gupshup, each after a doubt\n", sum.Duplicates)
	}
	if len(sum.Senders) > 1 {
		for _, s := range sum.Senders {
			fmt.Fprintf(w, "  of %s: %d accepted, %d retired\n", s.Sender, s.Accepted, s.Retired)
		}
	}
}
