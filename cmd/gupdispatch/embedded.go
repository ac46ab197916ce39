package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// embeddedTick is how often time passes in the embedded Redis, whose keys do not expire by themselves. Each tick walks all keys,
// so once a second it is.
const embeddedTick = time.Second

// embeddedRedis is a Redis within this process, on a loopback port. It is for `demo` and for trying things out: it writes
// nothing to disk.
type embeddedRedis struct {
	server *miniredis.Miniredis
	stop   chan struct{}
	done   sync.WaitGroup
}

func startEmbedded() (*embeddedRedis, error) {
	e := &embeddedRedis{server: miniredis.NewMiniRedis(), stop: make(chan struct{})}
	if err := e.server.StartAddr("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("the embedded Redis cannot listen: %w", err)
	}
	e.done.Go(e.passTime)
	return e, nil
}

func (e *embeddedRedis) passTime() {
	ticker := time.NewTicker(embeddedTick)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-e.stop:
			return
		case now := <-ticker.C:
			e.server.FastForward(now.Sub(last))
			last = now
		}
	}
}

// addr is where it listens, such as 127.0.0.1:41234.
func (e *embeddedRedis) addr() string { return e.server.Addr() }

func (e *embeddedRedis) close() {
	close(e.stop)
	e.done.Wait()
	e.server.Close()
}
