// Package producer is how application servers hand messages to gupdispatch: it checks a message, writes it into the ledger
// and enqueues its asynq task. Once Send has returned without an error the message is accepted: it will come to exactly one
// end, whatever is killed from then on.
package producer

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/internal/tracing"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

const (
	chunk     = 500 // records written in one round trip
	enqueuers = 64  // goroutines that enqueue a batch's tasks; more bring nothing on one Redis
)

// Sender is a sender that messages may be handed over for.
type Sender struct {
	Name   string
	Region string // ISO region in which national numbers are read; empty takes international ones only
	// MaxQueued is how many of its messages may be queued: waiting for their slot, their time or the end of a hold. Beyond it Send
	// returns a *FullError; bulk messages leave the last tenth to the others. 0 is any number.
	MaxQueued int
}

// Config is what a Producer needs.
type Config struct {
	Redis   redis.UniversalClient // the caller closes it
	Senders []Sender
	Expiry  map[message.Priority]time.Duration // how long a message without expires_at may wait; nil: critical 10 minutes
	Events  map[string]int                     // by sender: how many entries its stream of events keeps; nil: none is written
	Confirm time.Duration                      // how long a replica of Redis may take to confirm a message; 0: none is asked
	Log     *zap.Logger                        // nil: none
	Tracer  trace.TracerProvider               // makes a span for each message, which its attempts and receipts follow; nil: none
}

// Producer accepts messages. It is safe for concurrent use and needs no closing.
type Producer struct {
	ledger  *ledger.Ledger
	queue   *Enqueuer
	room    *ledger.Room
	regions map[string]string
	most    map[string]int // queued messages, by sender
	log     *zap.Logger
	tracer  *tracing.Tracer
	now     func() time.Time
}

// New makes a producer.
func New(cfg Config) (*Producer, error) {
	if cfg.Redis == nil {
		return nil, errors.New("producer: no Redis client given")
	}
	if len(cfg.Senders) == 0 {
		return nil, errors.New("producer: no senders given")
	}
	p := &Producer{
		queue: NewEnqueuer(cfg.Redis), room: ledger.NewRoom(cfg.Redis),
		regions: make(map[string]string, len(cfg.Senders)), most: make(map[string]int, len(cfg.Senders)), log: cfg.Log, tracer: tracing.New(cfg.Tracer), now: time.Now,
	}
	if p.log == nil {
		p.log = zap.NewNop()
	}
	for _, s := range cfg.Senders {
		p.regions[s.Name], p.most[s.Name] = s.Region, s.MaxQueued
	}
	p.ledger = ledger.New(cfg.Redis, ledger.Config{Expiry: cfg.Expiry, Events: cfg.Events, MaxQueued: p.most, Confirm: cfg.Confirm})
	return p, nil
}

// Result tells what became of one message.
type Result struct {
	ID       string
	Status   message.Status
	Existing bool  // it had been accepted before, with the same content
	Err      error // of SendBatch: why this one was not accepted
}

// ConflictError says that the id belongs to another message already.
type ConflictError struct {
	ID     string
	Status message.Status // of the message that has the id
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("message id %q belongs to a message with other content (it is %s): use another id", e.ID, e.Status)
}

// Send accepts one message. Sending the same message again returns what became of the first.
// Errors: gupshup.FieldErrors names every field that is wrong, *ConflictError that the id is taken, *FullError that there is no room
// now, in Redis or in the sender's queue. Any other error means that Redis did not answer, and that it is unknown whether the message was accepted: send it again with the same id.
func (p *Producer) Send(ctx context.Context, m message.Message) (Result, error) {
	r := p.SendBatch(ctx, []message.Message{m})[0]
	return r, r.Err
}

// SendBatch accepts many messages, of any senders, and returns a result for each, in order. Some may fail and others not.
func (p *Producer) SendBatch(ctx context.Context, ms []message.Message) []Result {
	results := make([]Result, len(ms))
	bySender := map[string][]int{}
	batch := make([]message.Message, len(ms))
	traces := p.trace(ctx, len(ms))
	defer func() { traces.end(batch, results) }()
	for i, m := range ms {
		results[i].Err = p.check(&m)
		results[i].ID = m.ID
		m.Trace = traces.packed(i)
		if batch[i] = m; results[i].Err == nil {
			bySender[m.Sender] = append(bySender[m.Sender], i)
		}
	}
	for _, indexes := range bySender {
		for len(indexes) > 0 {
			n := min(chunk, len(indexes))
			p.accept(ctx, batch, indexes[:n], results, traces)
			indexes = indexes[n:]
		}
	}
	return results
}

func (p *Producer) check(m *message.Message) error {
	region, known := p.regions[m.Sender]
	err := m.Normalise(region, p.now())
	if !known && m.Sender != "" {
		fields := gupshup.FieldErrors{{Field: "sender", Problem: fmt.Sprintf("%q is not a configured sender", m.Sender)}}
		var more gupshup.FieldErrors
		if errors.As(err, &more) {
			fields = append(fields, more...)
		}
		return fields
	}
	return err
}

// accept writes the records of one sender's messages, if there is room for them, and enqueues their tasks.
func (p *Producer) accept(ctx context.Context, batch []message.Message, indexes []int, results []Result, traces traces) {
	indexes = p.admit(ctx, batch, indexes, results)
	ms := make([]message.Message, len(indexes))
	for i, at := range indexes {
		ms[i] = batch[at]
	}
	accepted, errs := p.ledger.Accept(ctx, ms)
	var tasks []message.Task
	var priorities []message.Priority // of the tasks
	for i, at := range indexes {
		r := &results[at]
		switch {
		case errs[i] != nil:
			r.Err = refusal(r.ID, errs[i])
			continue
		case accepted[i].Outcome == ledger.AcceptFull:
			r.Err = queueFull(ms[i], p.most[ms[i].Sender])
			continue
		case accepted[i].Outcome == ledger.AcceptConflict:
			r.Err = &ConflictError{ID: r.ID, Status: accepted[i].Status}
			continue
		}
		r.Status, r.Existing = accepted[i].Status, accepted[i].Outcome == ledger.AcceptedExisting
		if accepted[i].Enqueue {
			m := ms[i]
			tasks = append(tasks, message.Task{
				Sender: m.Sender, ID: m.ID, Generation: 1, To: message.MaskNumber(m.To), Template: m.Content.TemplateID(), Trace: traces.text(at),
			})
			priorities = append(priorities, m.Priority)
		}
	}
	p.enqueue(ctx, tasks, priorities)
}

// enqueue brings accepted messages to the workers. What fails here is not lost: the sweeper finds messages without a task.
func (p *Producer) enqueue(ctx context.Context, tasks []message.Task, priorities []message.Priority) {
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(enqueuers, len(tasks)) {
		wg.Go(func() {
			for i := range next {
				t := tasks[i]
				if err := p.queue.Enqueue(ctx, t, priorities[i]); err != nil {
					p.log.Warn("message.not_enqueued", zap.String("id", t.ID), zap.String("sender", t.Sender), zap.Error(err),
						zap.String("follows", "the sweeper will enqueue it"))
				}
			}
		})
	}
	for i := range tasks {
		next <- i
	}
	close(next)
	wg.Wait()
}
