package main

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/httpapi"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/receipt"
	"github.com/gupdispatch/gupdispatch/view"
	"github.com/gupdispatch/gupdispatch/worker"
)

// registry is what /metrics shows, besides what the worker adds.
func (a *app) registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "gupdispatch_build_info", Help: "1, with the version of the process.", ConstLabels: prometheus.Labels{"version": ownVersion()},
	})
	build.Set(1)
	r.MustRegister(
		build,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		worker.NewCollector(a.redis.general, a.ledger, a.rates()),
	)
	return r
}

// httpServer is what listens at a door: health and metrics, and at the public one also callbacks and the web UI.
func (a *app) httpServer(d door, registry *prometheus.Registry) (*httpapi.Server, error) {
	opts := httpapi.Options{
		Listen: d.listen, Redis: a.redis.general, Registry: registry, Log: a.log, Tracer: a.tracer,
		Notes: []func(context.Context) string{a.fullNote()}, WithoutUI: !d.ui, TrustedProxies: a.cfg.HTTP.TrustedProxies,
		Ready: []httpapi.Check{{Name: "redis_settings", Run: a.refuseRedis}},
	}
	if d.ui {
		api, err := a.api()
		if err != nil {
			return nil, err
		}
		opts.API, opts.TLSCert, opts.TLSKey = api, a.cfg.HTTP.TLSCert, a.cfg.HTTP.TLSKey
		callbacks, err := a.callbacks(registry)
		if err != nil {
			return nil, err
		}
		opts.Callbacks = callbacks
		opts.KeepPaused = func(ctx context.Context, queue string) (bool, error) {
			return worker.KeepPaused(ctx, a.redis.general, queue)
		}
		opts.SessionKey = []byte(a.cfg.HTTP.SessionKey.Reveal())
		for _, u := range a.cfg.HTTP.UIUsers {
			opts.UIUsers = append(opts.UIUsers, httpapi.UIUser{Name: u.Name, Password: u.Password.Reveal(), Role: httpapi.Role(u.Role)})
		}
	}
	return httpapi.New(opts)
}

// fullNote tells /readyz what follows from a full Redis. The process stays ready: it still records what callbacks tell.
func (a *app) fullNote() func(context.Context) string {
	room := ledger.NewRoom(a.redis.general)
	return func(ctx context.Context) string {
		used, _ := room.Used(ctx)
		return ledger.Consequence(used)
	}
}

// api is the REST API.
func (a *app) api() (*httpapi.API, error) {
	p, err := a.producer()
	if err != nil {
		return nil, err
	}
	api := &httpapi.API{
		Allow: a.cfg.HTTP.Allow, Rate: a.cfg.HTTP.APIRate, Ledger: a.ledger, Producer: p,
		Sender: func(ctx context.Context, name string) (view.Sender, error) {
			s, _ := a.cfg.Sender(name)
			return a.senderView(ctx, s)
		},
	}
	for _, k := range a.cfg.HTTP.APIKeys {
		api.Keys = append(api.Keys, httpapi.APIKey{Name: k.Name, Key: k.Key.Reveal(), Reveal: k.Reveal})
	}
	for _, s := range a.cfg.Senders {
		api.Senders = append(api.Senders, campaignSender(s))
	}
	replay := a.replay(func(what string, t target, err error) {
		a.log.Warn("dead_letter."+what, zap.String("id", t.id), zap.String("sender", t.sender), zap.Error(err))
	})
	api.Replay = func(ctx context.Context, letter ledger.Record) error { return replay(ctx, targetOf(letter)) }
	return api, nil
}

// callbacks takes in what Gupshup reports.
func (a *app) callbacks(registry prometheus.Registerer) (http.Handler, error) {
	senders := make([]receipt.Sender, len(a.cfg.Senders))
	for i, s := range a.cfg.Senders {
		senders[i] = receipt.Sender{Name: s.Name, Token: s.CallbackToken.Reveal(), Allow: s.CallbackAllow}
	}
	return receipt.New(receipt.Config{
		Senders: senders, Recorder: a.ledger, Codes: a.codes(), Client: httpapi.ClientAddr(a.cfg.HTTP.TrustedProxies),
		Log: a.log, Registry: registry, Tracer: a.tracer,
	})
}
