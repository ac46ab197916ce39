package gupshuptest

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// App is one Gupshup app that the simulator knows: its name (`src.name`), its
// business number (`source`, digits only) and the API key that may use it.
type App struct {
	Name   string `json:"name"`
	Source string `json:"source"`
	APIKey string `json:"-"`
}

// String leaves out the API key, so that a configuration can be printed.
func (a App) String() string { return a.Name + " (" + a.Source + ")" }

// GoString is String.
func (a App) GoString() string { return a.String() }

// Config says whom the simulator serves and how it behaves. The zero value is
// useful: it accepts every valid request of any app, at once.
type Config struct {
	// Apps are the known apps. Without any, every non-empty API key, app name
	// and source is accepted.
	Apps []App

	// Rules say how to misbehave; the first rule that fires wins. See Rule.
	Rules []Rule

	// MagicNumbers makes destinations that end in a documented suffix
	// misbehave, see Magic. Rules come first.
	MagicNumbers bool

	// Latency is how long every answer takes, plus a random share of
	// LatencyJitter. A message is accepted when its request arrives, before the
	// latency, so a client that gives up early may still have sent it.
	Latency       time.Duration
	LatencyJitter time.Duration

	// RatePerSecond is how many messages per second an app may have accepted,
	// in any window; what comes beyond gets a 429. Zero means no limit.
	RatePerSecond float64

	// JSONContentType answers with application/json instead of the text/html
	// that the real API documents for its JSON.
	JSONContentType bool

	// SuccessStatus is the status of an accepted message: "submitted" (the
	// default) or "success". Gupshup's documentation has both.
	SuccessStatus string

	// LegacySM says what the retired paths under /sm do: "" serves them like
	// /wa, "401" answers as Gupshup does to accounts that no longer have them.
	LegacySM string

	// Callbacks says where to tell what became of the messages, and what. See
	// also SetCallbacks.
	Callbacks Callbacks

	// KeepBodies keeps the form of every accepted message, see Accepted.
	KeepBodies bool

	// MaxKept is how many accepted messages are kept, and how many different
	// messages are watched for duplicates. Zero means DefaultMaxKept. Totals
	// are exact whatever it is.
	MaxKept int

	// Strict makes a Server fail its test when a rule with Times was not used
	// that often since it was set, which Reset does anew. Only NewServer looks
	// at it.
	Strict bool

	// Seed makes random decisions and message ids repeatable. Zero draws one;
	// Stats tells which.
	Seed uint64

	// Now is the clock for timestamps and rates; time.Now if nil. Latency,
	// delays and the time until a callback always take real time.
	Now func() time.Time
}

// DefaultMaxKept is about 28 MB of messages without bodies.
const DefaultMaxKept = 100_000

// Validate reports every problem of the configuration at once.
func (c Config) Validate() error {
	var errs []error
	for i, app := range c.Apps {
		if strings.TrimSpace(app.Name) == "" || strings.TrimSpace(app.Source) == "" || strings.TrimSpace(app.APIKey) == "" {
			errs = append(errs, fmt.Errorf("apps[%d]: name, source and API key are all needed", i))
		}
	}
	for i, rule := range c.Rules {
		if err := rule.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("rules[%d]: %w", i, err))
		}
	}
	if c.Latency < 0 || c.LatencyJitter < 0 {
		errs = append(errs, errors.New("latency and its jitter must not be negative"))
	}
	if c.RatePerSecond < 0 || c.RatePerSecond > maxRate {
		errs = append(errs, fmt.Errorf("rate per second must be from 0 (no limit) to %d", maxRate))
	}
	switch c.SuccessStatus {
	case "", "submitted", "success":
	default:
		errs = append(errs, fmt.Errorf("success status %q: use submitted or success", c.SuccessStatus))
	}
	switch c.LegacySM {
	case "", "401":
	default:
		errs = append(errs, fmt.Errorf("legacy sm %q: leave it empty or use 401", c.LegacySM))
	}
	if err := c.Callbacks.Validate(); err != nil {
		errs = append(errs, err)
	}
	if c.MaxKept < 0 {
		errs = append(errs, errors.New("max kept must not be negative"))
	}
	return errors.Join(errs...)
}

// withDefaults fills in what was left out.
func (c Config) withDefaults() Config {
	if c.SuccessStatus == "" {
		c.SuccessStatus = "submitted"
	}
	if c.MaxKept == 0 {
		c.MaxKept = DefaultMaxKept
	}
	if c.Seed == 0 {
		c.Seed = drawSeed()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}
