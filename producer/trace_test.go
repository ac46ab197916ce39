package producer_test

import (
	"testing"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
)

// The task's header leads the worker on. What is refused is told of as refused, and nothing else.
func TestAcceptingIsTraced(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		spans := tracetest.NewInMemoryExporter()
		provider := sdk.NewTracerProvider(sdk.WithSyncer(spans))
		sender := redistest.Sender()
		p, err := producer.New(producer.Config{Redis: rdb, Senders: []producer.Sender{{Name: sender}}, Tracer: provider})
		require.NoError(t, err)
		ctx, application := provider.Tracer("test").Start(t.Context(), "checkout")
		wrong := order(sender, "b")
		wrong.To, wrong.Priority = "12 98765 43210 12 98765 43210", "919876543210"
		results := p.SendBatch(ctx, []message.Message{order(sender, "a"), wrong})
		require.NoError(t, results[0].Err)
		require.Error(t, results[1].Err)
		application.End()

		var accepted, refused tracetest.SpanStub
		for _, s := range spans.GetSpans() {
			require.Equal(t, application.SpanContext().TraceID(), s.SpanContext.TraceID())
			switch {
			case s.Name == "message.accept" && len(s.Attributes) > 0:
				accepted = s
			case s.Name == "message.accept":
				refused = s
			}
		}
		require.Equal(t, "refused", refused.Status.Description)
		require.Equal(t, application.SpanContext().SpanID(), accepted.Parent.SpanID())
		info, err := asynq.NewInspectorFromRedisClient(rdb).GetTaskInfo(message.Queue(sender, message.Default), "a:1")
		require.NoError(t, err)
		require.Equal(t, "00-"+accepted.SpanContext.TraceID().String()+"-"+accepted.SpanContext.SpanID().String()+"-01", info.Headers["traceparent"])
	})
}

// An application that decided not to record pays nothing for it in Redis.
func TestWhatIsNotSampledHasNoHeader(t *testing.T) {
	t.Parallel()
	rdb := redistest.Embedded(t)
	sender := redistest.Sender()
	p, err := producer.New(producer.Config{
		Redis: rdb, Senders: []producer.Sender{{Name: sender}}, Tracer: sdk.NewTracerProvider(sdk.WithSampler(sdk.NeverSample())),
	})
	require.NoError(t, err)
	_, err = p.Send(trace.ContextWithSpanContext(t.Context(), trace.SpanContext{}), order(sender, "a"))
	require.NoError(t, err)
	info, err := asynq.NewInspectorFromRedisClient(rdb).GetTaskInfo(message.Queue(sender, message.Default), "a:1")
	require.NoError(t, err)
	require.Empty(t, info.Headers)
	has, err := rdb.HExists(t.Context(), "gupdispatch:{"+sender+"}:m:a", "tc").Result()
	require.NoError(t, err)
	require.False(t, has)
}
