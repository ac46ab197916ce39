package campaign

import (
	"context"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
)

const (
	chunkLines  = 1000            // lines of a file in one chunk, at most
	chunkBytes  = 1 << 20         // and their bytes: some chunks are in memory at a time
	readerLease = 5 * time.Second // how long a file's reader keeps others out after its last chunk
	busyPause   = 250 * time.Millisecond
	retryMemory = 30 * time.Second // when it is worth trying again with a full Redis
)

// Intake reads files of rows into the ledger.
type Intake struct {
	Ledger *ledger.Ledger
	Room   *ledger.Room // how full Redis is; nil: not asked
	Region string       // in which national numbers are read; empty takes international ones only
}

// File is a file of rows, and how to read it.
type File struct {
	In       io.Reader
	Format   Format
	Strict   bool                  // the first row that is rejected ends it all
	DryRun   bool                  // read and check only
	Reject   func(Rejection) error // told of each row that is not sent to, before its chunk is taken in; nil: nobody is
	Progress func(Taken)           // told after each chunk; nil: nobody is
	Waiting  func(time.Duration)   // told once if somebody else may still read the file, and how long that is waited for; nil: nobody is
}

// Taken tells how far a file was read, and what came of it.
type Taken struct {
	ID       string
	Status   message.CampaignStatus // empty in a dry run
	Lines    int64
	Accepted int64
	Rejected int64
	Before   int64 // lines of an earlier call, which this one went on behind
	Existing bool  // the whole file had been read before
}

// ConflictError says that the id belongs to a campaign that sends something else, or to others.
type ConflictError struct {
	ID     string
	Status message.CampaignStatus
	File   bool // it sends the same, and was read whole from another file
}

func (e *ConflictError) Error() string {
	if e.File {
		return fmt.Sprintf("campaign id %q belongs to a campaign that was read from another file (it is %s): nothing was added; give these rows another id", e.ID, e.Status)
	}
	return fmt.Sprintf("campaign id %q belongs to a campaign with another definition (it is %s): use another id", e.ID, e.Status)
}

// PanicError says that a file could not be read because of a mistake of ours. What is in the file may be in a panic's value, which is not told.
type PanicError struct {
	What  string // a runtime error, which names types and indexes, or the type of any other value
	Stack []byte
}

// newPanicError is for the deferred function that recovers.
func newPanicError(value any) error {
	e := &PanicError{What: fmt.Sprintf("a value of type %T", value), Stack: debug.Stack()}
	if err, ok := value.(runtime.Error); ok {
		e.What = err.Error()
	}
	return e
}

func (e *PanicError) Error() string {
	return "reading the file failed by a mistake of gupdispatch's: report it with the log; what was taken in stays, and the same file goes on behind it"
}

// StrictError says that nothing is sent because of one row.
type StrictError struct{ Rejection }

func (e *StrictError) Error() string {
	return fmt.Sprintf("line %d: %s; nothing of the campaign is sent, as --strict asks for: correct the file and give it another campaign id", e.Line, e.Reason)
}

// Take reads a file for a campaign, which Normalise has passed, chunk by chunk. Called again after it was interrupted, with the same
// definition and file, it goes on where it was. Nothing is sent before the whole file was read. A file that was read whole before adds nothing:
// it is read all the same, as another file with the same id is a mistake.
func (in *Intake) Take(ctx context.Context, d Definition, f File) (Taken, error) {
	t := &taking{Intake: in, form: NewForm(d), file: f, owner: message.NewID(), done: Taken{ID: d.ID}}
	err := t.readAll(ctx)
	if err != nil && t.begun {
		t.leave(ctx)
	}
	if err != nil || f.DryRun || t.done.Existing {
		return t.done, err
	}
	err = t.patient(ctx, func() (err error) {
		t.done.Status, err = in.Ledger.ReadyCampaign(ctx, d.Sender, d.ID, t.owner, t.done.Lines)
		return err
	})
	if err != nil {
		if err = t.overtaken(ctx, err); err == nil {
			err = t.same()
		}
		return t.done, err
	}
	// What is left here the expander drops.
	return t.done, in.Ledger.ForgetNumbers(ctx, d.Sender, d.ID)
}

// leave lets the next call go on at once. Should it fail, that one waits for a few seconds.
func (t *taking) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = t.Ledger.LeaveCampaign(ctx, t.form.Sender, t.form.ID, t.owner)
}

// taking is one call of Take.
type taking struct {
	*Intake
	form  *Form
	file  File
	owner string
	done  Taken
	sum   string              // over the lines of the earlier call
	seen  map[uint64]struct{} // of a dry run: what was read
	begun bool                // the campaign may take rows
	ahead ledger.Campaign     // as another call left it that took rows in before or meanwhile, if one did
	whole bool                // another call had read its whole file before this one began
	told  bool                // that somebody else may read the file
}

// begin creates the campaign, or finds out how far it was read. A file that is of no use leaves no campaign behind.
func (t *taking) begin(ctx context.Context) error {
	if t.file.DryRun {
		t.seen = map[uint64]struct{}{}
		return nil
	}
	d := t.form.Definition
	text, err := d.Encode()
	if err != nil {
		return fmt.Errorf("the definition of campaign %s cannot be written: %w", d.ID, err)
	}
	c, isNew, err := t.Ledger.CreateCampaign(ctx, ledger.NewCampaign{
		Sender: d.Sender, ID: d.ID, Definition: text, Template: d.Template, Priority: d.Priority, StartAt: d.StartAt,
	})
	if err != nil {
		return err
	}
	t.done.Status = c.Status
	if isNew {
		t.begun = true
		return nil
	}
	if same, err := sameCampaign(c.Definition, d); err != nil || !same {
		return errors.Join(err, &ConflictError{ID: d.ID, Status: c.Status})
	}
	t.done.Lines, t.done.Before, t.done.Accepted, t.done.Rejected, t.sum = c.Lines, c.Lines, c.Rows, c.Rejected, c.Sum
	switch {
	case c.Complete:
		t.ahead, t.whole = c, true
	case c.Status.Ended():
		return &ledger.IntakeError{Status: c.Status}
	default:
		t.begun = true
	}
	return nil
}

// sameCampaign compares definitions. Times do not count, which are often said as so long from now: those that were said first stand.
func sameCampaign(known string, d Definition) (bool, error) {
	k, err := DecodeDefinition(known)
	if err != nil {
		return false, err
	}
	k.StartAt, k.Expires, d.StartAt, d.Expires = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	a, _ := k.Encode()
	b, _ := d.Encode()
	return a == b, nil
}

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
	t.done.Existing, t.done.Accepted, t.done.Rejected = true, t.ahead.Rows, t.ahead.Rejected
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
	return t.form.row(l.number, said, t.Region)
}

func (b *batch) pack() {
	b.packed = nil
	if len(b.rows) > 0 {
		b.packed = ledger.PackChunk(encodeRows(b.rows))
	}
}

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
	return t.ahead.Lines < b.last, nil
}

func (t *taking) accepted(b *batch) {
	t.done.Lines, t.done.Accepted = b.last, t.done.Accepted+int64(len(b.rows))
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
		chunk.Rows[i] = ledger.CampaignRow{To: r.To, ID: r.ID}
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
			return errors.Join(&StrictError{r}, t.giveUp(ctx, r))
		}
	}
	return nil
}

// giveUp ends a campaign that must be all or nothing.
func (t *taking) giveUp(ctx context.Context, r Rejection) error {
	if t.file.DryRun {
		return nil
	}
	why := fmt.Sprintf("strict: line %d was rejected", r.Line)
	st, err := t.Ledger.SteerCampaign(ctx, t.form.Sender, t.form.ID, message.CampaignCancel, why, "")
	t.done.Status = st
	return err
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
