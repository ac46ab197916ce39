package gupshuptest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"
)

// post is one callback that waits or is under way.
type post struct {
	due        time.Time
	order      uint64 // of posts that are due at once
	generation uint64
	attempts   int

	app     string
	journey *journey // with its step, or
	step    step
	raw     []byte // what was written already
}

func (p *post) body() []byte {
	if p.journey != nil {
		return p.journey.body(p.step)
	}
	return p.raw
}

// deliver posts once and returns the HTTP status, 0 if there was no answer in time.
func (c *caller) deliver(cfg *Callbacks, client *http.Client, p *post) int {
	ctx, cancel := context.WithTimeout(c.ctx, cfg.timeout())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, cfg.address(p.app), bytes.NewReader(p.body()))
	if err != nil {
		return 0
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "gupshup-simulator")
	if cfg.Token != "" {
		req.Header.Set("X-Callback-Token", cfg.Token)
	}
	res, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(io.Discard, io.LimitReader(res.Body, maxBody)); err != nil {
		return 0
	}
	return res.StatusCode
}

// finish counts a post's answer, and has it go again unless it was a 2xx.
func (c *caller) finish(p *post, status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flying--
	defer c.signal()
	defer c.settle()
	if p.generation != c.generation || c.cfg == nil || c.ctx.Err() != nil {
		return
	}
	c.counts.statuses[status]++
	if status >= 200 && status <= 299 {
		c.counts.delivered++
		return
	}
	c.counts.refused++
	p.attempts++
	if p.attempts >= c.cfg.Attempts {
		c.counts.givenUp++
		return
	}
	p.due = time.Now().Add(c.cfg.backoff(p.attempts))
	c.add(p)
}

// postQueue is a heap by time, then by order.
type postQueue []*post

func (q postQueue) Len() int { return len(q) }

func (q postQueue) Less(i, j int) bool {
	if q[i].due.Equal(q[j].due) {
		return q[i].order < q[j].order
	}
	return q[i].due.Before(q[j].due)
}

func (q postQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push is for package heap.
func (q *postQueue) Push(x any) {
	if p, ok := x.(*post); ok {
		*q = append(*q, p)
	}
}

// Pop is for package heap.
func (q *postQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return last
}
