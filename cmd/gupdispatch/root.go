package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// redisPatience is how long a command waits for a Redis that does not answer, unless --redis-wait says otherwise: long enough
// for Redis to be restarted or to load its file beside us.
const redisPatience = 30 * time.Second

// newRoot is the table of all commands.
func newRoot(e *env) *cobra.Command {
	root := group("gupdispatch", "Hand over WhatsApp messages; each reaches Gupshup once, at the right pace, and its end is known",
		newServeCommand(e), newWorkerCommand(e), newHTTPCommand(e),
		newSendCommand(e), newMessageCommand(e), newCampaignCommand(e), newDeadCommand(e), newSenderCommand(e), newTemplateCommand(e), newSuppressCommand(e), newReceiptsCommand(e), newAuditCommand(e), newAuditLogCommand(e),
		newDemoCommand(e), newSimulateCommand(e),
		newConfigCommand(e), newHealthCommand(e), newVersionCommand(e),
	)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetIn(e.stdin)
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%s; see `%s --help`", flagProblem(err), c.CommandPath())
	})
	flags := root.PersistentFlags()
	flags.StringVar(&e.configFile, "config", "", "configuration `file` (default gupdispatch.yaml, if there is one)")
	flags.DurationVar(&e.redisWait, "redis-wait", redisPatience, "how long to wait for a Redis that does not answer")
	return root
}

// flagProblem says what is wrong with a flag, without the words of the library that read its value.
func flagProblem(err error) string {
	text := err.Error()
	for theirs, ours := range map[string]string{
		": strconv.ParseFloat:": "it must be a number", ": strconv.ParseInt:": "it must be a whole number", ": strconv.Atoi:": "it must be a whole number",
		": strconv.ParseUint:": "it must be a whole number", ": strconv.ParseBool:": "it must be true or false", ": time: ": "it must be a duration such as 90s or 2h",
	} {
		if flag, _, found := strings.Cut(text, theirs); found {
			return flag + ": " + ours
		}
	}
	return text
}

// group is a command that only holds others. Called without one of them it shows what there is, as wrong usage.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs}
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			c.SetOut(c.ErrOrStderr())
			_ = c.Help()
			return usagef("a command is missing after `%s`", c.CommandPath())
		}
		hint := ""
		c.SuggestionsMinimumDistance = 2
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			hint = "; did you mean " + strings.Join(near, " or ") + "?"
		}
		return usagef("unknown command %q for `%s`%s; see `%s --help`", args[0], c.CommandPath(), hint, c.CommandPath())
	}
	c.AddCommand(commands...)
	return c
}

// exactly is cobra's ExactArgs with an error that says which arguments are meant.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < n:
			return usagef("`%s` needs %s", c.CommandPath(), what)
		case len(args) > n && n == 0:
			return usagef("`%s` takes no arguments, but was given %q", c.CommandPath(), args[0])
		case len(args) > n:
			return usagef("`%s` takes only %s, but was given %q as well", c.CommandPath(), what, args[n])
		}
		return nil
	}
}
