package gupshuptest

import (
	"net/http/httptest"
	"testing"
)

// Server is a Simulator that listens on a loopback port for one test.
type Server struct {
	*Simulator
	// URL is the base URL, such as http://127.0.0.1:40123.
	URL string

	listener *httptest.Server
}

// Close stops the server at once, as if Gupshup were down: hanging requests end
// without an answer and later ones are refused by the network. What was counted
// stays. The end of the test does it anyway.
func (s *Server) Close() {
	s.Simulator.Close() // the listener waits for what hangs
	s.listener.Close()
}

// NewServer starts a simulator and stops it when the test ends. It fails the
// test if the configuration is not valid and, with Config.Strict, if a rule
// with Times was not used that often.
func NewServer(t testing.TB, cfg Config) *Server {
	t.Helper()
	if err := cfg.Validate(); err != nil {
		t.Fatalf("gupshuptest: %v", err)
	}
	sim := New(cfg)
	listener := httptest.NewServer(sim)
	srv := &Server{Simulator: sim, URL: listener.URL, listener: listener}
	t.Cleanup(func() {
		srv.Close()
		if cfg.Strict {
			reportUnused(t, sim.Rules())
		}
	})
	return srv
}

// reportUnused fails the test for every rule that has fired too seldom.
func reportUnused(t testing.TB, rules []RuleStatus) {
	t.Helper()
	for i, rule := range rules {
		if rule.Fired < uint64(rule.Times) {
			t.Errorf("gupshuptest: rules[%d], fault %q for destination %q: fired %d of %d times, matched %d",
				i, rule.Fault.Kind, rule.Destination, rule.Fired, rule.Times, rule.Matched)
		}
	}
}
