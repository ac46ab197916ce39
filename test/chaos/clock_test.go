//go:build linux

package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// wrongClock is a gupdispatch whose wall clock jumps, by what CHAOS_CLOCK says, three seconds after its start; its monotonic clock goes on.
// Go asks the kernel for the time itself, so no preloaded library can deceive it: the time package is built anew with a
// different Now.
func wrongClock(t *testing.T) (path string) {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	original := filepath.Join(strings.TrimSpace(string(root)), "src/time/time.go")
	source, err := os.ReadFile(original)
	require.NoError(t, err)
	const right = "func Now() Time {"
	require.Contains(t, string(source), right)
	i := strings.Index(string(source), right)
	body := strings.Index(string(source)[i:], "mono -= startNano")
	require.Positive(t, body, "time.Now is not what this test knows")
	at := i + body
	changed := string(source[:at]) + "sec += wrongBy(mono - startNano)\n\t" + string(source[at:]) + `
func wrongBy(sinceStart int64) int64 {
	text, ok := syscall.Getenv("CHAOS_CLOCK")
	if !ok || sinceStart < 3e9 {
		return 0
	}
	d, _ := ParseDuration(text)
	return int64(d / Second)
}
`
	changed = strings.Replace(changed, "import (\n", "import (\n\t\"syscall\"\n", 1)
	dir := t.TempDir()
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {original: write(t, dir, "time.go", changed)}})
	require.NoError(t, err)
	path = filepath.Join(dir, "gupdispatch")
	require.NoError(t, build(path, "-overlay", write(t, dir, "overlay.json", string(overlay))))
	return path
}

// The clocks of workers jump by an hour, one into the future and one into the past, beside a right one. Who is due, whose claim is over and how
// fast to send is told by Redis's clock; asynq goes by the workers', and brings tasks early, late or twice.
func TestChaosWorkersClocksJump(t *testing.T) {
	t.Parallel()
	if !thorough() {
		t.Skip("it builds Go's own library anew: run with more messages")
	}
	wrong := wrongClock(t)
	s, _ := onRedis(t, faults())
	s.receiver(0)
	s.receiver(1)
	s.worker()
	s.while(func(ctx context.Context) {
		for ctx.Err() == nil {
			ahead := s.start(wrong, []string{"CHAOS_CLOCK=1h"}, "worker")
			behind := s.start(wrong, []string{"CHAOS_CLOCK=-1h"}, "worker")
			s.count("clocks that jumped an hour", 2)
			pause(ctx, 10*time.Second)
			ahead.stop(2 * stopGrace)
			behind.stop(2 * stopGrace)
		}
	})
	s.settle()
	s.mustHold()
}

// The clock of Redis's host jumps, by minutes, forth and back. All that is due comes due, claims and holds are over early or late, and the pace goes on.
func TestChaosRedisClockJumps(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	library, clock := filepath.Join(dir, "clock.so"), write(t, dir, "clock", "0\n")
	out, err := exec.Command(needs(t, "cc"), "-shared", "-fPIC", "-O1", "-o", library, "testdata/clock.c").CombinedOutput()
	require.NoError(t, err, "%s", out)
	r := &server{t: t, env: []string{"LD_PRELOAD=" + library, "CLOCK_OFFSET=" + clock}}
	port := freePort(t)
	r.prepare(&redis.Options{Addr: "127.0.0.1:" + port}, "--port", port)
	s := newSite(t, options{rdb: r.rdb, rules: faults(), redis: fmt.Sprintf(`{url: "redis://%s/0"}`, r.addr())})
	s.skewed = true
	for i := range 2 {
		s.receiver(i)
		s.worker()
	}
	jump := func(by time.Duration) {
		require.NoError(t, os.WriteFile(clock, []byte(fmt.Sprintf("%+08d\n", int(by.Seconds()))), 0o600)) // one write, always as long
		now, err := r.rdb.Time(context.Background()).Result()
		if err == nil {
			assert.InDelta(t, by.Seconds(), time.Until(now).Seconds(), 2, "Redis's clock does not jump")
		}
		s.count("jumps of Redis's clock", 1)
	}
	s.while(func(ctx context.Context) {
		for _, by := range []time.Duration{5 * time.Minute, 0, -5 * time.Minute, 0, time.Minute, -time.Second} {
			if !pause(ctx, 2*time.Second) {
				break
			}
			jump(by)
		}
	})
	jump(10 * time.Minute) // what was put off while the clock was ahead is due again
	s.settle()
	s.mustHold()
}
