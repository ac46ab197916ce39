package gupshuptest

import (
	"context"
	"hash/maphash"
	"maps"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Accepted is a message that the simulator has accepted, just as Gupshup would
// have sent it to a person, whatever the client got to hear about it.
type Accepted struct {
	Seq         uint64    `json:"seq"` // 1 for the first, then rising
	MessageID   string    `json:"message_id"`
	App         string    `json:"app"`
	Source      string    `json:"source"`
	Destination string    `json:"destination"`
	Path        string    `json:"path"`
	Type        string    `json:"type"`                  // of the message, such as text; "template" for a template
	TemplateID  string    `json:"template_id,omitempty"` // of a template
	At          time.Time `json:"at"`
	// Outcome is how far the message gets in the end, as its callbacks tell or
	// will tell, and Code what it fails with. Empty: there are no callbacks.
	Outcome Outcome    `json:"outcome,omitempty"`
	Code    string     `json:"code,omitempty"`
	Form    url.Values `json:"form,omitempty"` // with Config.KeepBodies only
}

// Filter chooses accepted messages. The zero value chooses all.
type Filter struct {
	App         string
	Destination string
	MessageID   string
	After       uint64 // only messages with a larger Seq
	Limit       int    // at most that many, the oldest first; 0 means all
}

func (f Filter) matches(m *Accepted) bool {
	return m.Seq > f.After &&
		(f.App == "" || f.App == m.App) &&
		(f.Destination == "" || f.Destination == m.Destination) &&
		(f.MessageID == "" || f.MessageID == m.MessageID)
}

// Duplicate is a content that one app sent to one destination more than once.
type Duplicate struct {
	App         string   `json:"app"`
	Destination string   `json:"destination"`
	Count       int      `json:"count"`
	MessageIDs  []string `json:"message_ids"` // the first 20
}

const (
	// keptDuplicateIDs is how many ids a Duplicate names.
	keptDuplicateIDs = 20
	// maxApps is how many apps have a pace of their own. It only matters
	// without Config.Apps, when a client may send any name.
	maxApps = 1024
	// otherApps stands for the apps beyond.
	otherApps = "(other apps)"
)

// seen is what is remembered of a content and destination: enough to count, and
// to find the id of the first, in as few bytes as possible.
type seen struct {
	first uint64
	count uint32
}

// store remembers what was accepted, in bounded memory.
type store struct {
	seed       uint64
	maxKept    int
	keepBodies bool
	rate       float64
	hashSeed   maphash.Seed
	tell       func(m *Accepted, forced string) // decides the message's outcome; called under mu

	mu         sync.Mutex
	seq        uint64 // ids are made of it, so it survives reset
	accepted   uint64
	kept       []Accepted // a ring once it has grown to maxKept
	next       int        // where the ring's oldest is
	seen       map[uint64]seen
	untracked  uint64
	repeats    uint64
	duplicates map[uint64]*Duplicate
	paces      map[string]*pace
	waiters    []waiter
}

// waiter is somebody who waits until so many messages are accepted.
type waiter struct {
	count   uint64
	reached chan struct{}
}

func newStore(cfg Config) *store {
	st := &store{
		seed: cfg.Seed, maxKept: cfg.MaxKept, keepBodies: cfg.KeepBodies, rate: cfg.RatePerSecond,
		hashSeed: maphash.MakeSeed(),
	}
	st.forget()
	return st
}

// forget empties the store. The caller holds mu, or nobody else knows the store.
func (st *store) forget() {
	st.accepted, st.untracked, st.repeats = 0, 0, 0
	st.kept, st.next = nil, 0
	st.seen = make(map[uint64]seen)
	st.duplicates = make(map[uint64]*Duplicate)
	st.paces = make(map[string]*pace)
}

// accept records a request as an accepted message, unless its app is above its
// rate. The times are the same moment: since the start, and of the clock.
func (st *store) accept(req *request, now func() (int64, time.Time)) (Accepted, bool) {
	content := st.hash(req)
	m := Accepted{
		App: req.app, Source: req.source, Destination: req.destination,
		Path: req.endpoint.path, Type: req.contentType, TemplateID: req.templateID,
	}
	if st.keepBodies {
		m.Form = req.form
	} else {
		m.unpin()
	}

	st.mu.Lock()
	defer st.mu.Unlock()
	since, at := now() // under the lock, so that times are in order
	p := st.paceOf(m.App)
	if !p.limit.allow(since) {
		return Accepted{}, false
	}
	p.record(since, at)
	st.seq++
	st.accepted++
	m.Seq, m.MessageID, m.At = st.seq, messageID(st.seed, st.seq), at
	st.track(content, &m)
	st.tell(&m, req.outcome)
	st.keep(m)
	st.wake()
	return m, true
}

// unpin copies the strings that are parts of the request's body, which would
// otherwise stay in memory as long as the message.
func (m *Accepted) unpin() {
	for _, s := range [...]*string{&m.App, &m.Source, &m.Destination, &m.TemplateID} {
		*s = strings.Clone(*s)
	}
}

// hash identifies app, destination and content. At 64 bits, a million different
// messages collide with a probability of about 1 in 40 million.
func (st *store) hash(req *request) uint64 {
	var h maphash.Hash
	h.SetSeed(st.hashSeed)
	for _, part := range [...]string{req.app, req.destination, req.message, req.template, req.postbacks} {
		_, _ = h.WriteString(part) // never fails
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

func (st *store) paceOf(app string) *pace {
	if p := st.paces[app]; p != nil {
		return p
	}
	if len(st.paces) >= maxApps {
		app = otherApps
	}
	p := st.paces[app]
	if p == nil {
		p = &pace{limit: newRateLimit(st.rate)}
		st.paces[app] = p
	}
	return p
}

// track counts the message's content, as long as there is room for new ones.
func (st *store) track(content uint64, m *Accepted) {
	old, known := st.seen[content]
	if !known {
		if len(st.seen) >= st.maxKept {
			st.untracked++
			return
		}
		st.seen[content] = seen{first: m.Seq, count: 1}
		return
	}
	old.count++
	st.seen[content] = old
	st.repeats++
	d := st.duplicates[content]
	if d == nil {
		d = &Duplicate{
			App: m.App, Destination: m.Destination,
			MessageIDs: []string{messageID(st.seed, old.first)},
		}
		st.duplicates[content] = d
	}
	d.Count = int(old.count)
	if len(d.MessageIDs) < keptDuplicateIDs {
		d.MessageIDs = append(d.MessageIDs, m.MessageID)
	}
}

// keep puts the message into the ring.
func (st *store) keep(m Accepted) {
	if len(st.kept) < st.maxKept {
		st.kept = append(st.kept, m)
		return
	}
	st.kept[st.next] = m
	st.next = (st.next + 1) % len(st.kept)
}

// wake tells those whose count is reached.
func (st *store) wake() {
	st.waiters = slices.DeleteFunc(st.waiters, func(w waiter) bool {
		if st.accepted < w.count {
			return false
		}
		close(w.reached)
		return true
	})
}

// wait returns once count messages are accepted, or with the context's error.
func (st *store) wait(ctx context.Context, count uint64) error {
	st.mu.Lock()
	if st.accepted >= count {
		st.mu.Unlock()
		return nil
	}
	w := waiter{count: count, reached: make(chan struct{})}
	st.waiters = append(st.waiters, w)
	st.mu.Unlock()

	select {
	case <-w.reached:
		return nil
	case <-ctx.Done():
		st.mu.Lock()
		defer st.mu.Unlock()
		st.waiters = slices.DeleteFunc(st.waiters, func(o waiter) bool { return o.reached == w.reached })
		return ctx.Err()
	}
}

// find returns the kept messages that the filter chooses, the oldest first.
func (st *store) find(f Filter) []Accepted {
	st.mu.Lock()
	defer st.mu.Unlock()
	found := []Accepted{}
	for i := range st.kept {
		m := &st.kept[(st.next+i)%len(st.kept)]
		if !f.matches(m) {
			continue
		}
		found = append(found, *m)
		if f.Limit > 0 && len(found) == f.Limit {
			break
		}
	}
	return found
}

// repeated returns the duplicates, most frequent first.
func (st *store) repeated() []Duplicate {
	st.mu.Lock()
	defer st.mu.Unlock()
	out := make([]Duplicate, 0, len(st.duplicates))
	for d := range maps.Values(st.duplicates) {
		copied := *d
		copied.MessageIDs = slices.Clone(d.MessageIDs)
		out = append(out, copied)
	}
	slices.SortFunc(out, func(a, b Duplicate) int {
		if a.Count != b.Count {
			return b.Count - a.Count
		}
		return strings.Compare(a.Destination+a.MessageIDs[0], b.Destination+b.MessageIDs[0])
	})
	return out
}
