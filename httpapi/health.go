package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"
)

// readyLimit is how long all checks of /readyz together may take. Kubernetes
// gives a probe 1 s by default: this must be less, or the reason is never read.
const readyLimit = 800 * time.Millisecond

// Check is one thing that must hold before the process counts as ready.
type Check struct {
	Name string
	// Run returns nil when the thing holds. It should heed ctx, which ends after
	// 800 ms. The error's text is shown to whoever may reach /readyz, and so must
	// not hold secrets. Run is never called twice at once.
	Run func(ctx context.Context) error
}

// alive answers /healthz: a process that can answer at all is alive. It asks
// nothing else, since restarting us does not mend Redis.
func alive(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readiness answers /readyz.
type readiness struct {
	checks   []Check
	notes    []func(ctx context.Context) string
	log      *zap.Logger
	flight   singleflight.Group // one run per check, however many ask
	draining atomic.Bool

	mu     sync.Mutex
	failed map[string]bool // by name, to log changes only
}

func newReadiness(opts Options) *readiness {
	redisAnswers := Check{Name: "redis", Run: func(ctx context.Context) error { return ping(ctx, opts.Redis) }}
	return &readiness{
		checks: append([]Check{redisAnswers}, opts.Ready...),
		notes:  opts.Notes,
		log:    opts.Log,
		failed: make(map[string]bool),
	}
}

func ping(ctx context.Context, client redis.UniversalClient) error {
	if err := client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("no answer to PING: %w", err)
	}
	return nil
}

// drain makes every later answer "shutting down".
func (h *readiness) drain() { h.draining.Store(true) }

type failure struct {
	Check  string `json:"check"`
	Reason string `json:"reason"`
	late   bool   // nobody knows: the check did not end in time
}

// ServeHTTP answers 200, or 503 with the reasons.
func (h *readiness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	failures := []failure{{Check: "server", Reason: "shutting down"}}
	if !h.draining.Load() {
		failures = h.run(r.Context(), h.checks)
	}
	if len(failures) == 0 {
		answer := map[string]any{"status": "ready"}
		if notes := h.noted(r.Context()); len(notes) > 0 {
			answer["notes"] = notes
		}
		writeJSON(w, http.StatusOK, answer)
		return
	}
	writeJSON(w, http.StatusServiceUnavailable, map[string]any{"status": "not ready", "failed": failures})
}

// noted gathers what there is to note.
func (h *readiness) noted(ctx context.Context) (texts []string) {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	for _, note := range h.notes {
		if text := note(ctx); text != "" {
			texts = append(texts, text)
		}
	}
	return texts
}

// configured are the checks of Options.Ready.
func (h *readiness) configured(ctx context.Context) []failure { return h.run(ctx, h.checks[1:]) }

// run starts all of these checks at once and gathers what failed, in their order. A
// check that outlives the limit goes on alone and is joined, not repeated, by
// the next request: go-redis may ignore a context for seconds.
func (h *readiness) run(ctx context.Context, checks []Check) []failure {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()

	results := make([]<-chan singleflight.Result, len(checks))
	for i, check := range checks {
		results[i] = h.flight.DoChan(check.Name, func() (any, error) {
			// Not the request's context: others may be waiting for the same run.
			own, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyLimit)
			defer cancel()
			return nil, check.Run(own)
		})
	}
	var failures []failure
	for i, check := range checks {
		var err error
		late := false
		select {
		case result := <-results[i]:
			err = result.Err
		case <-ctx.Done():
			err, late = fmt.Errorf("no answer within %s", readyLimit), true
		}
		if !errors.Is(ctx.Err(), context.Canceled) { // the asker hung up: that says nothing
			h.note(check.Name, err)
		}
		if err != nil {
			failures = append(failures, failure{Check: check.Name, Reason: err.Error(), late: late})
		}
	}
	return failures
}

// note logs a check when it starts to fail and when it recovers.
func (h *readiness) note(name string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failed[name] == (err != nil) {
		return
	}
	h.failed[name] = err != nil
	if err != nil {
		h.log.Warn("ready.lost", zap.String("check", name), zap.Error(err))
	} else {
		h.log.Info("ready.regained", zap.String("check", name))
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	writeBody(w, status, "application/json", v)
}

func writeBody(w http.ResponseWriter, status int, contentType string, v any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	// The status is on its way; a client that went away has no use for an error.
	_ = json.NewEncoder(w).Encode(v)
}
