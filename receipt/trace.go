package receipt

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/gupdispatch/gupdispatch/internal/tracing"
	"github.com/gupdispatch/gupdispatch/ledger"
)

// callbackSpan begins the span of a callback. It is in no message's trace: a callback may tell of several.
func (h *Handler) callbackSpan(ctx context.Context, sender string, start time.Time) (context.Context, trace.Span) {
	if !h.tracer.On() {
		return h.tracer.Start(ctx, "")
	}
	return h.tracer.Start(ctx, "callback", trace.WithTimestamp(start), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(tracing.String("sender", sender)))
}

// receiptSpan is the span of a receipt in the trace of the attempt that it is about, if that is known and traced; it links the callback.
func (h *Handler) receiptSpan(ctx context.Context, sender string, what effect, r ledger.Received, begun time.Time) {
	if r.Trace == "" || !h.tracer.On() {
		return
	}
	sent := tracing.Unpack(r.Trace)
	if !sent.IsValid() {
		return
	}
	_, span := h.tracer.Start(trace.ContextWithRemoteSpanContext(ctx, sent), "receipt."+what.label, trace.WithTimestamp(begun),
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(trace.LinkFromContext(ctx)), trace.WithAttributes(
			tracing.String("sender", sender), tracing.String("id", r.ID), tracing.Int("attempt", r.Attempt), tracing.String("status", string(r.Status)),
			tracing.String("outcome", r.Outcome), tracing.String("message_id", what.receipt.MessageID)))
	if what.receipt.Code != "" {
		span.SetAttributes(tracing.String("code", what.receipt.Code), tracing.String("class", string(what.receipt.Class)))
	}
	span.End()
}
