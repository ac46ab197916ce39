// Package tracing is what our packages need of OpenTelemetry: spans that cost nothing while nobody traces, and the context of a trace as text,
// for asynq's task headers, and as bytes, for the ledger's records.
//
// Spans name messages, attempts and requests by ids and classes. Numbers, texts and keys never are attributes.
package tracing

import (
	"context"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Header is the name under which asynq's tasks and HTTP requests carry the context of a trace (W3C Trace Context).
const Header = "traceparent"

// Tracer makes spans. A nil one makes none, and costs nothing.
type Tracer struct{ tracer trace.Tracer }

// New makes a Tracer; nil of a nil provider.
func New(provider trace.TracerProvider) *Tracer {
	if provider == nil {
		return nil
	}
	return &Tracer{tracer: provider.Tracer("github.com/gupdispatch/gupdispatch")}
}

// On says whether there are spans at all. Ask it before making attributes.
func (t *Tracer) On() bool { return t != nil }

// none is a span that nobody sees.
var none = trace.SpanFromContext(context.Background())

// Start begins a span, which is End's to end. Without a tracer it returns the context as it is, and a span of no effect.
func (t *Tracer) Start(ctx context.Context, name string, options ...trace.SpanStartOption) (context.Context, trace.Span) {
	if t == nil {
		return ctx, none
	}
	return t.tracer.Start(ctx, name, options...)
}

// Fail marks a span as failed, with a class or a code, never a text.
func Fail(span trace.Span, what string) { span.SetStatus(codes.Error, what) }

// String is an attribute of ours.
func String(name, value string) attribute.KeyValue {
	return attribute.String("gupdispatch."+name, value)
}

// Int is an attribute of ours.
func Int(name string, value int) attribute.KeyValue { return attribute.Int("gupdispatch."+name, value) }

// ID is the id of the trace that a context is in, for the log; empty where nothing is recorded.
func ID(ctx context.Context) string {
	if sc := trace.SpanContextFromContext(ctx); sc.IsSampled() {
		return sc.TraceID().String()
	}
	return ""
}

// Text is the context of a trace as Header carries it; empty where nothing is recorded, so that it costs nobody anything.
func Text(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[Header]
}

// FromText goes on with what Text said. What it cannot read changes nothing.
func FromText(ctx context.Context, text string) context.Context {
	if text == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{Header: text})
}

// FromRequest goes on with the trace of whoever makes a request.
func FromRequest(r *http.Request) context.Context {
	return propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
}

const packed = len(trace.TraceID{}) + len(trace.SpanID{})

// Pack is the context of a trace in 24 bytes, for a record; empty where nothing is recorded.
func Pack(ctx context.Context) string {
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsSampled() {
		return ""
	}
	t, s := sc.TraceID(), sc.SpanID()
	var b strings.Builder
	b.Grow(packed)
	b.Write(t[:])
	b.Write(s[:])
	return b.String()
}

// Unpack is the other way; anything but what Pack wrote is no context.
func Unpack(from string) trace.SpanContext {
	if len(from) != packed {
		return trace.SpanContext{}
	}
	var c trace.SpanContextConfig
	copy(c.TraceID[:], from)
	copy(c.SpanID[:], from[len(c.TraceID):])
	c.TraceFlags, c.Remote = trace.FlagsSampled, true
	return trace.NewSpanContext(c)
}
