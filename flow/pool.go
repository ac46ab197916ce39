package flow

import "time"

// span is a run of slots that one reservation brought: the i-th is due at base + max(0, first + i·spacing).
// A run costs the same however many slots it has; at 10,000 messages a second it may have 2,000.
type span struct {
	base           time.Time
	first, spacing time.Duration
	n              int
}

func (s span) due(i int) time.Time {
	return s.base.Add(max(0, s.first+time.Duration(i)*s.spacing))
}

// pool holds the slots that the gate has and no handler has yet, earliest first.
type pool struct {
	spans []span
	held  int
}

// add appends the slots of a reservation.
func (p *pool) add(s span) {
	if s.n > 0 {
		p.spans = append(p.spans, s)
		p.held += s.n
	}
}

// giveBack puts one slot in front: it was taken before any that is still here, so it is due before them.
func (p *pool) giveBack(due time.Time) {
	p.spans = append([]span{{base: due, n: 1}}, p.spans...)
	p.held++
}

// next returns when the earliest slot is due.
func (p *pool) next() (time.Time, bool) {
	if p.held == 0 {
		return time.Time{}, false
	}
	return p.spans[0].due(0), true
}

// last returns when the latest slot is due; the zero time if there is none.
func (p *pool) last() time.Time {
	if p.held == 0 {
		return time.Time{}
	}
	s := p.spans[len(p.spans)-1]
	return s.due(s.n - 1)
}

// take removes the earliest slot; there must be one.
func (p *pool) take() time.Time {
	due := p.spans[0].due(0)
	p.drop(1)
	return due
}

// dropLate throws away every slot that was due before the given time and returns how many there were.
func (p *pool) dropLate(before time.Time) int {
	held := p.held
	for p.held > 0 {
		late := p.spans[0].dueBefore(before)
		if late == 0 {
			break
		}
		p.drop(late)
	}
	return held - p.held
}

// dueBefore counts the slots due before t without walking through them.
func (s span) dueBefore(t time.Time) int {
	switch {
	case !s.due(0).Before(t):
		return 0
	case s.due(s.n - 1).Before(t):
		return s.n
	}
	// Between the two, slots are spaced evenly, and t lies after the base.
	behind := t.Sub(s.base) - s.first
	return min(s.n, int((behind+s.spacing-1)/s.spacing))
}

// drop removes the earliest n slots of the first span.
func (p *pool) drop(n int) {
	s := &p.spans[0]
	s.first += time.Duration(n) * s.spacing
	s.n -= n
	p.held -= n
	if s.n == 0 {
		p.spans = p.spans[1:]
	}
}
