package worker

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
)

// grace is how far a task may be overtaken, or how late a retry may be, before it counts as lost.
var grace = map[message.Priority]time.Duration{
	message.Critical: 3 * time.Second, // found, enqueued and taken again within 5 s of its loss
	message.Default:  15 * time.Second,
	message.Bulk:     time.Minute,
}

const (
	sweepMost   = 500             // messages of each kind in one sweep
	sweepLease  = 2 * time.Second // a dead sweeper is followed by another after this
	queueLook   = time.Second     // how often the sweeper looks at asynq's queues
	sweepPushes = 16              // goroutines that enqueue what a sweep found

	// What waits behind a hold is let go twice as fast as the sender sends, while fewer than this wait in their queue: should the hold come
	// back, so many have to be parked again.
	roomFor   = 5 * time.Second // of sending
	leastRoom = 20              // messages
)

// sweeps is the sweeper's part of the ledger.
type sweeps interface {
	Sweep(ctx context.Context, q ledger.SweepRequest) (ledger.Sweep, error)
	Told(ctx context.Context, sender string, n ledger.HoldNews) error
}

// sweeper brings back what time or trouble has set aside: retries, the end of waits and of doubts, and messages whose task was
// lost. It decides nothing: it enqueues, and the handler asks the ledger what to do. One process sweeps a sender at a time.
type sweeper struct {
	sender   string
	rate     float64
	owner    string
	interval time.Duration
	ledger   sweeps
	rdb      redis.UniversalClient
	pauses   pauses
	queue    *producer.Enqueuer
	valve    *valve    // while it is shut, nothing is brought back
	alert    AlertFunc // nil: nobody is told of holds
	log      *zap.Logger

	looked time.Time
	states map[message.Priority]queueState // as they stood then
	idle   map[message.Priority]bool
	grace  map[message.Priority]time.Duration
	held   map[string]bool // what was held at the last look
	untold bool            // the last alert could not be handed over
}

// run sweeps until ctx ends.
func (s *sweeper) run(ctx context.Context) {
	ticker := time.NewTicker(s.interval)
	defer ticker.Stop()
	away := false
	for {
		more, err := s.sweep(ctx)
		if failed := err != nil && ctx.Err() == nil; failed != away {
			away = failed
			s.log.Warn("sweeper.redis", zap.String("sender", s.sender), zap.Bool("away", away), zap.Error(err))
		}
		if more && err == nil && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// sweep is one look at the books.
func (s *sweeper) sweep(ctx context.Context) (more bool, err error) {
	// A sweep that has begun is finished: what it took out it also enqueues.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), redisTimeout)
	defer cancel()
	if err := s.look(ctx); err != nil {
		return false, err
	}
	found, err := s.ledger.Sweep(ctx, ledger.SweepRequest{
		Sender: s.sender, Owner: s.owner, Lease: max(sweepLease, 5*s.interval), Most: sweepMost, Grace: s.grace, Idle: s.idle,
		LetGo: 2 * s.rate, LaneEmpty: s.states[message.Probe].idle(), Room: max(leastRoom, int(roomFor.Seconds()*s.rate)),
		Full: s.valve.closed() != nil, Tell: s.alert != nil,
	})
	if err != nil || !found.Leader {
		return false, err
	}
	s.enqueue(ctx, found.Requeue)
	s.tell(ctx, found.News)
	return found.More, s.follow(ctx, found.Holds)
}

// tell has somebody told of holds. What cannot be told now, or is not noted as told, comes with the next sweep, of whichever process: it
// is no trouble of the sweeper's own, and logged when it begins and ends.
func (s *sweeper) tell(ctx context.Context, news []ledger.HoldNews) {
	var err error
	for _, n := range news {
		if err = s.alert(ctx, s.sender, n.HeldScope); err != nil {
			break
		}
		if err = s.ledger.Told(ctx, s.sender, n); err != nil {
			break
		}
	}
	if failed := err != nil; failed != s.untold && len(news) > 0 {
		s.untold = failed
		s.log.Warn("alert.not_enqueued", zap.String("sender", s.sender), zap.Bool("failing", failed), zap.Int("waiting", len(news)), zap.Error(err))
	}
}

// follow pauses queues as the holds say, and logs what has begun and ended.
func (s *sweeper) follow(ctx context.Context, holds []ledger.HeldScope) error {
	held := map[string]bool{}
	for _, h := range holds {
		name := h.Name()
		if h.On() {
			held[name] = true
		}
		if h.On() != s.held[name] {
			s.logHold(h)
			s.looked = time.Time{}
		}
	}
	s.held = held
	if len(held) == 0 && !s.anyOurs() {
		return nil
	}
	if err := s.look(ctx); err != nil {
		return err
	}
	return s.pauses.follow(ctx, holds, s.states)
}

// logHold tells that a hold began or ended, why, and who saw or did it. What a person wrote is not for the log: it may be about somebody.
func (s *sweeper) logHold(h ledger.HeldScope) {
	event, last := "hold.began", zap.Time("until", h.Until)
	if !h.On() {
		event, last = "hold.ended", zap.String("ended_by", h.EndedBy)
	}
	s.log.Warn(event, zap.String("sender", s.sender), zap.String("held", h.Name()), zap.String("reason", h.Reason), zap.String("code", h.Code),
		zap.String("by", h.By), zap.String("seen_by", h.SeenBy), zap.Time("since", h.Since), last)
}

// anyOurs says whether a queue was paused for a hold at the last look.
func (s *sweeper) anyOurs() bool {
	for _, q := range s.states {
		if q.ours {
			return true
		}
	}
	return false
}

// look finds out which asynq queues are empty, and how long the handlers ahead of a message may take.
func (s *sweeper) look(ctx context.Context) error {
	if time.Since(s.looked) < queueLook {
		return nil
	}
	states, err := queueStates(ctx, s.rdb, s.sender)
	if err != nil {
		return err
	}
	s.looked, s.states = time.Now(), states
	s.idle, s.grace = patience(states, s.rate)
	return nil
}

// patience says which queues are empty and not paused, and how long to wait for a message before its task counts as lost:
// never less than three times what the handlers ahead of it take.
func patience(states map[message.Priority]queueState, rate float64) (idle map[message.Priority]bool, wait map[message.Priority]time.Duration) {
	idle, wait = map[message.Priority]bool{}, map[message.Priority]time.Duration{}
	handlers := int64(0)
	for _, p := range message.Priorities { // most urgent first: all before it take their slots earlier
		q := states[p]
		handlers += q.active
		idle[p] = q.pending == 0 && !q.paused
		wait[p] = max(grace[p], time.Duration(3*float64(handlers)/rate*float64(time.Second)))
	}
	return idle, wait
}

// enqueue gives new tasks to what was found. What fails here is found again after its grace.
func (s *sweeper) enqueue(ctx context.Context, found []ledger.Requeued) {
	next := make(chan ledger.Requeued)
	var wg sync.WaitGroup
	for range min(sweepPushes, len(found)) {
		wg.Go(func() {
			for q := range next {
				lane := q.Priority
				if q.Express {
					lane = message.Probe
				}
				if err := s.queue.Enqueue(ctx, TaskOf(s.sender, q), lane); err != nil {
					s.log.Warn("sweeper.not_enqueued", zap.String("id", q.ID), zap.String("sender", s.sender), zap.Error(err))
				}
			}
		})
	}
	for _, q := range found {
		next <- q
	}
	close(next)
	wg.Wait()
}

// TaskOf is the asynq task of a message that is to be enqueued anew.
func TaskOf(sender string, q ledger.Requeued) message.Task {
	return message.Task{
		Sender: sender, ID: q.ID, Generation: q.Generation, To: message.MaskNumber(q.To), Template: q.Template,
	}
}
