package campaign

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
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
	Now    time.Time    // from when on a window has to be open for a row to be taken; zero: now
}

// File is a file of rows, and how to read it.
type File struct {
	In       io.Reader
	Format   Format
	Strict   bool                  // the first row that is rejected ends it all
	DryRun   bool                  // read and check only
	Reject   func(Rejection) error // told of each row that is not sent to, before its chunk is taken in; nil: nobody is
	Progress func(Taken)           // told after each chunk; nil: nobody is
	Read     func(Taken)           // told when all of it was read, and nothing is sent yet; nil: nobody is
	Waiting  func(time.Duration)   // told once if somebody else may still read the file, and how long that is waited for; nil: nobody is
}

// Taken tells how far a file was read, and what came of it.
type Taken struct {
	ID       string
	Status   message.CampaignStatus // empty in a dry run
	Lines    int64
	Accepted int64
	Zones    map[string]int64 // those that were accepted, by the zone that their window goes by; "": the campaign's
	Rejected int64
	Before   int64 // lines of an earlier call, which this one went on behind
	Existing bool  // the whole file had been read before
}

// ConflictError says that the id belongs to a campaign that sends something else, or to others.
type ConflictError struct {
	ID     string
	Status message.CampaignStatus
	File   bool  // it sends the same, and was read whole from another file
	Line   int64 // or from this one, by a call that was not strict, as this one is, which rejects this line
}

func (e *ConflictError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("line %d is rejected, but another call without strict has read the whole file of campaign %q meanwhile (it is %s): cancel it if nothing of it is to be sent",
			e.Line, e.ID, e.Status)
	}
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
type StrictError struct {
	Rejection
	Used bool // rows were taken in, and the campaign was cancelled
}

func (e *StrictError) Error() string {
	text := fmt.Sprintf("line %d: %s; nothing of the campaign is sent, as --strict asks for: correct the file", e.Line, e.Reason)
	if e.Used {
		text += " and give it another campaign id"
	}
	return text
}

// Take reads a file for a campaign, which Normalise has passed, chunk by chunk. Called again after it was interrupted, with the same
// definition and file, it goes on where it was. Nothing is sent before the whole file was read. A file that was read whole before adds nothing:
// it is read all the same, as another file with the same id is a mistake.
func (in *Intake) Take(ctx context.Context, d Definition, f File) (Taken, error) {
	t := &taking{Intake: in, now: cmp.Or(in.Now, time.Now()), form: NewForm(d), file: f, owner: message.NewID(), done: Taken{ID: d.ID, Zones: map[string]int64{}}}
	err := t.readAll(ctx)
	if err != nil && t.begun {
		t.leave(ctx)
	}
	if err == nil && !t.done.Existing && f.Read != nil {
		f.Read(t.done)
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
	now   time.Time
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
	t.done.Lines, t.done.Before, t.done.Accepted, t.done.Rejected, t.sum, t.done.Zones = c.Lines, c.Lines, c.Rows, c.Rejected, c.Sum, rowsByZone(c)
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

// rowsByZone counts the rows of a campaign by zone.
func rowsByZone(c ledger.Campaign) map[string]int64 {
	rows := map[string]int64{}
	for _, t := range c.Tracks {
		if t.Rows > 0 {
			rows[t.Zone] = t.Rows
		}
	}
	return rows
}
