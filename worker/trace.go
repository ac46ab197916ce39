package worker

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/internal/tracing"
	"github.com/gupdispatch/gupdispatch/ledger"
)

// attemptSpan begins the span of an attempt, dated back to when its task came. It follows the message's acceptance, which the task's header
// tells, or the record if the task is one of the sweeper's; the attempt before it is linked. Nothing depends on either.
func (h *handler) attemptSpan(ctx context.Context, j job, c ledger.Claim, began, granted time.Time) (context.Context, trace.Span) {
	if !h.tracer.On() {
		return h.tracer.Start(ctx, "")
	}
	options := []trace.SpanStartOption{
		trace.WithTimestamp(began), trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
			tracing.String("sender", h.name), tracing.String("id", j.ID), tracing.Int("attempt", c.Attempt), tracing.Int("generation", j.Generation),
			tracing.String("priority", string(c.Priority)), tracing.String("lane", string(j.lane)), tracing.String("template", c.Template)),
	}
	before := tracing.Unpack(c.Trace)
	if c.Attempt > 1 && before.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: before}))
	}
	ctx, span := h.tracer.Start(follow(ctx, j, before), "message.send", options...)
	span.AddEvent("slot", trace.WithTimestamp(granted))
	span.AddEvent("claimed")
	return ctx, span
}

// follow goes on with the trace that a task's header tells, or else the record.
func follow(ctx context.Context, j job, record trace.SpanContext) context.Context {
	if j.Trace != "" {
		return tracing.FromText(ctx, j.Trace)
	}
	if record.IsValid() {
		return trace.ContextWithRemoteSpanContext(ctx, record)
	}
	return ctx
}

// endAttempt says on the span of an attempt what came of it.
func endAttempt(ctx context.Context, c ledger.Commit, done ledger.Committed) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(tracing.String("outcome", string(c.Outcome)), tracing.String("status", string(done.Status)))
	if c.MessageID != "" {
		span.SetAttributes(tracing.String("message_id", c.MessageID))
	}
	if c.Class != "" {
		span.SetAttributes(tracing.String("class", string(c.Class)), tracing.String("code", c.Code))
		tracing.Fail(span, string(c.Class))
	}
}

// requestSpan begins the span of the one HTTP request. Gupshup is told nothing of it.
func (h *handler) requestSpan(ctx context.Context) (context.Context, trace.Span) {
	if !h.tracer.On() {
		return h.tracer.Start(ctx, "")
	}
	return h.tracer.Start(ctx, "gupshup.request", trace.WithSpanKind(trace.SpanKindClient))
}

func endRequest(span trace.Span, receipt gupshup.Receipt, failed *gupshup.Error) {
	if span.IsRecording() {
		if failed == nil {
			span.SetAttributes(tracing.String("message_id", receipt.MessageID))
		} else {
			span.SetAttributes(tracing.String("class", string(failed.Class)), tracing.String("code", failed.Code), tracing.Int("http_status", failed.Status))
			tracing.Fail(span, string(failed.Class))
		}
	}
	span.End()
}

// decisionSpan begins the span of a decision about an attempt that is over, within its trace.
func (h *handler) decisionSpan(ctx context.Context, j job, c ledger.Claim) (context.Context, trace.Span) {
	before := tracing.Unpack(c.Trace)
	if !h.tracer.On() || !before.IsValid() {
		return ctx, trace.SpanFromContext(ctx)
	}
	return h.tracer.Start(trace.ContextWithRemoteSpanContext(ctx, before), "message.decide", trace.WithAttributes(
		tracing.String("sender", h.name), tracing.String("id", j.ID), tracing.Int("attempt", c.Attempt)))
}

func endDecision(span trace.Span, class gupshup.Class, v verdict, done ledger.Committed) {
	if span.IsRecording() {
		span.SetAttributes(tracing.String("class", string(class)), tracing.String("code", v.code), tracing.String("action", string(v.action)),
			tracing.String("status", string(done.Status)))
	}
}
