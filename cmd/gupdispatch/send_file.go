package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/gupdispatch/gupdispatch/message"
)

const (
	fileBatch = 500                   // messages handed over at a time
	filePause = 50 * time.Millisecond // a batch does not wait longer than this for its next line: input may be a slow pipe
)

// file hands over the messages of a file, in bounded memory however long it is. A line that is wrong is reported and skipped. Without
// Redis it stops, since every further line would fail alike.
func (s *sending) file(ctx context.Context, name string) error {
	in, err := s.env.input(name, "--file")
	if err != nil {
		return err
	}
	defer in.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the reader, too, unless it hangs in its input
	lines, last := readLines(ctx, in), 0
	var count tally
	for {
		batch, more := nextBatch(ctx, lines)
		if len(batch) > 0 && ctx.Err() == nil {
			last = batch[len(batch)-1].number
			if err := s.batch(ctx, batch, &count); err != nil {
				return err
			}
		}
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted after line %d, %d messages accepted: send the lines behind it again", last, count.accepted)
		}
		if !more {
			return count.end()
		}
	}
}

// input opens a file, or standard input for "-". what is how the command line calls it.
func (e *env) input(name, what string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(e.stdin), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, usagef("%s cannot be read: %s", what, err)
	}
	return f, nil
}

// tally counts what became of the lines.
type tally struct{ accepted, wrong, full int }

func (t tally) end() error {
	refused := t.wrong + t.full
	switch {
	case refused == 0:
		return nil
	case t.full == 0:
		return fmt.Errorf("%d of %d messages were not accepted: mend the lines named above and send them again", refused, refused+t.accepted)
	case t.wrong == 0:
		return fmt.Errorf("%d of %d messages were not accepted for want of room: send the lines named above again later", refused, refused+t.accepted)
	}
	return fmt.Errorf("%d of %d messages were not accepted, %d of them for want of room: send the lines named above again later, the others mended",
		refused, refused+t.accepted, t.full)
}

// batch hands over some lines and reports on each, in order.
func (s *sending) batch(ctx context.Context, lines []fileLine, count *tally) error {
	var ms []message.Message
	var from []fileLine
	for _, l := range lines {
		m, err := s.decode(l)
		if err != nil {
			count.wrong++
			s.env.note("line %d: %s", l.number, explain(err))
			continue
		}
		ms, from = append(ms, m), append(from, l)
	}
	open := 0
	for i, r := range s.handOver(ctx, ms) {
		switch {
		case unconfirmed(r.Err):
			open++
			s.env.note("line %d: unknown whether it was accepted; if you send it again, then with the id %s", from[i].number, r.ID)
		case r.Err != nil:
			if full(r.Err) {
				count.full++
			} else {
				count.wrong++
			}
			s.env.note("line %d: %s", from[i].number, explain(r.Err))
		default:
			count.accepted++
			if err := s.print(r); err != nil {
				return err
			}
		}
	}
	if open > 0 && ctx.Err() == nil {
		return fmt.Errorf("stopped after line %d, %d messages accepted: Redis does not answer", lines[len(lines)-1].number, count.accepted)
	}
	return nil
}

func (s *sending) decode(l fileLine) (m message.Message, err error) {
	if l.err != nil {
		return m, l.err
	}
	if err := json.Unmarshal(l.text, &m); err != nil {
		return m, err
	}
	if m.Sender == "" {
		m.Sender = s.sender
	}
	return m, nil
}
