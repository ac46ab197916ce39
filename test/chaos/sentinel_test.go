//go:build linux

package chaos

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// apart is how long the master goes on without its replicas before it dies: all that time nothing that it wrote is anywhere else.
const apart = 500 * time.Millisecond

// failover runs messages through a master that is cut off from its replicas, goes on for a while, and dies.
func failover(t *testing.T, durability string) (s *site, cut, killed time.Time) {
	r := newReplicated(t)
	s = newSite(t, options{
		rdb: r.client(),
		redis: fmt.Sprintf(`{durability: %s, password_env: CHAOS_REDIS_PASSWORD,
  sentinel: {master: mymaster, addrs: [%s], password_env: CHAOS_REDIS_PASSWORD}}`, durability, strings.Join(r.sentinels, ", ")),
	})
	for i := range 2 {
		s.worker()
		s.receiver(i)
	}
	var all sync.WaitGroup
	all.Go(s.handOver)
	s.passed(.5)
	r.part()
	cut = time.Now()
	time.Sleep(apart)
	killed = time.Now()
	r.fail()
	t.Logf("a new master %s after the old one was killed", time.Since(killed).Round(10*time.Millisecond))
	s.count("failover", 1)
	all.Wait()
	s.settle()
	return s, cut, killed
}

// With strict a failover costs nothing: what no replica had was neither accepted nor sent.
func TestRedisFailoverStrict(t *testing.T) {
	t.Parallel()
	s, _, _ := failover(t, "strict")
	s.mustHold()
}

// With standard it costs what the master wrote while its replicas did not hear of it, and nothing else.
func TestRedisFailoverStandard(t *testing.T) {
	t.Parallel()
	s, cut, killed := failover(t, "standard")
	f := s.look()
	within := func(at time.Time) bool {
		return at.After(cut.Add(-500*time.Millisecond)) && at.Before(killed.Add(200*time.Millisecond))
	}
	for _, i := range f.lost {
		assert.True(t, within(s.accepted[i]), "message %d is lost, and was accepted %s before the master died", i, killed.Sub(s.accepted[i]))
	}
	for _, i := range f.twiceHeld {
		assert.True(t, within(f.sent[i][0].At), "message %d was sent twice, first %s before the master died", i, killed.Sub(f.sent[i][0].At))
	}
	assert.NotEmpty(t, f.lost, "nothing was lost: then the failover with strict proves nothing, either")
	s.tell(f)
}
