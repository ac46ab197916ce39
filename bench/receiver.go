package main

import (
	"context"
	"net"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/httpapi"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/receipt"
)

const (
	callbackToken = "bench"
	callers       = 64  // callbacks that the simulator has under way at most
	hurry         = 100 // enqueued comes after 50 ms instead of 5 s, and the rest in proportion
)

// receiver takes callbacks as `gupdispatch http` does: the same server, the same handler, the same ledger.
func receiver(ctx context.Context, addr string) error {
	rdb := redis.NewClient(&redis.Options{Addr: os.Getenv(redisVar), ContextTimeoutEnabled: true, Protocol: 2})
	registry := prometheus.NewRegistry()
	callbacks, err := receipt.New(receipt.Config{
		Senders:  []receipt.Sender{{Name: sender, Token: callbackToken}},
		Recorder: ledger.New(rdb, ledger.Config{}), Client: httpapi.ClientAddr(nil), Log: zap.NewNop(), Registry: registry,
	})
	if err != nil {
		return err
	}
	server, err := httpapi.New(httpapi.Options{
		Listen: addr, Redis: rdb, Registry: registry, WithoutUI: true, Callbacks: callbacks, Log: zap.NewNop(),
	})
	if err != nil {
		return err
	}
	return server.Serve(ctx)
}

// callbacksTo has the simulator tell enqueued, sent and delivered of every message, in Gupshup's own form.
func callbacksTo(addr string, timed *stopwatch) gupshuptest.Callbacks {
	if addr == "" {
		return gupshuptest.Callbacks{}
	}
	return gupshuptest.Callbacks{
		URL: "http://" + addr + "/callbacks/gupshup/" + sender, Token: callbackToken, Transport: timed,
		Speed: hurry, Concurrency: callers, MaxPending: 3_000_000,
	}
}

// listening says whether somebody accepts connections there.
func listening(ctx context.Context, addr string) error {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return c.Close()
}
