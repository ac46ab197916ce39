package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

// callbackFlags are the flags of `simulate` about callbacks, as they were given.
type callbackFlags struct {
	names    []string // of the flags that mean nothing without --callback-url
	tokenEnv string
	cfg      gupshuptest.Callbacks
}

// addTo declares the flags. Shares are in percent, as people think of them.
func (given *callbackFlags) addTo(c *cobra.Command) {
	f, cfg := c.Flags(), &given.cfg
	f.StringVar(&cfg.URL, "callback-url", "", "`URL` to tell what became of each message, such as http://127.0.0.1:8080/callbacks/gupshup/demo; {app} in it stands for the app's name. Without it no callbacks are sent")
	f.StringVar(&given.tokenEnv, "callback-token-env", "", "environment `variable` with the token to send as X-Callback-Token")
	f.Float64Var(&cfg.Speed, "callback-speed", 1, "how many times faster than real callbacks come; at 1 the first of a message comes after 5 s")
	f.Var(&failureList{&cfg.Failures}, "callback-failures", "`code:percent` of the messages that fail by callback, such as 1002:0.5,131000:1")
	f.BoolVar(&cfg.FailOnce, "callback-fail-once", false, "let a destination fail by callback once only")
	cfg.Read = 0.6
	for _, p := range []struct {
		name  string
		share *float64
		usage string
	}{
		{"undelivered", &cfg.Undelivered, "`percent` of the messages that do not fail, and are sent and never delivered"},
		{"read", &cfg.Read, "`percent` of the delivered messages that are read"},
		{"read-only", &cfg.ReadOnly, "`percent` of the read messages that have no delivered before"},
		{"duplicates", &cfg.Duplicates, "`percent` of the callbacks that come twice"},
		{"reorder", &cfg.Reorder, "`percent` of the messages whose callbacks come out of order"},
		{"missing-gsid", &cfg.MissingGsID, "`percent` of the callbacks that name the message by WhatsApp's id alone"},
		{"string-codes", &cfg.StringCodes, "`percent` of the failures whose code is a string"},
		{"billing", &cfg.Billing, "`percent` of the sent messages that have a billing event"},
	} {
		f.Var(&percent{p.share}, "callback-"+p.name, p.usage)
		given.names = append(given.names, "callback-"+p.name)
	}
	f.BoolVar(&cfg.V3, "callback-v3", false, "write callbacks in Meta's format, as for a version 3 subscription")
	f.BoolVar(&cfg.SandboxStart, "callback-sandbox-start", false, "begin with the event that Gupshup sends when a callback URL is set; needs --app")
	f.IntVar(&cfg.Concurrency, "callback-concurrency", 16, "how many callbacks are sent at once")
	f.IntVar(&cfg.Attempts, "callback-attempts", 20, "how often a callback is sent until it is answered with a 2xx")
	given.names = append(given.names, "callback-token-env", "callback-speed", "callback-failures", "callback-fail-once",
		"callback-v3", "callback-sandbox-start", "callback-concurrency", "callback-attempts")
}

// config turns the flags into the simulator's configuration. Its errors are usage errors and repeat no token.
func (given *callbackFlags) config(c *cobra.Command, environ []string, apps int) (gupshuptest.Callbacks, error) {
	cfg := given.cfg
	if cfg.URL == "" {
		for _, name := range given.names {
			if c.Flags().Changed(name) {
				return cfg, usagef("--%s belongs to --callback-url, which is missing", name)
			}
		}
		return gupshuptest.Callbacks{}, nil
	}
	if cfg.SandboxStart && apps == 0 {
		return cfg, usagef("--callback-sandbox-start needs an --app to tell of")
	}
	if given.tokenEnv != "" {
		if cfg.Token = valueOf(environ, given.tokenEnv); cfg.Token == "" {
			return cfg, usagef("--callback-token-env: the environment variable %s is empty or not set", given.tokenEnv)
		}
	}
	return cfg, nil
}

// valueOf is the trimmed value of an environment variable; of several, the last one counts.
func valueOf(environ []string, name string) string {
	value := ""
	for _, entry := range environ {
		if n, v, ok := strings.Cut(entry, "="); ok && n == name {
			value = strings.TrimSpace(v)
		}
	}
	return value
}

// percent is a flag for a share from 0 to 1 that is written from 0 to 100.
type percent struct{ share *float64 }

// String implements pflag.Value.
func (p *percent) String() string {
	if p.share == nil { // pflag asks an empty value for the default
		return "0"
	}
	return strconv.FormatFloat(100**p.share, 'g', 6, 64)
}

// Type implements pflag.Value.
func (p *percent) Type() string { return "percent" }

// Set implements pflag.Value.
func (p *percent) Set(text string) error {
	share, err := parsePercent(text)
	if err == nil {
		*p.share = share
	}
	return err
}

func parsePercent(text string) (float64, error) {
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !(n >= 0 && n <= 100) { // NaN is neither
		return 0, errors.New("use a number from 0 to 100")
	}
	return n / 100, nil
}

// failureList is a flag of the form code:percent,code:percent.
type failureList struct{ failures *[]gupshuptest.Failure }

// String implements pflag.Value.
func (l *failureList) String() string {
	if l.failures == nil {
		return ""
	}
	parts := make([]string, len(*l.failures))
	for i, f := range *l.failures {
		parts[i] = f.Code + ":" + (&percent{&f.Probability}).String()
	}
	return strings.Join(parts, ",")
}

// Type implements pflag.Value.
func (l *failureList) Type() string { return "code:percent" }

// Set implements pflag.Value. Given twice, the flag adds.
func (l *failureList) Set(text string) error {
	for part := range strings.SplitSeq(text, ",") {
		code, share, _ := strings.Cut(strings.TrimSpace(part), ":")
		probability, err := parsePercent(share)
		if err != nil {
			return fmt.Errorf("%q is not code:percent, such as 1002:0.5", part)
		}
		*l.failures = append(*l.failures, gupshuptest.Failure{Code: code, Probability: probability})
	}
	return nil
}
