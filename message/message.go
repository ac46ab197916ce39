// Package message is the contract that producers, workers and the ledger share: what a message is, which states it can be in,
// which steps between them are legal, and how its asynq task looks. It decides nothing and reads nothing.
package message

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gupdispatch/gupdispatch/gupshup"
)

// Limits on what a caller may hand over. They keep one record small; they are ours, not Gupshup's.
const (
	MaxIDLength       = 64
	MaxMetadataKeys   = 20
	MaxMetadataLength = 1024 // bytes of all keys and values together
	MaxContentLength  = 64 << 10
)

// OnInDoubt says what to do with a message when nobody knows whether Gupshup took it.
type OnInDoubt string

// The two answers to doubt. The empty value leaves it to the configuration.
const (
	Resend OnInDoubt = "resend" // rather twice than not at all
	Hold   OnInDoubt = "hold"   // rather not at all than twice: dead-letter it, a person decides
)

// Message is what an application server hands over: one WhatsApp message to one number, from one configured sender.
type Message struct {
	ID        string            // unique per sender, [A-Za-z0-9._-]{1,64}; made by the producer if empty
	Sender    string            // name of a configured sender
	To        string            // international number; digits only once Normalise has passed
	Priority  Priority          // Default if empty
	Content   gupshup.Content   // a session message or a template
	Fallback  gupshup.Content   // a template, sent instead of a session message; see below
	SendAt    time.Time         // not before; zero means now
	ExpiresAt time.Time         // not after; zero means the priority's own limit
	OnInDoubt OnInDoubt         // empty means the sender's setting
	Metadata  map[string]string // the caller's own, given back with the message's story
	Trace     string            // of the trace that it is part of, as the ledger keeps it; set by the producer, and no part of the API's object

	// Of Fallback: WhatsApp delivers a session message only within 24 hours after its recipient wrote to the sender. When the sender's
	// check_session is on and the recipient has no such open session at the moment of sending, the fallback is sent in place of
	// Content; without one the message is dead with the code NO_SESSION. With check_session off it is never used.
}

// wire is the JSON shape of a Message: the API's message object.
type wire struct {
	Fallback  *gupshup.Content  `json:"fallback,omitempty"`
	ID        string            `json:"id,omitempty"`
	Sender    string            `json:"sender"`
	To        string            `json:"to"`
	Priority  Priority          `json:"priority,omitempty"`
	SendAt    *time.Time        `json:"send_at,omitempty"`
	ExpiresAt *time.Time        `json:"expires_at,omitempty"`
	OnInDoubt OnInDoubt         `json:"on_in_doubt,omitempty"`
	Metadata  map[string]string `json:"metadata,omitempty"`
}

// contentKeys are the keys of the message object that belong to its gupshup.Content.
var contentKeys = []string{"message", "template", "media", "postback_texts", "disable_preview", "encode"}

// MarshalJSON writes the API's message object.
func (m Message) MarshalJSON() ([]byte, error) {
	content, err := json.Marshal(m.Content)
	if err != nil {
		return nil, err
	}
	rest, err := json.Marshal(wire{
		ID: m.ID, Sender: m.Sender, To: m.To, Priority: m.Priority, OnInDoubt: m.OnInDoubt, Metadata: m.Metadata,
		SendAt: optionalTime(m.SendAt), ExpiresAt: optionalTime(m.ExpiresAt), Fallback: m.optionalFallback(),
	})
	if err != nil {
		return nil, err
	}
	if len(content) <= len("{}") {
		return rest, nil
	}
	rest[len(rest)-1] = ','
	return append(rest, content[1:]...), nil
}

// UnmarshalJSON reads the API's message object. A key it does not know is an error that names the key.
func (m *Message) UnmarshalJSON(raw []byte) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(raw, &keys); err != nil {
		return fmt.Errorf("not a message object: %w", err)
	}
	content := map[string]json.RawMessage{}
	for _, k := range contentKeys {
		if v, ok := keys[k]; ok {
			content[k] = v
			delete(keys, k)
		}
	}
	fallback, err := decodeFallback(keys[fallbackKey])
	if err != nil {
		return err
	}
	delete(keys, fallbackKey)
	rest, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	var w wire
	dec := json.NewDecoder(bytes.NewReader(rest))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&w); err != nil {
		return fieldErrors(err, keys)
	}
	*m = Message{
		ID: w.ID, Sender: w.Sender, To: w.To, Priority: w.Priority, OnInDoubt: w.OnInDoubt, Metadata: w.Metadata, Fallback: fallback,
	}
	if w.SendAt != nil {
		m.SendAt = *w.SendAt
	}
	if w.ExpiresAt != nil {
		m.ExpiresAt = *w.ExpiresAt
	}
	if len(content) == 0 {
		return nil
	}
	body, err := json.Marshal(content)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, &m.Content)
}

func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Normalise fills what was left out and brings the rest into its one form: an id, a priority, digits only in To, times in UTC
// to the millisecond. region is the ISO region in which a national number is read; empty takes international numbers only.
// The error, if any, is gupshup.FieldErrors and names every field that is wrong.
func (m *Message) Normalise(region string, now time.Time) error {
	var problems gupshup.FieldErrors
	bad := func(field, format string, args ...any) {
		problems = append(problems, gupshup.FieldError{Field: field, Problem: fmt.Sprintf(format, args...)})
	}
	if m.ID == "" {
		m.ID = NewID()
	} else if !ValidID(m.ID) {
		bad("id", "must be 1 to %d of the characters A-Z a-z 0-9 . _ -", MaxIDLength)
	}
	if m.Sender == "" {
		bad("sender", "is missing: name one of the configured senders")
	}
	if to, err := NormaliseNumber(m.To, region); err != nil {
		bad("to", "%s", err)
	} else {
		m.To = to
	}
	if p, err := ParsePriority(string(m.Priority)); err != nil {
		bad("priority", "%s", err)
	} else {
		m.Priority = p
	}
	switch m.OnInDoubt {
	case "", Resend, Hold:
	default:
		bad("on_in_doubt", "must be resend or hold")
	}
	m.SendAt, m.ExpiresAt = inMilliseconds(m.SendAt), inMilliseconds(m.ExpiresAt)
	if !m.ExpiresAt.IsZero() && !m.ExpiresAt.After(now) {
		bad("expires_at", "is in the past")
	}
	if !m.ExpiresAt.IsZero() && m.ExpiresAt.Before(m.SendAt) {
		bad("expires_at", "is before send_at")
	}
	if size := metadataSize(m.Metadata); len(m.Metadata) > MaxMetadataKeys || size > MaxMetadataLength {
		bad("metadata", "has %d keys and %d bytes; at most %d and %d", len(m.Metadata), size, MaxMetadataKeys, MaxMetadataLength)
	}
	m.Content.Template, m.Fallback.Template = lowerID(m.Content.Template), lowerID(m.Fallback.Template)
	problems = append(problems, contentProblems(m.Content)...)
	if raw, err := json.Marshal(m.Content); err == nil && len(raw) > MaxContentLength {
		bad("content", "has %d bytes; at most %d", len(raw), MaxContentLength)
	}
	problems = append(problems, fallbackProblems(m.Content, m.Fallback)...)
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// lowerID writes a template's UUID as everything that compares it does, such as holds.
func lowerID(t *gupshup.Template) *gupshup.Template {
	if t == nil || t.ID == strings.ToLower(t.ID) {
		return t
	}
	lower := *t
	lower.ID = strings.ToLower(t.ID)
	return &lower
}

func contentProblems(c gupshup.Content) gupshup.FieldErrors {
	if err := c.Validate(); err != nil {
		var fields gupshup.FieldErrors
		if errors.As(err, &fields) {
			return fields
		}
		return gupshup.FieldErrors{{Field: "content", Problem: err.Error()}}
	}
	return nil
}

func inMilliseconds(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Millisecond)
}

func metadataSize(md map[string]string) (n int) {
	for k, v := range md {
		n += len(k) + len(v)
	}
	return n
}

// Fingerprint tells whether two messages with the same id are the same message. It covers everything the caller said,
// and nothing that we filled in later (such as a default expiry). 16 characters. Call it after Normalise.
func (m Message) Fingerprint() (string, error) {
	h := sha256.New()
	enc := json.NewEncoder(h)
	keys := slices.Sorted(maps.Keys(m.Metadata))
	said := []any{m.To, m.Priority, m.Content, m.SendAt.UnixMilli(), m.ExpiresAt.UnixMilli(), m.OnInDoubt, keys}
	if m.HasFallback() { // appended only then: messages without one keep the fingerprints that are in Redis already
		said = append(said, m.Fallback)
	}
	if err := enc.Encode(said); err != nil {
		return "", err
	}
	for _, k := range keys {
		if err := enc.Encode(m.Metadata[k]); err != nil {
			return "", err
		}
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:12]), nil
}

// NewID makes an id that no other message has: 26 characters, 128 random bits.
func NewID() string { return rand.Text() }

// ValidID says whether id may name a message.
func ValidID(id string) bool {
	if id == "" || len(id) > MaxIDLength {
		return false
	}
	for _, c := range []byte(id) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}
