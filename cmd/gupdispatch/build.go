package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/config"
	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
	"github.com/gupdispatch/gupdispatch/worker"
)

// app is a configuration with the parts that every command needs: Redis and the ledger. Further parts are built when asked for.
type app struct {
	env    *env
	cfg    *config.Config
	log    *zap.Logger
	redis  *connections
	ledger *ledger.Ledger
	tracer trace.TracerProvider // nil: nothing is traced
}

// open is how a command that looks at or changes what others work on begins. The caller closes the app.
func (e *env) open(ctx context.Context) (*app, error) {
	cfg, err := e.config()
	if err != nil {
		return nil, err
	}
	if cfg.Redis.Embedded() {
		return nil, usagef("redis.url is embedded, which no other process can see and which forgets everything when this command ends: set redis.url, or GUPDISPATCH_REDIS_URL, to the Redis that the workers use")
	}
	return e.build(ctx, cfg, zap.NewNop())
}

// build connects to Redis. The caller closes the app.
func (e *env) build(ctx context.Context, cfg *config.Config, log *zap.Logger) (*app, error) {
	if len(cfg.Senders) == 0 {
		return nil, config.Problems{{Key: "senders", What: "there are none", Fix: "describe at least one, as gupdispatch.example.yaml shows"}}
	}
	conns, err := e.connect(ctx, cfg.Redis)
	if err != nil {
		return nil, err
	}
	return &app{env: e, cfg: cfg, log: log, redis: conns, ledger: ledger.New(conns.general, ledger.Config{
		Retention: cfg.Ledger.Retention, DeadRetention: cfg.Ledger.DeadRetention, Expiry: byPriority(cfg.Expiry),
		DoubtWindow: cfg.InDoubt.Window, Process: e.self, Events: eventsKept(cfg.Senders), Limits: limits(cfg.Senders),
		Confirm: confirm(cfg.Redis),
	})}, nil
}

func (a *app) close() { a.redis.close() }

// confirm is how long a replica may take to confirm a change; 0: none is asked. The answer must come before the client gives up on it.
func confirm(r config.Redis) time.Duration {
	if !r.Strict() {
		return 0
	}
	return min(time.Second, r.ReadTimeout/2)
}

// eventsKept says, by sender, how long its event stream is.
func eventsKept(senders []config.Sender) map[string]int {
	kept := make(map[string]int, len(senders))
	for _, s := range senders {
		kept[s.Name] = s.EventsKept()
	}
	return kept
}

// limits says, by sender, what one recipient and a day can take.
func limits(senders []config.Sender) map[string]ledger.Limits {
	all := make(map[string]ledger.Limits, len(senders))
	for _, s := range senders {
		all[s.Name] = ledger.Limits{PairEvery: s.PairEvery, PairBurst: s.PairBurst, DailyRecipients: s.DailyRecipients}
	}
	return all
}

// byPriority turns one of the configuration's triples into the map that the packages take.
func byPriority[T any](b config.ByPriority[T]) map[message.Priority]T {
	m := make(map[message.Priority]T, len(message.Priorities))
	for _, p := range message.Priorities {
		m[p] = b.Of(string(p))
	}
	return m
}

func (a *app) producer() (*producer.Producer, error) {
	senders := make([]producer.Sender, len(a.cfg.Senders))
	for i, s := range a.cfg.Senders {
		senders[i] = producer.Sender{Name: s.Name, Region: s.DefaultRegion, MaxQueued: s.MaxQueued}
	}
	return producer.New(producer.Config{
		Redis: a.redis.general, Senders: senders, Expiry: byPriority(a.cfg.Expiry), Events: eventsKept(a.cfg.Senders), Confirm: confirm(a.cfg.Redis),
		Log: a.log, Tracer: a.tracer,
	})
}

// inspector looks at asynq's queues. It needs no closing: its client is ours.
func (a *app) inspector() *asynq.Inspector { return asynq.NewInspectorFromRedisClient(a.redis.general) }

// worker makes the worker of all senders, over one pool of connections to Gupshup. hangUp closes those that are idle.
func (a *app) worker(registry prometheus.Registerer) (w *worker.Worker, hangUp func(), err error) {
	transport := gupshup.Transport()
	senders := make([]worker.SenderConfig, len(a.cfg.Senders))
	for i, s := range a.cfg.Senders {
		client, err := a.gupshup(s, transport)
		if err != nil {
			return nil, nil, fmt.Errorf("sender %s: %w", s.Name, err)
		}
		senders[i] = worker.SenderConfig{
			Name: s.Name, App: s.App, Source: s.Source, Client: client, Rate: s.Rate, Burst: s.Burst, OnInDoubt: a.onInDoubt(s),
			CheckSession: s.CheckSession,
		}
	}
	c := a.cfg
	w, err = worker.New(worker.Config{
		Redis: a.redis.general, QueueRedis: a.redis.queue, Ledger: a.ledger, Senders: senders,
		Concurrency: byPriority(c.Workers.Concurrency), Pumps: int(c.Workers.Pumps), HTTPTimeout: c.Gupshup.Timeout,
		ShutdownTimeout: c.Workers.ShutdownTimeout, SweepInterval: c.Workers.SweepInterval,
		Budget: budgets(c.Retry), BackoffBase: c.Retry.Backoff.Base, BackoffCap: c.Retry.Backoff.Cap,
		RetryAfterCap: c.Retry.RetryAfterCap, DoubtWindow: c.InDoubt.Window, Alert: a.alert(), Log: a.log, Registry: registry,
		Tracer: a.tracer,
	})
	return w, transport.CloseIdleConnections, err
}

func (a *app) gupshup(s config.Sender, transport http.RoundTripper) (*gupshup.Client, error) {
	return gupshup.New(gupshup.Config{
		BaseURL: s.BaseURL, SessionPath: s.SessionPath, TemplatePath: s.TemplatePath, CatalogPath: s.CatalogPath,
		APIKey: s.APIKey(), HTTPClient: &http.Client{Transport: transport}, Timeout: a.cfg.Gupshup.Timeout, Codes: a.codes(),
	})
}

// codes are the configuration's overrides of the error table, for replies and for callbacks.
func (a *app) codes() map[string]gupshup.Class {
	codes := make(map[string]gupshup.Class, len(a.cfg.Codes))
	for code, class := range a.cfg.Codes {
		codes[code] = gupshup.Class(class)
	}
	return codes
}

func (a *app) onInDoubt(s config.Sender) map[message.Priority]message.OnInDoubt {
	m := make(map[message.Priority]message.OnInDoubt, len(message.Priorities))
	for _, p := range message.Priorities {
		m[p] = message.OnInDoubt(a.cfg.OnInDoubt(s, string(p)))
	}
	return m
}

func budgets(r config.Retry) map[message.Priority]worker.Budget {
	m := make(map[message.Priority]worker.Budget, len(message.Priorities))
	for p, b := range byPriority(r.ByPriority) {
		m[p] = worker.Budget{Attempts: b.Attempts, MaxAge: b.MaxAge}
	}
	return m
}

// names lists the configured senders.
func (a *app) names() []string {
	names := make([]string, len(a.cfg.Senders))
	for i, s := range a.cfg.Senders {
		names[i] = s.Name
	}
	return names
}

// rates lists the configured senders with their rates.
func (a *app) rates() map[string]float64 {
	rates := make(map[string]float64, len(a.cfg.Senders))
	for _, s := range a.cfg.Senders {
		rates[s.Name] = s.Rate
	}
	return rates
}

// senders is --sender: the one it names, or all.
func (a *app) senders(name string) ([]string, error) {
	if name == "" {
		return a.names(), nil
	}
	if _, ok := a.cfg.Sender(name); !ok {
		return nil, usagef("--sender %q is not configured: use one of %s", name, strings.Join(a.names(), ", "))
	}
	return []string{name}, nil
}
