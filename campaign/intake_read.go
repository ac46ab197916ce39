package campaign

import (
	"context"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"runtime"
	"strconv"
	"sync"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// batch is the lines of one chunk, and what was made of them.
type batch struct {
	lines []line
	last  int64  // line that was read
	from  uint64 // sum over all lines before it
	sum   string // over all lines up to it
	err   error  // that ended the reading

	checked  chan struct{} // closed when what follows is there
	failed   error         // by a panic
	rows     []Row
	packed   []byte
	rejected []Rejection // all of them, once the ledger has said which rows it has already
}

// readAll reads the file and takes its chunks in. Lines are checked on all cores, and taken in in their order.
func (t *taking) readAll(parent context.Context) error {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	in := newLines(t.file.In)
	check, order := make(chan *batch), make(chan *batch, 2*runtime.GOMAXPROCS(0))
	ready, begun := make(chan reader), make(chan struct{})
	// Not waited for: a terminal or a pipe may keep it waiting for as long as it likes, and only the input's end can end that.
	go t.read(ctx, in, ready, begun, check, order)
	var r reader
	select {
	case r = <-ready:
	case b := <-order:
		return b.err
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := t.begin(ctx); err != nil {
		return err
	}
	close(begun)
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() { t.checkAll(ctx, r, check) })
	}
	defer func() {
		cancel()
		group.Wait()
	}()
	for {
		var b *batch
		select {
		case b = <-order:
		case <-ctx.Done():
			return ctx.Err()
		}
		if b.err != nil {
			if errors.Is(b.err, io.EOF) {
				return t.same()
			}
			return b.err
		}
		select {
		case <-b.checked:
		case <-ctx.Done():
			return ctx.Err()
		}
		if b.failed != nil {
			return b.failed
		}
		if err := t.take(ctx, b); err != nil {
			return err
		}
	}
}

// checkAll checks batches until there are no more or ctx ends.
func (t *taking) checkAll(ctx context.Context, r reader, batches <-chan *batch) {
	for {
		select {
		case b := <-batches:
			t.check(r, b)
		case <-ctx.Done():
			return
		}
	}
}

var crcTable = crc64.MakeTable(crc64.ECMA)

// read cuts the file into batches. The last one it sends has only an error, which may be io.EOF.
func (t *taking) read(ctx context.Context, in *lines, ready chan<- reader, begun <-chan struct{}, check, order chan<- *batch) {
	send := func(b *batch) bool {
		if b.err == nil {
			select {
			case check <- b:
			case <-ctx.Done():
				return false
			}
		}
		select {
		case order <- b:
			return true
		case <-ctx.Done():
			return false
		}
	}
	defer func() {
		if value := recover(); value != nil {
			send(&batch{err: newPanicError(value)})
		}
	}()
	sum := uint64(0)
	next := func() (line, error) {
		l, err := in.next()
		if err == nil {
			sum = sumWith(sum, l)
		}
		return l, err
	}
	err := in.look()
	var r reader
	if err == nil {
		r, err = t.reader(next)
	}
	if err == nil && !in.rest() {
		err = &FileError{"the file has no rows: nobody would be sent to"}
	}
	if err != nil {
		send(&batch{err: err})
		return
	}
	select {
	case ready <- r:
	case <-ctx.Done():
		return
	}
	select {
	case <-begun:
	case <-ctx.Done():
		return
	}
	fail := func(err error) { send(&batch{err: err}) }
	for in.number < t.done.Before {
		if _, err := next(); err != nil {
			fail(t.changed(t.done.Before))
			return
		}
	}
	if t.done.Before > 0 && sumText(sum) != t.sum {
		fail(t.changed(t.done.Before))
		return
	}
	for {
		b := &batch{checked: make(chan struct{}), from: sum}
		var err error
		for size := 0; len(b.lines) < chunkLines && size < chunkBytes; {
			var l line
			if l, err = next(); err != nil {
				break
			}
			b.lines, size = append(b.lines, l), size+len(l.text)
		}
		if b.last, b.sum = in.number, sumText(sum); b.last > t.done.Before && (len(b.lines) > 0 || in.number == 1) && !send(b) {
			return
		}
		if err != nil {
			fail(err)
			return
		}
	}
}

func sumWith(sum uint64, l line) uint64 {
	return crc64.Update(crc64.Update(sum, crcTable, l.text), crcTable, []byte{'\n'})
}

func sumText(sum uint64) string { return strconv.FormatUint(sum, 16) }

func (t *taking) changed(lines int64) error {
	if t.whole {
		return t.otherFile()
	}
	return &FileError{fmt.Sprintf("the file is not the one that the first %d lines of this campaign were read from: give the same one, or another campaign id", lines)}
}

func (t *taking) otherFile() error {
	return &ConflictError{ID: t.form.ID, Status: t.done.Status, File: true}
}

// overtaken makes of the refusal of rows a campaign that is ahead, if another call has read its whole file meanwhile.
func (t *taking) overtaken(ctx context.Context, refused error) error {
	var closed *ledger.IntakeError
	if !errors.As(refused, &closed) || closed.Status == "" {
		return refused
	}
	c, err := t.Ledger.GetCampaign(ctx, t.form.Sender, t.form.ID)
	if err != nil {
		return err
	}
	if !c.Complete {
		return refused
	}
	t.ahead, t.done.Status = c, c.Status
	return nil
}

// same makes sure, at the end of the file, that a campaign that others had read whole was read from it.
func (t *taking) same() error {
	if !t.ahead.Complete {
		return nil
	}
	if t.done.Lines != t.ahead.Lines {
		return t.otherFile()
	}
	t.done.Existing, t.done.Accepted, t.done.Rejected, t.done.Zones = true, t.ahead.Rows, t.ahead.Rejected, rowsByZone(t.ahead)
	return nil
}

// reader reads the header, if the format has one.
func (t *taking) reader(next func() (line, error)) (reader, error) {
	if t.file.Format == NDJSON {
		return jsonReader{t.form.Columns}, nil
	}
	header, err := next()
	switch {
	case errors.Is(err, io.EOF):
		return nil, &FileError{"the file is empty: its first line must be a header that names the column of the numbers to"}
	case err != nil:
		return nil, err
	case header.err != nil:
		return nil, &FileError{"the header, line 1, " + header.err.Error()}
	}
	return newCSVReader(header.text, t.form.Columns)
}

// check makes rows of a batch's lines, and tells those apart that are in it twice.
func (t *taking) check(r reader, b *batch) {
	defer close(b.checked)
	defer func() {
		if value := recover(); value != nil {
			b.failed = newPanicError(value)
		}
	}()
	numbers, ids := make(map[string]int64, len(b.lines)), map[string]int64{}
	for _, l := range b.lines {
		row, err := t.rowOf(r, l)
		if errors.Is(err, errBlank) {
			continue
		}
		if err == nil {
			key := message.NumberKey(row.To)
			if first, twice := numbers[key]; twice {
				err = fmt.Errorf("to: its number stands in line %d already", first)
			} else if first, twice := ids[row.ID]; twice && row.ID != "" {
				err = fmt.Errorf("id: it stands in line %d already", first)
			} else {
				numbers[key], ids[row.ID] = l.number, l.number
			}
		}
		if err != nil {
			b.rejected = append(b.rejected, Rejection{Line: l.number, Reason: err.Error()})
			continue
		}
		b.rows = append(b.rows, row)
	}
	b.pack()
}

var errBlank = errors.New("blank")

func (t *taking) rowOf(r reader, l line) (Row, error) {
	if l.err != nil {
		return Row{}, l.err
	}
	if len(l.text) == 0 {
		return Row{}, errBlank
	}
	said, err := r.read(l.text)
	if err != nil {
		return Row{}, err
	}
	return t.form.row(l.number, said, t.Region, t.now)
}

func (b *batch) pack() {
	b.packed = nil
	if len(b.rows) > 0 {
		b.packed = ledger.PackChunk(encodeRows(b.rows))
	}
}
