package worker

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/ledger"
)

// valveLook is how often the valve looks at Redis's memory.
const valveLook = time.Second

// valve keeps handlers from claiming while Redis is so full that what comes of a request might find no room there. Handlers wait
// at it without asking Redis; one goroutine, Worker.Run's, looks for all. A nil valve is open.
type valve struct {
	used  func(context.Context) (part float64, known bool) // ledger.Room's
	log   *zap.Logger
	ended chan struct{} // closed by end

	mu   sync.Mutex
	shut chan struct{} // nil while the valve is open, else closed when it opens
}

func newValve(used func(context.Context) (float64, bool), log *zap.Logger) *valve {
	return &valve{used: used, log: log, ended: make(chan struct{})}
}

// run looks every second until ctx ends.
func (v *valve) run(ctx context.Context) {
	ticker := time.NewTicker(valveLook)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			v.look(ctx)
		}
	}
}

// look shuts or opens the valve. What is not known keeps nobody waiting: see ledger.Room for how long an answer is good.
func (v *valve) look(ctx context.Context) {
	used, known := v.used(ctx)
	full := known && used >= ledger.FullToSend
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case full && v.shut == nil:
		v.shut = make(chan struct{})
		v.log.Warn("redis.full", zap.Float64("used", used), zap.Float64("limit", ledger.FullToSend),
			zap.String("follows", "nothing is sent until there is room: give Redis more maxmemory"))
	case !full && v.shut != nil:
		close(v.shut)
		v.shut = nil
		v.log.Info("redis.room", zap.Float64("used", used), zap.Bool("known", known), zap.String("follows", "sending goes on"))
	}
}

// closed is nil while the valve is open, else a channel that is closed when it opens.
func (v *valve) closed() <-chan struct{} {
	if v == nil {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.shut
}

// wait returns once the valve is open. False: ctx or the worker ended first.
func (v *valve) wait(ctx context.Context) bool {
	for {
		shut := v.closed()
		if shut == nil {
			return true
		}
		select {
		case <-shut:
		case <-ctx.Done():
			return false
		case <-v.ended:
			return false
		}
	}
}

// end lets all who wait go without a claim. It is called once.
func (v *valve) end() { close(v.ended) }
