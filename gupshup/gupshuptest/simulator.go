package gupshuptest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Simulator is a Gupshup that runs here: an http.Handler for the send endpoints
// and for the admin endpoints under /_sim. It is safe for concurrent use. Close
// ends its hanging requests.
type Simulator struct {
	cfg      Config
	apps     map[string][]App // by API key; nil if everybody is welcome
	magic    map[string]Fault // by suffix
	jsonType []string
	okPrefix string
	start    time.Time

	rulesMu sync.Mutex // for writers; readers load
	rules   atomic.Pointer[[]*activeRule]

	store  *store
	counts *counts
	draws  atomic.Uint64 // of the latency
	pushes atomic.Uint64 // numbers what Push sends
	caller *caller
	admin  http.Handler

	closeOnce sync.Once
	closed    chan struct{}
}

// New returns a simulator. It panics if the configuration is not valid: ask
// Config.Validate first where it comes from outside.
func New(cfg Config) *Simulator {
	if err := cfg.Validate(); err != nil {
		panic(fmt.Sprintf("gupshuptest: %v", err))
	}
	cfg = cfg.withDefaults()
	s := &Simulator{
		cfg:      cfg,
		apps:     appsByKey(cfg.Apps),
		magic:    magicFaults(),
		jsonType: []string{contentHTML},
		okPrefix: `{"status":"` + cfg.SuccessStatus + `","messageId":"`,
		start:    cfg.Now(),
		store:    newStore(cfg),
		counts:   newCounts(),
		caller:   newCaller(cfg.Seed, cfg.MaxKept),
		closed:   make(chan struct{}),
	}
	s.store.tell = s.caller.tell
	if cfg.JSONContentType {
		s.jsonType = []string{contentJSON}
	}
	s.admin = s.adminHandler()
	s.restoreRules()
	s.startCallbacks(cfg.Callbacks)
	return s
}

func appsByKey(apps []App) map[string][]App {
	if len(apps) == 0 {
		return nil
	}
	byKey := make(map[string][]App)
	for _, app := range apps {
		key := strings.TrimSpace(app.APIKey)
		byKey[key] = append(byKey[key], app)
	}
	return byKey
}

// ServeHTTP answers like Gupshup, or misbehaves as it was told.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/_sim/") {
		s.admin.ServeHTTP(w, r)
		return
	}
	s.counts.requests.Add(1)
	s.counts.inFlight.Add(1)
	defer s.counts.inFlight.Add(-1)

	req, no := s.read(r)
	if no != nil {
		s.refuse(w, r, *no)
		return
	}
	if fault, ok := s.faultFor(req); ok {
		s.misbehave(w, r, req, fault)
		return
	}
	m, ok := s.accept(req)
	if !ok {
		s.refuse(w, r, rateRefusal)
		return
	}
	s.answer(w, r, 0, s.accepted(req.endpoint, m.MessageID))
}

// accept records the message before anything of an answer leaves. Every
// accepted message passes here. It is false if the app is above its rate.
func (s *Simulator) accept(req *request) (Accepted, bool) {
	return s.store.accept(req, func() (int64, time.Time) {
		now := s.cfg.Now()
		return int64(now.Sub(s.start)), now
	})
}

// refuse counts a request that was not accepted, and answers it.
func (s *Simulator) refuse(w http.ResponseWriter, r *http.Request, no refusal) {
	s.counts.refused[no.reason].Add(1)
	s.answer(w, r, 0, no.reply)
}

// answer sends a reply after the latency and a further delay.
func (s *Simulator) answer(w http.ResponseWriter, r *http.Request, delay time.Duration, rep reply) {
	if s.pause(r.Context(), delay) {
		s.write(w, rep)
		return
	}
	s.abort()
}

// pause takes the latency and a further delay. It is false if the client left
// or the simulator was closed meanwhile.
func (s *Simulator) pause(ctx context.Context, delay time.Duration) bool {
	delay += s.cfg.Latency
	if s.cfg.LatencyJitter > 0 {
		delay += jitter(s.cfg.LatencyJitter, s.cfg.Seed, s.draws.Add(1))
	}
	if delay <= 0 {
		return true
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-s.closed:
	}
	return false
}

// Accepted returns the kept messages that the filter chooses, the oldest first.
func (s *Simulator) Accepted(f Filter) []Accepted { return s.store.find(f) }

// Duplicates returns what was accepted more than once, the most frequent first.
func (s *Simulator) Duplicates() []Duplicate { return s.store.repeated() }

// WaitAccepted returns once that many messages were accepted since the start or
// the last Reset, or with the error of a context that ends before.
func (s *Simulator) WaitAccepted(ctx context.Context, count uint64) error {
	return s.store.wait(ctx, count)
}

// Reset forgets all messages, counts and pending callbacks, and goes back to the
// rules of the configuration. Message ids and sequence numbers go on: they never
// repeat. Where callbacks go stays as it is.
func (s *Simulator) Reset() {
	s.store.mu.Lock()
	s.store.forget()
	s.caller.forget() // under the lock: a message has its callbacks or is forgotten
	s.store.mu.Unlock()
	s.counts.forget()
	s.restoreRules()
}

// restoreRules sets the rules of the configuration.
func (s *Simulator) restoreRules() {
	if err := s.SetRules(s.cfg.Rules); err != nil {
		panic(fmt.Sprintf("gupshuptest: %v", err)) // New has validated them
	}
}

// Close ends all delays and hanging requests without an answer, and every later
// one at once, and posts no further callbacks. An http.Server should call it in
// RegisterOnShutdown.
func (s *Simulator) Close() {
	s.closeOnce.Do(func() {
		close(s.closed)
		s.caller.stop()
	})
}
