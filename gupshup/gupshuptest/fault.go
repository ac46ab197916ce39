package gupshuptest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind names one way to misbehave.
type Kind string

// The kinds. Those whose comment says "accepted" count the message as accepted
// before they misbehave; all others leave it unaccepted.
const (
	KindCode        Kind = "code"          // JSON error with Code, HTTP Status (default 400)
	KindHTTP        Kind = "http"          // Status (default 500) with a Body of json, html, text or empty
	Kind401Nested   Kind = "401_nested"    // 401 whose "message" is an object
	Kind401Text     Kind = "401_text"      // 401 in plain text
	KindReason      Kind = "reason"        // JSON error with "reason" instead of "message", Status (default 400)
	Kind429         Kind = "429"           // Too Many Requests, with a Retry-After header if RetryAfter is set
	KindSlow        Kind = "slow"          // accepted; the normal answer after Delay (default 3 s)
	KindHang        Kind = "hang"          // no answer until the client leaves or the simulator closes
	KindResetBefore Kind = "reset_before"  // the connection is reset
	KindResetAfter  Kind = "reset_after"   // accepted; then the connection is reset without an answer
	Kind504         Kind = "504"           // the load balancer's 504 in HTML
	Kind504After    Kind = "504_after"     // accepted; then the load balancer's 504 in HTML
	KindNoMessageID Kind = "no_message_id" // accepted; a 2xx without messageId
	Kind2xxError    Kind = "2xx_error"     // a 2xx whose JSON says "status":"error"
	KindHTML2xx     Kind = "html_2xx"      // a 2xx with an HTML page, as from a proxy in between
	KindTruncated   Kind = "truncated"     // accepted; a 2xx whose JSON is cut off
	KindRedirect    Kind = "redirect"      // 307 to the same address: a client that follows it posts again
	KindGarbage     Kind = "garbage"       // bytes that are not HTTP
	KindCallback    Kind = "callback"      // accepted; the normal answer, and Outcome by callback
)

// accepts says of each kind whether the message counts as accepted. A kind that
// is not here does not exist.
var accepts = map[Kind]bool{
	KindCode: false, KindHTTP: false, Kind401Nested: false, Kind401Text: false, KindReason: false, Kind429: false,
	KindSlow: true, KindHang: false, KindResetBefore: false, KindResetAfter: true, Kind504: false, Kind504After: true,
	KindNoMessageID: true, Kind2xxError: false, KindHTML2xx: false, KindTruncated: true, KindRedirect: false, KindGarbage: false,
	KindCallback: true,
}

// Kinds returns all kinds, sorted.
func Kinds() []Kind { return slices.Sorted(maps.Keys(accepts)) }

// BodyKind is the kind of body that a fault of KindHTTP sends.
type BodyKind string

// The body kinds; the empty string means BodyJSON.
const (
	BodyJSON  BodyKind = "json"
	BodyHTML  BodyKind = "html"
	BodyText  BodyKind = "text"
	BodyEmpty BodyKind = "empty"
)

// Fault is one way to misbehave with its details. In JSON its names are
// snake_case, and durations are strings such as "250ms" or numbers of seconds.
type Fault struct {
	Kind Kind

	Code      int      // KindCode: Gupshup's or Meta's code, for example 1002
	QuoteCode bool     // KindCode: send the code as a string
	Status    int      // HTTP status, 200 to 599; 0 means the kind's own
	Body      BodyKind // KindHTTP
	Message   string   // the error text, in place of the kind's own

	// Outcome is what the callbacks tell in the end, of kinds that accept:
	// "sent", "delivered" or "read", a code such as "1002" for a failure, or
	// OutcomeNone. Empty leaves it to chance; KindCallback needs one.
	Outcome string

	RetryAfter time.Duration // Kind429 and KindHTTP: the Retry-After header, rounded up to whole seconds
	Delay      time.Duration // wait this long before misbehaving
}

// defaultSlow is how long KindSlow waits if Delay is not set.
const defaultSlow = 3 * time.Second

// Validate says what is wrong with the fault, if anything.
func (f Fault) Validate() error {
	var errs []error
	if _, known := accepts[f.Kind]; !known {
		errs = append(errs, fmt.Errorf("fault kind %q does not exist", f.Kind))
	}
	if f.Kind == KindCode && f.Code == 0 {
		errs = append(errs, errors.New("fault of kind code needs a code"))
	}
	errs = append(errs, f.validateOutcome())
	if f.Status != 0 && (f.Status < 200 || f.Status > 599) {
		errs = append(errs, fmt.Errorf("fault status %d is not between 200 and 599", f.Status))
	}
	switch f.Body {
	case "", BodyJSON, BodyHTML, BodyText, BodyEmpty:
	default:
		errs = append(errs, fmt.Errorf("fault body %q: use json, html, text or empty", f.Body))
	}
	if f.RetryAfter < 0 || f.Delay < 0 {
		errs = append(errs, errors.New("fault retry_after and delay must not be negative"))
	}
	return errors.Join(errs...)
}

// validateOutcome says what is wrong with the outcome, if anything.
func (f Fault) validateOutcome() error {
	switch {
	case !validOutcome(f.Outcome):
		return fmt.Errorf("fault outcome %q: use none, enqueued, sent, delivered, read or the code of a failure", f.Outcome)
	case f.Kind == KindCallback && f.Outcome == "":
		return errors.New("fault of kind callback needs an outcome")
	case f.Outcome != "" && !accepts[f.Kind]:
		return fmt.Errorf("fault of kind %q does not accept the message, so it has no outcome", f.Kind)
	}
	return nil
}

// delay returns how long the fault waits before it misbehaves.
func (f Fault) delay() time.Duration {
	if f.Kind == KindSlow && f.Delay == 0 {
		return defaultSlow
	}
	return f.Delay
}

// status returns the fault's HTTP status, or the given one if it has none.
func (f Fault) status(otherwise int) int {
	if f.Status != 0 {
		return f.Status
	}
	return otherwise
}

// text returns the fault's message, or the given one if it has none.
func (f Fault) text(otherwise string) string {
	if f.Message != "" {
		return f.Message
	}
	return otherwise
}

// retryAfter returns the Retry-After header in whole seconds, or "".
func (f Fault) retryAfter() string {
	if f.RetryAfter == 0 {
		return ""
	}
	return strconv.FormatInt(int64((f.RetryAfter+time.Second-1)/time.Second), 10)
}

// reply returns what a fault that answers in HTTP answers. The normal answer is
// that of a message accepted under the given one.
func (f Fault) reply(normal reply) reply {
	switch f.Kind {
	case KindCode:
		return codeError(f.status(http.StatusBadRequest), f.Code, f.QuoteCode, f.text(codeText(f.Code)))
	case KindHTTP:
		return f.httpReply()
	case Kind401Nested:
		return reply{status: http.StatusUnauthorized, body: `{"message":{"message":"Authentication Failed"},"status":"error"}`}
	case Kind401Text:
		return portalUserNotFound
	case KindReason:
		return reply{status: f.status(http.StatusBadRequest), body: `{"reason":` + quote(f.text("Source Contains XSS Characters")) + `,"status":"error"}`}
	case Kind429:
		r := jsonError(http.StatusTooManyRequests, f.text(tooManyRequests))
		r.retryAfter = f.retryAfter()
		return r
	case Kind504, Kind504After:
		return htmlError(http.StatusGatewayTimeout)
	case KindNoMessageID:
		return reply{status: f.status(normal.status), body: `{"status":"submitted"}`}
	case Kind2xxError:
		return jsonError(f.status(normal.status), f.text("Message could not be processed"))
	case KindHTML2xx:
		return reply{status: f.status(normal.status), contentType: contentHTML, body: "<html><body><h1>Welcome</h1></body></html>"}
	case KindTruncated:
		normal.body = normal.body[:len(normal.body)*2/3]
	}
	return normal
}

// httpReply is the answer of KindHTTP.
func (f Fault) httpReply() reply {
	status := f.status(http.StatusInternalServerError)
	var r reply
	switch f.Body {
	case BodyHTML:
		r = htmlError(status)
	case BodyText:
		r = reply{status: status, contentType: contentText, body: f.text(statusText(status))}
	case BodyEmpty:
		r = reply{status: status}
	default:
		r = jsonError(status, f.text(statusText(status)))
	}
	r.retryAfter = f.retryAfter()
	return r
}

// faultJSON is how a Fault is written in JSON.
type faultJSON struct {
	Kind       Kind         `json:"kind"`
	Code       int          `json:"code,omitempty"`
	QuoteCode  bool         `json:"quote_code,omitempty"`
	Status     int          `json:"status,omitempty"`
	Body       BodyKind     `json:"body,omitempty"`
	Message    string       `json:"message,omitempty"`
	Outcome    string       `json:"outcome,omitempty"`
	RetryAfter jsonDuration `json:"retry_after,omitempty"`
	Delay      jsonDuration `json:"delay,omitempty"`
}

// MarshalJSON writes the fault with snake_case names and durations such as "1.5s".
func (f Fault) MarshalJSON() ([]byte, error) {
	return json.Marshal(faultJSON{
		f.Kind, f.Code, f.QuoteCode, f.Status, f.Body, f.Message, f.Outcome,
		jsonDuration(f.RetryAfter), jsonDuration(f.Delay),
	})
}

// UnmarshalJSON reads what MarshalJSON writes. Durations may also be numbers of
// seconds. Unknown names are errors, so that a misspelt detail is not ignored.
func (f *Fault) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	var j faultJSON
	if err := dec.Decode(&j); err != nil {
		return fmt.Errorf("fault: %w", err)
	}
	*f = Fault{
		j.Kind, j.Code, j.QuoteCode, j.Status, j.Body, j.Message, j.Outcome,
		time.Duration(j.RetryAfter), time.Duration(j.Delay),
	}
	return nil
}

// jsonDuration is a duration that reads well in JSON.
type jsonDuration time.Duration

func (d jsonDuration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *jsonDuration) UnmarshalJSON(data []byte) error {
	text := string(data)
	if !strings.HasPrefix(text, `"`) {
		seconds, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("duration %s: use seconds or a string such as \"250ms\"", text)
		}
		*d = jsonDuration(seconds * float64(time.Second))
		return nil
	}
	var s string
	if err := json.Unmarshal(data, &s); err != nil {
		return err
	}
	parsed, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("duration %q: use seconds or a string such as \"250ms\"", s)
	}
	*d = jsonDuration(parsed)
	return nil
}
