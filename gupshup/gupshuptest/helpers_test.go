package gupshuptest_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
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

// serve calls the simulator without a network.
func serve(t testing.TB, sim http.Handler, body string, length int64) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequest(http.MethodPost, sessionPath, io.NopCloser(strings.NewReader(body)))
	req.ContentLength = length
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("apikey", testKey)
	rec := httptest.NewRecorder()
	sim.ServeHTTP(rec, req)
	return rec
}

// accept has the simulator accept a text, without a network.
func accept(t testing.TB, sim http.Handler, destination string) {
	t.Helper()
	body := textForm(destination).Encode()
	require.Equal(t, http.StatusOK, serve(t, sim, body, int64(len(body))).Code)
}

// templateBody and templateRequest make what a benchmark sends.
func templateBody() string { return templateForm(testNumber).Encode() }

func templateRequest(body string) *http.Request {
	req := httptest.NewRequest(http.MethodPost, templatePath, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("apikey", testKey)
	return req
}

// discard is a ResponseWriter that keeps nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}
