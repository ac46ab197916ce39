package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

// result is what one run came to. CPU is in seconds for 1,000 messages.
type result struct {
	rate, workerCPU, redisCPU, bytesWaiting, bytesAfter, megabytes float64
}

// process is a child that is ended with its test bed.
type process struct{ *exec.Cmd }

// end asks the process to stop and waits for it; a second time it does nothing.
func (p process) end() {
	if p.Cmd == nil || p.Process == nil || p.ProcessState != nil {
		return
	}
	_ = p.Process.Signal(syscall.SIGTERM)
	_ = p.Wait()
}

// bed is a fresh Redis and a fresh simulator, each a process of its own, and perhaps a distance in between.
type bed struct {
	redisAddr, simURL string // as the worker sees them
	rdb               *redis.Client
	redis, sim        process
	replica           process // none, unless follow was called
	stopRelay         context.CancelFunc
}

// newBed starts Redis and the simulator. callbacks is where the simulator is to tell what became of messages, "" for nowhere.
func newBed(ctx context.Context, delay time.Duration, callbacks string) (b *bed, err error) {
	b = &bed{stopRelay: func() {}}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	if b.redisAddr, err = freePort(ctx); err != nil {
		return b, err
	}
	_, port, _ := net.SplitHostPort(b.redisAddr)
	// As deploy/redis.conf has it, apart from the disk: what is measured is the worker, not the disk.
	b.redis.Cmd = exec.CommandContext(ctx, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--hash-max-listpack-value", "1024", "--hash-max-listpack-entries", "512", "--maxmemory-policy", "noeviction")
	if err := b.redis.Start(); err != nil {
		return b, fmt.Errorf("redis-server must be installed and on the PATH: %w", err)
	}
	b.rdb = redis.NewClient(&redis.Options{Addr: b.redisAddr})
	if err := wait(ctx, func() error { return b.rdb.Ping(ctx).Err() }); err != nil {
		return b, err
	}
	simAddr, err := freePort(ctx)
	if err != nil {
		return b, err
	}
	b.simURL = "http://" + simAddr
	if b.sim, err = child(ctx, roleSimulator, simVar+"="+simAddr, callbacksVar+"="+callbacks); err != nil {
		return b, err
	}
	if err := wait(ctx, func() error { _, err := b.stats(ctx); return err }); err != nil {
		return b, err
	}
	if delay > 0 {
		var c net.ListenConfig
		l, err := c.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return b, err
		}
		relayed, stop := context.WithCancel(ctx)
		b.stopRelay = stop
		go func(target string) { _ = relay(relayed, l, target, delay) }(b.redisAddr)
		b.redisAddr = l.Addr().String()
	}
	return b, nil
}

func (b *bed) close() {
	b.stopRelay()
	if b.rdb != nil {
		_ = b.rdb.Close()
	}
	b.sim.end()
	b.replica.end()
	b.redis.end()
}

// follow adds a replica to Redis, and waits until it has everything.
func (b *bed) follow(ctx context.Context) error {
	addr, err := freePort(ctx)
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(addr)
	_, master, _ := net.SplitHostPort(b.rdb.Options().Addr)
	b.replica.Cmd = exec.CommandContext(ctx, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--replicaof", "127.0.0.1 "+master, "--repl-diskless-sync-delay", "0")
	if err := b.replica.Start(); err != nil {
		return err
	}
	return wait(ctx, func() error {
		if n, err := b.rdb.Wait(ctx, 1, time.Second).Result(); err != nil || n == 0 {
			return errors.Join(err, errors.New("the replica does not follow"))
		}
		return nil
	})
}

func (b *bed) stats(ctx context.Context) (s gupshuptest.Stats, err error) {
	return s, b.ask(ctx, "/_sim/stats", &s)
}

// answers tells how the receiver answered since this was last asked.
func (b *bed) answers(ctx context.Context) (a answers, err error) {
	return a, b.ask(ctx, answersPath, &a)
}

// ask reads JSON from the simulator's process.
func (b *bed) ask(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.simURL+path, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	return json.NewDecoder(res.Body).Decode(into)
}

func (b *bed) worker(ctx context.Context, role, rate string, more ...string) (process, error) {
	return child(ctx, role, append(more, redisVar+"="+b.redisAddr, simVar+"="+b.simURL, rateVar+"="+rate)...)
}

// cpu is what an ended process used, in seconds.
func (p process) cpu() float64 {
	return (p.ProcessState.UserTime() + p.ProcessState.SystemTime()).Seconds()
}

// child starts this program again in one of its roles.
func child(ctx context.Context, role string, env ...string) (process, error) {
	self, err := os.Executable()
	if err != nil {
		return process{}, err
	}
	p := process{exec.CommandContext(ctx, self)}
	p.Env = append(append(os.Environ(), roleVar+"="+role), env...)
	p.Stderr = os.Stderr
	return p, p.Start()
}

func wait(ctx context.Context, ready func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// measure lets one worker work off n messages that wait already.
func measure(ctx context.Context, s setting, n int) (r result, err error) {
	b, err := newBed(ctx, s.delay, "")
	if err != nil {
		return r, err
	}
	defer b.close()
	if s.replica {
		if err := b.follow(ctx); err != nil {
			return r, err
		}
	}
	empty, err := b.memory(ctx)
	if err != nil {
		return r, err
	}
	if err := fill(ctx, s.role, b.rdb, n); err != nil {
		return r, err
	}
	full, err := b.memory(ctx)
	if err != nil {
		return r, err
	}
	cpuBefore, err := b.redisCPU(ctx)
	if err != nil {
		return r, err
	}
	w, err := b.worker(ctx, s.role, "100000") // a pace that does not bind
	if err != nil {
		return r, err
	}
	first, last, err := b.drained(ctx, n)
	peak := peakOf(w.Process.Pid)
	w.end()
	if err != nil {
		return r, err
	}
	cpuAfter, err := b.redisCPU(ctx)
	if err != nil {
		return r, err
	}
	after, err := b.memory(ctx)
	if err != nil {
		return r, err
	}
	thousands := float64(n) / 1000
	return result{
		rate:         float64(n) / last.Sub(first).Seconds(),
		workerCPU:    w.cpu() / thousands,
		redisCPU:     (cpuAfter - cpuBefore) / thousands,
		bytesWaiting: (full - empty) / float64(n),
		bytesAfter:   (after - empty) / float64(n),
		megabytes:    peak,
	}, nil
}

// peakOf is the most memory that a process ever had, in MB; 0 where the system does not tell. What wait4 tells of a child is at least what its
// parent had when it began it.
func peakOf(pid int) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for l := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(l, "VmHWM:"); ok {
			kb, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(v), " kB"), 64)
			return kb / 1024
		}
	}
	return 0
}

// drained waits until the simulator has all messages, and tells when it had the first and the last.
func (b *bed) drained(ctx context.Context, n int) (first, last time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	for {
		s, err := b.stats(ctx)
		if err != nil {
			return first, last, err
		}
		now := time.Now()
		if first.IsZero() && s.Accepted > 0 {
			first = now
		}
		if int(s.Accepted) >= n {
			if int(s.Accepted) > n {
				return first, now, fmt.Errorf("%d messages became %d", n, s.Accepted)
			}
			return first, now, nil
		}
		select {
		case <-ctx.Done():
			return first, now, errors.New("the worker did not finish")
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// idleCommands counts what an idle worker with so many senders asks of Redis, commands inside scripts included.
func idleCommands(ctx context.Context, role string, senders int, during time.Duration) (float64, error) {
	b, err := newBed(ctx, 0, "")
	if err != nil {
		return 0, err
	}
	defer b.close()
	w, err := b.worker(ctx, role, "20", sendersVar+"="+strconv.Itoa(senders)) // the default rate
	if err != nil {
		return 0, err
	}
	defer w.end()
	pause(ctx, 3*time.Second) // past its start
	before, err := b.info(ctx, "stats", "total_commands_processed")
	if err != nil {
		return 0, err
	}
	pause(ctx, during)
	after, err := b.info(ctx, "stats", "total_commands_processed")
	return (after - before) / during.Seconds(), err
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (b *bed) memory(ctx context.Context) (float64, error) {
	return b.info(ctx, "memory", "used_memory")
}

func (b *bed) redisCPU(ctx context.Context) (float64, error) {
	user, err := b.info(ctx, "cpu", "used_cpu_user")
	if err != nil {
		return 0, err
	}
	system, err := b.info(ctx, "cpu", "used_cpu_sys")
	return user + system, err
}

func (b *bed) info(ctx context.Context, section, field string) (float64, error) {
	text, err := b.rdb.Info(ctx, section).Result()
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), field+":"); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("INFO %s has no %s", section, field)
}
