package campaign

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
)

const (
	expandRows   = 100                    // rows that become messages in one script: a few milliseconds of Redis
	clearRows    = 200                    // messages that are taken back in one
	clearSteps   = 20                     // scripts of those in one look
	expandPushes = 16                     // goroutines that enqueue tasks
	expandLease  = 2 * time.Second        // a dead expander is followed by another after this
	expandEvery  = 250 * time.Millisecond // one look
	expandIdle   = time.Second            // and one where no campaign is open
	redisTimeout = 5 * time.Second
	expandReads  = 100              // chunks that are read in one look for the rows of some zones,
	trackReads   = 25               // and for those of one
	clearAgain   = 30 * time.Second // messages of a cancelled campaign whose attempt failed come back meanwhile
)

// ExpanderConfig is what an Expander needs.
type ExpanderConfig struct {
	Redis   redis.UniversalClient // the caller closes it
	Ledger  *ledger.Ledger
	Senders []string
	Window  int // messages of a sender's campaigns that may wait at a time
	Every   time.Duration
	Log     *zap.Logger
}

// Expander makes messages of campaigns' rows just in time: no more than its window wait at once, so that a pause stops the rest, and a
// million rows take no more memory than their chunks. One process at a time does so for a sender.
type Expander struct {
	cfg   ExpanderConfig
	queue *producer.Enqueuer
	room  *ledger.Room
	owner string
}

// NewExpander makes an expander.
func NewExpander(cfg ExpanderConfig) *Expander {
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if cfg.Every == 0 {
		cfg.Every = expandEvery
	}
	return &Expander{cfg: cfg, queue: producer.NewEnqueuer(cfg.Redis), room: ledger.NewRoom(cfg.Redis), owner: message.NewID()}
}

// Run expands until ctx ends.
func (e *Expander) Run(ctx context.Context) {
	var group sync.WaitGroup
	for _, s := range e.cfg.Senders {
		group.Go(func() { e.expansion(s).run(ctx) })
	}
	group.Wait()
}

func (e *Expander) expansion(name string) *expansion {
	return &expansion{Expander: e, sender: name, forms: map[string]*prepared{}}
}

// expansion is the part of an expander that belongs to one sender.
type expansion struct {
	*Expander
	sender string
	forms  map[string]*prepared
}

// prepared is what is kept of a campaign from one look to the next.
type prepared struct {
	form    *Form
	windows map[string]Window  // by zone
	chunk   int64              // that rows is
	rows    []Row              // nil: none was read
	inside  map[int64][]string // zones of the rows of chunks that were read
	names   map[string]string  // those zones
	reads   int                // chunks that were read in this look
	cleared time.Time
}

func (x *expansion) run(ctx context.Context) {
	away := false
	for {
		err := x.step(ctx)
		if failed := err != nil && ctx.Err() == nil; failed != away {
			away = failed
			x.cfg.Log.Warn("expander.trouble", zap.String("sender", x.sender), zap.Bool("on", away), zap.Error(err))
		}
		pause := x.cfg.Every
		if len(x.forms) == 0 {
			pause = max(pause, expandIdle)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// step is one look at the sender's campaigns.
func (x *expansion) step(ctx context.Context) error {
	look, err := x.look(ctx)
	if err != nil || !look.Leader {
		return err
	}
	running := 0
	for _, c := range look.Campaigns {
		if c.Status == message.CampaignRunning && c.Expanded < c.Rows {
			running++
		}
	}
	var problems []error
	open := map[string]bool{}
	for _, c := range look.Campaigns {
		open[c.ID] = true
		if ctx.Err() == nil {
			problems = append(problems, x.tend(ctx, c, look.Now, max(1, x.cfg.Window/max(1, running))))
		}
	}
	for id := range x.forms {
		if !open[id] {
			delete(x.forms, id)
		}
	}
	return errors.Join(problems...)
}

func (x *expansion) look(ctx context.Context) (ledger.CampaignLook, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	return x.cfg.Ledger.LookAtCampaigns(ctx, x.sender, x.owner, max(expandLease, 5*x.cfg.Every))
}

// tend does what there is to be done about a campaign: share is how many of its messages may wait.
func (x *expansion) tend(ctx context.Context, c ledger.Campaign, now time.Time, share int) error {
	p, err := x.prepare(c)
	if err != nil {
		return err
	}
	if c.KeepsNumbers() && (c.Complete || c.Status.Ended()) {
		if err := x.cfg.Ledger.ForgetNumbers(ctx, c.Sender, c.ID); err != nil {
			return err
		}
	}
	open, err := x.keepWindows(ctx, c, p, now)
	if err != nil {
		return err
	}
	switch {
	case c.Status == message.CampaignCancelled && c.Counts[message.Queued] > 0:
		return x.clear(ctx, c, p, now)
	case c.Status != message.CampaignRunning || now.Before(c.StartAt):
		return nil
	case !p.form.Expires.IsZero() && !now.Before(p.form.Expires):
		return x.expandAll(ctx, c, p, c.Tracks, 50*expandRows) // they end at once, and need no room
	}
	if used, _ := x.room.Used(ctx); used >= ledger.FullForBulk {
		return nil
	}
	n := share - waiting(c, open)
	if p.form.Rate > 0 {
		n = min(n, c.May(p.form.Rate, now))
	}
	return x.expandAll(ctx, c, p, open, n)
}

func (x *expansion) prepare(c ledger.Campaign) (*prepared, error) {
	if p := x.forms[c.ID]; p != nil {
		p.reads = 0
		return p, nil
	}
	d, err := DecodeDefinition(c.Definition)
	if err != nil {
		return nil, err
	}
	p := &prepared{form: NewForm(d), windows: map[string]Window{}, inside: map[int64][]string{}, names: map[string]string{}}
	x.forms[c.ID] = p
	return p, nil
}

// waiting is how many messages of tracks wait, and no more than those of the whole campaign: processes of an older version do not count those of
// tracks.
func waiting(c ledger.Campaign, tracks []ledger.Track) (n int) {
	for _, t := range tracks {
		n += max(0, int(t.Waiting))
	}
	return min(n, int(c.Waiting()))
}

// window is that of a zone.
func (p *prepared) window(zone string) (Window, error) {
	if w, ok := p.windows[zone]; ok {
		return w, nil
	}
	w, err := p.form.WindowIn(zone)
	if err == nil {
		p.windows[zone] = w
	}
	return w, err
}

// keepWindows notes ahead when messages may be sent, which claims obey. It answers the tracks where that is now, those first whose windows
// close first.
func (x *expansion) keepWindows(ctx context.Context, c ledger.Campaign, p *prepared, now time.Time) (open []ledger.Track, err error) {
	if p.form.Window == "" {
		return c.Tracks, nil
	}
	closing := map[string]time.Time{}
	for _, t := range c.Tracks {
		if t.Zone == "" && p.form.Zone == ByRecipient {
			continue // no row was taken in yet, or nothing of it is sent
		}
		w, err := p.window(t.Zone)
		if err != nil {
			return nil, err
		}
		opens, closes := w.At(now)
		reopens, _ := w.At(closes)
		if !t.Noted(opens, closes, reopens) {
			if err := x.cfg.Ledger.NoteWindow(ctx, c, t.Zone, opens, closes, reopens); err != nil {
				return nil, err
			}
		}
		if closing[t.Zone] = closes; !now.Before(opens) {
			open = append(open, t)
		}
	}
	slices.SortStableFunc(open, func(a, b ledger.Track) int { return closing[a.Zone].Compare(closing[b.Zone]) })
	return open, nil
}

// expandAll makes messages of the next n rows of tracks, those of the first one first.
func (x *expansion) expandAll(ctx context.Context, c ledger.Campaign, p *prepared, tracks []ledger.Track, n int) error {
	for _, t := range tracks {
		made, moved, err := x.expand(ctx, c, p, t, n)
		if err != nil || moved {
			return err
		}
		n -= made
	}
	return nil
}

// expand makes messages of the next n rows of a track, and answers how many it made. moved says that the campaign is not what it was.
func (x *expansion) expand(ctx context.Context, c ledger.Campaign, p *prepared, t ledger.Track, n int) (made int, moved bool, err error) {
	n = min(n, int(t.Rows-t.Expanded))
	reads := p.reads + trackReads
	for from, at := t.Next, t.Next; made < n && at.Chunk < c.Chunks && ctx.Err() == nil; {
		if inside, known := p.inside[at.Chunk]; known && !slices.Contains(inside, t.Zone) {
			at = ledger.Position{Chunk: at.Chunk + 1}
			continue
		}
		if t.Zone != "" && p.reads >= min(reads, expandReads) && (p.rows == nil || p.chunk != at.Chunk) {
			return made, false, nil // others wait; what was read is remembered
		}
		rows, err := x.chunk(ctx, c, p, at.Chunk)
		if err != nil {
			return made, false, err
		}
		some, next := pick(rows, t.Zone, at, min(n-made, expandRows))
		if at = next; len(some) == 0 {
			continue
		}
		q := ledger.Expansion{Sender: c.Sender, ID: c.ID, Zone: t.Zone, From: from, To: next, Rate: p.form.Rate}
		for _, r := range some {
			m, err := p.form.Message(r)
			if err != nil { // it was read before it was taken in; without media it ends as a dead letter
				x.cfg.Log.Error("campaign.row", zap.String("campaign", c.ID), zap.Int64("line", r.Line), zap.Error(err))
			}
			q.Messages, q.Lines = append(q.Messages, m), append(q.Lines, lineID(c.ID, r.Line))
		}
		if moved, err := x.batch(ctx, q, p.form.Priority); err != nil || moved {
			return made, moved, err
		}
		from, made = next, made+len(some)
	}
	return made, false, nil
}

// pick answers the next rows of a zone in a chunk, no more than n, and where those behind them are.
func pick(rows []Row, zone string, at ledger.Position, n int) (some []Row, next ledger.Position) {
	next = ledger.Position{Chunk: at.Chunk + 1}
	for i := at.Row; i < int64(len(rows)); i++ {
		if rows[i].Zone != zone {
			continue
		}
		if len(some) == n {
			return some, ledger.Position{Chunk: at.Chunk, Row: i}
		}
		some = append(some, rows[i])
	}
	return some, next
}

// batch makes some messages and enqueues their tasks: once begun it is finished. A task that is lost the sweeper replaces.
func (x *expansion) batch(ctx context.Context, q ledger.Expansion, priority message.Priority) (moved bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), redisTimeout)
	defer cancel()
	tasks, moved, err := x.cfg.Ledger.ExpandCampaign(ctx, q)
	if err != nil {
		return false, err
	}
	next := make(chan message.Task)
	var group sync.WaitGroup
	for range min(expandPushes, len(tasks)) {
		group.Go(func() {
			for t := range next {
				if err := x.queue.Enqueue(ctx, t, priority); err != nil {
					x.cfg.Log.Warn("campaign.not_enqueued", zap.String("id", t.ID), zap.String("sender", t.Sender), zap.Error(err),
						zap.String("follows", "the sweeper will enqueue it"))
				}
			}
		})
	}
	for _, t := range tasks {
		next <- t
	}
	close(next)
	group.Wait()
	return moved, nil
}

// chunk reads the rows of a chunk, unless they are those that were read last.
func (x *expansion) chunk(ctx context.Context, c ledger.Campaign, p *prepared, n int64) ([]Row, error) {
	if p.rows != nil && p.chunk == n {
		return p.rows, nil
	}
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	lines, err := x.cfg.Ledger.CampaignRows(ctx, c.Sender, c.ID, n)
	if err != nil {
		return nil, err
	}
	rows, err := decodeRows(lines, len(p.form.Columns))
	if err != nil {
		return nil, err
	}
	p.chunk, p.rows = n, rows
	p.reads++
	if _, known := p.inside[n]; !known && p.form.Zone == ByRecipient {
		p.inside[n] = p.distinctZones(rows)
	}
	return rows, nil
}

// distinctZones are those of rows, as texts that keep nothing else in memory.
func (p *prepared) distinctZones(rows []Row) (zones []string) {
	for _, r := range rows {
		if slices.Contains(zones, r.Zone) {
			continue
		}
		name, known := p.names[r.Zone]
		if !known {
			name = strings.Clone(r.Zone)
			p.names[name] = name
		}
		zones = append(zones, name)
	}
	return zones
}

// clear takes the messages of a cancelled campaign back, those that were made last first, since most of them wait.
func (x *expansion) clear(ctx context.Context, c ledger.Campaign, p *prepared, now time.Time) error {
	from, done := c.Cleared()
	if done {
		if now.Sub(p.cleared) < clearAgain {
			return nil
		}
		from = c.Furthest()
	}
	left := c.Counts[message.Queued]
	for range clearSteps {
		for from.Row == 0 && from.Chunk > 0 {
			rows, err := x.chunk(ctx, c, p, from.Chunk-1)
			if err != nil {
				return err
			}
			from = ledger.Position{Chunk: from.Chunk - 1, Row: int64(len(rows))}
		}
		var ids [][2]string
		if from.Row > 0 {
			rows, err := x.chunk(ctx, c, p, from.Chunk)
			if err != nil {
				return err
			}
			some := rows[max(0, from.Row-clearRows):min(from.Row, int64(len(rows)))]
			ids = pairsOf(c.ID, some)
			from.Row = max(0, from.Row-clearRows)
		}
		done = from == ledger.Position{}
		n, err := x.cfg.Ledger.ClearCampaign(ctx, c.Sender, c.ID, from, done, ids)
		if err != nil {
			return err
		}
		if left -= int64(n); done || left <= 0 {
			if done {
				p.cleared = now
			}
			return nil
		}
	}
	return nil
}

// pairsOf are the ids under which rows' messages are found.
func pairsOf(campaign string, rows []Row) [][2]string {
	ids := make([][2]string, len(rows))
	for i, r := range rows {
		ids[i] = [2]string{MessageID(campaign, r), lineID(campaign, r.Line)}
	}
	return ids
}
