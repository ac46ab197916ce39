package producer

import (
	"context"

	"go.opentelemetry.io/otel/trace"

	"github.com/gupdispatch/gupdispatch/internal/tracing"
	"github.com/gupdispatch/gupdispatch/message"
)

// traces are the spans of a batch's messages, in their order; nil while nobody traces.
type traces []traced

type traced struct {
	ctx  context.Context
	span trace.Span
}

// trace begins a span for each message, within the trace of whoever hands them over.
func (p *Producer) trace(ctx context.Context, n int) traces {
	if !p.tracer.On() {
		return nil
	}
	all := make(traces, n)
	for i := range all {
		all[i].ctx, all[i].span = p.tracer.Start(ctx, "message.accept", trace.WithSpanKind(trace.SpanKindProducer))
	}
	return all
}

// packed is what a message's record keeps of its span.
func (t traces) packed(i int) string {
	if t == nil {
		return ""
	}
	return tracing.Pack(t[i].ctx)
}

// text is what a message's task keeps of its span.
func (t traces) text(i int) string {
	if t == nil {
		return ""
	}
	return tracing.Text(t[i].ctx)
}

// end ends the spans with what became of the messages. Of one that was refused nothing is told: any of its fields may hold anything.
func (t traces) end(ms []message.Message, results []Result) {
	for i, one := range t {
		if m, r := ms[i], results[i]; r.Err != nil {
			tracing.Fail(one.span, "refused")
		} else {
			one.span.SetAttributes(tracing.String("sender", m.Sender), tracing.String("id", r.ID), tracing.String("priority", string(m.Priority)),
				tracing.String("template", m.Content.TemplateID()), tracing.String("status", string(r.Status)))
		}
		one.span.End()
	}
}
