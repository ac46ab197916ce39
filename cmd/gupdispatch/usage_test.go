package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
)

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "", true)
	for _, tt := range []struct {
		args string
		want string // in the error
	}{
		{"", "a command is missing"},
		{"sned", "did you mean send?"},
		{"dead", "a command is missing after `gupdispatch dead`"},
		{"dead lst", `unknown command "lst" for ` + "`gupdispatch dead`; did you mean list?"},
		{"send --nonsense", "unknown flag: --nonsense"},
		{"version now", "takes no arguments"},
		{"message show", "needs the id"},
		{"message show a b", `"b" as well`},
		{"message cancel", "needs the id"},
		{"message list", "--to is missing"},
		{"message list --to x", "--to is not a possible phone number"},
		{"message list --to 1 --limit 0", "at least 1"},
		{"message list --to 1 --scan 0", "at least 1"},
		{"message list --to 1 --status sunk", `--status "sunk" is unknown: use one of`},
		{"completion bash extra", "extra"},
		{"send", "says nothing"},
		{"send --text x", "--to is missing"},
		{"send --text x --template y --to 1", "--template and --text cannot be used together"},
		{"send --text x --param y --to 1", "--param belongs to --template"},
		{"send --file - --text x", "--text cannot be used with --file"},
		{"send --file - --wait", "--wait cannot be used with --file"},
		{"send --file /does/not/exist", "--file cannot be read"},
		{"send --to 1 --message {", "--message cannot be read"},
		{"send --to 1 --template x --media 1", "--media cannot be read"},
		{"send --to 1 --text x --metadata y", "key=value"},
		{"send --to 1 --text x --send-at tomorrow", "--send-at \"tomorrow\" is no time"},
		{"send --to 1 --text x", "--sender is missing: name one of"},
		{"send --to 1 --text x --sender other", `--sender "other" is not configured: use one of ` + s.sender},
		{"message show a --sender other", `--sender "other" is not configured`},
		{"audit --sender other", `--sender "other" is not configured`},
		{"dead list --sender other", `--sender "other" is not configured`},
		{"dead list --since yesterday", "--since \"yesterday\" is no time"},
		{"dead list --since 1h --until 2h", "later than --until"},
		{"dead list --limit -1", "negative"},
		{"dead replay", "nothing is chosen"},
		{"dead replay a --code 1002", "cannot be used together"},
		{"dead purge", "nothing is chosen"},
		{"dead export --format xml", "use ndjson or csv"},
	} {
		t.Run(tt.args, func(t *testing.T) {
			t.Parallel()
			got := s.run(strings.Fields(tt.args)...)
			require.Equal(t, exitUsage, got.code, got.errs)
			require.Contains(t, got.errs, tt.want)
			require.Empty(t, got.out, "results only")
		})
	}
}

func TestHelpVersionAndCompletion(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--help": "Available Commands", "send --help": "--on-in-doubt", "version": "gupdispatch ", "version --json": `"platform":`,
		"completion bash": "__start_gupdispatch",
	} {
		var out, errs bytes.Buffer
		require.Equal(t, exitOK, run(context.Background(), strings.Fields(args), nil, nil, &out, &errs), args)
		require.Contains(t, out.String(), want, args)
		require.Empty(t, errs.String(), args)
	}
}

// A table of every command of the contract that this release has.
func TestEveryCommandIsThere(t *testing.T) {
	t.Parallel()
	root := newRoot(newEnv(nil, nil, nil, nil))
	for _, path := range []string{
		"serve", "worker", "http", "send", "message show", "dead list", "dead show", "dead replay", "dead export", "dead purge", "audit", "audit-log",
		"campaign create", "campaign list", "campaign show", "campaign watch", "campaign pause", "campaign resume", "campaign cancel", "campaign report",
		"sender list", "sender hold", "sender release", "template list", "template hold", "template release",
		"suppress add", "suppress remove", "suppress list", "suppress import", "receipts parked",
		"config check", "health", "version",
	} {
		c, rest, err := root.Find(strings.Fields(path))
		require.NoError(t, err)
		require.Empty(t, rest, path)
		require.Equal(t, "gupdispatch "+path, c.CommandPath())
		require.NotEmpty(t, c.Short, path)
	}
}

func TestEmbeddedRedisIsRefusedWhereItWouldForget(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	s.environ = append(s.environ, "GUPDISPATCH_REDIS_URL=embedded")
	for _, args := range []string{"send --to " + testNumber + " --text x", "dead list", "audit", "message show a"} {
		got := s.run(strings.Fields(args)...)
		require.Equal(t, exitUsage, got.code, args)
		require.Contains(t, got.errs, "no other process can see", args)
	}
}

func TestWithoutSenders(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	code := run(context.Background(), []string{"audit"}, nil, nil, &out, &errs)
	require.Equal(t, exitUsage, code)
	require.Contains(t, errs.String(), "senders: there are none; describe at least one")
}
