package gupshuptest_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testKey      = "key-of-the-test"
	testTemplate = "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b"
	testNumber   = "919876543210"

	sessionPath  = "/wa/api/v1/msg"
	templatePath = "/wa/api/v1/template/msg"
	rawPath      = "/wa/api/v1/raw/msg"
)

// answer is an HTTP reply with its body read.
type answer struct {
	status int
	header http.Header
	body   string
}

// newClient returns a plain client without a hidden retry: no connection is used twice.
func newClient(t testing.TB) *http.Client {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		Timeout:       30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// textForm is a valid session message.
func textForm(destination string) url.Values {
	return url.Values{
		"channel":     {"whatsapp"},
		"source":      {"917834811114"},
		"src.name":    {"DemoApp"},
		"destination": {destination},
		"message":     {`{"type":"text","text":"hello"}`},
	}
}

// templateForm is a valid template message.
func templateForm(destination string) url.Values {
	form := textForm(destination)
	form.Del("message")
	form.Set("template", `{"id":"`+testTemplate+`","params":["Agent","Local Address"]}`)
	return form
}

// with returns the form with one field changed; an empty value removes it.
func with(form url.Values, field, value string) url.Values {
	if value == "" {
		form.Del(field)
	} else {
		form.Set(field, value)
	}
	return form
}

// do sends a request and reads its reply.
func do(ctx context.Context, client *http.Client, method, address, body string, header http.Header) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	res, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = res.Body.Close() }()
	read, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(read)}, err
}

// post sends a form with the test's key.
func post(ctx context.Context, client *http.Client, address string, form url.Values) (answer, error) {
	return do(ctx, client, http.MethodPost, address, form.Encode(), http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"},
		"Apikey":       {testKey},
	})
}

// send posts a text to a destination and wants a reply.
func send(t *testing.T, srv *gupshuptest.Server, destination string) answer {
	t.Helper()
	got, err := post(t.Context(), newClient(t), srv.URL+sessionPath, textForm(destination))
	require.NoError(t, err)
	return got
}
