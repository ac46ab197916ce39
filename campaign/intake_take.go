package campaign

import (
	"context"
	"errors"
	"fmt"
	"hash/crc64"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
)

// take takes one batch in. What is rejected is told before: should this process end between, it is told twice rather than not at all.
func (t *taking) take(ctx context.Context, b *batch) error {
	if t.ahead.Complete {
		_, err := t.catchUp(b)
		return err
	}
	if err := t.reject(ctx, b.rejected); err != nil {
		return err
	}
	if t.file.DryRun {
		return t.pretend(ctx, b)
	}
	if err := t.room(ctx); err != nil {
		return err
	}
	for {
		if rest, err := t.catchUp(b); err != nil || !rest {
			return err
		}
		clashes, err := t.add(ctx, b)
		var moved *ledger.MovedError
		switch {
		case errors.As(err, &moved) && moved.Lines > t.done.Lines:
			if t.ahead, err = t.Ledger.GetCampaign(ctx, t.form.Sender, t.form.ID); err != nil {
				return err
			}
			continue
		case err != nil:
			if err = t.overtaken(ctx, err); err != nil {
				return err
			}
			continue
		case len(clashes) == 0:
			t.accepted(b)
			return nil
		}
		more := b.without(clashes)
		b.rejected = append(b.rejected, more...)
		if err := t.reject(ctx, more); err != nil {
			return err
		}
	}
}

// catchUp leaves out of a batch what another call has taken in meanwhile, after making sure that it was of the same file: a client that
// broke off and began anew may be faster than the end of its first request. It says whether something is left to be taken in.
func (t *taking) catchUp(b *batch) (rest bool, err error) {
	switch {
	case t.ahead.Complete && t.ahead.Lines < b.last:
		return false, t.otherFile()
	case t.ahead.Lines <= t.done.Lines:
		return true, nil
	case t.ahead.Lines > b.last:
		t.done.Lines = b.last
		return false, nil
	}
	sum := b.from
	for _, l := range b.lines {
		if l.number <= t.ahead.Lines {
			sum = sumWith(sum, l)
		}
	}
	if sumText(sum) != t.ahead.Sum {
		if t.ahead.Complete {
			return false, t.otherFile()
		}
		return false, t.changed(t.ahead.Lines)
	}
	b.rows = slices.DeleteFunc(b.rows, func(r Row) bool { return r.Line <= t.ahead.Lines })
	b.rejected = slices.DeleteFunc(b.rejected, func(r Rejection) bool { return r.Line <= t.ahead.Lines })
	b.pack()
	t.done.Lines, t.done.Accepted, t.done.Rejected = t.ahead.Lines, t.ahead.Rows, t.ahead.Rejected+int64(len(b.rejected))
	t.done.Zones = rowsByZone(t.ahead)
	return t.ahead.Lines < b.last, nil
}

func (t *taking) accepted(b *batch) {
	t.done.Lines, t.done.Accepted = b.last, t.done.Accepted+int64(len(b.rows))
	for _, r := range b.rows {
		t.done.Zones[r.Zone]++
	}
	if t.file.Progress != nil {
		t.file.Progress(t.done)
	}
}

// add hands a batch to the ledger.
func (t *taking) add(ctx context.Context, b *batch) (clashes []ledger.Clash, err error) {
	chunk := ledger.CampaignChunk{
		Sender: t.form.Sender, ID: t.form.ID, Owner: t.owner, Lease: readerLease, After: t.done.Lines, Lines: b.last, Sum: b.sum,
		Rejected: t.done.Rejected, Packed: b.packed, Rows: make([]ledger.CampaignRow, len(b.rows)), Rejections: packRejections(b.rejected),
	}
	for i, r := range b.rows {
		chunk.Rows[i] = ledger.CampaignRow{To: r.To, ID: r.ID, Zone: r.Zone}
	}
	err = t.patient(ctx, func() (err error) {
		clashes, err = t.Ledger.AddRows(ctx, chunk)
		return err
	})
	return clashes, err
}

// patient repeats what is refused because another process reads the file: it may have been killed a moment ago, and its time runs out.
func (t *taking) patient(ctx context.Context, try func() error) error {
	for waited := time.Duration(0); ; waited += busyPause {
		err := try()
		var refused *ledger.IntakeError
		if !errors.As(err, &refused) || refused.Status != "" || waited > readerLease {
			return err
		}
		if !t.told && t.file.Waiting != nil {
			t.file.Waiting(readerLease)
		}
		t.told = true
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(busyPause):
		}
	}
}

// without takes rows out of the batch, and says why.
func (b *batch) without(clashes []ledger.Clash) (rejected []Rejection) {
	why := map[int]string{}
	for _, c := range clashes {
		switch c.What {
		case "number":
			why[c.Row] = "to: its number stands in an earlier line"
		case "id":
			why[c.Row] = "id: it stands in an earlier line"
		default:
			why[c.Row] = "id: another message has it"
		}
	}
	rest := b.rows[:0:0]
	for i, r := range b.rows {
		if reason, out := why[i]; out {
			rejected = append(rejected, Rejection{Line: r.Line, Reason: reason})
		} else {
			rest = append(rest, r)
		}
	}
	b.rows = rest
	b.pack()
	return rejected
}

func (t *taking) reject(ctx context.Context, rejected []Rejection) error {
	for _, r := range rejected {
		t.done.Rejected++
		if t.file.Reject != nil {
			if err := t.file.Reject(r); err != nil {
				return err
			}
		}
		if t.file.Strict {
			return t.giveUp(ctx, r)
		}
	}
	return nil
}

// giveUp ends a campaign that must be all or nothing, and answers why.
func (t *taking) giveUp(ctx context.Context, r Rejection) error {
	if t.file.DryRun {
		return &StrictError{Rejection: r}
	}
	st, err := t.Ledger.AbandonCampaign(ctx, t.form.Sender, t.form.ID, fmt.Sprintf("strict: line %d was rejected", r.Line))
	t.done.Status = st
	var read *ledger.SteerError
	if errors.As(err, &read) {
		return &ConflictError{ID: t.form.ID, Status: read.Status, Line: r.Line}
	}
	return errors.Join(&StrictError{Rejection: r, Used: true}, err)
}

// pretend is take without a ledger: what was read is kept here, some 100 bytes for each row at the most.
func (t *taking) pretend(ctx context.Context, b *batch) error {
	var clashes []ledger.Clash
	for i, r := range b.rows {
		number, _ := strconv.ParseUint(message.NumberKey(r.To), 10, 64)
		id := crc64.Checksum([]byte(r.ID), crcTable) | 1<<63 // numbers have no more than 15 digits
		_, numberSeen := t.seen[number]
		_, idSeen := t.seen[id]
		switch {
		case numberSeen:
			clashes = append(clashes, ledger.Clash{Row: i, What: "number"})
		case r.ID != "" && idSeen:
			clashes = append(clashes, ledger.Clash{Row: i, What: "id"})
		default:
			t.seen[number] = struct{}{}
			if r.ID != "" {
				t.seen[id] = struct{}{}
			}
		}
	}
	if len(clashes) > 0 {
		if err := t.reject(ctx, b.without(clashes)); err != nil {
			return err
		}
	}
	t.accepted(b)
	return nil
}

// room refuses more rows while Redis is as full as it may be for bulk.
func (t *taking) room(ctx context.Context) error {
	if t.Room == nil {
		return nil
	}
	if used, _ := t.Room.Used(ctx); used >= ledger.FullForBulk {
		return &producer.FullError{
			What: fmt.Sprintf("Redis's memory is %.0f %% full, and from %.0f %% on no rows are taken in, of which %d lines are: give Redis more maxmemory, or wait until messages are sent and retired",
				math.Floor(100*used), 100*ledger.FullForBulk, t.done.Lines),
			RetryAfter: retryMemory,
		}
	}
	return nil
}
