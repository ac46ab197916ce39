package gupshuptest

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
)

// Rule says which messages meet which fault. Rules are tried in order; the
// first that fires wins. One that matches but does not fire, because its dice
// said no, its After has not passed or its Times are used up, leaves the
// message to the next. Only valid requests come to the rules.
type Rule struct {
	// Destination is a number, a prefix with a trailing "*" or a suffix with a
	// leading "*". Empty or "*" is every number.
	Destination string `json:"destination,omitempty"`
	// Match is a part of the form field "message" or "template". Empty is
	// every content.
	Match string `json:"match,omitempty"`
	// Probability is how likely a match fires, up to 1. Zero means 1.
	Probability float64 `json:"probability,omitempty"`
	// Times is how often the rule fires at most. Zero means for ever.
	Times int `json:"times,omitempty"`
	// After is how many matches pass before the rule begins.
	After int `json:"after,omitempty"`
	// Fault is what happens.
	Fault Fault `json:"fault"`
}

// Validate says what is wrong with the rule, if anything.
func (r Rule) Validate() error {
	var errs []error
	pattern := strings.TrimSuffix(r.Destination, "*")
	if pattern == r.Destination {
		pattern = strings.TrimPrefix(r.Destination, "*")
	}
	if strings.ContainsFunc(pattern, func(c rune) bool { return c < '0' || c > '9' }) {
		errs = append(errs, errors.New(`destination: use digits, with "*" before or behind`))
	}
	if r.Probability < 0 || r.Probability > 1 {
		errs = append(errs, fmt.Errorf("probability %v is not between 0 and 1", r.Probability))
	}
	if r.Times < 0 || r.After < 0 {
		errs = append(errs, errors.New("times and after must not be negative"))
	}
	return errors.Join(append(errs, r.Fault.Validate())...)
}

// matches reports whether the rule concerns a message.
func (r Rule) matches(req *request) bool {
	return matchDestination(r.Destination, req.destination) &&
		(r.Match == "" || strings.Contains(req.message, r.Match) || strings.Contains(req.template, r.Match))
}

func matchDestination(pattern, destination string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(destination, prefix)
	}
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		return strings.HasSuffix(destination, suffix)
	}
	return pattern == "" || pattern == destination
}

// RuleStatus is a rule and what it has done so far.
type RuleStatus struct {
	Rule
	Matched uint64 `json:"matched"` // messages it concerned
	Fired   uint64 `json:"fired"`   // messages that met its fault
}

// activeRule counts without a lock, so that rules cost a busy simulator little.
type activeRule struct {
	Rule
	number  uint64 // keeps the dice of rules apart
	matched atomic.Uint64
	fired   atomic.Uint64
}

// fires counts a match and reports whether the fault is due.
func (r *activeRule) fires(seed uint64) bool {
	n := r.matched.Add(1)
	if n <= uint64(r.After) {
		return false
	}
	if r.Probability > 0 && !chance(r.Probability, seed, streamRules+r.number, n) {
		return false
	}
	if r.Times == 0 {
		r.fired.Add(1)
		return true
	}
	for {
		fired := r.fired.Load()
		if fired >= uint64(r.Times) {
			return false
		}
		if r.fired.CompareAndSwap(fired, fired+1) {
			return true
		}
	}
}

// SetRules replaces all rules; their counts begin at zero. If one is invalid,
// nothing changes.
func (s *Simulator) SetRules(rules []Rule) error {
	active := make([]*activeRule, len(rules))
	for i, rule := range rules {
		if err := rule.Validate(); err != nil {
			return fmt.Errorf("rules[%d]: %w", i, err)
		}
		active[i] = &activeRule{Rule: rule, number: uint64(i)}
	}
	s.rulesMu.Lock()
	defer s.rulesMu.Unlock()
	s.rules.Store(&active)
	return nil
}

// AddRule adds a rule behind the others, whose counts go on.
func (s *Simulator) AddRule(rule Rule) error {
	if err := rule.Validate(); err != nil {
		return err
	}
	s.rulesMu.Lock()
	defer s.rulesMu.Unlock()
	old := *s.rules.Load()
	active := append(old[:len(old):len(old)], &activeRule{Rule: rule, number: uint64(len(old))})
	s.rules.Store(&active)
	return nil
}

// Rules returns the rules in their order, with what they have done.
func (s *Simulator) Rules() []RuleStatus {
	active := *s.rules.Load()
	out := make([]RuleStatus, len(active))
	for i, r := range active {
		out[i] = RuleStatus{Rule: r.Rule, Matched: r.matched.Load(), Fired: r.fired.Load()}
	}
	return out
}

// faultFor returns the fault that a message meets, if any.
func (s *Simulator) faultFor(req *request) (Fault, bool) {
	for _, rule := range *s.rules.Load() {
		if rule.matches(req) && rule.fires(s.cfg.Seed) {
			return rule.Fault, true
		}
	}
	if !s.cfg.MagicNumbers {
		return Fault{}, false
	}
	return magicFault(s.magic, req.destination)
}
