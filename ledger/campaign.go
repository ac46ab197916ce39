package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/gupdispatch/gupdispatch/message"
)

// ErrNoCampaign says that no campaign has this id.
var ErrNoCampaign = errors.New("no such campaign")

// Campaign is where a campaign stands.
type Campaign struct {
	ID         string
	Sender     string
	Status     message.CampaignStatus
	Reason     string // why it is paused or was cancelled
	By         string // who did that; ByTemplate: its template is held
	Definition string
	Rows       int64 // taken in
	Rejected   int64
	Lines      int64  // of its file that were read
	Sum        string // over those lines
	Complete   bool   // the whole file was read
	RejectedIn int64  // so many chunks of rejections
	Chunks     int64
	Expanded   int64   // rows that are messages
	Tracks     []Track // on which they become messages: one, or one for each zone of its recipients; of the latter an expander is only told where it acts
	Counts     map[message.Status]int64
	CreatedAt  time.Time
	UpdatedAt  time.Time
	StartAt    time.Time
	EndedAt    time.Time
	RateNow    float64 // rows that came to an end, or to Gupshup, per second in the last half minute
	Forgotten  bool    // its rows are kept no longer

	used        float64 // until when its rate is used up (ms)
	clear       Position
	cleared     bool
	numbers     bool // those of its rows are still kept
	sampled     int64
	sampledDone int64
}

// Position is a row of a chunk.
type Position struct{ Chunk, Row int64 }

// Before says whether it comes before another.
func (p Position) Before(q Position) bool {
	return p.Chunk < q.Chunk || p.Chunk == q.Chunk && p.Row < q.Row
}

// Track is how far the rows of a campaign have come that share a window.
type Track struct {
	Zone     string // that their recipients are in; empty: all rows, by one clock
	Rows     int64
	Expanded int64    // rows that are messages
	Waiting  int64    // messages that wait: for their turn, behind a hold, for a retry. Rows that are no messages yet do not
	Next     Position // before which all rows of the track are messages

	opens, closes, reopens int64 // its window, as it is noted (ms)
}

// Noted says whether a window is the one that claims obey.
func (t Track) Noted(opens, closes, reopens time.Time) bool {
	return t.opens == millis(opens) && t.closes == millis(closes) && t.reopens == millis(reopens)
}

// Track is the one on which the rows of a zone are.
func (c Campaign) Track(zone string) Track {
	i := slices.IndexFunc(c.Tracks, func(t Track) bool { return t.Zone == zone })
	if i < 0 {
		return Track{Zone: zone}
	}
	return c.Tracks[i]
}

// Furthest is behind the last row that is a message.
func (c Campaign) Furthest() (p Position) {
	for _, t := range c.Tracks {
		if p.Before(t.Next) {
			p = t.Next
		}
	}
	return p
}

// ByTemplate is By of a campaign whose template is held.
const ByTemplate = "template"

// Unsettled is how many rows have not come to their end.
func (c Campaign) Unsettled() (n int64) {
	for s, k := range c.Counts {
		if !s.Settled() {
			n += k
		}
	}
	return n
}

// Waiting is how many of its messages wait: for their turn, behind a hold, for a retry. Rows that are no messages yet do not.
func (c Campaign) Waiting() int64 { return c.Counts[message.Queued] - c.left() }

// left is how many rows are still to become messages.
func (c Campaign) left() int64 {
	if c.Status == message.CampaignCancelled {
		return 0
	}
	return c.Rows - c.Expanded
}

// May is how many rows its rate lets become messages at a time.
func (c Campaign) May(rate float64, now time.Time) int {
	burst := max(1000, 1000/rate) // ms; Lua has the same
	ms := float64(now.UnixMilli())
	return int((ms - max(c.used, ms-burst)) * rate / 1000)
}

// Cleared is how far back the messages of a cancelled campaign have been taken back, and whether all have.
func (c Campaign) Cleared() (from Position, done bool) { return c.clear, c.cleared }

// KeepsNumbers says that what told rows apart is still there, though it is needed no more.
func (c Campaign) KeepsNumbers() bool { return c.numbers }

func parseCampaign(sender string, r reply) Campaign {
	f, counts := pairs(r.list(1)), pairs(r.list(2))
	c := Campaign{
		ID: r.text(0), Sender: sender, Status: message.CampaignStatus(f["st"]), Reason: f["re"], By: f["by"], Definition: f["def"],
		Rows: parseInt(f["ro"]), Rejected: parseInt(f["rj"]), Lines: parseInt(f["li"]), Sum: f["ck"], Complete: f["in"] == "1", RejectedIn: parseInt(f["jc"]),
		Chunks: parseInt(f["ch"]), Expanded: parseInt(f["xp"]),
		Counts: map[message.Status]int64{}, CreatedAt: fromMillis(parseInt(f["ca"])), UpdatedAt: fromMillis(parseInt(f["ua"])),
		StartAt: fromMillis(parseInt(f["sa"])), EndedAt: fromMillis(parseInt(f["en"])), Forgotten: f["ru"] == "1",
		clear: Position{parseInt(f["cc"]), parseInt(f["cf"])}, cleared: f["cd"] == "1", numbers: f["sn"] == "1",
		sampled: parseInt(f["sa1"]), sampledDone: parseInt(f["sd1"]),
	}
	c.used, _ = strconv.ParseFloat(f["ra"], 64)
	for s, n := range counts {
		c.Counts[message.Status(s)] = parseInt(n)
	}
	for _, t := range r.list(3) {
		c.Tracks = append(c.Tracks, parseTrack(t.text(0), pairs(t.list(1))))
	}
	if len(c.Tracks) == 0 {
		all := parseTrack("", f)
		all.Waiting = c.Waiting()
		c.Tracks = []Track{all}
	}
	return c
}

func parseTrack(zone string, f map[string]string) Track {
	return Track{
		Zone: zone, Rows: parseInt(f["ro"]), Expanded: parseInt(f["xp"]), Waiting: parseInt(f["q"]), Next: Position{parseInt(f["cu"]), parseInt(f["of"])},
		opens: parseInt(f["wo"]), closes: parseInt(f["wc"]), reopens: parseInt(f["wn"]),
	}
}

// pairs reads a hash as a script returns it.
func pairs(list []reply) map[string]string {
	m := make(map[string]string, len(list)/2)
	for i := 0; i+1 < len(list); i += 2 {
		m[list[i].text(0)] = list[i+1].text(0)
	}
	return m
}

func campaignKey(sender, id string) string { return prefix(sender) + "c:" + id }

// trackKey is where a track is kept; campaign.lua has the same.
func trackKey(sender, id, zone string) string {
	if zone == "" {
		return campaignKey(sender, id)
	}
	return campaignKey(sender, id) + ":z:" + zone
}

// NewCampaign is a campaign that is to begin.
type NewCampaign struct {
	Sender, ID string
	Definition string
	Template   string
	Priority   message.Priority
	StartAt    time.Time
}

// CreateCampaign notes a campaign, or answers the one that has its id already.
func (l *Ledger) CreateCampaign(ctx context.Context, n NewCampaign) (c Campaign, isNew bool, err error) {
	r, err := l.run(ctx, campaignCreateScript, n.Sender, n.ID, n.Definition, n.Template, string(n.Priority), millis(n.StartAt))
	if err != nil {
		return Campaign{}, false, err
	}
	return parseCampaign(n.Sender, reply{n.ID, r[1], r[2], r[3]}), r.text(0) == "created", nil
}

// CampaignRow is what tells a row from others.
type CampaignRow struct {
	To   string // digits
	ID   string // of its message; empty: made of its line
	Zone string // that its window goes by; empty: the campaign's
}

// Clash is a row that is in the campaign already, or whose id is.
type Clash struct {
	Row  int
	What string // number, id, or taken: another message has it
}

// CampaignChunk is some rows and the part of the file that they are from.
type CampaignChunk struct {
	Sender, ID string
	Owner      string // who reads the file
	Lease      time.Duration
	After      int64 // lines before it
	Lines      int64 // lines with it
	Sum        string
	Rejected   int64 // of all lines
	Rows       []CampaignRow
	Packed     []byte
	Rejections []byte // packed, too: of these lines
}

// IntakeError says why rows are not taken in any more.
type IntakeError struct {
	Status message.CampaignStatus // the campaign is in; empty: somebody else reads its file
}

func (e *IntakeError) Error() string {
	if e.Status == "" {
		return "another process reads this campaign's rows: wait until it is done, or for some seconds after its end"
	}
	return fmt.Sprintf("the campaign is %s and takes no rows: give new ones another campaign id", e.Status)
}

// MovedError says that another process took more lines in meanwhile.
type MovedError struct{ Lines int64 }

func (e *MovedError) Error() string {
	return fmt.Sprintf("lines up to %d were taken in meanwhile, by another process: do the same again to go on", e.Lines)
}

// AddRows takes a chunk in. With clashes nothing was written: leave those rows out and call again.
func (l *Ledger) AddRows(ctx context.Context, q CampaignChunk) ([]Clash, error) {
	args := []any{
		q.ID, q.Owner, q.Lease.Milliseconds(), q.After, q.Lines, q.Sum, q.Rejected, q.Packed, q.Rejections, len(q.Rows),
	}
	zones := map[string]int{}
	for _, row := range q.Rows {
		args = append(args, message.NumberKey(row.To), row.ID)
		if row.Zone != "" {
			zones[row.Zone]++
		}
	}
	for _, zone := range slices.Sorted(maps.Keys(zones)) {
		args = append(args, zone, zones[zone])
	}
	r, err := l.run(ctx, campaignRowsScript, q.Sender, args...)
	if err != nil {
		return nil, err
	}
	if r.text(0) != "clash" {
		return nil, intakeError(r)
	}
	var clashes []Clash
	for _, c := range r.list(1) {
		clashes = append(clashes, Clash{Row: int(c.number(0)) - 1, What: c.text(1)})
	}
	return clashes, nil
}

func intakeError(r reply) error {
	switch r.text(0) {
	case "ok":
		return nil
	case "gone":
		return ErrNoCampaign
	case "moved":
		return &MovedError{Lines: r.number(1)}
	case "closed":
		return &IntakeError{Status: message.CampaignStatus(r.text(1))}
	}
	return &IntakeError{}
}

// ReadyCampaign says that the whole file was read, and answers the state that this leads to.
func (l *Ledger) ReadyCampaign(ctx context.Context, sender, id, owner string, lines int64) (message.CampaignStatus, error) {
	r, err := l.run(ctx, campaignReadyScript, sender, id, owner, lines)
	if err != nil {
		return "", err
	}
	return message.CampaignStatus(r.text(1)), intakeError(r)
}

// LeaveCampaign says that whoever read its file has ended before the file did: another may go on at once.
func (l *Ledger) LeaveCampaign(ctx context.Context, sender, id, owner string) error {
	_, err := l.run(ctx, campaignLeaveScript, sender, id, owner)
	return err
}

// buckets is how many sets the numbers of a campaign are spread over; campaign_rows.lua has the same.
const buckets = 16384

// ForgetNumbers drops what told a campaign's rows apart.
func (l *Ledger) ForgetNumbers(ctx context.Context, sender, id string) error {
	key := campaignKey(sender, id)
	for from := 0; from < buckets; from += 1024 {
		keys := make([]string, 0, 2048)
		for i := range 1024 {
			n := strconv.Itoa(from + i)
			keys = append(keys, key+":n:"+n, key+":i:"+n)
		}
		if err := l.rdb.Unlink(ctx, keys...).Err(); err != nil {
			return fmt.Errorf("ledger forget numbers: %w", err)
		}
	}
	if err := l.rdb.HDel(ctx, key, "sn").Err(); err != nil {
		return fmt.Errorf("ledger forget numbers: %w", err)
	}
	return nil
}

// SteerError says why a campaign cannot be paused, resumed or cancelled.
type SteerError struct {
	Event  message.CampaignEvent
	Status message.CampaignStatus // that forbids it
	Held   string                 // why it goes on later, since its template is held; empty: it is not
}

func (e *SteerError) Error() string {
	switch {
	case e.Held != "":
		return e.Held + "; it goes on when that hold ends"
	case e.Status == message.CampaignIngesting:
		return "its rows are still being read: nothing is sent before that; cancel it, or pause it afterwards"
	}
	return fmt.Sprintf("it is %s, and cannot %s", e.Status, e.Event)
}

// SteerCampaign pauses, resumes or cancels. Doing so again is no error. Nothing is claimed any more once a pause or a cancellation has
// returned; what is on the wire then is still recorded.
func (l *Ledger) SteerCampaign(ctx context.Context, sender, id string, e message.CampaignEvent, why, by string) (message.CampaignStatus, error) {
	return l.steer(ctx, sender, id, string(e), e, why, by)
}

// AbandonCampaign cancels a campaign whose rows are still being read. Once all were read its error is *SteerError.
func (l *Ledger) AbandonCampaign(ctx context.Context, sender, id, why string) (message.CampaignStatus, error) {
	return l.steer(ctx, sender, id, "abandon", message.CampaignCancel, why, "")
}

func (l *Ledger) steer(ctx context.Context, sender, id, how string, e message.CampaignEvent, why, by string) (message.CampaignStatus, error) {
	if !message.ValidID(id) {
		return "", ErrNoCampaign
	}
	r, err := l.run(ctx, campaignSteerScript, sender, id, how, oneLine(why), oneLine(by))
	if err != nil {
		return "", err
	}
	switch r.text(0) {
	case "ok":
		return message.CampaignStatus(r.text(1)), nil
	case "gone":
		return "", ErrNoCampaign
	case "held":
		return message.CampaignPaused, &SteerError{Event: e, Held: r.text(1)}
	case "reading":
		return "", &SteerError{Event: e, Status: message.CampaignIngesting}
	}
	return message.CampaignStatus(r.text(1)), &SteerError{Event: e, Status: message.CampaignStatus(r.text(1))}
}

// Expansion makes messages of some rows of a chunk.
type Expansion struct {
	Sender, ID string
	Zone       string   // of the track that they are on
	From, To   Position // where they are looked for: behind them all, the track goes on at To
	Rate       float64
	Messages   []message.Message
	Lines      []string // the ids that follow from their lines, should a message's own be taken
}

// ExpandCampaign makes messages of rows, if they are the next ones and the campaign runs; moved says that they are not or it does not.
// It answers those that need a task, in any order; doing so again is harmless.
func (l *Ledger) ExpandCampaign(ctx context.Context, q Expansion) (tasks []message.Task, moved bool, err error) {
	if len(q.Messages) == 0 {
		return nil, false, nil
	}
	first := q.Messages[0]
	template := first.Content.TemplateID()
	args := []any{
		q.ID, q.Zone, q.From.Chunk, q.From.Row, q.To.Chunk, q.To.Row, len(q.Messages), strconv.FormatFloat(q.Rate, 'f', -1, 64), template, string(first.Priority),
		millis(first.ExpiresAt), string(first.OnInDoubt), l.cfg.Expiry[first.Priority].Milliseconds(),
	}
	for i, m := range q.Messages {
		content, err := packContent(m.Content)
		if err != nil {
			return nil, false, fmt.Errorf("message %s: content cannot be written: %w", m.ID, err)
		}
		args = append(args, m.ID, q.Lines[i], m.To, otherForm(m.To), content)
	}
	r, err := l.run(ctx, campaignExpandScript, q.Sender, args...)
	if err != nil || r.text(0) != "ok" {
		return nil, true, err
	}
	for _, t := range r.list(1) {
		tasks = append(tasks, message.Task{Sender: q.Sender, ID: t.text(0), Generation: 1, To: message.MaskNumber(t.text(1)), Template: template})
	}
	return tasks, false, nil
}

// CampaignLook is what an expander finds.
type CampaignLook struct {
	Leader    bool // false: another owner expands this sender's campaigns
	Now       time.Time
	Campaigns []Campaign
}

// LookAtCampaigns renews the expander's lease, does what time or a held template asks for, and tells of all campaigns that are not over.
func (l *Ledger) LookAtCampaigns(ctx context.Context, sender, owner string, lease time.Duration) (CampaignLook, error) {
	kept := l.cfg.Retention + l.cfg.DeadRetention + 24*time.Hour // longer than any of its records, which are counted in it
	r, err := l.run(ctx, campaignLookScript, sender, owner, lease.Milliseconds(), l.cfg.Retention.Milliseconds(), kept.Milliseconds())
	if err != nil || r.text(0) != "ok" {
		return CampaignLook{}, err
	}
	look := CampaignLook{Leader: true, Now: fromMillis(r.number(2))}
	for _, row := range r.list(1) {
		look.Campaigns = append(look.Campaigns, parseCampaign(sender, row))
	}
	return look, nil
}

// NoteWindow notes when messages of a campaign in a zone may be sent, and when again. No zone: all of them.
func (l *Ledger) NoteWindow(ctx context.Context, c Campaign, zone string, opens, closes, reopens time.Time) error {
	err := l.rdb.HSet(ctx, trackKey(c.Sender, c.ID, zone), "wo", millis(opens), "wc", millis(closes), "wn", millis(reopens)).Err()
	if err != nil {
		return fmt.Errorf("ledger window: %w", err)
	}
	return nil
}

// ClearCampaign takes messages of a cancelled campaign back, and notes how far back that is.
func (l *Ledger) ClearCampaign(ctx context.Context, sender, id string, from Position, done bool, ids [][2]string) (int, error) {
	args := []any{id, from.Chunk, from.Row, flag(done)}
	for _, pair := range ids {
		args = append(args, pair[0], pair[1])
	}
	r, err := l.run(ctx, campaignClearScript, sender, args...)
	return int(r.number(0)), err
}

// CampaignRows reads the rows of a chunk. ErrNoCampaign if there is no such chunk, or no longer.
func (l *Ledger) CampaignRows(ctx context.Context, sender, id string, chunk int64) ([]string, error) {
	return l.campaignChunk(ctx, campaignKey(sender, id)+":rows", chunk)
}

// CampaignRejections reads a chunk of those that AddRows was told of. ErrNoCampaign as for CampaignRows.
func (l *Ledger) CampaignRejections(ctx context.Context, sender, id string, chunk int64) ([]string, error) {
	return l.campaignChunk(ctx, campaignKey(sender, id)+":rejects", chunk)
}

func (l *Ledger) campaignChunk(ctx context.Context, key string, chunk int64) ([]string, error) {
	packed, err := l.rdb.HGet(ctx, key, strconv.FormatInt(chunk, 10)).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, ErrNoCampaign
	}
	if err != nil {
		return nil, fmt.Errorf("ledger rows: %w", err)
	}
	return UnpackChunk(packed)
}

// Campaigns tells of all campaigns of a sender, oldest first.
func (l *Ledger) Campaigns(ctx context.Context, sender string) ([]Campaign, error) {
	ids, err := l.rdb.ZRange(ctx, prefix(sender)+"campaigns", 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("ledger campaigns: %w", err)
	}
	return l.showAll(ctx, sender, ids)
}

// showAll tells of any number of campaigns, a hundred in a round trip.
func (l *Ledger) showAll(ctx context.Context, sender string, ids []string) ([]Campaign, error) {
	var all []Campaign
	for len(ids) > 0 {
		n := min(100, len(ids))
		some, err := l.showCampaigns(ctx, sender, ids[:n]...)
		if err != nil {
			return nil, err
		}
		all, ids = append(all, some...), ids[n:]
	}
	return all, nil
}

// OpenCampaigns lists those that are not over.
func (l *Ledger) OpenCampaigns(ctx context.Context, sender string) ([]Campaign, error) {
	ids, err := l.rdb.ZRange(ctx, prefix(sender)+"campaigns:open", 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("ledger campaigns: %w", err)
	}
	return l.showAll(ctx, sender, ids)
}

// GetCampaign tells of one. ErrNoCampaign if there is none.
func (l *Ledger) GetCampaign(ctx context.Context, sender, id string) (Campaign, error) {
	if !message.ValidID(id) { // "spring:rows" would be another key of spring's
		return Campaign{}, ErrNoCampaign
	}
	found, err := l.showCampaigns(ctx, sender, id)
	if err != nil {
		return Campaign{}, err
	}
	if len(found) == 0 {
		return Campaign{}, ErrNoCampaign
	}
	return found[0], nil
}

func (l *Ledger) showCampaigns(ctx context.Context, sender string, ids ...string) ([]Campaign, error) {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	r, err := l.run(ctx, campaignShowScript, sender, args...)
	if err != nil {
		return nil, err
	}
	out := make([]Campaign, 0, len(ids))
	for i := range r {
		if row, ok := r[i].([]any); ok {
			c := parseCampaign(sender, row)
			if since := l.now().Sub(fromMillis(c.sampled)).Seconds(); c.sampled > 0 && since >= 1 && !c.Status.Ended() {
				c.RateNow = max(0, float64(c.Rows-c.Unsettled()-c.sampledDone)/since)
			}
			out = append(out, c)
		}
	}
	return out, nil
}

// CampaignMessage is what became of a row.
type CampaignMessage struct {
	ID        string
	Status    message.Status // empty: it is no message yet, or no longer kept
	Code      string
	MessageID string
	Reason    string
	Attempts  int
	UpdatedAt time.Time
}

// CampaignMessages tells what became of rows: of each its message's id, and the id that follows from its line.
func (l *Ledger) CampaignMessages(ctx context.Context, sender, id string, ids [][2]string) ([]CampaignMessage, error) {
	args := []any{id}
	for _, pair := range ids {
		args = append(args, pair[0], pair[1])
	}
	r, err := l.run(ctx, campaignMessagesScript, sender, args...)
	if err != nil {
		return nil, err
	}
	out := make([]CampaignMessage, 0, len(ids))
	for i := range r {
		if row, ok := r[i].([]any); ok {
			m := reply(row)
			out = append(out, CampaignMessage{
				ID: m.text(0), Status: message.Status(m.text(1)), Code: m.text(2), MessageID: m.text(3), Reason: m.text(4),
				Attempts: int(m.number(5)), UpdatedAt: fromMillis(m.number(6)),
			})
		}
	}
	return out, nil
}
