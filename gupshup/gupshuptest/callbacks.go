package gupshuptest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Callbacks says where and how the simulator tells what became of the messages
// it accepted. The zero value tells nothing. Everything that is a probability
// is from 0 to 1 and decided by Config.Seed and the Seq of the message.
type Callbacks struct {
	// URL is where callbacks are posted; "{app}" in it stands for the app's
	// name. Empty: no callbacks.
	URL string `json:"url"`
	// Token is sent as the header X-Callback-Token, if it is not empty.
	Token string `json:"token,omitempty"`
	// Transport posts the callbacks; a transport of the simulator's own if nil.
	// It must heed the context of a request, or Close waits for it.
	Transport http.RoundTripper `json:"-"`

	// Speed is how many times faster than real all delays pass: 1 (the
	// default) is realistic, 100 tells after 50 ms what Gupshup tells after 5 s.
	Speed float64 `json:"speed"`

	// Failures are the codes that messages fail with, and how likely each is.
	// Their probabilities add up to 1 at most.
	Failures []Failure `json:"failures,omitempty"`
	// FailOnce lets a destination of an app fail by callback once only,
	// whatever makes it fail: later messages to it get on. The first
	// Config.MaxKept destinations that fail are remembered.
	FailOnce bool `json:"fail_once,omitempty"`

	// Undelivered is how likely a message that has not failed ends as sent,
	// Read how likely one that is delivered is read as well.
	Undelivered float64 `json:"undelivered,omitempty"`
	Read        float64 `json:"read,omitempty"`
	// ReadOnly is how likely a message that is read has no delivered before.
	ReadOnly float64 `json:"read_only,omitempty"`

	// Duplicates is how likely a callback is posted a second time.
	Duplicates float64 `json:"duplicates,omitempty"`
	// Reorder is how likely the callbacks of a message come in another order
	// than they happened. Their timestamps tell the truth.
	Reorder float64 `json:"reorder,omitempty"`
	// MissingGsID is how likely a callback names the message by WhatsApp's id
	// alone, as Gupshup does a week after the send. Callbacks that have only
	// Gupshup's id, such as enqueued, keep it.
	MissingGsID float64 `json:"missing_gs_id,omitempty"`
	// StringCodes is how likely the code of a failure is a JSON string.
	StringCodes float64 `json:"string_codes,omitempty"`
	// Billing is how likely a billing-event follows on sent. There is none in V3.
	Billing float64 `json:"billing,omitempty"`

	// V3 writes the entry[] of Meta's format, as for a version 3 subscription.
	// What exists in version 2 only, such as a user-event, keeps its form.
	V3 bool `json:"v3,omitempty"`
	// SandboxStart posts the user-event sandbox-start of every app of
	// Config.Apps, as Gupshup does when a callback URL is set.
	SandboxStart bool `json:"sandbox_start,omitempty"`

	// Concurrency is how many callbacks are posted at once; 16 by default.
	Concurrency int `json:"concurrency,omitempty"`
	// Attempts is how often a callback is posted until its answer is a 2xx; 20
	// by default. Then it is given up.
	Attempts int `json:"attempts,omitempty"`
	// MaxPending is how many callbacks may wait, DefaultMaxPending by default.
	// The messages that come beyond have none, and count as Dropped.
	MaxPending int `json:"max_pending,omitempty"`
}

// DefaultMaxPending is about 50 MB of callbacks that wait.
const DefaultMaxPending = 400_000

// Failure is a code that messages fail with.
type Failure struct {
	// Code is a code of Gupshup or WhatsApp, such as "1002". It decides the
	// form: Gupshup's own of 1xxx and 4xxx come at once and carry Gupshup's id
	// only, all others after enqueued and perhaps sent.
	Code string `json:"code"`
	// Probability is how likely a message fails with it.
	Probability float64 `json:"probability"`
}

// Validate reports every problem at once. It never repeats the token.
func (c Callbacks) Validate() error {
	var errs []error
	if c.URL != "" {
		u, err := url.Parse(c.address("app"))
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			errs = append(errs, errors.New("callback URL: use an http or https URL such as http://127.0.0.1:8080/callbacks/gupshup/demo"))
		}
	}
	if c.Speed < 0 || c.Speed > maxSpeed {
		errs = append(errs, fmt.Errorf("callback speed must be from 0 (which means 1) to %d", maxSpeed))
	}
	total := 0.0
	for i, f := range c.Failures {
		if !isCode(f.Code) {
			errs = append(errs, fmt.Errorf("callback failures[%d]: code %q is not a number of up to 9 digits", i, f.Code))
		}
		if !isProbability(f.Probability) {
			errs = append(errs, fmt.Errorf("callback failures[%d]: probability %v is not between 0 and 1", i, f.Probability))
		}
		total += f.Probability
	}
	if total > 1+1e-9 { // sums of decimal fractions are a little off
		errs = append(errs, errors.New("callback failures: the probabilities add up to more than 1"))
	}
	for _, p := range []struct {
		name  string
		value float64
	}{
		{"undelivered", c.Undelivered},
		{"read", c.Read},
		{"read only", c.ReadOnly},
		{"duplicates", c.Duplicates},
		{"reorder", c.Reorder},
		{"missing gsId", c.MissingGsID},
		{"string codes", c.StringCodes},
		{"billing", c.Billing},
	} {
		if !isProbability(p.value) {
			errs = append(errs, fmt.Errorf("callback %s: probability %v is not between 0 and 1", p.name, p.value))
		}
	}
	if c.Concurrency < 0 || c.Attempts < 0 || c.MaxPending < 0 {
		errs = append(errs, errors.New("callback concurrency, attempts and max pending must not be negative"))
	}
	return errors.Join(errs...)
}

// maxSpeed keeps scaled delays meaningful.
const maxSpeed = 1_000_000

func isProbability(p float64) bool { return p >= 0 && p <= 1 }

// isCode reports whether s is the number of a code.
func isCode(s string) bool {
	return len(s) > 0 && len(s) <= 9 && strings.Trim(s, "0123456789") == ""
}

// withDefaults fills in what was left out.
func (c Callbacks) withDefaults() Callbacks {
	if c.Speed == 0 {
		c.Speed = 1
	}
	if c.Concurrency == 0 {
		c.Concurrency = 16
	}
	if c.Attempts == 0 {
		c.Attempts = 20
	}
	if c.MaxPending == 0 {
		c.MaxPending = DefaultMaxPending
	}
	return c
}

// address is the URL for an app.
func (c Callbacks) address(app string) string {
	return strings.ReplaceAll(c.URL, "{app}", url.PathEscape(app))
}

// scaled is how long a realistic delay takes here.
func (c Callbacks) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) / c.Speed)
}

// The times of a redelivery, before scaling. Gupshup documents 10 s for the
// answer and "a brief interval" until it tries again; the rest is a guess.
const (
	answerWithin   = 10 * time.Second
	redeliverAfter = 5 * time.Second
	redeliverMost  = 5 * time.Minute

	// However fast the clock, a receiver must have a chance to answer and to
	// be started again: 20 attempts then span about half a minute.
	answerAtLeast    = time.Second
	redeliverAtLeast = 100 * time.Millisecond
	redeliverCap     = 2 * time.Second
)

// timeout is how long an answer may take.
func (c Callbacks) timeout() time.Duration {
	return max(c.scaled(answerWithin), answerAtLeast)
}

// backoff is how long a callback waits after so many failed attempts: twice as
// long each time, up to a limit.
func (c Callbacks) backoff(attempts int) time.Duration {
	first := max(c.scaled(redeliverAfter), redeliverAtLeast)
	most := max(c.scaled(redeliverMost), redeliverCap)
	return min(first<<min(attempts-1, 20), most)
}

// startCallbacks begins with the configuration's callbacks.
func (s *Simulator) startCallbacks(c Callbacks) {
	if err := s.SetCallbacks(c); err != nil {
		panic(fmt.Sprintf("gupshuptest: %v", err)) // New has validated it
	}
}

// SetCallbacks replaces where and how callbacks are told, for the messages to
// come. Callbacks that wait go to the new URL; without one they are dropped. If
// something is invalid, nothing changes.
func (s *Simulator) SetCallbacks(c Callbacks) error {
	if err := c.Validate(); err != nil {
		return err
	}
	s.caller.set(c)
	if c.URL == "" || !c.SandboxStart {
		return nil
	}
	for _, app := range s.cfg.Apps {
		if err := s.Push(Push{Kind: PushSandboxStart, App: app.Name}); err != nil {
			return err
		}
	}
	return nil
}

// Pending is how many callbacks wait or are under way. It counts a callback
// until it was answered with a 2xx or is given up.
func (s *Simulator) Pending() int {
	s.caller.mu.Lock()
	defer s.caller.mu.Unlock()
	return s.caller.pending()
}

// Drain returns once no callback is pending, which a message accepted later may
// change again, or with the error of a context that ends before. A message has
// its callbacks pending before anybody hears that it was accepted.
func (s *Simulator) Drain(ctx context.Context) error { return s.caller.drain(ctx) }
