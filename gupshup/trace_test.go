package gupshup

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWritten plays what net/http reports of a request, event by event, since most orders
// cannot be brought about at will over a real connection.
func TestWritten(t *testing.T) {
	t.Parallel()
	ask := func(c *httptrace.ClientTrace) { c.GetConn("") }
	got := func(c *httptrace.ClientTrace) { c.GotConn(httptrace.GotConnInfo{Conn: &net.TCPConn{}}) }
	wrote := func(c *httptrace.ClientTrace) { c.WroteRequest(httptrace.WroteRequestInfo{}) }
	broke := func(c *httptrace.ClientTrace) { c.WroteRequest(httptrace.WroteRequestInfo{Err: syscall.EPIPE}) }
	type events []func(*httptrace.ClientTrace)
	read := &net.OpError{Op: "read", Err: syscall.ECONNRESET}
	write := fmt.Errorf("net/http: broken: %w", &net.OpError{Op: "write", Err: syscall.EPIPE})
	other := errors.New("other")
	tests := []struct {
		name            string
		events          events
		err             error
		plain, elsewise bool // whether written, in net/http's own transport and in another one
	}{
		{"no trace at all", nil, other, true, true},
		{"no connection", events{ask}, other, false, false},
		{"time over before or after writing", events{ask, got}, other, true, true},
		{"written", events{ask, got, wrote}, read, true, true},
		{"not written", events{ask, got, broke}, other, false, false},
		{"flush failed", events{ask, got, wrote}, write, false, true},
		{"flush failed, not reported", events{ask, got}, write, false, true},
		{"repeated, no second connection", events{ask, got, wrote, ask}, other, false, true},
		{"repeated, written", events{ask, got, broke, ask, got, wrote}, read, true, true},
		{"repeated, broken once", events{ask, got, ask, got, broke}, other, true, true},
		{"repeated, broken twice", events{ask, got, broke, ask, got, broke}, other, false, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var w wire
			for _, event := range test.events {
				event(w.trace())
			}
			require.Equal(t, test.plain, w.written(test.err, true))
			require.Equal(t, test.elsewise, w.written(test.err, false))
		})
	}
}

func TestIsPlain(t *testing.T) {
	t.Parallel()
	require.True(t, isPlain(Transport()))
	require.True(t, isPlain(http.DefaultTransport))
	require.False(t, isPlain(http.NewFileTransport(http.Dir("."))))
	cleartext := Transport()
	cleartext.Protocols = new(http.Protocols)
	cleartext.Protocols.SetHTTP1(true)
	require.True(t, isPlain(cleartext))
	cleartext.Protocols.SetUnencryptedHTTP2(true)
	require.False(t, isPlain(cleartext), "HTTP/2 without TLS cannot be told from the connection")
}
