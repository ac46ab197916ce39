package worker

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/flow"
	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
)

// How soon after an outage was noticed it is tried whether it is over, with one message; and at most how much later each time after that.
const (
	outageFirst = 5 * time.Second
	outageMost  = 30 * time.Second
)

// outage watches what a sender's attempts come to in this process. When half of them fail because Gupshup, or the way to it, is down, the
// sender is held: an hour of it must not use up the attempts of a hundred thousand messages.
type outage struct {
	mu      sync.Mutex
	breaker *flow.Breaker
}

func newOutage(rate float64) *outage { return &outage{breaker: flow.NewBreaker(rate)} }

// noticed takes note of an attempt, and says whether there is an outage now. failed is nil for a message that was taken.
func (o *outage) noticed(now time.Time, failed *gupshup.Error) bool {
	if failed != nil && unasked[failed.Code] {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.breaker.Note(now, failed != nil && policy[failed.Class].outage)
}

// watch holds the sender if this attempt shows an outage.
func (h *handler) watch(ctx context.Context, failed *gupshup.Error) {
	if !h.outage.noticed(time.Now(), failed) {
		return
	}
	try, cancel := context.WithTimeout(context.WithoutCancel(ctx), redisTimeout)
	defer cancel()
	_, err := h.ledger.SetHold(try, ledger.HoldRequest{
		Sender: h.name, Reason: ledger.ReasonOutage, Code: failed.Code, Hold: ledger.Hold{For: outageFirst, AtMost: outageMost},
	})
	if err != nil {
		h.log.Warn("outage.hold", zap.String("sender", h.name), zap.Error(err), zap.String("follows", "the next twenty attempts try again"))
	}
}
