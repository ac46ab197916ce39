package gupshuptest

import (
	"container/heap"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
)

// caller posts callbacks when they are due: one goroutine that watches the
// time, and one for each callback under way.
type caller struct {
	seed     uint64
	maxKept  int
	ctx      context.Context // ends with stop
	cancel   context.CancelFunc
	wake     chan struct{} // holds one signal: look again at what is due
	running  sync.WaitGroup
	fallback *http.Transport // for those who bring none

	mu         sync.Mutex
	cfg        *Callbacks // nil: no callbacks
	client     *http.Client
	started    bool
	queue      postQueue
	order      uint64
	flying     int
	generation uint64        // rises when what waits is dropped
	idle       chan struct{} // closed when nothing is pending; nil if nobody waits
	failed     map[uint64]struct{}
	counts     callbackCounts
}

func newCaller(seed uint64, maxKept int) *caller {
	ctx, cancel := context.WithCancel(context.Background())
	c := &caller{
		seed: seed, maxKept: maxKept, ctx: ctx, cancel: cancel, wake: make(chan struct{}, 1),
		fallback: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second},
	}
	c.forget()
	return c
}

// set replaces the configuration; what waits goes where the new one says, or
// is dropped if it says nothing.
func (c *caller) set(cfg Callbacks) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cfg.URL == "" {
		c.cfg = nil
		c.drop()
		return
	}
	cfg = cfg.withDefaults()
	c.cfg = &cfg
	transport := cfg.Transport
	if transport == nil {
		transport = c.fallback
	}
	c.client = &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if !c.started && c.ctx.Err() == nil {
		c.started = true
		c.running.Go(c.run)
	}
	c.signal()
}

// forget drops what waits, and all counts.
func (c *caller) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop()
	c.failed = make(map[uint64]struct{})
	c.counts = callbackCounts{
		statuses: make(map[int]uint64), outcomes: make(map[Outcome]uint64), codes: make(map[string]uint64),
	}
}

// drop forgets what waits, and what is under way should it have to go again.
// The caller holds mu.
func (c *caller) drop() {
	c.generation++
	c.queue = nil
	c.settle()
}

// stop ends everything and waits until it has ended.
func (c *caller) stop() {
	c.mu.Lock()
	c.cancel()
	c.mu.Unlock()
	c.running.Wait()
	c.fallback.CloseIdleConnections()
}

// tell decides the outcome of a message that was just accepted, notes it there,
// and schedules its callbacks.
func (c *caller) tell(m *Accepted, forced string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cfg == nil {
		return
	}
	decide := &dice{seed: c.seed, stream: streamOutcome, number: m.Seq}
	outcome, code := c.cfg.outcome(decide, forced)
	if outcome == OutcomeFailed && c.cfg.FailOnce && !c.mayFail(m) {
		outcome, code = c.cfg.success(decide), ""
	}
	steps := c.cfg.plan(&dice{seed: c.seed, stream: streamJourney, number: m.Seq}, outcome, code)
	if len(steps) == 0 {
		return
	}
	if c.pending()+len(steps) > c.cfg.MaxPending {
		c.counts.dropped++
		return
	}
	m.Outcome, m.Code = outcome, code
	c.counts.outcomes[outcome]++
	if code != "" {
		c.counts.codes[code]++
	}
	j := &journey{
		seed: c.seed, seq: m.Seq, messageID: m.MessageID, app: m.App, source: m.Source, destination: m.Destination,
		template: m.Type == typeOfTemplates, at: m.At, code: code, v3: c.cfg.V3, callbacks: c.cfg,
	}
	now := time.Now()
	for _, s := range steps {
		c.add(&post{due: now.Add(c.cfg.scaled(s.due)), app: m.App, journey: j, step: s})
	}
	c.signal()
}

// mayFail reports whether the destination has not failed yet, and notes that it
// does now. The caller holds mu.
func (c *caller) mayFail(m *Accepted) bool {
	key := hashOf(m.App, m.Destination)
	if _, done := c.failed[key]; done {
		return false
	}
	if len(c.failed) < c.maxKept {
		c.failed[key] = struct{}{}
	}
	return true
}

// errNoCallbacks is what a push without a callback URL gets.
var errNoCallbacks = errors.New("no callback URL is set: set one with Config.Callbacks, --callback-url or PUT /_sim/callbacks")

// push schedules a body at once.
func (c *caller) push(app string, body []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.cfg == nil:
		return errNoCallbacks
	case c.ctx.Err() != nil:
		return errClosed
	case c.pending() >= c.cfg.MaxPending:
		return errors.New("too many callbacks wait already")
	}
	c.add(&post{due: time.Now(), app: app, raw: body})
	c.signal()
	return nil
}

// add puts a post into the queue. The caller holds mu.
func (c *caller) add(p *post) {
	c.order++
	p.order, p.generation = c.order, c.generation
	heap.Push(&c.queue, p)
}

func (c *caller) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run starts what is due until stop.
func (c *caller) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(c.launch())
		select {
		case <-timer.C:
		case <-c.wake:
		case <-c.ctx.Done():
			return
		}
	}
}

// launch starts what is due, as far as Concurrency lets it, and returns how
// long to wait unless woken.
func (c *caller) launch() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) > 0 && c.cfg != nil && c.flying < c.cfg.Concurrency {
		if wait := time.Until(c.queue[0].due); wait > 0 {
			return wait
		}
		p, _ := heap.Pop(&c.queue).(*post)
		c.flying++
		cfg, client := c.cfg, c.client
		c.running.Go(func() { c.finish(p, c.deliver(cfg, client, p)) })
	}
	return time.Hour
}

// pending is how many callbacks wait or are under way. The caller holds mu.
func (c *caller) pending() int { return len(c.queue) + c.flying }

// settle tells those who wait for the end, if this is it. The caller holds mu.
func (c *caller) settle() {
	if c.idle != nil && c.pending() == 0 {
		close(c.idle)
		c.idle = nil
	}
}

// drain returns once nothing is pending.
func (c *caller) drain(ctx context.Context) error {
	c.mu.Lock()
	if c.pending() == 0 {
		c.mu.Unlock()
		return nil
	}
	if c.idle == nil {
		c.idle = make(chan struct{})
	}
	idle := c.idle
	c.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.ctx.Done():
		return errClosed
	}
}

// errClosed is what a closed simulator still answers.
var errClosed = errors.New("the simulator is closed")

// config is the configuration in force, without the token, which may also be in
// the query of the URL.
func (c *caller) config() Callbacks {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cfg == nil {
		return Callbacks{}
	}
	cfg := *c.cfg
	cfg.Token = ""
	cfg.URL, _, _ = strings.Cut(cfg.URL, "?")
	return cfg
}
