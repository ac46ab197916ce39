package gupshuptest

import (
	"hash/fnv"
	"strconv"
)

// v3Envelope is a callback of a version 3 subscription: Meta's, with the app's
// id and "gs_id" added.
type v3Envelope struct {
	Object string    `json:"object"`
	AppID  string    `json:"gs_app_id"`
	Entry  []v3Entry `json:"entry"`
}

type v3Entry struct {
	ID      string     `json:"id"`
	Changes []v3Change `json:"changes"`
}

type v3Change struct {
	Field string `json:"field"`
	Value any    `json:"value"`
}

type v3Value struct {
	Product         string         `json:"messaging_product"`
	Metadata        v3Metadata     `json:"metadata"`
	Contacts        []v3Contact    `json:"contacts,omitempty"`
	Statuses        []v3Status     `json:"statuses,omitempty"`
	Messages        []any          `json:"messages,omitempty"`
	UserPreferences []v2Preference `json:"user_preferences,omitempty"`
}

type v3Metadata struct {
	Number string `json:"display_phone_number"`
	ID     string `json:"phone_number_id"`
}

type v3Contact struct {
	Profile v3Profile `json:"profile"`
	WaID    string    `json:"wa_id"`
}

type v3Profile struct {
	Name string `json:"name"`
}

type v3Status struct {
	GsID         string          `json:"gs_id,omitempty"`
	ID           string          `json:"id"`
	Recipient    string          `json:"recipient_id"`
	Status       string          `json:"status"`
	Timestamp    any             `json:"timestamp"` // enqueued, which Gupshup adds: a number of ms; else a string of s
	Errors       []v3Error       `json:"errors,omitempty"`
	Conversation *v3Conversation `json:"conversation,omitempty"`
	Pricing      *v3Pricing      `json:"pricing,omitempty"`
}

type v3Error struct {
	Code  any    `json:"code"`
	Title string `json:"title"`
	Href  string `json:"href"`
}

type v3Conversation struct {
	ID     string   `json:"id"`
	Origin v3Origin `json:"origin"`
}

type v3Origin struct {
	Type string `json:"type"`
}

type v3Pricing struct {
	Billable bool   `json:"billable"`
	Category string `json:"category"`
	Model    string `json:"pricing_model"`
	Type     string `json:"type"`
}

// v3Body is a status.
func (j *journey) v3Body(s step) v3Envelope {
	status := v3Status{
		GsID: j.gsID(s), ID: j.whatsAppID(s), Recipient: j.destination, Status: s.event,
		Timestamp: strconv.FormatInt(j.moment(s.happened).Unix(), 10),
	}
	switch Outcome(s.event) {
	case OutcomeEnqueued:
		status.GsID = j.messageID
		status.Timestamp = j.moment(s.stamped).UnixMilli()
	case OutcomeFailed:
		if failsAtOnce(j.code) { // WhatsApp has never seen it
			status.GsID, status.ID = j.messageID, j.messageID
		}
		status.Errors = []v3Error{{
			Code: j.codeValue(s), Title: codeMeaning(j.code),
			Href: "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
		}}
	case OutcomeSent:
		status.Pricing = &v3Pricing{Billable: true, Category: j.category(), Model: "PMP", Type: "regular"}
		if s.conversed {
			status.Conversation = &v3Conversation{
				ID: makeUUID(j.seed, streamConversation, j.seq), Origin: v3Origin{j.category()},
			}
		}
	}
	return v3Message(j.app, j.source, "messages", v3Value{Statuses: []v3Status{status}})
}

// v3Message wraps one change.
func v3Message(app, source, field string, value v3Value) v3Envelope {
	value.Product = "whatsapp"
	value.Metadata = v3Metadata{Number: source, ID: numericID(app, source, "number")}
	return v3Envelope{
		Object: "whatsapp_business_account", AppID: appID(app),
		Entry: []v3Entry{{ID: numericID(app, source, "account"), Changes: []v3Change{{Field: field, Value: value}}}},
	}
}

// appID is the id of an app, always the same for the same name.
func appID(app string) string { return makeUUID(hashOf(app), streamApp, 0) }

// numericID is an id in the form of Meta's, always the same for the same parts.
func numericID(parts ...string) string {
	return strconv.FormatUint(100_000_000_000_000+hashOf(parts...)%900_000_000_000_000, 10)
}

func hashOf(parts ...string) uint64 {
	h := fnv.New64a()
	for _, part := range parts {
		_, _ = h.Write([]byte(part)) // never fails
		_, _ = h.Write([]byte{0})
	}
	return h.Sum64()
}
