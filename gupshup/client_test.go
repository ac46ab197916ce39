package gupshup_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gupdispatch/gupdispatch/gupshup"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const accepted = `{"status":"submitted","messageId":"ee4a68a0-1203-4c85-8dc3-49d0b3226a35"}`

func request() gupshup.Request {
	return gupshup.Request{
		Source: "917834811114", AppName: "DemoAPI", Destination: "919876543210",
		Content: gupshup.Content{Message: gupshup.Text{Text: "the secret words"}},
	}
}

// newClient makes a client with its own transport and closes its connections at the end.
func newClient(t *testing.T, baseURL string, change func(*gupshup.Config)) *gupshup.Client {
	t.Helper()
	cfg := gupshup.Config{BaseURL: baseURL, APIKey: gupshup.StaticKey(testKey), Timeout: 10 * time.Second}
	if change != nil {
		change(&cfg)
	}
	client, err := gupshup.New(cfg)
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// failed sends, and checks what is true of every failure.
func failed(t *testing.T, ctx context.Context, client *gupshup.Client) *gupshup.Error { //nolint:revive // t first
	t.Helper()
	receipt, err := client.Send(ctx, request())
	require.Zero(t, receipt)
	var e *gupshup.Error
	require.ErrorAs(t, err, &e)
	requireClean(t, err)
	return e
}

// requireClean checks that no error of a chain tells a secret.
func requireClean(t *testing.T, err error) {
	t.Helper()
	for ; err != nil; err = errors.Unwrap(err) {
		for _, secret := range []string{testKey, "9876543210", "secret words", "://", "127.0.0.1", "/wa/api"} {
			require.NotContains(t, err.Error(), secret)
		}
	}
}

func handler(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return server.URL
}

// rawServer hands every connection to one function, which owns it.
func rawServer(t *testing.T, serve func(*net.TCPConn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a listener of a test
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serve(conn.(*net.TCPConn)) //nolint:forcetypeassert // a TCP listener
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
	return "http://" + listener.Addr().String()
}

// readRequest reads one whole request.
func readRequest(conn net.Conn) {
	r, err := http.ReadRequest(bufio.NewReader(conn))
	if err == nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
}

// reset closes a connection with an RST.
func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}

// resetUnread sees that something comes, and resets the connection without reading it.
func resetUnread(conn *net.TCPConn) {
	_, _ = conn.Read(make([]byte, 1))
	reset(conn)
}

func TestSendPaths(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1)
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got <- r.URL.Path + " " + r.Header.Get("apikey")
		_, _ = io.WriteString(w, accepted)
	})
	client := newClient(t, base+"/", func(c *gupshup.Config) { c.APIKey = gupshup.StaticKey(" " + testKey + "\n") })
	template := gupshup.Template{ID: templateID, Params: []string{"a"}}
	catalog := template
	catalog.Catalog = true
	for path, content := range map[string]gupshup.Content{
		"/wa/api/v1/msg":          {Message: gupshup.Text{Text: "hi"}},
		"/wa/api/v1/template/msg": {Template: &template},
		"/wa/api/v1/raw/msg":      {Template: &catalog},
	} {
		r := request()
		r.Content = content
		_, err := client.Send(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, path+" "+testKey, <-got)
	}
}

func TestSendReplies(t *testing.T) {
	t.Parallel()
	huge := `{"status":"submitted","messageId":"a","pad":"` + strings.Repeat("x", 1<<20) + `"}`
	tests := []struct {
		name  string
		h     http.HandlerFunc
		class gupshup.Class
		code  string
	}{
		{"refused with our key repeated", handler(401, `{"status":"error","message":"no key `+testKey+` for 919876543210 at https://a.example/wa/api"}`), gupshup.ClassAccount, "http_401"},
		{"page", handler(502, "<html>Bad Gateway</html>"), gupshup.ClassInDoubt, "http_502"},
		{"huge", handler(200, huge), gupshup.ClassInDoubt, "bad_reply"},
		{"page with a 2xx", handler(200, "<html>Welcome to the hotel's wireless network</html>"), gupshup.ClassInDoubt, "bad_reply"},
		{"body cut", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, accepted[:40])
		}, gupshup.ClassInDoubt, "reset"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			e := failed(t, t.Context(), newClient(t, serve(t, test.h), nil))
			require.Equal(t, test.class, e.Class)
			require.Equal(t, test.code, e.Code)
		})
	}
}

func TestSendRetryAfterDate(t *testing.T) {
	t.Parallel()
	base := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "Thu, 01 Oct 2026 12:01:30 GMT")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	client := newClient(t, base, func(c *gupshup.Config) { c.Now = func() time.Time { return noon } })
	require.Equal(t, 90*time.Second, failed(t, t.Context(), client).RetryAfter)
}

func TestSendFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		var hits atomic.Int32
		base := serve(t, func(w http.ResponseWriter, r *http.Request) {
			hits.Add(1)
			http.Redirect(w, r, "/elsewhere", status)
		})
		given := &http.Client{Transport: gupshup.Transport()}
		e := failed(t, t.Context(), newClient(t, base, func(c *gupshup.Config) { c.HTTPClient = given }))
		require.Equal(t, gupshup.ClassUnknown, e.Class)
		require.Equal(t, status, e.Status)
		require.Equal(t, int32(1), hits.Load())
		require.Nil(t, given.CheckRedirect, "the caller's client must not be changed")
	}
}

func TestSendNotSent(t *testing.T) {
	t.Parallel()
	closed := func(t *testing.T) string {
		t.Helper()
		listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a listener of a test
		require.NoError(t, err)
		require.NoError(t, listener.Close())
		return "http://" + listener.Addr().String()
	}
	tests := []struct {
		name string
		base func(*testing.T) string
		code string
		is   error
	}{
		{"refused", closed, "connect", syscall.ECONNREFUSED},
		{"untrusted certificate", func(t *testing.T) string {
			t.Helper()
			server := httptest.NewUnstartedServer(handler(200, accepted))
			server.Config.ErrorLog = quiet()
			server.StartTLS()
			t.Cleanup(server.Close)
			return server.URL
		}, "tls", nil},
		{"HTTP where HTTPS is meant", func(t *testing.T) string {
			t.Helper()
			return "https" + strings.TrimPrefix(serve(t, handler(200, accepted)), "http")
		}, "tls", http.ErrSchemeMismatch},
		{"closed in the handshake", func(t *testing.T) string {
			t.Helper()
			return "https" + strings.TrimPrefix(rawServer(t, resetUnread), "http")
		}, "reset", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client := newClient(t, test.base(t), func(c *gupshup.Config) {
				transport := gupshup.Transport()
				transport.Proxy = nil
				c.HTTPClient = &http.Client{Transport: transport}
			})
			e := failed(t, t.Context(), client)
			require.Equal(t, gupshup.ClassNotSent, e.Class, e.Error())
			require.Equal(t, test.code, e.Code, e.Error())
			if test.is != nil {
				require.ErrorIs(t, e, test.is)
			}
		})
	}
}

func TestSendWithoutConnection(t *testing.T) {
	t.Parallel()
	client := newClient(t, serve(t, handler(200, accepted)), nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e := failed(t, ctx, client)
	require.Equal(t, gupshup.ClassNotSent, e.Class)
	require.Equal(t, "canceled", e.Code)
	require.ErrorIs(t, e, context.Canceled)

	unresolved := gupshup.Transport()
	unresolved.DialContext = func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "127.0.0.1", IsNotFound: true}}
	}
	e = failed(t, t.Context(), newClient(t, "http://127.0.0.1:1", func(c *gupshup.Config) {
		c.HTTPClient = &http.Client{Transport: unresolved}
	}))
	require.Equal(t, gupshup.ClassNotSent, e.Class)
	require.Equal(t, "dns", e.Code)

	// The dialer waits until the request's time is over: no connection, so nothing was sent.
	transport := gupshup.Transport()
	transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		<-t.Context().Done()
		return nil, net.ErrClosed
	}
	slow := newClient(t, "http://127.0.0.1:1", func(c *gupshup.Config) {
		c.HTTPClient, c.Timeout = &http.Client{Transport: transport}, time.Millisecond
	})
	e = failed(t, t.Context(), slow)
	require.Equal(t, gupshup.ClassNotSent, e.Class)
	require.Equal(t, "timeout", e.Code)
	require.ErrorIs(t, e, context.DeadlineExceeded)
}

func TestSendInDoubt(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		serve   func(*net.TCPConn)
		code    string
		timeout time.Duration
	}{
		{"reset after reading", func(c *net.TCPConn) { readRequest(c); reset(c) }, "reset", time.Minute},
		// The whole request may have got into the server's buffers: nobody can tell.
		{"reset before reading", resetUnread, "reset", time.Minute},
		{"closed after reading", func(c *net.TCPConn) { readRequest(c); _ = c.Close() }, "reset", time.Minute},
		{"hangs", func(c *net.TCPConn) { readRequest(c); waitForEnd(c) }, "timeout", 100 * time.Millisecond},
		{"half a head", func(c *net.TCPConn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Le")
			_ = c.Close()
		}, "transport", time.Minute},
		{"no HTTP at all", func(c *net.TCPConn) {
			readRequest(c)
			_, _ = io.WriteString(c, "919876543210 says hello\r\n\r\n")
			_ = c.Close()
		}, "transport", time.Minute},
		{"slow body", func(c *net.TCPConn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 80\r\n\r\n{\"status\":")
			waitForEnd(c)
		}, "timeout", 100 * time.Millisecond},
		{"body reset", func(c *net.TCPConn) {
			readRequest(c)
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 80\r\n\r\n{\"status\":")
			_ = c.Close()
		}, "reset", time.Minute},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var hits atomic.Int32
			base := rawServer(t, func(c *net.TCPConn) { hits.Add(1); test.serve(c) })
			e := failed(t, t.Context(), newClient(t, base, func(c *gupshup.Config) { c.Timeout = test.timeout }))
			require.Equal(t, gupshup.ClassInDoubt, e.Class, e.Error())
			require.Equal(t, test.code, e.Code, e.Error())
			require.Equal(t, int32(1), hits.Load(), "a doubtful request must not be repeated")
		})
	}
}

// waitForEnd waits until the client closes its side.
func waitForEnd(c *net.TCPConn) {
	_, _ = io.Copy(io.Discard, c)
	_ = c.Close()
}

// TestSendOnClosedConnection has a server that closes the kept-alive connection just as the
// second message arrives.
func TestSendOnClosedConnection(t *testing.T) {
	t.Parallel()
	var connections atomic.Int32
	base := rawServer(t, func(c *net.TCPConn) {
		connections.Add(1)
		readRequest(c)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: "+strconv.Itoa(len(accepted))+"\r\n\r\n"+accepted)
		readRequest(c)
		_ = c.Close()
	})
	client := newClient(t, base, nil)
	_, err := client.Send(t.Context(), request())
	require.NoError(t, err)
	e := failed(t, t.Context(), client)
	require.Equal(t, gupshup.ClassInDoubt, e.Class)
	require.Equal(t, "reset", e.Code)
	require.Equal(t, int32(1), connections.Load(), "net/http must not repeat the POST on another connection")
}

// writeFails is a connection whose writes fail after some bytes.
type writeFails struct {
	net.Conn
	allowed atomic.Int64
	err     error
}

func (c *writeFails) Write(b []byte) (int, error) {
	if left := c.allowed.Load(); left < int64(len(b)) {
		n, _ := c.Conn.Write(b[:left])
		c.allowed.Store(0)
		return n, &net.OpError{Op: "write", Net: "tcp", Err: c.err}
	}
	c.allowed.Add(-int64(len(b)))
	return c.Conn.Write(b)
}

// TestSendWriteFails breaks off in the middle of a request that is larger than net/http's
// buffer, so that it is net/http which reports to the trace that writing failed.
func TestSendWriteFails(t *testing.T) {
	t.Parallel()
	transport := gupshup.Transport()
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		broken := &writeFails{Conn: conn, err: syscall.EPIPE}
		broken.allowed.Store(100)
		return broken, err
	}
	client := newClient(t, rawServer(t, waitForEnd), func(c *gupshup.Config) { c.HTTPClient = &http.Client{Transport: transport} })
	r := request()
	r.Content.Message = gupshup.Text{Text: strings.Repeat("x", 20_000)}
	_, err := client.Send(t.Context(), r)
	var e *gupshup.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, gupshup.ClassNotSent, e.Class)
	requireClean(t, err)
}

// TestSendOnDeadConnection has a kept-alive connection that takes no byte of the second
// request: net/http may then try another one, and if there is none, nothing was sent.
func TestSendOnDeadConnection(t *testing.T) {
	t.Parallel()
	for name, reachable := range map[string]bool{"another one": true, "no other": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var hits atomic.Int32
			base := serve(t, func(w http.ResponseWriter, r *http.Request) {
				hits.Add(1)
				handler(200, accepted)(w, r)
			})
			var first *writeFails
			transport := gupshup.Transport()
			transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if first != nil && !reachable {
					return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
				}
				conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
				if first == nil {
					first = &writeFails{Conn: conn, err: syscall.EPIPE}
					first.allowed.Store(1 << 20)
					return first, err
				}
				return conn, err
			}
			client := newClient(t, base, func(c *gupshup.Config) { c.HTTPClient = &http.Client{Transport: transport} })
			_, err := client.Send(t.Context(), request())
			require.NoError(t, err)
			first.allowed.Store(0)
			if reachable {
				_, err = client.Send(t.Context(), request())
				require.NoError(t, err)
				require.Equal(t, int32(2), hits.Load())
				return
			}
			e := failed(t, t.Context(), client)
			require.Equal(t, gupshup.ClassNotSent, e.Class)
			require.Equal(t, "connect", e.Code)
			require.Equal(t, int32(1), hits.Load())
		})
	}
}

// silent is a transport of somebody else's, which reports nothing to a trace.
type silent struct{ err error }

func (s silent) RoundTrip(*http.Request) (*http.Response, error) { return nil, s.err }

func TestSendThroughAnotherTransport(t *testing.T) {
	t.Parallel()
	client := newClient(t, "http://127.0.0.1:1", func(c *gupshup.Config) {
		c.HTTPClient = &http.Client{Transport: silent{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}}
	})
	e := failed(t, t.Context(), client)
	require.Equal(t, gupshup.ClassInDoubt, e.Class, "it may have tried several times, and a refusal is only the last one")
}

// wrapped is a transport of somebody else's around net/http's own.
type wrapped struct{ http.RoundTripper }

func TestSendThroughWrappedTransport(t *testing.T) {
	t.Parallel()
	send := func(dial func() (net.Conn, error)) *gupshup.Error {
		transport := gupshup.Transport()
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return dial() }
		client := newClient(t, "http://127.0.0.1:1", func(c *gupshup.Config) {
			c.HTTPClient = &http.Client{Transport: wrapped{transport}}
		})
		r := request()
		r.Content.Message = gupshup.Text{Text: strings.Repeat("x", 20_000)}
		_, err := client.Send(t.Context(), r)
		var e *gupshup.Error
		require.ErrorAs(t, err, &e)
		return e
	}
	refused := send(func() (net.Conn, error) { return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED} })
	require.Equal(t, gupshup.ClassNotSent, refused.Class, "the trace saw that there was no connection")

	addr := strings.TrimPrefix(rawServer(t, waitForEnd), "http://")
	broken := send(func() (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
		return &writeFails{Conn: conn, err: syscall.EPIPE}, err
	})
	require.Equal(t, gupshup.ClassNotSent, broken.Class, "the trace saw that writing failed")
}

func TestSendOverHTTP2(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 2 {
			w.WriteHeader(http.StatusHTTPVersionNotSupported)
			return
		}
		_ = r.ParseForm()
		switch r.PostForm.Get("src.name") {
		case "hang":
			<-stop
		case "abort":
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, accepted)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(stop) })
	transport := gupshup.Transport()
	transport.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig.Clone() //nolint:forcetypeassert // httptest's
	client := newClient(t, server.URL, func(c *gupshup.Config) {
		c.HTTPClient, c.Timeout = &http.Client{Transport: transport}, 300*time.Millisecond
	})
	for range 3 {
		_, err := client.Send(t.Context(), request())
		require.NoError(t, err)
	}
	for app, code := range map[string]string{"hang": "timeout", "abort": "transport"} {
		r := request()
		r.AppName = app
		_, err := client.Send(t.Context(), r)
		var e *gupshup.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, gupshup.ClassInDoubt, e.Class)
		require.Equal(t, code, e.Code)
		requireClean(t, err)
	}
}

func TestSendReusesConnections(t *testing.T) {
	t.Parallel()
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(handler(400, `{"message":"Invalid Destination","status":"error"}`))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	client := newClient(t, server.URL, nil)
	for range 20 {
		require.Equal(t, gupshup.ClassRecipient, failed(t, t.Context(), client).Class)
	}
	require.Equal(t, int32(1), connections.Load())
}

func TestSendWithoutKey(t *testing.T) {
	t.Parallel()
	base := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("nothing may be sent without a key") })
	missing := &fs.PathError{Op: "open", Path: "/etc/keys/demo", Err: fs.ErrNotExist}
	for name, test := range map[string]struct {
		key    func() (string, error)
		reason string
	}{
		"empty":      {gupshup.StaticKey(" \n"), "the API key is empty"},
		"two lines":  {gupshup.StaticKey("abc\ndef"), "the API key has spaces or special characters inside"},
		"unreadable": {func() (string, error) { return "", missing }, "the API key cannot be read: open /etc/keys/demo: file does not exist"},
		"other":      {func() (string, error) { return "", errors.New("bad key " + testKey) }, "the API key cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := failed(t, t.Context(), newClient(t, base, func(c *gupshup.Config) { c.APIKey = test.key }))
			require.Equal(t, gupshup.ClassAccount, e.Class)
			require.Equal(t, "api_key", e.Code)
			require.Equal(t, test.reason, e.Reason)
		})
	}
}

func TestSendInvalid(t *testing.T) {
	t.Parallel()
	client := newClient(t, "http://127.0.0.1:1", nil)
	r := request()
	r.Destination = "+919876543210"
	_, err := client.Send(t.Context(), r)
	var e *gupshup.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, gupshup.ClassContent, e.Class)
	require.Equal(t, "invalid_request", e.Code)
	var fields gupshup.FieldErrors
	require.ErrorAs(t, err, &fields)
	requireClean(t, err)
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	key := gupshup.StaticKey("k")
	for name, cfg := range map[string]gupshup.Config{
		"no URL":        {APIKey: key},
		"no scheme":     {BaseURL: "api.gupshup.io", APIKey: key},
		"other scheme":  {BaseURL: "ftp://api.gupshup.io", APIKey: key},
		"query":         {BaseURL: "https://api.gupshup.io?a=1", APIKey: key},
		"no key":        {BaseURL: "https://api.gupshup.io"},
		"path":          {BaseURL: "https://api.gupshup.io", APIKey: key, SessionPath: "sm/api"},
		"timeout":       {BaseURL: "https://api.gupshup.io", APIKey: key, Timeout: -1},
		"unknown class": {BaseURL: "https://api.gupshup.io", APIKey: key, Codes: map[string]gupshup.Class{"1002": "recipent"}},
	} {
		_, err := gupshup.New(cfg)
		require.Error(t, err, name)
	}
	_, err := gupshup.New(gupshup.Config{BaseURL: "x", Timeout: -1})
	for _, part := range []string{"BaseURL", "APIKey", "Timeout"} {
		require.ErrorContains(t, err, part, "every problem is reported at once")
	}
}
