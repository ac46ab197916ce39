package gupshup_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
)

var noon = time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)

func classify(status int, body string) (gupshup.Receipt, *gupshup.Error) {
	return gupshup.Classify(&gupshup.Reply{Status: status, Body: []byte(body)}, nil, nil, noon)
}

func TestClassifyAccepted(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body string
		want gupshup.Receipt
	}{
		"submitted":          {`{"status":"submitted","messageId":"a-b"}`, gupshup.Receipt{MessageID: "a-b", Status: "submitted"}},
		"success":            {`{"messageId":"a-b","status":"success"}`, gupshup.Receipt{MessageID: "a-b", Status: "success"}},
		"no status":          {` {"messageId":" a-b "}` + "\n", gupshup.Receipt{MessageID: "a-b"}},
		"v3":                 {`{"messages":[{"id":"a-b"}],"messaging_product":"whatsapp","contacts":[{"input":"1","wa_id":"1"}]}`, gupshup.Receipt{MessageID: "a-b"}},
		"byte order mark":    {"\xef\xbb\xbf" + `{"status":"submitted","messageId":"a-b"}`, gupshup.Receipt{MessageID: "a-b", Status: "submitted"}},
		"number":             {`{"status":"submitted","messageId":42}`, gupshup.Receipt{MessageID: "42", Status: "submitted"}},
		"null error":         {`{"status":"submitted","messageId":"a-b","error":null}`, gupshup.Receipt{MessageID: "a-b", Status: "submitted"}},
		"code of no failure": {`{"status":"success","messageId":"a-b","code":1002}`, gupshup.Receipt{MessageID: "a-b", Status: "success"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, status := range []int{200, 201, 202, 299} {
				got, err := classify(status, test.body)
				require.Nil(t, err)
				test.want.HTTPStatus = status
				require.Equal(t, test.want, got)
			}
		})
	}
}

func TestClassifyReplies(t *testing.T) {
	t.Parallel()
	const html = "<html><body><h1>Bad Gateway</h1></body></html>"
	message := func(text string) string { return fmt.Sprintf(`{"message":%q,"status":"error"}`, text) }
	tests := []struct {
		name   string
		status int
		body   string
		class  gupshup.Class
		code   string
		reason string
	}{
		{"destination", 400, message("Invalid Destination"), gupshup.ClassRecipient, "http_400", "Invalid Destination"},
		{"app", 400, message("Invalid App Details"), gupshup.ClassAccount, "http_400", "Invalid App Details"},
		{"bot", 400, `{"status":"error","message":"Request Bot Not Found"}`, gupshup.ClassAccount, "http_400", "Request Bot Not Found"},
		{"bot, status unknown", 404, `{"status":"error","message":"Request Bot Not Found"}`, gupshup.ClassAccount, "http_404", "Request Bot Not Found"},
		{"reason", 400, `{"reason":"Source Contains XSS Characters","status":"error"}`, gupshup.ClassAccount, "http_400", "Source Contains XSS Characters"},
		{"other 400", 400, message("Please review the request parameters and retry"), gupshup.ClassContent, "http_400", "Please review the request parameters and retry"},
		{"400 as a page", 400, html, gupshup.ClassContent, "http_400", "Bad Request"},
		{"422", 422, "", gupshup.ClassContent, "http_422", "Unprocessable Entity"},
		{"401", 401, message("Authentication Failed"), gupshup.ClassAccount, "http_401", "Authentication Failed"},
		{"401, object", 401, `{"message":{"message":"Authentication Failed"},"status":"error"}`, gupshup.ClassAccount, "http_401", "Authentication Failed"},
		{"401, text", 401, "Portal User Not Found With APIKey", gupshup.ClassAccount, "http_401", "Portal User Not Found With APIKey"},
		{"401 echoing itself", 401, `{"status":"error","code":401,"message":"no"}`, gupshup.ClassAccount, "http_401", "no"},
		{"403", 403, html, gupshup.ClassAccount, "http_403", "Forbidden"},
		{"404", 404, html, gupshup.ClassUnknown, "http_404", "Not Found"},
		{"405", 405, "", gupshup.ClassUnknown, "http_405", "Method Not Allowed"},
		{"408", 408, "", gupshup.ClassInDoubt, "http_408", "Request Timeout"},
		{"413", 413, html, gupshup.ClassUnknown, "http_413", "Request Entity Too Large"},
		{"429", 429, message("Too Many Requests"), gupshup.ClassThrottled, "http_429", "Too Many Requests"},
		{"429 with an unlisted code", 429, `{"status":"error","code":77}`, gupshup.ClassThrottled, "http_429", "Too Many Requests"},
		{"500 of Gupshup", 500, message("Internal server error"), gupshup.ClassTransient, "http_500", "Internal server error"},
		{"500 of Gupshup, echo", 500, `{"status":"error","code":"500"}`, gupshup.ClassTransient, "http_500", "Internal Server Error"},
		{"500 of somebody", 500, `{"message":"Internal Server Error"}`, gupshup.ClassInDoubt, "http_500", "Internal Server Error"},
		{"500, page", 500, html, gupshup.ClassInDoubt, "http_500", "Internal Server Error"},
		{"500, cut", 500, `{"status":"error","mess`, gupshup.ClassInDoubt, "http_500", "Internal Server Error"},
		{"500, empty", 500, "", gupshup.ClassInDoubt, "http_500", "Internal Server Error"},
		{"502", 502, html, gupshup.ClassInDoubt, "http_502", "Bad Gateway"},
		{"502 with a gateway's code", 502, `{"status":"error","code":500,"message":"x"}`, gupshup.ClassInDoubt, "http_502", "x"},
		{"502 with a real code", 502, `{"status":"error","code":131026}`, gupshup.ClassRecipient, "131026", "Bad Gateway"},
		{"503", 503, html, gupshup.ClassTransient, "http_503", "Service Unavailable"},
		{"504", 504, html, gupshup.ClassInDoubt, "http_504", "Gateway Timeout"},
		{"507", 507, "", gupshup.ClassInDoubt, "http_507", "Insufficient Storage"},
		{"307", 307, "", gupshup.ClassUnknown, "http_307", "Temporary Redirect"},
		{"304", 304, "", gupshup.ClassUnknown, "http_304", "Not Modified"},
		{"101", 101, "", gupshup.ClassUnknown, "http_101", "Switching Protocols"},

		{"2xx without id", 200, `{"status":"submitted"}`, gupshup.ClassInDoubt, "no_message_id", "the reply has no messageId"},
		{"2xx with empty id", 200, `{"status":"submitted","messageId":" "}`, gupshup.ClassInDoubt, "no_message_id", "the reply has no messageId"},
		{"2xx with null id", 202, `{"messageId":null}`, gupshup.ClassInDoubt, "no_message_id", "the reply has no messageId"},
		{"2xx with huge id", 202, `{"messageId":"` + strings.Repeat("a", 257) + `"}`, gupshup.ClassInDoubt, "no_message_id", "the reply has no messageId"},
		{"2xx v3 without id", 200, `{"messages":[]}`, gupshup.ClassInDoubt, "no_message_id", "the reply has no messageId"},
		{"2xx v3 of another shape", 200, `{"messages":"x"}`, gupshup.ClassInDoubt, "no_message_id", "the reply has no messageId"},
		{"204", 204, "", gupshup.ClassInDoubt, "no_message_id", "the reply has no messageId"},
		{"2xx cut", 200, `{"status":"submitted","messageId":"a`, gupshup.ClassInDoubt, "bad_reply", "the reply cannot be understood"},
		{"2xx page", 200, html, gupshup.ClassInDoubt, "bad_reply", "the reply cannot be understood"},
		{"2xx with a tail", 200, `{"messageId":"a"}<html>`, gupshup.ClassInDoubt, "bad_reply", "the reply cannot be understood"},
		{"2xx array", 200, `[{"messageId":"a"}]`, gupshup.ClassInDoubt, "bad_reply", "the reply cannot be understood"},
		{"2xx error by code", 200, `{"status":"error","code":1002,"message":"x"}`, gupshup.ClassRecipient, "1002", "x"},
		{"2xx error by nested code", 200, `{"status":"error","message":{"code":"1003","message":"y"}}`, gupshup.ClassAccount, "1003", "y"},
		{"2xx error by Meta's object", 200, `{"error":{"message":"(#131056) z","code":131056}}`, gupshup.ClassPairThrottled, "131056", "(#131056) z"},
		{"2xx error by text", 200, `{"status":"Error","message":"Invalid Destination","messageId":"a"}`, gupshup.ClassRecipient, "http_2xx_error", "Invalid Destination"},
		{"2xx error, limit", 200, message("Too Many Requests"), gupshup.ClassThrottled, "http_2xx_error", "Too Many Requests"},
		{"2xx error, key", 200, message("Authentication Failed"), gupshup.ClassAccount, "http_2xx_error", "Authentication Failed"},
		{"2xx error, unknown", 200, message("Something else"), gupshup.ClassUnknown, "http_2xx_error", "Something else"},
		{"2xx error, nothing", 200, `{"status":"ERROR"}`, gupshup.ClassUnknown, "http_2xx_error", "OK"},
		{"unlisted code", 400, `{"status":"error","code":999999,"message":"new"}`, gupshup.ClassUnknown, "999999", "new"},
		{"no code at all", 400, `{"status":"error","code":"E_BAD","message":"new"}`, gupshup.ClassContent, "http_400", "new"},
		{"a short phone as code", 400, `{"status":"error","code":"2125550100","message":"new"}`, gupshup.ClassContent, "http_400", "new"},
		{"a phone as code", 400, `{"status":"error","code":919876543210,"message":"new"}`, gupshup.ClassContent, "http_400", "new"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			receipt, err := classify(test.status, test.body)
			require.Zero(t, receipt)
			require.Equal(t, &gupshup.Error{Class: test.class, Status: test.status, Code: test.code, Reason: test.reason}, err)
		})
	}
}

// TestClassifyEveryStatus states the rule for every status without a body's help.
func TestClassifyEveryStatus(t *testing.T) {
	t.Parallel()
	for status := 100; status <= 599; status++ {
		for _, body := range []string{"", "garbage", "<html></html>", `{"status":"error","message":"x"}`, `{"messageId":"a"}`, "[1]", `{"status":`, "\xff\x00"} {
			json := strings.HasSuffix(body, "}")
			failed := strings.Contains(body, "error")
			want := gupshup.ClassUnknown
			switch {
			case status/100 == 2 && json && !failed:
				want = ""
			case status/100 == 2 && !json:
				want = gupshup.ClassInDoubt
			case status == 400, status == 422:
				want = gupshup.ClassContent
			case status == 401, status == 403:
				want = gupshup.ClassAccount
			case status == 429:
				want = gupshup.ClassThrottled
			case status == 503, status == 500 && failed:
				want = gupshup.ClassTransient
			case status == 408, status/100 == 5:
				want = gupshup.ClassInDoubt
			}
			receipt, err := classify(status, body)
			if want == "" {
				require.Nil(t, err)
				require.Equal(t, "a", receipt.MessageID)
				continue
			}
			require.Zero(t, receipt)
			require.NotNil(t, err)
			require.Equal(t, want, err.Class, "%d %q", status, body)
			require.Equal(t, status, err.Status)
			require.NotEmpty(t, err.Code)
		}
	}
}

// TestClassifyEveryCode sends every listed code as a number and as a text.
func TestClassifyEveryCode(t *testing.T) {
	t.Parallel()
	for _, row := range gupshup.Codes() {
		code, _, _ := strings.Cut(row.Code, "-")
		for _, form := range []string{code, `"` + code + `"`} {
			// 288 and 418 repeat none of the listed codes, which would make them an echo.
			for _, status := range []int{288, 418} {
				_, err := classify(status, `{"status":"error","message":"x","code":`+form+`}`)
				require.NotNil(t, err)
				require.Equal(t, row.Class, err.Class, row.Code)
				require.Equal(t, code, err.Code)
			}
		}
	}
}

func TestClassifyOverrides(t *testing.T) {
	t.Parallel()
	codes := map[string]gupshup.Class{
		"131026": gupshup.ClassTransient, "777777": gupshup.ClassMedia, "http_404": gupshup.ClassAccount, "http_429": gupshup.ClassTransient,
		"no_message_id": gupshup.ClassTransient, "timeout": gupshup.ClassTransient,
	}
	reply := func(status int, body string) gupshup.Class {
		_, err := gupshup.Classify(&gupshup.Reply{Status: status, Body: []byte(body)}, nil, codes, noon)
		return err.Class
	}
	require.Equal(t, gupshup.ClassTransient, reply(400, `{"status":"error","code":131026}`))
	require.Equal(t, gupshup.ClassMedia, reply(400, `{"status":"error","code":777777}`))
	require.Equal(t, gupshup.ClassMedia, reply(401, `{"status":"error","code":777777}`))
	require.Equal(t, gupshup.ClassRecipient, reply(400, `{"status":"error","code":1002}`))
	require.Equal(t, gupshup.ClassAccount, reply(404, ""))
	require.Equal(t, gupshup.ClassTransient, reply(429, ""))
	require.Equal(t, gupshup.ClassInDoubt, reply(200, "{}"), "doubt is not to be overridden")
	_, err := gupshup.Classify(nil, &gupshup.Fault{Err: context.DeadlineExceeded, Written: true}, codes, noon)
	require.Equal(t, gupshup.ClassInDoubt, err.Class, "doubt is not to be overridden")
}

func TestClassifyRetryAfter(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, " 30 ": 30 * time.Second, "-5": 0, "soon": 0, "1.5": 0,
		"86400": 24 * time.Hour, "9223372036854775807": 24 * time.Hour, "99999999999999999999999": 0,
		"Thu, 01 Oct 2026 12:01:30 GMT": 90 * time.Second,
		"Thu, 01 Oct 2026 11:00:00 GMT": 0,
		"Thu, 01 Oct 2099 11:00:00 GMT": 24 * time.Hour,
	} {
		for _, status := range []int{429, 503} {
			reply := &gupshup.Reply{Status: status, Header: http.Header{"Retry-After": {value}}}
			_, err := gupshup.Classify(reply, nil, nil, noon)
			require.Equal(t, want, err.RetryAfter, value)
		}
	}
}

type timeoutError struct{}

func (timeoutError) Error() string { return "timed out: https://secret.example" }
func (timeoutError) Timeout() bool { return true }

func (timeoutError) Temporary() bool { return true }

func TestClassifyFaults(t *testing.T) {
	t.Parallel()
	op := func(op string, err error) error { return &net.OpError{Op: op, Net: "tcp", Err: err} }
	tests := []struct {
		name  string
		err   error
		code  string
		cause error
	}{
		{"nothing known", nil, "transport", nil},
		{"unknown", errors.New("secret 919876543210"), "transport", nil},
		{"canceled", context.Canceled, "canceled", context.Canceled},
		{"deadline", fmt.Errorf("x: %w", context.DeadlineExceeded), "timeout", context.DeadlineExceeded},
		{"net timeout", timeoutError{}, "timeout", nil},
		{"read deadline", op("read", os.ErrDeadlineExceeded), "timeout", nil},
		{"refused", op("dial", os.NewSyscallError("connect", syscall.ECONNREFUSED)), "connect", syscall.ECONNREFUSED},
		{"unreachable", op("dial", syscall.ENETUNREACH), "connect", syscall.ENETUNREACH},
		{"dial timeout", op("dial", timeoutError{}), "connect", nil},
		{"proxy", op("proxyconnect", syscall.ECONNREFUSED), "connect", syscall.ECONNREFUSED},
		{"no such host", op("dial", &net.DNSError{Err: "no such host", Name: "secret.example", IsNotFound: true}), "dns", nil},
		{"unknown authority", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "tls", nil},
		{"other host", &tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: &x509.Certificate{}, Host: "secret.example"}}, "tls", nil},
		{"expired", &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}, "tls", nil},
		{"not TLS", tls.RecordHeaderError{Msg: "first record"}, "tls", nil},
		{"plain HTTP", http.ErrSchemeMismatch, "tls", http.ErrSchemeMismatch},
		{"alert", op("remote error", tls.AlertError(40)), "tls", nil},
		{"reset", op("read", os.NewSyscallError("read", syscall.ECONNRESET)), "reset", syscall.ECONNRESET},
		{"pipe", op("write", syscall.EPIPE), "reset", syscall.EPIPE},
		{"closed", io.EOF, "reset", io.EOF},
		{"cut", io.ErrUnexpectedEOF, "reset", io.ErrUnexpectedEOF},
		{"ours closed", net.ErrClosed, "reset", net.ErrClosed},
		{"idle", errors.New("http: server closed idle connection"), "reset", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			wrapped := test.err
			if test.err != nil {
				wrapped = &url.Error{Op: "Post", URL: "https://secret.example/919876543210", Err: test.err}
			}
			for written, class := range map[bool]gupshup.Class{false: gupshup.ClassNotSent, true: gupshup.ClassInDoubt} {
				receipt, err := gupshup.Classify(nil, &gupshup.Fault{Err: wrapped, Written: written}, nil, noon)
				require.Zero(t, receipt)
				require.Equal(t, class, err.Class)
				require.Equal(t, test.code, err.Code)
				require.NotEmpty(t, err.Reason)
				require.Zero(t, err.Status)
				require.Equal(t, test.cause, err.Err)
				require.NotContains(t, err.Error(), "secret")
			}
		})
	}
	_, err := gupshup.Classify(nil, nil, nil, noon)
	require.Equal(t, gupshup.ClassInDoubt, err.Class, "no outcome at all is in doubt")
}

// TestClassifyBrokenBody has headers, a part of the body, and then a fault.
func TestClassifyBrokenBody(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		status int
		body   string
		class  gupshup.Class
		code   string
	}{
		{"2xx, nothing", 200, "", gupshup.ClassInDoubt, "timeout"},
		{"2xx, half", 200, `{"status":"submitted","messa`, gupshup.ClassInDoubt, "timeout"},
		{"2xx, half an error", 200, `{"status":"error"`, gupshup.ClassInDoubt, "timeout"},
		{"2xx, all of an error", 200, `{"status":"error","code":1002}`, gupshup.ClassRecipient, "1002"},
		{"429, half", 429, `{"mess`, gupshup.ClassThrottled, "http_429"},
		{"500, half", 500, `{"status":"error"`, gupshup.ClassInDoubt, "http_500"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			fault := &gupshup.Fault{Err: context.DeadlineExceeded, Written: true}
			_, err := gupshup.Classify(&gupshup.Reply{Status: test.status, Body: []byte(test.body)}, fault, nil, noon)
			require.NotNil(t, err)
			require.Equal(t, test.class, err.Class)
			require.Equal(t, test.code, err.Code)
			require.Equal(t, test.status, err.Status)
		})
	}
	fault := &gupshup.Fault{Err: io.ErrUnexpectedEOF, Written: true}
	receipt, err := gupshup.Classify(&gupshup.Reply{Status: 200, Body: []byte(`{"status":"submitted","messageId":"a"}`)}, fault, nil, noon)
	require.Nil(t, err, "a complete answer is believed")
	require.Equal(t, "a", receipt.MessageID)
}

func TestErrorText(t *testing.T) {
	t.Parallel()
	tests := map[string]gupshup.Error{
		"gupshup: recipient 1002 (HTTP 400): Number Not Exist On WhatsApp": {Class: gupshup.ClassRecipient, Status: 400, Code: "1002", Reason: "Number Not Exist On WhatsApp"},
		"gupshup: throttled http_429: Too Many Requests":                   {Class: gupshup.ClassThrottled, Status: 429, Code: "http_429", Reason: "Too Many Requests"},
		"gupshup: not_sent connect: no connection: connection refused":     {Class: gupshup.ClassNotSent, Code: "connect", Reason: "no connection: connection refused", Err: syscall.ECONNREFUSED},
		"gupshup: unknown": {Class: gupshup.ClassUnknown},
	}
	for want, err := range tests {
		require.Equal(t, want, err.Error())
		require.Equal(t, err.Err, errors.Unwrap(&err))
	}
}

// TestReason keeps what a provider's text must not carry further.
func TestReason(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Invalid number 919876543210":          "Invalid number [number]",
		"Invalid number +91 98765-43210!":      "Invalid number [number]!",
		"Invalid (415) 555-0100":               "Invalid ([number]",
		"९१९८७६५४३२१०":                         "[number]",
		"code 131049 stays":                    "code 131049 stays",
		"see https://a.example/?apikey=x now":  "see [url] now",
		"two\nlines\tand\x00control\u202echar": "two lines andcontrolchar",
		"  much   space  ":                     "much space",
		strings.Repeat("é", 300):               strings.Repeat("é", 200),
		strings.Repeat("x ", 199) + "12345678": strings.TrimSpace(strings.Repeat("x ", 100)) + " ",
	} {
		_, err := classify(400, fmt.Sprintf(`{"status":"error","message":%s}`, quoteJSON(text)))
		require.Equal(t, want, err.Reason)
	}
	_, err := classify(401, "\xff\xfeText")
	require.Equal(t, "Text", err.Reason)
}
