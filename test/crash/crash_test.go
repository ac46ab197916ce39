//go:build unix

package crash

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// messagesVar sets how many messages go through.
const messagesVar = "CRASH_MESSAGES"

const (
	defaultMessages = 1500
	refusedCode     = "1008"          // the refusal that ends as a dead letter at once, and lets it be replayed
	stretch         = 6               // kills of one worker before it is left unharmed and the other is killed
	patience        = 8 * time.Second // how long a process may take to reach a point of its plan
	losing          = .01             // share of Redis's replies that are lost on their way into a process
	settling        = 4 * time.Minute // how long the last messages may take without harm; a lost bulk task is missed after a minute
)

// faults is how Gupshup misbehaves. Of those in the first half the message was accepted all the same.
func faults() []gupshuptest.Rule {
	often := func(probability float64, f gupshuptest.Fault) gupshuptest.Rule {
		return gupshuptest.Rule{Probability: probability, Fault: f}
	}
	return []gupshuptest.Rule{
		often(.02, gupshuptest.Fault{Kind: gupshuptest.KindResetAfter}),
		often(.01, gupshuptest.Fault{Kind: gupshuptest.Kind504After}),
		often(.005, gupshuptest.Fault{Kind: gupshuptest.KindSlow, Delay: httpTimeout * 3 / 2}),
		often(.005, gupshuptest.Fault{Kind: gupshuptest.KindSlow, Delay: httpTimeout / 2}),
		often(.005, gupshuptest.Fault{Kind: gupshuptest.KindTruncated}),

		often(.01, gupshuptest.Fault{Kind: gupshuptest.KindResetBefore}),
		often(.005, gupshuptest.Fault{Kind: gupshuptest.Kind504}),
		often(.005, gupshuptest.Fault{Kind: gupshuptest.KindHang}),
		often(.03, gupshuptest.Fault{Kind: gupshuptest.KindHTTP, Status: 503}),
		often(.01, gupshuptest.Fault{Kind: gupshuptest.Kind429}),
		often(.02, gupshuptest.Fault{Kind: gupshuptest.KindCode, Code: 1008}),
	}
}

// site is Redis, a relay in front of it, a simulated Gupshup, and the processes between them.
type site struct {
	*fleet
	rdb    *redis.Client // straight to Redis, for the test itself
	ours   bool          // nobody else uses this Redis
	relay  *relay
	sim    *gupshuptest.Server
	ledger *ledger.Ledger
	stream stream

	redelivered int // tasks that asynq was made to deliver once more while they were at work
}

// newSite prepares a test with n messages, perSecond of them handed over each second. Processes in the roles named last are to be
// killed at each of their points.
func newSite(t *testing.T, n int, perSecond float64, rules []gupshuptest.Rule, harmed ...string) *site {
	t.Helper()
	addr, ours := realRedis(t)
	s := &site{ours: ours, rdb: redis.NewClient(&redis.Options{Addr: addr, MaxRetries: 10}), relay: newRelay(t, addr)}
	t.Cleanup(func() { _ = s.rdb.Close() })
	s.sim = gupshuptest.NewServer(t, gupshuptest.Config{
		Rules: rules, Latency: 10 * time.Millisecond, LatencyJitter: 50 * time.Millisecond, MaxKept: 10*n + 1000,
	})
	s.ledger = ledger.New(s.rdb, ledger.Config{})
	s.stream = stream{N: n, PerSecond: perSecond, Began: time.Now()}
	s.fleet = newFleet(t, spec{Sender: redistest.Sender(), Redis: s.relay.addr(), Gupshup: s.sim.URL, Stream: s.stream}, harmed)
	return s
}

// spec is what a child in this role is told.
func (s *site) spec(role string) spec {
	child := s.base
	child.Role, child.Stream = role, s.stream
	return child
}

// unsettled reads how many messages still have something to come.
func (s *site) unsettled() int64 {
	a, err := s.ledger.Audit(context.Background(), s.base.Sender)
	require.NoError(s.t, err)
	return a.Unsettled()
}

func messages(t *testing.T) int {
	t.Helper()
	raw := os.Getenv(messagesVar)
	if raw == "" {
		return defaultMessages
	}
	n, err := strconv.Atoi(raw)
	require.NoError(t, err, messagesVar)
	require.GreaterOrEqual(t, n, 500, "%s: so few that hardly anything is killed at work", messagesVar)
	return n
}

// TestNothingIsLostAndNothingDoubled is the promise: whatever is killed, whatever is cut.
func TestNothingIsLostAndNothingDoubled(t *testing.T) {
	t.Parallel()
	n := messages(t)
	s := newSite(t, n, min(max(float64(n)/30, 50), 250), faults(), workerRole, producerRole, operatorRole)
	began := time.Now()

	killed := s.harm()
	t.Logf("%s: %d of %d messages unsettled, no more harm from here on", time.Since(began).Round(time.Second), s.unsettled(), n)
	s.settle()
	r := report{began: began, killedByRedis: killed}
	s.verify(&r)
	s.wasThorough()
	t.Log("\n" + s.summary(r))
}

// harm lets producers, two workers and an operator do their work and die over it, until nearly all messages are settled and
// every point has been struck.
func (s *site) harm() (killedByRedis int64) {
	ctx, end := context.WithCancel(context.Background())
	var all sync.WaitGroup
	turn := &turn{}
	for number := range 2 {
		all.Go(func() { s.workWhile(ctx, turn, number) })
	}
	all.Go(func() { s.operateWhile(ctx) })
	all.Go(func() { s.redeliver(ctx) })
	all.Go(func() { killedByRedis = s.relay.disturb(ctx, s.rdb, s.ours) })

	s.produce(func() plan { return s.plan(producerRole) })
	limit := time.Now().Add(2 * time.Minute)
	for time.Now().Before(limit) && (s.unsettled() > int64(s.stream.N/20) || len(s.pending(workerRole))+len(s.pending(operatorRole)) > 0) {
		pause(ctx, 100*time.Millisecond)
	}
	end()
	all.Wait()
	return killedByRedis
}

// again is what asynq does with a task when a server stops before its handler has ended: see requeueCmd in its rdb package.
var again = redis.NewScript(`
if redis.call("LREM", KEYS[1], 0, ARGV[1]) == 0 then return 0 end
redis.call("ZREM", KEYS[2], ARGV[1])
redis.call("RPUSH", KEYS[3], ARGV[1])
redis.call("HSET", KEYS[4], "state", "pending")
return 1`)

// redeliver makes asynq deliver tasks again whose messages are just being sent, as it does by itself after a lost lease or an
// overlong shutdown. Tasks that nobody works on are left alone: to miss them is the sweeper's part.
func (s *site) redeliver(ctx context.Context) {
	for ; ctx.Err() == nil; pause(ctx, 10*time.Millisecond) {
		for _, p := range message.Priorities {
			queue := "asynq:{" + message.Queue(s.base.Sender, p) + "}:"
			tasks, _ := s.rdb.LRange(ctx, queue+"active", 0, 19).Result()
			for _, task := range tasks {
				id, _, _ := strings.Cut(task, ":")
				rec, err := s.ledger.Get(ctx, s.base.Sender, id)
				if err != nil || rec.Status != message.Sending || rand.N(10) > 0 {
					continue
				}
				keys := []string{queue + "active", queue + "lease", queue + "pending", queue + "t:" + task}
				if n, err := again.Run(ctx, s.rdb, keys, task).Int(); err == nil {
					s.redelivered += n
				}
			}
		}
	}
}

// turn says which of the two workers is being killed; the other is left to work.
type turn struct {
	mu    sync.Mutex
	whose int
	kills int
}

func (t *turn) mine(number int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.whose == number
}

// next counts a kill and passes the turn on after a stretch.
func (t *turn) next() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kills++; t.kills%stretch == 0 {
		t.whose = 1 - t.whose
	}
}

// workWhile keeps one of the two workers running until ctx ends.
func (s *site) workWhile(ctx context.Context, turn *turn, number int) {
	for ctx.Err() == nil {
		p := s.start(s.spec(workerRole), plan{Lose: losing})
		for ctx.Err() == nil && !turn.mine(number) {
			pause(ctx, 20*time.Millisecond)
		}
		p.arm(s.plan(workerRole))
		s.liveAndDie(ctx, p)
		turn.next()
	}
}

// operateWhile keeps an operator running until ctx ends.
func (s *site) operateWhile(ctx context.Context) {
	for ctx.Err() == nil {
		s.liveAndDie(ctx, s.start(s.spec(operatorRole), s.plan(operatorRole)))
	}
}

// produce hands over the stream, by one producer after the other, each with a new plan, until each message was accepted or refused.
func (s *site) produce(harm func() plan) {
	for s.open(s.stream.N) < s.stream.N {
		child := s.spec(producerRole)
		// It does not know what became of the last ones and hands them over again.
		child.From = max(0, s.open(s.stream.N)-batch)
		p := s.start(child, harm())
		select {
		case <-p.done:
		case <-time.After(2 * time.Minute):
			s.t.Error("a producer did not get on")
			p.kill()
			return
		}
	}
}

// liveAndDie waits until a process has struck itself, or strikes it when that takes too long. At the end of ctx it may end in order.
func (s *site) liveAndDie(ctx context.Context, p *process) {
	select {
	case <-p.done:
	case <-time.After(patience):
		p.killAtRandom()
	case <-ctx.Done():
		p.stop()
	}
}

// plan chooses what a process dies of: as long as there are points where none has died yet, whichever of them it reaches
// first; then any point, at any time.
func (s *site) plan(role string) (p plan) {
	p.Lose = losing
	missing := s.pending(role)
	for _, at := range missing {
		p.Points = append(p.Points, armed{at, 1})
	}
	if len(missing) > 0 {
		return p
	}
	if all := points(role); rand.N(2) == 0 {
		p.Points = []armed{{all[rand.N(len(all))], 1 + rand.N(20)}}
	}
	p.After = 50*time.Millisecond + rand.N(1500*time.Millisecond)
	return p
}

// settle lets one unharmed worker finish.
func (s *site) settle() {
	last := s.start(s.spec(workerRole), plan{})
	s.waitForTheLast()
	last.stop()
	s.archive()
}

func (s *site) waitForTheLast() {
	for limit := time.Now().Add(settling); s.unsettled() > 0 && time.Now().Before(limit); {
		pause(context.Background(), 100*time.Millisecond)
	}
}
