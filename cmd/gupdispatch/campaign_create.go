package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/gupdispatch/gupdispatch/campaign"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/view"
)

// createFlags describe a campaign and its file.
type createFlags struct {
	id, sender, template, csv, ndjson, media, priority, startAt, expiresAt, window, zone, rejects string
	params                                                                                        []string
	rate                                                                                          float64
	strict, dryRun, watch, json                                                                   bool
}

func newCampaignCreateCommand(e *env) *cobra.Command {
	var f createFlags
	c := &cobra.Command{
		Use: "create", Short: "Read a file of recipients and send each a template", Args: exactly(0, ""),
		Long: "Read recipients from CSV (a header, then a row on each line) or NDJSON (an object on each line), and send each the template. The\n" +
			"column to is the number; {column} in a --param stands for what a row has there. Columns id and media, if there are any, are the\n" +
			"message's own id and its media. Rows that cannot be sent, and numbers that were there already, go to a file with line and reason;\n" +
			"the rest goes on. Nothing is sent before the whole file was read. Run again with the same --id after it was interrupted, the\n" +
			"command goes on where it was, and no row is taken twice.",
		Example: `  gupdispatch campaign create --id spring --sender shop --template c6aecef6-… --param "{name}" --param 20% --csv people.csv --dry-run
  gupdispatch campaign create --id spring --sender shop --template c6aecef6-… --param "{name}" --csv - --rate 15 --window 09:00-21:00 < people.csv`,
		RunE: func(c *cobra.Command, _ []string) error { return e.createCampaign(c.Context(), f) },
	}
	senderFlag(c, &f.sender, "the sender; may be left out if there is only one")
	fs := c.Flags()
	fs.StringVar(&f.id, "id", "", "the campaign's `id`; made for you if absent, but then an interrupted file cannot be gone on with")
	fs.StringVar(&f.template, "template", "", "the template's `UUID` at Gupshup")
	fs.StringArrayVar(&f.params, "param", nil, "a parameter of the template, in order: `text`, in which {column} stands for what a row has there")
	fs.StringVar(&f.csv, "csv", "", "a CSV `file` with a header, or - for standard input")
	fs.StringVar(&f.ndjson, "ndjson", "", "a `file` with a JSON object on each line, or -")
	fs.StringVar(&f.media, "media", "", "the template's header, as `JSON`; {column} in it as in --param")
	fs.StringVar(&f.priority, "priority", string(message.Bulk), "critical, default or bulk")
	fs.Float64Var(&f.rate, "rate", 0, "messages per second, below the sender's `rate` (default: the sender's)")
	fs.StringVar(&f.startAt, "start-at", "", "not before this `time` (RFC 3339, or how long from now: 30m, 2d)")
	fs.StringVar(&f.expiresAt, "expires-at", "", "what was not sent at this `time` never is")
	fs.StringVar(&f.window, "window", "", "the `part` of each day in which messages go, such as 09:00-21:00")
	fs.StringVar(&f.zone, "timezone", "", "the window's `zone`, such as Asia/Kolkata, or recipient: that of each number (default: the sender's timezone)")
	fs.StringVar(&f.rejects, "rejects", "", "the `file` for rows that are not sent to (default ID.rejects.csv, of a dry run ID.dry-run.rejects.csv; written if there are any)")
	fs.BoolVar(&f.strict, "strict", false, "send nothing at all if one row is wrong")
	fs.BoolVar(&f.dryRun, "dry-run", false, "only read and check the file")
	fs.BoolVar(&f.watch, "watch", false, "show its progress until it ends")
	jsonFlag(c, &f.json)
	return c
}

// created is what the command prints with --json; the first four names are part of the contract.
type created struct {
	ID       string                 `json:"id"`
	Status   message.CampaignStatus `json:"status"`
	Accepted int64                  `json:"accepted"`
	Rejected int64                  `json:"rejected"`
	Lines    int64                  `json:"lines"`
	Rejects  string                 `json:"rejects,omitempty"` // the file
	DryRun   bool                   `json:"dry_run,omitempty"`
}

func (e *env) createCampaign(ctx context.Context, f createFlags) error {
	if (f.csv == "") == (f.ndjson == "") {
		return usagef("name one file of recipients, with --csv or with --ndjson")
	}
	if f.template == "" {
		return usagef("--template is missing: campaigns send templates, to people who may not have written within a day")
	}
	a, err := e.open(ctx)
	if err != nil {
		return err
	}
	defer a.close()
	found, err := a.theSender(f.sender)
	if err != nil {
		return err
	}
	s := campaignSender(found)
	d, err := f.definition(s, e.now())
	if err != nil {
		return err
	}
	if !f.dryRun {
		if err := a.refuseRedis(ctx); err != nil {
			return fmt.Errorf("nothing was taken in: %w", err)
		}
	}
	c := &creating{app: a, flags: f, sender: s, definition: d}
	if f.strict && !f.dryRun && c.name() != "-" {
		if _, err := c.take(ctx, true); err != nil { // before anything is taken in
			return strictly(err)
		}
	}
	if !f.dryRun {
		_, err := a.ledger.GetCampaign(ctx, s.Name, d.ID)
		if c.goesOn = err == nil; err != nil && !errors.Is(err, ledger.ErrNoCampaign) {
			return err
		}
	}
	if c.overwrites() {
		return usagef("the file for rejected rows is that of the recipients: name another with --rejects")
	}
	if f.rejects != "" && !f.strict {
		if err := c.openRejects(); err != nil { // rather than at the first of them, with half the file taken in
			return err
		}
	}
	done, err := c.take(ctx, f.dryRun)
	if err := c.closeRejects(err); err != nil {
		return strictly(err)
	}
	if err := c.tell(done); err != nil || !f.watch || f.dryRun {
		return err
	}
	return a.watchCampaign(ctx, s.Name, d.ID, watchFlags{every: time.Second})
}

// strictly says of a file's first wrong row that the rest was not looked at.
func strictly(err error) error {
	var strict *campaign.StrictError
	if errors.As(err, &strict) {
		return fmt.Errorf("%w; --dry-run without --strict lists all that is wrong", err)
	}
	return err
}

// definition is what the flags say about the campaign.
func (f createFlags) definition(s campaign.Sender, now time.Time) (d campaign.Definition, err error) {
	d = campaign.Definition{
		ID: f.id, Sender: s.Name, Template: f.template, Params: f.params, Media: json.RawMessage(f.media),
		Priority: message.Priority(f.priority), Rate: f.rate, Window: f.window, Zone: f.zone,
	}
	if d.StartAt, err = futureTime("start-at", f.startAt, now); err != nil {
		return d, err
	}
	if d.Expires, err = futureTime("expires-at", f.expiresAt, now); err != nil {
		return d, err
	}
	if err := s.Complete(&d, now); err != nil {
		return d, usagef("the campaign is not valid: %s", err)
	}
	return d, nil
}

// creating is one run of the command.
type creating struct {
	*app
	flags      createFlags
	sender     campaign.Sender
	definition campaign.Definition

	goesOn  bool     // with a campaign that there is, and its file of rejects
	rejects *os.File // nil: none was rejected yet, and none was named
	fresh   bool     // there was no such file before
	rows    *csv.Writer
	any     bool // something stands there
}

func (c *creating) name() string {
	if c.flags.csv != "" {
		return c.flags.csv
	}
	return c.flags.ndjson
}

// forecast says, before anything is sent, how long it will take, and warns of what will not fit.
func (c *creating) forecast(t campaign.Taken) {
	now := c.env.now()
	p, err := campaign.PlanFor(c.definition, t.Zones, c.sender.Rate, c.sender.DailyRecipients, now)
	if err != nil {
		c.env.note("how long it takes is not known: %s", err)
		return
	}
	for _, line := range view.PlanNotes(c.definition, p, now) {
		c.env.note("%s", line)
	}
}

// take reads the file, and takes its rows in unless it is only for checking.
func (c *creating) take(ctx context.Context, dryRun bool) (campaign.Taken, error) {
	in, err := c.env.input(c.name(), "the file of recipients")
	if err != nil {
		return campaign.Taken{}, err
	}
	defer in.Close()
	file := campaign.File{In: in, Format: campaign.CSV, Strict: c.flags.strict, DryRun: dryRun, Reject: c.reject}
	if c.flags.ndjson != "" {
		file.Format = campaign.NDJSON
	}
	if !dryRun || c.flags.dryRun { // and not for the look before that strict takes
		file.Read = c.forecast
	}
	file.Waiting = func(atMost time.Duration) {
		c.env.note("another process was reading this campaign's file a moment ago: waiting up to %s, until it is sure to have ended", atMost)
	}
	if told := c.env.now(); !c.flags.json {
		file.Progress = func(t campaign.Taken) {
			if now := c.env.now(); now.Sub(told) >= 5*time.Second {
				told = now
				c.env.note("%s read, %s taken, %s rejected", view.Counted(t.Lines, "line"), view.Counted(t.Accepted, "row"), thousands(t.Rejected))
			}
		}
	}
	intake := &campaign.Intake{Ledger: c.ledger, Room: ledger.NewRoom(c.redis.general), Region: c.sender.Region}
	return intake.Take(ctx, c.definition, file)
}

// openRejects begins the file of rejects anew, or goes on with it as a call that goes on with the campaign does.
func (c *creating) openRejects() error {
	_, err := os.Stat(c.rejectsName())
	c.fresh = errors.Is(err, os.ErrNotExist)
	how := os.O_TRUNC
	if c.goesOn {
		how = os.O_APPEND
	}
	f, err := os.OpenFile(c.rejectsName(), os.O_CREATE|os.O_WRONLY|how, 0o600)
	if err != nil {
		return fmt.Errorf("the file for rejected rows cannot be written: %w; name another with --rejects", err)
	}
	c.rejects, c.rows = f, csv.NewWriter(f)
	return nil
}

// reject writes a row that is not sent to, with its line and why, into the file of rejects.
func (c *creating) reject(r campaign.Rejection) error {
	if c.flags.strict {
		return nil // the error tells of it
	}
	if c.rows == nil {
		if err := c.openRejects(); err != nil {
			return err
		}
	}
	if info, err := c.rejects.Stat(); !c.any && err == nil && info.Size() == 0 {
		_ = c.rows.Write(view.RejectsHeader) // the writer keeps its error for the end
	}
	c.any = true
	_ = c.rows.Write(view.RejectsRow(r))
	c.rows.Flush() // before its chunk is taken in: what is killed between is told twice rather than not at all
	return c.rows.Error()
}

func (c *creating) rejectsName() string {
	if c.flags.rejects != "" {
		return c.flags.rejects
	}
	if c.flags.dryRun {
		return c.definition.ID + ".dry-run.rejects.csv"
	}
	return c.definition.ID + ".rejects.csv"
}

// overwrites says whether the file for rejected rows is the one that they are read from.
func (c *creating) overwrites() bool {
	out, err := os.Stat(c.rejectsName())
	if err != nil {
		return false // it is yet to be made
	}
	in, err := os.Stat(c.name())
	if file, ok := c.env.stdin.(*os.File); ok && c.name() == "-" {
		in, err = file.Stat()
	}
	return err == nil && os.SameFile(in, out)
}

func (c *creating) closeRejects(err error) error {
	if c.rejects == nil {
		if err == nil && c.flags.rejects == "" && c.flags.dryRun {
			_ = os.Remove(c.rejectsName()) // of an earlier dry run, if there was one: now nothing is wrong
		}
		return err
	}
	err = errors.Join(err, c.rejects.Close())
	if c.fresh && !c.any {
		err = errors.Join(err, os.Remove(c.rejectsName()))
	}
	return err
}

// tell prints what came of it.
func (c *creating) tell(done campaign.Taken) error {
	out := created{
		ID: done.ID, Status: done.Status, Accepted: done.Accepted, Rejected: done.Rejected, Lines: done.Lines, DryRun: c.flags.dryRun,
	}
	if c.any {
		out.Rejects = c.rejectsName()
	}
	switch {
	case done.Existing:
		c.env.note("the whole file of campaign %s had been read before: nothing was added", done.ID)
	case done.Before > 0:
		c.env.note("went on behind line %s, which an earlier call had come to", thousands(done.Before))
	}
	if done.Accepted == 0 && done.Rejected > 0 {
		c.env.note("nobody is sent to: every row is rejected")
	}
	if out.Rejects != "" {
		c.env.note("rejected: %s; lines and reasons are in %s", view.Counted(done.Rejected, "row"), out.Rejects)
	}
	switch {
	case c.flags.json:
		return c.env.printJSON(out)
	case c.flags.dryRun:
		return c.env.say("%s would be taken, %s rejected; nothing was done", view.Counted(done.Accepted, "row"), thousands(done.Rejected))
	}
	return c.env.say("campaign %s is %s: %s taken, %s rejected", done.ID, done.Status, view.Counted(done.Accepted, "row"), thousands(done.Rejected))
}
