package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"
)

// stopwatch posts the simulator's callbacks and times the answers where Gupshup would: from the moment a callback is due to be
// written to the moment its answer is there, connecting included. Until it is started nothing is posted.
type stopwatch struct {
	transport http.RoundTripper
	start     func()
	started   <-chan struct{}

	mu          sync.Mutex
	took        []time.Duration
	first, last time.Time // when an answer came
	refused     int
}

func newStopwatch() *stopwatch {
	started := make(chan struct{})
	return &stopwatch{
		transport: &http.Transport{MaxIdleConnsPerHost: callers, IdleConnTimeout: time.Minute, DisableCompression: true},
		start:     sync.OnceFunc(func() { close(started) }), started: started,
	}
}

// RoundTrip implements http.RoundTripper.
func (s *stopwatch) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-s.started:
	case <-r.Context().Done(): // the simulator tries again
		return nil, r.Context().Err()
	}
	start := time.Now()
	res, err := s.transport.RoundTrip(r)
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.took) == 0 {
		s.first = now
	}
	s.last, s.took = now, append(s.took, now.Sub(start))
	if err != nil || res.StatusCode > 299 {
		s.refused++
	}
	return res, err
}

// answers is what the receiver's answers were like. Seconds passed between the first and the last; the other times are in ms.
type answers struct {
	Count, Refused int
	Seconds        float64
	P50, P99, Max  float64
}

// ServeHTTP tells what was timed since it was last asked, and starts what was not started yet.
func (s *stopwatch) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.start()
	s.mu.Lock()
	took := s.took
	a := answers{Count: len(took), Refused: s.refused, Seconds: s.last.Sub(s.first).Seconds()}
	s.took, s.refused = nil, 0
	s.mu.Unlock()
	if len(took) > 0 {
		slices.Sort(took)
		at := func(share float64) float64 {
			return float64(took[min(int(share*float64(len(took))), len(took)-1)]) / float64(time.Millisecond)
		}
		a.P50, a.P99, a.Max = at(0.50), at(0.99), at(1)
	}
	_ = json.NewEncoder(w).Encode(a)
}
