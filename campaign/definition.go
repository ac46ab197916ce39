package campaign

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/message"
)

// MaxIDLength bounds a campaign's id: the ids of its messages are made of it and of their line.
const MaxIDLength = 48

// Definition is what a campaign sends, and when. It does not change once rows are taken in.
type Definition struct {
	ID       string            `json:"id"`
	Sender   string            `json:"sender"`
	Template string            `json:"template"`
	Params   []string          `json:"params,omitempty"` // texts, in which {column} stands for what a row has there
	Media    json.RawMessage   `json:"media,omitempty"`  // of the template's header; strings in it may hold {column} as well
	Priority message.Priority  `json:"priority"`
	Rate     float64           `json:"rate,omitempty"` // messages per second, below the sender's; 0: as fast as the sender
	StartAt  time.Time         `json:"start_at,omitzero"`
	Expires  time.Time         `json:"expires_at,omitzero"`
	Window   string            `json:"window,omitempty"` // such as 09:00-21:00: when messages may go; "": always
	Zone     string            `json:"zone,omitempty"`   // of the window, such as Asia/Kolkata; "": UTC; ByRecipient: each number's own
	InDoubt  message.OnInDoubt `json:"on_in_doubt,omitempty"`
}

// Sender is what a campaign has to know of its sender.
type Sender struct {
	Name            string
	Region          string  // in which national numbers are read; empty takes international ones only
	Timezone        string  // of a window that names none
	Rate            float64 // messages per second
	DailyRecipients int     // within 24 hours; 0: any number
}

// Complete fills in what a definition leaves to its sender, and does what Normalise does.
func (s Sender) Complete(d *Definition, now time.Time) error {
	d.Sender = s.Name
	if d.Zone == "" && d.Window != "" {
		d.Zone = s.Timezone
	}
	err := d.Normalise(now)
	var problems gupshup.FieldErrors
	if err != nil && !errors.As(err, &problems) {
		return err
	}
	if d.Rate > s.Rate {
		problems = append(problems, gupshup.FieldError{Field: "rate", Problem: fmt.Sprintf("is above the sender's own, %v: leave it out, or write less", s.Rate)})
	}
	if d.zoneProblem() == nil && d.Zone != "" && d.Window == "" {
		problems = append(problems, gupshup.FieldError{Field: "timezone", Problem: "is that of a window, and there is none: write one, or leave it out"})
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// zoneProblem says what is wrong with the zone.
func (d *Definition) zoneProblem() error {
	switch {
	case d.Zone == ByRecipient:
		return nil
	case strings.Contains(d.Zone, ","):
		return errors.New("is several zones: write one, such as Asia/Kolkata, or recipient for that of each number")
	}
	_, err := ParseWindow("", d.Zone)
	return err
}

// WindowIn is when recipients in a zone may be sent to; its own zone counts, unless that is ByRecipient.
func (d *Definition) WindowIn(zone string) (Window, error) {
	if d.Zone != ByRecipient {
		zone = d.Zone
	}
	return ParseWindow(d.Window, zone)
}

// NewID makes an id for a campaign that has none.
func NewID() string { return "c" + strings.ToLower(message.NewID()[:15]) }

// Normalise fills in what was left out and checks the rest. Its error is gupshup.FieldErrors.
func (d *Definition) Normalise(now time.Time) error {
	var problems gupshup.FieldErrors
	bad := func(field, format string, args ...any) {
		problems = append(problems, gupshup.FieldError{Field: field, Problem: fmt.Sprintf(format, args...)})
	}
	if d.ID == "" {
		d.ID = NewID()
	}
	if !message.ValidID(d.ID) || len(d.ID) > MaxIDLength {
		bad("id", "must be 1 to %d of the characters A-Z a-z 0-9 . _ -", MaxIDLength)
	}
	if d.Sender == "" {
		bad("sender", "is missing: name one of the configured senders")
	}
	if d.Priority == "" {
		d.Priority = message.Bulk
	}
	if _, err := message.ParsePriority(string(d.Priority)); err != nil {
		bad("priority", "%s", err)
	}
	if d.Rate < 0 || d.Rate != d.Rate {
		bad("rate", "must be messages per second, above 0")
	}
	if err := d.zoneProblem(); err != nil {
		bad("timezone", "%s", err)
	} else if _, err := d.WindowIn(""); err != nil {
		bad("window", "%s", err)
	}
	switch d.InDoubt {
	case "", message.Resend, message.Hold:
	default:
		bad("on_in_doubt", "must be resend or hold")
	}
	d.StartAt, d.Expires = d.StartAt.UTC().Truncate(time.Millisecond), d.Expires.UTC().Truncate(time.Millisecond)
	if !d.Expires.IsZero() && (!d.Expires.After(now) || d.Expires.Before(d.StartAt)) {
		bad("expires_at", "must lie ahead, and behind start_at")
	}
	if err := (gupshup.Template{ID: d.Template}).Validate(); err != nil {
		bad("template", "must be the template's UUID at Gupshup, not its name or Meta's number")
	}
	for i, p := range d.Params {
		switch {
		case strings.TrimSpace(p) == "":
			bad("params", "number %d is empty, and Meta refuses empty parameters", i+1)
		case strings.ContainsFunc(p, unicode.IsControl):
			bad("params", "number %d: %s", i+1, errControl)
		case strings.ContainsAny(placeholder.ReplaceAllString(p, ""), "{}"):
			bad("params", "number %d has a brace that belongs to no {column}: write the name of a column between two braces", i+1)
		}
	}
	if len(d.Media) > 0 {
		var v map[string]any
		if err := json.Unmarshal(d.Media, &v); err != nil {
			bad("media", "must be a JSON object such as {\"type\":\"image\",\"image\":{\"link\":\"{picture}\"}}")
		}
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// Encode is the definition as the ledger keeps it. Equal definitions are equal texts.
func (d Definition) Encode() (string, error) {
	raw, err := json.Marshal(d)
	return string(raw), err
}

// DecodeDefinition reads what Encode wrote.
func DecodeDefinition(text string) (d Definition, err error) {
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		return d, fmt.Errorf("the definition of a campaign cannot be read: %w", err)
	}
	return d, nil
}

// Form is a definition made ready to be filled in with rows.
type Form struct {
	Definition
	Columns []string // that rows have to have, besides to; a row's Values are in this order
	zones   zones
}

var placeholder = regexp.MustCompile(`\{([^{}"]+)\}`)

// NewForm finds the columns that a definition speaks of.
func NewForm(d Definition) *Form {
	f := &Form{Definition: d}
	for _, text := range append(slices.Clone(d.Params), string(d.Media)) {
		for _, found := range placeholder.FindAllStringSubmatch(text, -1) {
			if !slices.Contains(f.Columns, found[1]) {
				f.Columns = append(f.Columns, found[1])
			}
		}
	}
	return f
}

// fill puts a row's values into a text. escape is how they are written there.
func (f *Form) fill(text string, values []string, escape func(string) string) string {
	if !strings.Contains(text, "{") {
		return text
	}
	return placeholder.ReplaceAllStringFunc(text, func(found string) string {
		i := slices.Index(f.Columns, found[1:len(found)-1])
		if i < 0 || i >= len(values) {
			return ""
		}
		return escape(values[i])
	})
}

func plain(s string) string { return s }

func inJSON(s string) string {
	raw, _ := json.Marshal(s) // of a string it cannot fail
	return string(raw[1 : len(raw)-1])
}

// Message makes the message of a row.
func (f *Form) Message(r Row) (message.Message, error) {
	params := make([]string, len(f.Params))
	for i, p := range f.Params {
		params[i] = f.fill(p, r.Values, plain)
	}
	m := message.Message{
		ID: MessageID(f.ID, r), Sender: f.Sender, To: r.To, Priority: f.Priority, ExpiresAt: f.Expires, OnInDoubt: f.InDoubt,
		Content: gupshup.Content{Template: &gupshup.Template{ID: f.Template, Params: params}},
	}
	media := r.Media
	if media == "" && len(f.Media) > 0 {
		media = f.fill(string(f.Media), r.Values, inJSON)
	}
	if media == "" {
		return m, nil
	}
	var c gupshup.Content
	if err := json.Unmarshal([]byte(`{"media":`+media+`}`), &c); err != nil {
		return m, errMedia
	}
	m.Content.Media = c.Media
	return m, nil
}

var errMedia = errors.New("media: cannot be read; write it as Gupshup's template API has it, such as {\"type\":\"image\",\"image\":{\"link\":\"https://…\"}}")

// MessageID is the id of a row's message: the row's own, or the campaign's and the line.
func MessageID(campaign string, r Row) string {
	if r.ID != "" {
		return r.ID
	}
	return lineID(campaign, r.Line)
}

func lineID(campaign string, line int64) string { return fmt.Sprintf("%s.%d", campaign, line) }
