package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// told is how many callbacks the simulator posts for a message: enqueued, sent, delivered.
const told = 3

// stage is a bed with messages waiting, and a receiver if callbacks are to come.
type stage struct {
	*bed
	traffic
	receiver process
	empty    float64 // bytes of Redis before there were messages
}

func newStage(ctx context.Context, t traffic) (s *stage, err error) {
	s = &stage{traffic: t}
	addr := ""
	if t.callbacks != never {
		if addr, err = freePort(ctx); err != nil {
			return nil, err
		}
	}
	if s.bed, err = newBed(ctx, 0, addr); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.empty, err = s.memory(ctx); err != nil {
		return nil, err
	}
	if err := fill(ctx, roleFull, s.rdb, t.n); err != nil {
		return nil, err
	}
	if t.callbacks == never {
		return s, nil
	}
	if s.receiver, err = child(ctx, roleReceiver, redisVar+"="+s.redisAddr, callbacksVar+"="+addr); err != nil {
		return nil, err
	}
	return s, wait(ctx, func() error { return listening(ctx, addr) })
}

func (s *stage) close() {
	s.receiver.end()
	s.bed.close()
}

// send has a worker send all messages, and ends it. It returns how many a second it sent.
func (s *stage) send(ctx context.Context) (float64, error) {
	pace := "100000" // does not bind
	if s.rate > 0 {
		pace = strconv.Itoa(s.rate)
	}
	w, err := s.worker(ctx, roleFull, pace)
	if err != nil {
		return 0, err
	}
	defer w.end()
	first, last, err := s.drained(ctx, s.n)
	return float64(s.n) / last.Sub(first).Seconds(), err
}

// toldAll waits until the simulator has told everything, and every callback was taken.
func (s *stage) toldAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for {
		stats, err := s.stats(ctx)
		c := stats.Callbacks
		switch {
		case err != nil:
			return fmt.Errorf("the callbacks did not end: %w", err)
		case c.GivenUp > 0 || c.Dropped > 0:
			return fmt.Errorf("%d callbacks were given up, and those of %d messages dropped", c.GivenUp, c.Dropped)
		case c.Pending == 0 && int(c.Delivered) == told*s.n: //nolint:gosec // a count
			return nil
		}
		pause(ctx, 5*time.Millisecond)
	}
}

// conclude ends the receiver, and sees what is left in Redis. The ledger must count every message as delivered: callbacks
// without an effect would be quick.
func (s *stage) conclude(ctx context.Context, h *heard) error {
	if s.callbacks != never {
		s.receiver.end() // its connections cost Redis memory, too
		h.receiverCPU = s.receiver.cpu() / float64(told*s.n) * 1000
		audit, err := ledger.New(s.rdb, ledger.Config{}).Audit(ctx, sender)
		if err != nil {
			return err
		}
		if audit.Counts[message.Delivered] != int64(s.n) {
			return fmt.Errorf("%d messages were to be delivered, but the ledger has %v", s.n, audit.Counts)
		}
	}
	after, err := s.memory(ctx)
	h.bytes = (after - s.empty) / float64(s.n)
	return err
}
