//go:build linux

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/ledger"
)

// faults is how Gupshup misbehaves: every kind there is.
func faults() (rules []gupshuptest.Rule) {
	late := messages() * 3 / 4
	often := func(probability float64, f gupshuptest.Fault) {
		rules = append(rules, gupshuptest.Rule{Probability: probability, Fault: f})
	}
	often(.02, gupshuptest.Fault{Kind: gupshuptest.KindResetAfter})
	often(.02, gupshuptest.Fault{Kind: gupshuptest.KindHTTP, Status: 503})
	often(.01, gupshuptest.Fault{Kind: gupshuptest.KindCode, Code: 1008})
	often(.005, gupshuptest.Fault{Kind: gupshuptest.KindSlow, Delay: httpTimeout * 3 / 2})
	often(.002, gupshuptest.Fault{Kind: gupshuptest.KindReason})
	often(.005, gupshuptest.Fault{Kind: gupshuptest.KindCallback, Outcome: string(gupshuptest.OutcomeDelivered)})
	known := map[gupshuptest.Kind]bool{gupshuptest.KindSlow: true, gupshuptest.KindReason: true, gupshuptest.KindCallback: true}
	for _, k := range gupshuptest.Kinds() {
		switch k {
		case gupshuptest.Kind401Nested, gupshuptest.Kind401Text: // holds the sender until a message that is tried goes through
			rules = append(rules, gupshuptest.Rule{Times: 1, After: late, Fault: gupshuptest.Fault{Kind: k}})
		default:
			if !known[k] && k != gupshuptest.KindCode && k != gupshuptest.KindHTTP && k != gupshuptest.KindResetAfter {
				often(.003, gupshuptest.Fault{Kind: k})
			}
		}
	}
	return rules
}

// onRedis is a site on one Redis with these settings.
func onRedis(t *testing.T, rules []gupshuptest.Rule, settings ...string) (*site, *server) {
	t.Helper()
	r := newServer(t, settings...)
	return newSite(t, options{rdb: r.rdb, rules: rules, redis: fmt.Sprintf(`{url: "redis://%s/0"}`, r.addr())}), r
}

// while hands the messages over and, until nearly all are settled, does harm. Then everything gets the time to come to its end.
func (s *site) while(harm ...func(ctx context.Context)) {
	ctx, end := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, h := range append(harm, s.operate) {
		all.Go(func() { h(ctx) })
	}
	s.handOver()
	for limit := time.Now().Add(time.Minute); time.Now().Before(limit); time.Sleep(50 * time.Millisecond) {
		look, cancel := context.WithTimeout(ctx, time.Second)
		a, err := s.ledger.Audit(look, s.sender)
		cancel()
		if err == nil && a.Unsettled() < int64(s.n/50) {
			break
		}
	}
	end()
	all.Wait()
}

// operate is a person who sees that the sender is held or slowed down, and knows better: what is waiting shall meet the harm.
func (s *site) operate(ctx context.Context) {
	for pause(ctx, 2*time.Second) {
		_, _ = s.try("sender", "release", s.sender)
	}
}

// pause waits, and says whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// killing keeps a process running, and kills it again and again.
func (s *site) killing(name string, begin func() *process) func(context.Context) {
	return func(ctx context.Context) {
		for {
			p := begin()
			if !pause(ctx, 300*time.Millisecond+rand.N(2500*time.Millisecond)) {
				return // it may live
			}
			p.kill()
			s.count(name+" killed", 1)
		}
	}
}

// SIGKILL of workers, of the API and of the receiver of callbacks, at random, while Gupshup misbehaves in every way it knows.
func TestChaosKills(t *testing.T) {
	t.Parallel()
	s, _ := onRedis(t, faults())
	begin := func() *process { return s.worker() }
	s.while(s.killing("workers", begin), s.killing("workers", begin),
		s.killing("receivers", func() *process { return s.receiver(0) }), s.killing("receivers", func() *process { return s.receiver(1) }))
	s.settle()
	s.mustHold()
}

// A worker stands still for longer than its claims and asynq's leases hold, others go on, and it wakes up in the middle of what it did.
func TestChaosFreezes(t *testing.T) {
	t.Parallel()
	s, _ := onRedis(t, faults())
	standstill := httpTimeout + 6*time.Second // beyond a claim
	if thorough() {
		standstill = 35 * time.Second // and beyond a lease
	}
	s.receiver(0)
	s.receiver(1)
	other := s.worker()
	s.while(func(ctx context.Context) {
		for ctx.Err() == nil {
			p := s.worker()
			pause(ctx, 1500*time.Millisecond)
			p.signal(syscall.SIGSTOP)
			s.count("freezes of "+standstill.String(), 1)
			time.Sleep(standstill)
			p.signal(syscall.SIGCONT)
			pause(ctx, time.Second)
			p.stop(2 * stopGrace)
		}
	})
	_ = other
	s.settle()
	s.mustHold()
}

// Redis dies and comes back with its append-only file, under workers, API and receiver.
func TestChaosRedisDies(t *testing.T) {
	t.Parallel()
	for _, fsync := range []string{"everysec", "always"} {
		t.Run(fsync, func(t *testing.T) {
			t.Parallel()
			s, r := onRedis(t, faults(), "--appendfsync", fsync)
			for i := range 2 {
				s.receiver(i)
				s.worker()
			}
			s.while(func(ctx context.Context) {
				for pause(ctx, time.Second+rand.N(2*time.Second)) {
					r.run.kill()
					s.count("kills of Redis", 1)
					time.Sleep(rand.N(2 * time.Second))
					r.start()
				}
			})
			s.settle()
			s.mustHold()
		})
	}
}

// Workers and the rest are replaced one by one, as an update does it: each ends in order, and nothing shows that anything happened.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	s, _ := onRedis(t, nil)
	s.env = append(s.env, "GUPDISPATCH_GUPSHUP_TIMEOUT=3s") // a busy machine must not be taken for a doubt
	workers := []*process{s.worker(), s.worker()}
	receivers := []*process{s.receiver(0), s.receiver(1)}
	s.while(func(ctx context.Context) {
		for i := 0; pause(ctx, 500*time.Millisecond); i = 1 - i {
			workers[i].stop(stopGrace)
			workers[i] = s.worker()
			s.count("workers replaced", 1)
			receivers[i].stop(stopGrace + 5*time.Second)
			receivers[i] = s.receiver(i)
			s.awaits(i)
			s.count("receivers replaced", 1)
		}
	})
	s.settle()
	f := s.mustHold()
	assert.Zero(t, f.inDoubt, "nothing is left in doubt by a restart")
	for i := range s.n {
		rec, err := s.ledger.Get(context.Background(), s.sender, messageID(i))
		require.NoError(t, err)
		reached := 0 // a worker that stops may give a message back that it had claimed and not sent
		for _, a := range rec.Attempts {
			if a.Outcome != ledger.OutcomeNotSent {
				reached++
			}
		}
		assert.Equal(t, 1, reached, "message %d: %+v", i, rec.Attempts)
		assert.Len(t, f.sent[i], 1, "message %d", i)
	}
	for _, p := range append(workers, receivers...) {
		p.stop(stopGrace + 5*time.Second)
	}
}
