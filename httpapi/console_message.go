package httpapi

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/view"
)

// story is a message as its page shows it.
type story struct {
	view.Message
	Chapters  []view.Chapter
	Template  string
	Advice    string
	LeftAlone string // why a dead letter would not be replayed
	InDoubt   bool
	CanCancel bool
}

// search is the page without a message.
type search struct {
	Asked   string
	Senders []string // several have a message with this id
	Story   *story
}

// messagePage tells the story of a message, by either id.
func (c *console) messagePage(r *http.Request, d *consoleData) error {
	d.Title = "Find a message"
	asked := strings.TrimSpace(r.URL.Query().Get("id"))
	found := search{Asked: asked}
	d.Body = &found
	if asked == "" {
		return nil
	}
	rec, err := c.api.find(r.Context(), MessageRef{ID: asked, Sender: r.URL.Query().Get("sender")})
	var p *problem
	if errors.As(err, &p) && len(p.Senders) > 0 {
		found.Senders = p.Senders
		return nil
	}
	if err != nil {
		return err
	}
	v := view.MessageOf(rec, false)
	v.Reason = maskNumbers(v.Reason)
	s := &story{
		Message: v, Chapters: view.Story(v), Template: rec.Content.TemplateID(), InDoubt: v.Code == codeInDoubt,
		CanCancel: v.Status == message.Queued,
	}
	if v.Status == message.Dead {
		reasons, err := c.api.leftAlone(r.Context(), []ledger.Record{rec})
		if err != nil {
			return err
		}
		s.LeftAlone = reasons[0]
	}
	if v.Status == message.Dead || v.Status == message.Queued && v.Class != "" {
		s.Advice = view.Advice(v.Class, v.Status == message.Dead && s.LeftAlone == "")
	}
	d.Title, d.Live, found.Story = "Message "+v.ID, true, s
	return nil
}

// messageAddress is the page of a message.
func messageAddress(sender, id string) string {
	return "/message?" + url.Values{"sender": {sender}, "id": {id}}.Encode()
}

func cancelsMessage(r *http.Request) act {
	return act{name: "message.cancel", target: r.PostForm.Get("sender") + " " + r.PostForm.Get("id")}
}

func (c *console) cancelMessage(ctx context.Context, r *http.Request, _ account, done *act) error {
	sender, id := r.PostForm.Get("sender"), r.PostForm.Get("id")
	if err := c.api.known(sender); err != nil {
		return err
	}
	err := c.api.Ledger.Cancel(ctx, sender, id)
	var late *ledger.TooLateError
	if errors.As(err, &late) {
		return refused(http.StatusConflict, "Not cancelled: "+late.Error()+".")
	}
	if err != nil {
		return err
	}
	done.said, done.next = "The message is cancelled: it is not sent.", messageAddress(sender, id)
	return nil
}

// maxShownEntries is how much of the audit log the page shows.
const maxShownEntries = 200

// auditPage shows the audit log.
func (c *console) auditPage(r *http.Request, d *consoleData) error {
	d.Title, d.Live = "Audit log", true
	user, action := r.URL.Query().Get("user"), r.URL.Query().Get("action")
	entries, err := c.audit.read(r.Context(), user, action, maxShownEntries)
	if err != nil {
		return err
	}
	d.Body = struct {
		User, Action string
		Entries      []view.AuditEntry
		Most         int
	}{user, action, entries, maxShownEntries}
	return nil
}

// timeOfDay is a time of day in UTC, with the date if it is not today's.
func timeOfDay(now time.Time, at view.Stamp) string {
	if at.IsZero() {
		return "-"
	}
	t, today := time.Time(at).UTC(), now.UTC()
	if t.YearDay() == today.YearDay() && t.Year() == today.Year() {
		return t.Format("15:04:05")
	}
	return t.Format("2 Jan 2006 15:04")
}
