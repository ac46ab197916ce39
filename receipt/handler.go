package receipt

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/internal/tracing"
)

const (
	// maxBody bounds a callback, in bytes. The largest that are known, with many events in one, have some 10 KiB.
	maxBody = 256 << 10

	// recordTime bounds the recording of a callback. Gupshup gives up after 10 s, and would not hear an answer after that.
	recordTime = 8 * time.Second

	// retryAfter is what Gupshup is asked to wait when a callback could not be recorded.
	retryAfter = 5 * time.Second

	// defaultAtOnce is how many callbacks are recorded at a time. Recording takes about a millisecond, so that more than this can
	// only mean that Redis is slow; then Gupshup's own queue is a better place to wait in than ours.
	defaultAtOnce = 256
)

// Sender is a sender whose callbacks are taken.
type Sender struct {
	Name  string
	Token string         // shared with Gupshup; "" takes no callbacks
	Allow []netip.Prefix // addresses that they may come from; none means every address
}

// Config is what a Handler needs. Recorder and Client are required.
type Config struct {
	Senders  []Sender
	Recorder Recorder
	// Codes overrides the class of failure codes.
	Codes map[string]gupshup.Class
	// Client tells the address that a request came from, for Sender.Allow: httpapi.ClientAddr looks through reverse proxies.
	Client func(*http.Request) netip.Addr
	// AtOnce bounds the callbacks that are recorded at a time; 0 means 256. Those beyond it are answered 503.
	AtOnce   int
	Log      *zap.Logger           // nil writes nothing
	Registry prometheus.Registerer // nil registers nothing
	Tracer   trace.TracerProvider  // makes a span of each callback, and of each receipt within its message's trace; nil: none
}

// Handler answers POST /callbacks/gupshup/{sender}, where Gupshup reports to. It is safe for concurrent use.
//
//	200  recorded, or of a kind that is only counted; the body is empty
//	400  no JSON object
//	401  the token, in ?token= or the header X-Callback-Token, is wrong or missing
//	403  the address is not one of the sender's
//	404  unknown sender, or a sender without a token
//	405  not a POST
//	413  more than 256 KiB
//	503  not recorded, or not known to be: Redis is away or slow, or too many come at once; Gupshup tries again
type Handler struct {
	cfg     Config
	senders map[string]guard
	slots   chan struct{}
	paths   *http.ServeMux
	metrics *metrics
	log     *zap.Logger
	tracer  *tracing.Tracer
	refusal rarely
}

// New makes a handler. It fails only when the configuration is incomplete.
func New(cfg Config) (*Handler, error) {
	if cfg.Recorder == nil || cfg.Client == nil {
		return nil, errors.New("receipt: Recorder or Client is missing: pass the ledger and httpapi.ClientAddr")
	}
	if cfg.AtOnce == 0 {
		cfg.AtOnce = defaultAtOnce
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	for _, s := range cfg.Senders {
		if s.Token == "" {
			cfg.Log.Warn("callback.no_token", zap.String("sender", s.Name), zap.String("problem",
				"no callbacks are taken for this sender, so that its messages stay submitted: set callback_token_env"))
		}
	}
	h := &Handler{
		cfg: cfg, senders: guards(cfg.Senders), slots: make(chan struct{}, cfg.AtOnce), paths: http.NewServeMux(),
		metrics: newMetrics(cfg.Registry, cfg.Senders), log: cfg.Log, tracer: tracing.New(cfg.Tracer),
	}
	h.paths.HandleFunc("/callbacks/gupshup/{sender}", h.callback)
	h.paths.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusNotFound, "Gupshup's callback URL is /callbacks/gupshup/{sender}")
	})
	return h, nil
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.paths.ServeHTTP(w, r) }

// callback is the story of one callback.
func (h *Handler) callback(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		problem(w, http.StatusMethodNotAllowed, "Gupshup's callbacks are posted")
		return
	}
	sender := r.PathValue("sender")
	if refused := h.admit(sender, r); refused != nil {
		h.refuse(w, sender, *refused)
		return
	}
	defer func() { h.metrics.seconds.Observe(time.Since(start).Seconds()) }()
	ctx, span := h.callbackSpan(r.Context(), sender, start)
	defer span.End()

	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		h.unreadable(w, sender, err)
		return
	}
	events, err := gupshup.ParseCallback(body)
	if err != nil { // its text may quote the body
		h.finish(sender, resultMalformed)
		h.log.Warn("callback.malformed", zap.String("sender", sender), zap.Int("bytes", len(body)))
		problem(w, http.StatusBadRequest, "the body is no JSON object")
		return
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		h.unavailable(w, sender, errors.New("too many callbacks at once"))
		return
	}
	// Not ended by a client that hangs up: what it told is worth recording, and may not be told again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	if err := h.record(ctx, sender, events); err != nil {
		h.unavailable(w, sender, err)
		return
	}
	h.finish(sender, resultOK)
	w.WriteHeader(http.StatusOK)
}

// refusal is the answer to a callback that is not let in.
type refusal struct {
	status int
	result result
	detail string
}

// admit returns why a callback is not let in, nil if it is. What it takes does not depend on whether the sender exists.
func (h *Handler) admit(sender string, r *http.Request) *refusal {
	g, token := h.senders[sender], r.Header.Get("X-Callback-Token")
	if token == "" {
		token = r.URL.Query().Get("token")
	}
	right := g.token.matches(token)
	switch {
	case !g.token.set:
		return &refusal{http.StatusNotFound, resultUnauthorized, "there is no such sender, or it has no callback token"}
	case !g.admits(h.cfg.Client(r)):
		return &refusal{http.StatusForbidden, resultForbidden, "this address is not one of the sender's callback_allow"}
	case !right:
		return &refusal{http.StatusUnauthorized, resultUnauthorized, "the token is missing or wrong: give it in ?token= or the header X-Callback-Token"}
	}
	return nil
}

// refuse answers a callback that is not let in. Anybody can cause as many as they like, so only some are logged.
func (h *Handler) refuse(w http.ResponseWriter, sender string, why refusal) {
	if _, known := h.senders[sender]; !known {
		sender = "" // what a stranger wrote is neither a label nor worth a line
	}
	h.finish(sender, why.result)
	if h.refusal.now(time.Now()) {
		h.log.Warn("callback.refused", zap.String("sender", sender), zap.Int("status", why.status), zap.String("reason", why.detail))
	}
	if why.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `CallbackToken`)
	}
	problem(w, why.status, why.detail)
}

func (h *Handler) unreadable(w http.ResponseWriter, sender string, err error) {
	if large := new(http.MaxBytesError); errors.As(err, &large) {
		h.finish(sender, resultTooLarge)
		h.log.Warn("callback.too_large", zap.String("sender", sender), zap.Int64("limit", large.Limit))
		problem(w, http.StatusRequestEntityTooLarge, "the body has more than "+strconv.Itoa(maxBody)+" bytes")
		return
	}
	h.finish(sender, resultMalformed)
	h.log.Warn("callback.broken_off", zap.String("sender", sender), zap.Error(err))
	problem(w, http.StatusBadRequest, "the body broke off")
}

func (h *Handler) unavailable(w http.ResponseWriter, sender string, err error) {
	h.finish(sender, resultUnavailable)
	h.log.Error("callback.not_recorded", zap.String("sender", sender), zap.Error(err))
	w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter.Seconds())))
	problem(w, http.StatusServiceUnavailable, "the callback could not be recorded: send it again")
}

func (h *Handler) finish(sender string, r result) {
	h.metrics.callbacks.WithLabelValues(sender, string(r)).Inc()
}

// problem answers in the form of RFC 9457, like the rest of our HTTP API.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": http.StatusText(status), "status": status, "detail": detail})
}
