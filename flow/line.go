package flow

import (
	"container/list"
	"slices"
	"time"

	"github.com/gupdispatch/gupdispatch/message"
)

// waiter is one handler that waits for its slot.
type waiter struct {
	priority message.Priority
	rank     int    // 0 is the most urgent
	seq      uint64 // order of arrival
	since    time.Time

	place   *list.Element // in the line; nil once it has left
	ready   chan struct{} // closed when granted; made only if it has to wait
	granted bool
	due     time.Time // of its slot, once granted
}

// line is the handlers that wait, by priority and, within one, by arrival.
type line struct {
	queues []*list.List // by rank
	seq    uint64
	n      int
}

func newLine() line {
	l := line{queues: make([]*list.List, len(message.Priorities))}
	for i := range l.queues {
		l.queues[i] = list.New()
	}
	return l
}

// rank is a priority's place in the order of urgency; -1 if there is no such priority.
func rank(p message.Priority) int { return slices.Index(message.Priorities, p) }

func urgent(rank int) bool { return message.Priorities[rank] != message.Bulk }

// join puts a newcomer behind all of its priority.
func (l *line) join(w *waiter) {
	l.seq++
	w.seq = l.seq
	w.place = l.queues[w.rank].PushBack(w)
	l.n++
}

// rejoin puts back one whose slot came to nothing: where it stood, before all who came later.
func (l *line) rejoin(w *waiter) {
	q := l.queues[w.rank]
	l.n++
	for e := q.Front(); e != nil; e = e.Next() {
		if e.Value.(*waiter).seq > w.seq {
			w.place = q.InsertBefore(w, e)
			return
		}
	}
	w.place = q.PushBack(w)
}

// leave takes a waiter out, wherever it stands; one that has left already stays out.
func (l *line) leave(w *waiter) {
	if w.place == nil {
		return
	}
	l.queues[w.rank].Remove(w.place)
	w.place = nil
	l.n--
}

// first takes the most urgent, longest waiting one out; nil if nobody waits.
func (l *line) first() *waiter {
	for _, q := range l.queues {
		if e := q.Front(); e != nil {
			w := e.Value.(*waiter)
			l.leave(w)
			return w
		}
	}
	return nil
}

// count returns how many wait that are more urgent than bulk, and how many bulk.
func (l *line) count() (urgents, bulk int) {
	for i, q := range l.queues {
		if urgent(i) {
			urgents += q.Len()
		} else {
			bulk += q.Len()
		}
	}
	return urgents, bulk
}
