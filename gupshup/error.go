package gupshup

import (
	"strconv"
	"strings"
	"time"
)

// Error is why one attempt did not end with a receipt. It is safe to log and to store: neither
// it nor anything it wraps carries the API key, the URL, the request's body or a phone number.
type Error struct {
	// Class is what callers branch on.
	Class Class
	// Status is the HTTP status, 0 when no reply came.
	Status int
	// Code names the case: a code of Gupshup or WhatsApp ("1002"), an HTTP status ("http_429"),
	// or one of the Code… constants.
	Code string
	// Reason is the provider's text or ours, for people: at most 200 characters, without
	// control characters, with URLs and runs of seven or more digits masked, and without what a reply quoted of the message.
	Reason string
	// RetryAfter is how long the server asked us to wait, 0 if it did not say; at most a day.
	RetryAfter time.Duration
	// Err is the cause of a transport fault for errors.Is, such as context.DeadlineExceeded or
	// syscall.ECONNREFUSED; nil for a reply.
	Err error
}

// The values of Error.Code that are neither a provider's code nor an HTTP status.
const (
	CodeErrorIn2xx     = "http_2xx_error"  // a 2xx whose body says error
	CodeNoMessageID    = "no_message_id"   // a 2xx without a messageId
	CodeBadReply       = "bad_reply"       // a 2xx whose body is not a JSON object
	CodeTimeout        = "timeout"         // the request's time was over
	CodeCanceled       = "canceled"        // the caller gave up
	CodeConnect        = "connect"         // no connection: refused, unreachable, proxy
	CodeDNS            = "dns"             // the host name could not be resolved
	CodeTLS            = "tls"             // no TLS session: certificate, protocol
	CodeReset          = "reset"           // the connection broke
	CodeTransport      = "transport"       // any other transport fault
	CodeAPIKey         = "api_key"         // the API key could not be read or is unusable
	CodeInvalidRequest = "invalid_request" // the request cannot be built
)

// Error gives class, code and reason, such as "recipient 1002: Number Not Exist On WhatsApp".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("gupshup: ")
	b.WriteString(string(e.Class))
	if e.Code != "" {
		b.WriteByte(' ')
		b.WriteString(e.Code)
	}
	if e.Status != 0 && !strings.HasPrefix(e.Code, "http_") {
		b.WriteString(" (HTTP ")
		b.WriteString(strconv.Itoa(e.Status))
		b.WriteByte(')')
	}
	if e.Reason != "" {
		b.WriteString(": ")
		b.WriteString(e.Reason)
	}
	return b.String()
}

// Unwrap returns the cause of a transport fault, nil otherwise.
func (e *Error) Unwrap() error { return e.Err }
