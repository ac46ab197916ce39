package gupshup

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptrace"
	"strings"
	"time"
)

const (
	maxBody  = 64 << 10 // bytes of a reply that are read
	maxDrain = 64 << 10 // bytes of the rest that are read to keep the connection
)

// Client sends messages. It is safe for concurrent use.
type Client struct {
	session, template, catalog string // URLs

	key     func() (string, error)
	http    *http.Client
	plain   bool // see isPlain
	timeout time.Duration
	codes   map[string]Class
	now     func() time.Time
}

// New checks the configuration and makes a client. It connects to nothing.
func New(cfg Config) (*Client, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	base := strings.TrimRight(cfg.BaseURL, "/")
	c := &Client{
		session:  base + orDefault(cfg.SessionPath, DefaultSessionPath),
		template: base + orDefault(cfg.TemplatePath, DefaultTemplatePath),
		catalog:  base + orDefault(cfg.CatalogPath, DefaultCatalogPath),
		key:      cfg.APIKey,
		http:     withoutRedirects(cfg.HTTPClient),
		timeout:  cfg.Timeout,
		codes:    maps.Clone(cfg.Codes),
		now:      cfg.Now,
	}
	c.plain = isPlain(c.http.Transport)
	if c.timeout == 0 {
		c.timeout = DefaultTimeout
	}
	if c.now == nil {
		c.now = time.Now
	}
	return c, nil
}

// withoutRedirects copies a client and makes it hand out redirects as replies: following a 307
// would post the message again.
func withoutRedirects(given *http.Client) *http.Client {
	var c http.Client
	if given != nil {
		c = *given
	} else {
		c.Transport = Transport()
	}
	if c.Transport == nil {
		c.Transport = http.DefaultTransport
	}
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &c
}

// Send makes one HTTP attempt. Its error is always an *Error, and then the receipt is zero.
// It never repeats a request that the server may have seen. When ctx ends, the attempt ends,
// and is in doubt unless it certainly had not been written.
func (c *Client) Send(ctx context.Context, r Request) (Receipt, error) {
	form, err := r.Form()
	if err != nil {
		return Receipt{}, &Error{Class: ClassContent, Code: CodeInvalidRequest, Reason: clean(err.Error()), Err: err}
	}
	key, refused := c.apiKey()
	if refused != nil {
		return Receipt{}, refused
	}
	reply, fault := c.post(ctx, c.endpoint(r.Content), key, form.Encode())
	if reply != nil {
		reply.Body = withhold(reply.Body, key)
	}
	receipt, refused := Classify(reply, fault, c.codes, c.now())
	if refused != nil {
		refused.Reason = withholdTexts(refused.Reason, form)
		return Receipt{}, refused
	}
	return receipt, nil
}

func (c *Client) endpoint(content Content) string {
	switch {
	case content.Template == nil:
		return c.session
	case content.Template.Catalog:
		return c.catalog
	}
	return c.template
}

// apiKey returns a usable key. Without one the sender cannot send at all, which is the account's
// matter and not the message's.
func (c *Client) apiKey() (string, *Error) {
	key, err := c.key()
	key = strings.TrimSpace(key)
	switch {
	case err != nil:
		e := &Error{Class: ClassAccount, Code: CodeAPIKey, Reason: "the API key cannot be read"}
		var file *fs.PathError
		if errors.As(err, &file) {
			e.Reason += ": " + clean(file.Error())
			e.Err = file
		}
		return "", e
	case key == "":
		return "", &Error{Class: ClassAccount, Code: CodeAPIKey, Reason: "the API key is empty"}
	case strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", &Error{Class: ClassAccount, Code: CodeAPIKey, Reason: "the API key has spaces or special characters inside"}
	}
	return key, nil
}

// post makes the round trip and reads the reply.
func (c *Client) post(ctx context.Context, endpoint, key, body string) (*Reply, *Fault) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return nil, &Fault{Err: err}
	}
	var w wire
	req, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, w.trace()), http.MethodPost, endpoint, strings.NewReader(body))
	if err != nil {
		return nil, &Fault{Err: err}
	}
	req.Header = http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"},
		"Apikey":       {key},
		"Accept":       {"application/json"},
		"User-Agent":   {"gupdispatch"},
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, &Fault{Err: ended(ctx, err), Written: w.written(err, c.plain)}
	}
	defer func() { _ = res.Body.Close() }()
	reply := &Reply{Status: res.StatusCode, Header: res.Header}
	reply.Body, err = io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err != nil {
		return reply, &Fault{Err: ended(ctx, err), Written: true}
	}
	if len(reply.Body) == maxBody {
		_, _ = io.CopyN(io.Discard, res.Body, maxDrain)
	}
	return reply, nil
}

// ended prefers the end of the request's time to whatever it made fail.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// shortestKey is below any real key; a shorter one could be part of an ordinary word.
const shortestKey = 8

// withhold takes the key out of a reply that repeats it, before any of it becomes a reason.
// Phone numbers are masked there anyway.
func withhold(body []byte, key string) []byte {
	if len(key) < shortestKey || !bytes.Contains(body, []byte(key)) {
		return body
	}
	return bytes.ReplaceAll(body, []byte(key), []byte("[withheld]"))
}

// CloseIdleConnections closes connections that wait for a next request.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }
