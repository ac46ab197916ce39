package gupshup

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Receipt is Gupshup's word that it accepted a message for processing. It does not say that
// anybody got it; that comes by callback.
type Receipt struct {
	// MessageID is Gupshup's id, by which callbacks name the message. It is opaque.
	MessageID string
	// Status is "submitted" or "success", depending on the endpoint.
	Status string
	// HTTPStatus is a 2xx.
	HTTPStatus int
}

// Classify says what one attempt came to. It is pure: reply is what came back, nil if nothing
// did; fault is what broke, nil if nothing did; both are set when the connection broke after
// the headers. Codes are the operator's overrides of the table of codes and of "http_…" codes;
// they do not apply to faults, nor to a 2xx that cannot be understood, since doubt is a fact
// and no matter of taste. Now turns a Retry-After date into a duration.
//
// Exactly one of the results is set.
func Classify(reply *Reply, fault *Fault, codes map[string]Class, now time.Time) (Receipt, *Error) {
	switch {
	case reply != nil && reply.Status >= 200 && reply.Status <= 299:
		return classify2xx(*reply, fault, codes, now)
	case reply != nil:
		return Receipt{}, refusal(*reply, parseAnswer(reply.Body), codes, now)
	case fault != nil:
		return Receipt{}, fault.classify()
	}
	return Receipt{}, (&Fault{Written: true}).classify()
}

// classify2xx believes a complete JSON object even if the connection broke right behind it:
// what Gupshup told us is not to be thrown away.
func classify2xx(reply Reply, fault *Fault, codes map[string]Class, now time.Time) (Receipt, *Error) {
	a := parseAnswer(reply.Body)
	switch {
	case a.object && a.failed:
		return Receipt{}, refusal(reply, a, codes, now)
	case a.object && a.messageID != "":
		return Receipt{MessageID: a.messageID, Status: a.status, HTTPStatus: reply.Status}, nil
	case !a.object && fault != nil:
		e := fault.classify()
		e.Class, e.Status = ClassInDoubt, reply.Status
		return Receipt{}, e
	case !a.object && len(reply.Body) > 0:
		return Receipt{}, &Error{
			Class: ClassInDoubt, Status: reply.Status, Code: CodeBadReply, Reason: "the reply cannot be understood",
		}
	}
	return Receipt{}, &Error{
		Class: ClassInDoubt, Status: reply.Status, Code: CodeNoMessageID, Reason: "the reply has no messageId",
	}
}

// refusal classifies a reply that is not a success: by its code if that is known, else by its
// status, else by its text.
func refusal(reply Reply, a answer, codes map[string]Class, now time.Time) *Error {
	e := &Error{Status: reply.Status, Reason: clean(a.text), RetryAfter: retryAfter(reply.Header, now)}
	if e.Reason == "" {
		e.Reason = http.StatusText(reply.Status)
	}
	e.Class, e.Code = verdict(reply.Status, a, codes)
	if class, ok := codes[e.Code]; ok {
		e.Class = class
	}
	return e
}

func verdict(status int, a answer, codes map[string]Class) (Class, string) {
	code := a.code
	if echoesStatus(code, status) {
		code = ""
	}
	if row, ok := LookupCode(code); ok {
		return row.Class, code
	}
	if _, ok := codes[code]; ok && code != "" {
		return codes[code], code
	}
	if class, ok := byStatus(status, a); ok {
		return class, statusCode(status)
	}
	if code != "" {
		return ClassUnknown, code
	}
	return byText(status, a), statusCode(status)
}

// echoesStatus reports a code that only repeats an HTTP status, as gateways do in their JSON:
// the on-premise codes 400 to 500 have other meanings. Behind a status of doubt no such number
// is believed, since taking it for a refusal could make a duplicate.
func echoesStatus(code string, status int) bool {
	n, err := strconv.Atoi(code)
	if err != nil || n < 100 || n > 599 {
		return false
	}
	return n == status || status >= 500 || status == http.StatusRequestTimeout
}

// statusCode is the Error.Code of a status: "http_429".
func statusCode(status int) string {
	if status >= 200 && status <= 299 {
		return CodeErrorIn2xx
	}
	return "http_" + strconv.Itoa(status)
}

// byStatus is for the statuses that say all there is to say.
func byStatus(status int, a answer) (Class, bool) {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return ClassAccount, true
	case status == http.StatusTooManyRequests:
		return ClassThrottled, true
	case status == http.StatusServiceUnavailable:
		return ClassTransient, true
	case status == http.StatusInternalServerError && a.failed:
		// Gupshup's own JSON: the request got to the application and was refused. Anything else
		// with a 500 may have been written by a proxy in front of an application that took it.
		return ClassTransient, true
	case status == http.StatusRequestTimeout, status >= 500 && status <= 599:
		return ClassInDoubt, true
	}
	return "", false
}

// texts are the messages that tell more than the status they come with, in lower case. Most
// come with a 400; for some the status was never recorded. Source: Gupshup's API reference for
// the destination, the app, authentication and the limit; production reports for the others.
var texts = []struct {
	text  string
	class Class
}{
	{"invalid destination", ClassRecipient},
	{"invalid app details", ClassAccount},
	{"request bot not found", ClassAccount},
	{"source contains xss characters", ClassAccount},
	{"authentication failed", ClassAccount},
	{"portal user not found with apikey", ClassAccount},
	{"unauthorised access", ClassAccount},
	{"too many requests", ClassThrottled},
	{"internal server error", ClassTransient},
}

// byText is for the statuses that leave it open: 400, 422, other 4xx and a 2xx that says error.
func byText(status int, a answer) Class {
	if status >= 400 || a.failed {
		text := strings.ToLower(a.text)
		for _, row := range texts {
			if strings.Contains(text, row.text) {
				return row.class
			}
		}
	}
	if status == http.StatusBadRequest || status == http.StatusUnprocessableEntity {
		return ClassContent
	}
	return ClassUnknown
}
