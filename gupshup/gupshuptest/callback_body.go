package gupshuptest

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"strconv"
	"time"
)

// journey is an accepted message on its way, as far as its callbacks tell of it.
type journey struct {
	seed        uint64
	seq         uint64
	messageID   string
	app         string
	source      string
	destination string
	template    bool
	at          time.Time // of the acceptance
	code        string    // of a failure
	v3          bool
	callbacks   *Callbacks // for the scale of time
}

// body writes the callback of a step. It is the same each time, so a duplicate
// and a redelivery are byte for byte what came before.
func (j *journey) body(s step) []byte {
	if j.v3 {
		return encode(j.v3Body(s))
	}
	return encode(j.v2Body(s))
}

// encode writes JSON; what is written here always can be.
func encode(v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic("gupshuptest: callback: " + err.Error())
	}
	return body
}

// envelope is what all version 2 callbacks have in common. The app's phone is
// in newer samples only, its id in those of a preference.
type envelope struct {
	App       string `json:"app"`
	Phone     string `json:"phone,omitempty"`
	AppID     string `json:"appId,omitempty"`
	Timestamp int64  `json:"timestamp"` // ms
	Version   int    `json:"version"`
	Type      string `json:"type"`
	Payload   any    `json:"payload"`
}

// receiptPayload is the payload of a message-event.
type receiptPayload struct {
	ID           string        `json:"id"`
	GsID         string        `json:"gsId,omitempty"`
	Type         string        `json:"type"`
	Destination  string        `json:"destination"`
	Payload      any           `json:"payload"`
	Conversation *conversation `json:"conversation,omitempty"`
	Pricing      *pricing      `json:"pricing,omitempty"`
}

type enqueuedPayload struct {
	WhatsAppID string `json:"whatsappMessageId"`
	Type       string `json:"type"` // session or template
}

type failedPayload struct {
	Code   any    `json:"code"` // a number, or a string
	Reason string `json:"reason"`
}

type timePayload struct {
	Ts int64 `json:"ts"` // s
}

type conversation struct {
	ID        string `json:"id"`
	ExpiresAt int64  `json:"expiresAt"` // s
	Type      string `json:"type"`
}

type pricing struct {
	Policy   string `json:"policy"`
	Category string `json:"category"`
}

type billingPayload struct {
	Deductions deductions `json:"deductions"`
	References references `json:"references"`
}

type deductions struct {
	Type     string `json:"type"`
	Model    string `json:"model"`
	Source   string `json:"source"`
	Billable bool   `json:"billable"`
	Category string `json:"category"`
}

type references struct {
	ID          string `json:"id"`
	GsID        string `json:"gsId,omitempty"`
	Destination string `json:"destination"`
}

// v2Body is a message-event or a billing-event.
func (j *journey) v2Body(s step) envelope {
	e := envelope{
		App: j.app, Phone: j.source, Timestamp: j.moment(s.stamped).UnixMilli(), Version: 2,
		Type: "message-event", Payload: j.receipt(s),
	}
	if s.event == stepBilling {
		e.Type = "billing-event"
		e.Payload = billingPayload{
			Deductions: deductions{Type: "regular", Model: "PMP", Source: "whatsapp", Billable: true, Category: j.category()},
			References: references{ID: j.whatsAppID(s), GsID: j.gsID(s), Destination: j.destination},
		}
	}
	return e
}

// receipt is the payload of a message-event. Which id is where differs by
// event: enqueued and a failure of Gupshup's have only Gupshup's, as "id".
func (j *journey) receipt(s step) receiptPayload {
	p := receiptPayload{ID: j.whatsAppID(s), GsID: j.gsID(s), Type: s.event, Destination: j.destination}
	switch Outcome(s.event) {
	case OutcomeEnqueued:
		p.ID, p.GsID = j.messageID, ""
		p.Payload = enqueuedPayload{WhatsAppID: j.whatsAppID(s), Type: j.kind()}
	case OutcomeFailed:
		if failsAtOnce(j.code) {
			p.ID, p.GsID = j.messageID, ""
		}
		p.Payload = failedPayload{Code: j.codeValue(s), Reason: codeMeaning(j.code)}
	case OutcomeSent:
		p.Payload = timePayload{j.moment(s.happened).Unix()}
		p.Pricing = &pricing{Policy: "PMP", Category: j.category()}
		if s.conversed {
			p.Conversation = &conversation{
				ID:        makeUUID(j.seed, streamConversation, j.seq),
				ExpiresAt: j.at.Add(24 * time.Hour).Unix(), Type: j.category(),
			}
		}
	default:
		p.Payload = timePayload{j.moment(s.happened).Unix()}
	}
	return p
}

// moment is a time of the journey on the simulator's clock.
func (j *journey) moment(d time.Duration) time.Time { return j.at.Add(j.callbacks.scaled(d)) }

// gsID is Gupshup's id, unless this callback leaves it out.
func (j *journey) gsID(s step) string {
	if s.noGsID {
		return ""
	}
	return j.messageID
}

// whatsAppID is the id that WhatsApp gave the message: "wamid." and base64, or a
// UUID that looks just like Gupshup's.
func (j *journey) whatsAppID(s step) string {
	if s.uuid {
		return makeUUID(j.seed, streamWhatsApp, j.seq)
	}
	return wamid(j.seed, streamWhatsApp, j.seq)
}

// wamid makes the n-th id of a stream in the form of the Cloud API's.
func wamid(seed, stream, n uint64) string {
	var raw [24]byte
	for i := range 3 {
		binary.BigEndian.PutUint64(raw[8*i:], draw(seed, stream, 3*n+uint64(i)))
	}
	return "wamid.HBgM" + base64.StdEncoding.EncodeToString(raw[:])
}

// codeValue is the failure's code as a number or a string.
func (j *journey) codeValue(s step) any {
	if s.stringCode {
		return j.code
	}
	number, err := strconv.Atoi(j.code)
	if err != nil { // isCode has seen to it
		return j.code
	}
	return number
}

// kind is what enqueued calls the message.
func (j *journey) kind() string {
	if j.template {
		return "template"
	}
	return "session"
}

// category is what the message costs. Which of the three paid ones a template
// has is not known here.
func (j *journey) category() string {
	if j.template {
		return "utility"
	}
	return "service"
}
