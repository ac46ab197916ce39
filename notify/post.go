package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const maxDrain = 64 << 10 // bytes of an answer that are read, to keep the connection; all are dropped

// poster makes one HTTP attempt at a time at one receiver. It is safe for concurrent use.
type poster struct {
	url     string
	setting string // the configuration's key of the URL
	host    string // what errors say instead of the URL, whose path and query may be secret
	secret  string
	http    *http.Client
	timeout time.Duration
	now     func() time.Time
}

func newPoster(setting, address, secret string, client *http.Client, timeout time.Duration) poster {
	p := poster{url: address, setting: setting, secret: secret, http: client, timeout: timeout, now: time.Now}
	if u, err := url.Parse(address); err == nil { // New has looked already
		p.host = u.Host
	}
	return p
}

// withoutRedirects copies a client and makes it hand out redirects as answers: whoever answers for the receiver must not send
// events elsewhere. Without a client it makes one that keeps as many connections as there are posts at once.
func withoutRedirects(given *http.Client, connections int) *http.Client {
	var c http.Client
	if given != nil {
		c = *given
	} else {
		c.Transport = &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			ForceAttemptHTTP2:     true,
			MaxIdleConnsPerHost:   connections,
			IdleConnTimeout:       30 * time.Second,
			TLSHandshakeTimeout:   10 * time.Second,
			ExpectContinueTimeout: time.Second,
		}
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// failure is a post that the receiver did not confirm. Its text is what ops see in the web UI: it carries no body and of the
// URL only the host.
type failure struct {
	text  string
	after time.Duration // what the receiver asked us to wait, 0 if it did not
	final bool          // the same again would be refused again
}

func (f *failure) Error() string { return f.text }

// post makes one attempt: sign, post, judge. Nil means that the receiver has it.
func (p poster) post(ctx context.Context, body []byte) *failure {
	ctx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return &failure{text: p.setting + " is not a usable URL", final: true}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "gupdispatch")
	req.Header.Set(SignatureHeader, Sign(p.secret, body, p.now()))
	res, err := p.http.Do(req)
	if err != nil {
		return &failure{text: p.setting + " at " + p.host + ": " + trouble(err, p.timeout)}
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxDrain)) // the status has said all
	return judge(p.setting, p.host, res.StatusCode, res.Header.Get("Retry-After"), p.now())
}

// judge turns an answer into a failure, or nil.
func judge(setting, host string, status int, retryAfter string, now time.Time) *failure {
	said := fmt.Sprintf("%s at %s answered %d %s", setting, host, status, http.StatusText(status))
	switch {
	case status >= 200 && status < 300:
		return nil
	case status >= 300 && status < 400:
		return &failure{text: said + ": redirects are not followed, " + setting + " must be the final address"}
	case status == http.StatusGone:
		return &failure{text: said + ": the receiver wants no events; take " + setting + " out, or repair the receiver and run this task again", final: true}
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status < 400, status >= 500:
		return &failure{text: said, after: parseRetryAfter(retryAfter, now)}
	}
	return &failure{text: said + ": the receiver refuses this event and would refuse it again; repair the receiver and run this task again", final: true}
}

// parseRetryAfter reads a Retry-After in seconds or as a date; 0 for anything else.
func parseRetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}

// trouble says what went wrong on the wire. net/http's own texts may show the URL, or what a broken receiver sent.
func trouble(err error, timeout time.Duration) string {
	var (
		dns  *net.DNSError
		op   *net.OpError
		cert *tls.CertificateVerificationError
		slow interface{ Timeout() bool }
	)
	switch {
	case errors.Is(err, context.Canceled):
		return "stopped before the answer came"
	case errors.As(err, &dns):
		return "the name of the host cannot be looked up"
	case errors.As(err, &cert):
		return "its TLS certificate is not trusted"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		return fmt.Sprintf("no answer within %s", timeout)
	case errors.As(err, &op) && op.Op == "dial":
		return "cannot connect: " + op.Err.Error()
	}
	return "the connection broke, or the answer was not HTTP"
}
