package tracing

import (
	"context"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

func TestContextsComeBack(t *testing.T) {
	t.Parallel()
	provider := sdk.NewTracerProvider()
	ctx, span := New(provider).Start(t.Context(), "x")
	want := span.SpanContext()
	require.Len(t, Pack(ctx), 24)
	for name, got := range map[string]trace.SpanContext{
		"packed": Unpack(Pack(ctx)),
		"text":   trace.SpanContextFromContext(FromText(t.Context(), Text(ctx))),
	} {
		require.Equal(t, want.TraceID(), got.TraceID(), name)
		require.Equal(t, want.SpanID(), got.SpanID(), name)
		require.True(t, got.IsRemote() && got.IsSampled(), name)
	}
	require.Equal(t, want.TraceID().String(), ID(ctx))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set(Header, Text(ctx))
	require.Equal(t, want.TraceID(), trace.SpanContextFromContext(FromRequest(r)).TraceID())
}

// What is not recorded takes no room in headers and records.
func TestWhatIsNotSampledIsNotCarried(t *testing.T) {
	t.Parallel()
	ctx, _ := New(sdk.NewTracerProvider(sdk.WithSampler(sdk.NeverSample()))).Start(t.Context(), "x")
	require.Empty(t, Pack(ctx)+Text(ctx)+ID(ctx))
	for _, wrong := range []string{"", "x", "00-zz-zz-01"} {
		require.False(t, Unpack(wrong).IsValid())
		require.False(t, trace.SpanContextFromContext(FromText(t.Context(), wrong)).IsValid())
	}
}

func TestNoTracerCostsNothing(t *testing.T) {
	tracer, ctx := New(nil), context.Background()
	require.False(t, tracer.On())
	require.Zero(t, testing.AllocsPerRun(100, func() {
		ctx, span := tracer.Start(ctx, "x")
		if Pack(ctx)+Text(ctx)+ID(ctx) != "" || span.IsRecording() {
			t.Error("something is traced")
		}
		span.End()
	}))
}
