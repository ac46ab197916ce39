package receipt

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/internal/tracing"
	"github.com/gupdispatch/gupdispatch/ledger"
)

// Recorder is where callbacks are recorded; *ledger.Ledger is one. Every method may be called twice for the same fact.
type Recorder interface {
	// Receive records receipts in one round trip. Results and errors come in the order of the receipts.
	Receive(ctx context.Context, sender string, receipts []ledger.Receipt) ([]ledger.Received, []error)
	// OpenSession opens the 24 hours in which session messages may be sent to a number.
	OpenSession(ctx context.Context, sender, number string, at time.Time) error
	// Suppress puts numbers on the sender's list.
	Suppress(ctx context.Context, sender string, list []ledger.Suppression) error
	// UnsuppressBulk takes a number off the list if only bulk was suppressed.
	UnsuppressBulk(ctx context.Context, sender, number string) error
}

// record brings everything that a body told into the ledger: all receipts in one round trip, then the rest, which is rare, in
// its order. It goes on after an error, so that one event that cannot be recorded does not keep the others out; an error means
// that the whole callback must come again. What was recorded is counted and logged.
func (h *Handler) record(ctx context.Context, sender string, events []gupshup.Event) error {
	begun := time.Now()
	effects := make([]effect, len(events))
	var receipts []ledger.Receipt
	for i, e := range events {
		effects[i] = effectOf(e, h.cfg.Codes)
		if effects[i].do == receive {
			receipts = append(receipts, effects[i].receipt)
		}
	}
	var received []ledger.Received
	var failed []error
	if len(receipts) > 0 {
		received, failed = h.cfg.Recorder.Receive(ctx, sender, receipts)
	}
	var errs []error
	next := 0 // of the receipts
	for i, e := range events {
		var r ledger.Received
		var err error
		if effects[i].do == receive {
			r, err = received[next], failed[next]
			next++
		} else {
			err = h.apply(ctx, sender, e, effects[i])
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		h.metrics.receipts.WithLabelValues(sender, effects[i].label).Inc()
		h.receiptSpan(ctx, sender, effects[i], r, begun)
		h.logEvent(sender, e, effects[i], r)
	}
	return errors.Join(errs...)
}

// apply records what is no receipt.
func (h *Handler) apply(ctx context.Context, sender string, e gupshup.Event, what effect) error {
	switch what.do {
	case openSession:
		return h.cfg.Recorder.OpenSession(ctx, sender, e.Phone, e.At)
	case suppress:
		return h.cfg.Recorder.Suppress(ctx, sender, []ledger.Suppression{what.suppression})
	case resumeBulk:
		return h.cfg.Recorder.UnsuppressBulk(ctx, sender, e.Phone)
	}
	return nil
}

// logEvent writes one line per event. Numbers, texts and reasons, which may quote either, are left out.
func (h *Handler) logEvent(sender string, e gupshup.Event, what effect, r ledger.Received) {
	if what.do == receive {
		traced := zap.Skip()
		if sent := tracing.Unpack(r.Trace); sent.IsValid() {
			traced = zap.Stringer("trace_id", sent.TraceID())
		}
		h.log.Info("receipt.recorded",
			zap.String("sender", sender), zap.String("receipt", what.label), zap.String("id", r.ID),
			zap.String("message_id", what.receipt.MessageID), zap.Int("attempt", r.Attempt), zap.String("status", string(r.Status)),
			zap.String("outcome", r.Outcome), zap.String("code", what.receipt.Code), zap.String("class", string(what.receipt.Class)), traced)
		return
	}
	h.log.Info("callback.event",
		zap.String("sender", sender), zap.String("kind", string(e.Kind)), zap.String("type", e.Type), zap.String("message_id", e.MessageID),
		zap.String("template", e.TemplateID), zap.Bool("recorded", what.do != countOnly))
}
