package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

// simulateFlags are the flags of `simulate`, as they were given.
type simulateFlags struct {
	listen string
	apps   []string
	rules  string
	sim    gupshuptest.Config
	told   callbackFlags
}

func newSimulateCommand(e *env) *cobra.Command {
	var given simulateFlags
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Serve a simulated Gupshup that can be told to misbehave",
		Long: `Serve a simulated Gupshup: the send endpoints with their documented validation and answers, which can be told to misbehave
in every way that a provider and the network before it can. Point a sender's base_url at it. It counts what it was sent,
so that a test can prove that each message came exactly once. No message leaves this machine. With --callback-url it tells
what became of each message, as late, as often and in as mixed an order as the real one does.

A destination that ends in a magic number misbehaves: …1002 is refused with code 1002, …0503 gets a 503, …0603 is accepted
and its connection reset, …71002 is accepted and fails by callback with 1002. GET /_sim/magic lists them all, --rules and
PUT /_sim/rules set rules of your own. POST /_sim/callback sends a callback by hand, as when a user opts out or writes.`,
		Example: `  gupdispatch simulate
  gupdispatch simulate --app DemoApp:917834811114:any-test-key --rate 80 --latency 120ms
  gupdispatch simulate --callback-url http://127.0.0.1:8080/callbacks/gupshup/demo --callback-token-env DEMO_CALLBACK_TOKEN --callback-speed 10 --callback-failures 131000:2,1002:1
  gupdispatch simulate --rules rules.json        # [{"destination": "9198*", "times": 3, "fault": {"kind": "429"}}]`,
		Args: exactly(0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			told, err := given.told.config(c, e.environ, len(given.apps))
			if err != nil {
				return err
			}
			given.sim.Callbacks = told
			cfg, err := given.config()
			if err != nil {
				return err
			}
			return e.simulate(c.Context(), given.listen, cfg)
		},
	}
	f, s := c.Flags(), &given.sim
	f.StringVar(&given.listen, "listen", "127.0.0.1:9090", "`address` to listen on; port 0 takes a free one")
	f.StringArrayVar(&given.apps, "app", nil, "`name:source:key` of an app, several times for several; without any, every key and app is welcome. Test keys only")
	f.StringVar(&given.rules, "rules", "", "JSON `file` with an array of rules that make messages fail")
	f.DurationVar(&s.Latency, "latency", 0, "how long every answer takes")
	f.DurationVar(&s.LatencyJitter, "jitter", 0, "a random share of this is added to the latency")
	f.Float64Var(&s.RatePerSecond, "rate", 0, "messages per second of an app, above which it answers 429; 0 is no limit")
	f.BoolVar(&s.MagicNumbers, "magic", true, "let magic numbers misbehave")
	f.BoolVar(&s.JSONContentType, "json-content-type", false, "answer with application/json instead of text/html")
	f.StringVar(&s.SuccessStatus, "status", "submitted", "`status` of an accepted message: submitted or success")
	f.StringVar(&s.LegacySM, "legacy-sm", "", `"401" refuses the retired paths under /sm as Gupshup does to newer accounts`)
	f.BoolVar(&s.KeepBodies, "keep-bodies", false, "keep the form of every accepted message, for /_sim/messages")
	f.IntVar(&s.MaxKept, "max-kept", gupshuptest.DefaultMaxKept, "how many accepted messages are kept, and watched for duplicates")
	f.Uint64Var(&s.Seed, "seed", 0, "repeats the random decisions and message ids of an earlier run; 0 draws one")
	given.told.addTo(c)
	return c
}

// config turns the flags into the simulator's configuration. Its errors are usage errors and repeat no key.
func (given simulateFlags) config() (gupshuptest.Config, error) {
	cfg := given.sim
	for i, text := range given.apps {
		app, ok := parseApp(text)
		if !ok {
			return cfg, usagef("--app number %d is not name:source:key, such as DemoApp:917834811114:any-test-key", i+1)
		}
		cfg.Apps = append(cfg.Apps, app)
	}
	if given.rules != "" {
		rules, err := readRules(given.rules)
		if err != nil {
			return cfg, usagef("--rules %s: %s", given.rules, err)
		}
		cfg.Rules = rules
	}
	if err := cfg.Validate(); err != nil {
		return cfg, usagef("%s", err)
	}
	return cfg, nil
}

// parseApp reads name:source:key. A name may have colons of its own; numbers and keys have none.
func parseApp(text string) (gupshuptest.App, bool) {
	rest, key, hasKey := cutLast(text, ":")
	name, source, hasSource := cutLast(rest, ":")
	app := gupshuptest.App{Name: strings.TrimSpace(name), Source: strings.TrimSpace(source), APIKey: strings.TrimSpace(key)}
	return app, hasKey && hasSource && app.Name != "" && app.Source != "" && app.APIKey != ""
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// readRules reads a JSON array of rules. Unknown names are errors, so that a misspelt condition is not ignored.
func readRules(path string) ([]gupshuptest.Rule, error) {
	f, err := os.Open(path)
	if err != nil {
		var at *os.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return nil, err
	}
	defer func() { _ = f.Close() }()
	dec := json.NewDecoder(f)
	dec.DisallowUnknownFields()
	var rules []gupshuptest.Rule
	if err := dec.Decode(&rules); err != nil {
		return nil, fmt.Errorf("is not a JSON array of rules: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("holds more than one JSON array")
	}
	return rules, nil
}

// simulate serves until ctx ends.
func (e *env) simulate(ctx context.Context, address string, cfg gupshuptest.Config) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w; free the port or choose another with --listen", address, err)
	}
	sim := gupshuptest.New(cfg)
	defer sim.Close() // waits for what it does in the background
	server := newSimulatorServer(sim)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	e.introduceSimulator(listener.Addr(), cfg)

	select {
	case err := <-ended:
		return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	if err := stopServer(ctx, server); err != nil {
		return err
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	}
	stats := sim.Stats()
	fmt.Fprintf(e.stdout, "\nStopped after %s requests: %s accepted, %s of them duplicates.\n",
		thousands(stats.Requests), thousands(stats.Accepted), thousands(stats.Duplicates))
	if cfg.Callbacks.URL != "" {
		told := stats.Callbacks
		fmt.Fprintf(e.stdout, "Of the callbacks %s were taken, %s given up, and %s were still to come.\n",
			thousands(told.Delivered), thousands(told.GivenUp), thousands(told.Pending))
	}
	return nil
}

// introduceSimulator says where the simulator is and what to try.
func (e *env) introduceSimulator(addr net.Addr, cfg gupshuptest.Config) {
	if !onLoopback(addr) {
		e.note("warning: %s can be reached from other machines, and /_sim/ shows full numbers and texts without a login", addr)
	}
	base := "http://" + reachable(addr)
	app, source, key := "DemoApp", "917834811114", "any-test-key"
	welcome := "every app and key is welcome"
	if len(cfg.Apps) > 0 {
		app, source, key = cfg.Apps[0].Name, cfg.Apps[0].Source, "YOUR-TEST-KEY"
		names := make([]string, len(cfg.Apps))
		for i, a := range cfg.Apps {
			names[i] = a.String()
		}
		welcome = "apps: " + strings.Join(names, ", ")
	}
	fmt.Fprintf(e.stdout, `A simulated Gupshup listens on %[1]s (%[5]s). Ctrl-C stops it.

Send a message to it:
  curl -s %[1]s/wa/api/v1/msg -H 'apikey: %[4]s' -d channel=whatsapp --data-urlencode 'src.name=%[2]s' -d source=%[3]s -d destination=15550005000 --data-urlencode 'message={"type":"text","text":"hello"}'
`, base, app, source, key, welcome)
	if cfg.MagicNumbers {
		fmt.Fprintf(e.stdout, "Which numbers misbehave, and how:\n  curl -s %s/_sim/magic\n", base)
	} else {
		fmt.Fprintf(e.stdout, "Let a number misbehave:\n  curl -s %s/_sim/rules -d '{\"destination\":\"*77\",\"fault\":{\"kind\":\"429\"}}'\n", base)
	}
	if where, _, _ := strings.Cut(cfg.Callbacks.URL, "?"); where != "" { // behind it there may be a token
		fmt.Fprintf(e.stdout, "What became of the messages is told to %s. Let a user opt out:\n  curl -s %s/_sim/callback -d '{\"kind\":\"opted-out\",\"phone\":\"15550005000\"}'\n", where, base)
	}
	fmt.Fprintf(e.stdout, "What it has counted, duplicates included:\n  curl -s %s/_sim/stats\n", base)
}
