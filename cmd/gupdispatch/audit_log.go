package main

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/auditlog"
	"github.com/gupdispatch/gupdispatch/view"
)

// auditLogFlags choose entries.
type auditLogFlags struct {
	user, action, since string
	limit               int
	json                bool
}

func newAuditLogCommand(e *env) *cobra.Command {
	var f auditLogFlags
	c := &cobra.Command{
		Use: "audit-log", Short: "Show what people did in the web UI and on the pages: who, what, and how it ended", Args: exactly(0, ""),
		Long: "Show what people did in the web UI and on the pages, newest first: who, what, and how it ended. Attempts that were refused and\n" +
			"logins are there, too. Redis keeps the last 10,000 actions and the last 2,000 logins; the log of `http` and `serve` has each as a line.",
		RunE: func(c *cobra.Command, _ []string) error {
			since, err := pastTime("since", f.since, e.now())
			if err != nil {
				return err
			}
			if f.limit < 0 {
				return usagef("--limit %d is negative: write a number, or 0 for all", f.limit)
			}
			a, err := e.open(c.Context())
			if err != nil {
				return err
			}
			defer a.close()
			entries, err := auditlog.New(a.redis.general).Read(c.Context(), auditlog.Filter{User: f.user, Action: f.action, Since: since, Limit: f.limit})
			if err != nil {
				return err
			}
			if f.json {
				views := make([]view.AuditEntry, len(entries))
				for i, x := range entries {
					views[i] = view.AuditEntryOf(x)
				}
				return e.printJSON(views)
			}
			return e.auditLogTable(entries)
		},
	}
	fs := c.Flags()
	fs.StringVar(&f.user, "user", "", "only what this `user` did")
	fs.StringVar(&f.action, "action", "", "only this `action`, such as task.run, or those that begin so, such as task")
	fs.StringVar(&f.since, "since", "", "only since this `time` (RFC 3339, or how long ago: 24h, 7d)")
	fs.IntVar(&f.limit, "limit", 100, "at most so many, the newest; 0 for all")
	jsonFlag(c, &f.json)
	return c
}

func (e *env) auditLogTable(entries []auditlog.Entry) error {
	if len(entries) == 0 {
		e.note("nobody did anything")
		return nil
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TIME\tUSER\tROLE\tFROM\tACTION\tTARGET\tOUTCOME\tDETAIL")
	for _, x := range entries {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.At.UTC().Format(time.RFC3339), x.User, orDash(x.Role), orDash(x.Client), x.Action,
			orDash(x.Target), x.Outcome, orDash(x.Detail))
	}
	return printed(w.Flush())
}
