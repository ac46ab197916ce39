package gupshup

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// wire watches one request, which net/http may try on several connections, to know afterwards
// whether all of it may have been written. It errs towards yes: a wrong "not sent" is a
// duplicate on somebody's phone, a wrong "in doubt" only a delay.
type wire struct {
	asked   atomic.Bool  // a connection was asked for, so the transport reports to the trace
	waiting atomic.Bool  // the last connection asked for has not been obtained
	got     atomic.Int32 // connections obtained
	failed  atomic.Int32 // connections on which writing the request failed
	conn    atomic.Pointer[net.Conn]
}

func (w *wire) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) {
			w.asked.Store(true)
			w.waiting.Store(true)
		},
		GotConn: func(info httptrace.GotConnInfo) {
			w.waiting.Store(false)
			w.got.Add(1)
			w.conn.Store(&info.Conn)
		},
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err != nil {
				w.failed.Add(1)
			}
		},
	}
}

// written reports whether the server may have the whole request, given the error of the round
// trip. Plain is what isPlain says of the transport.
//
// The absence of WroteRequest proves nothing: the request's time may end between the flush and
// the report. Nor does its presence without an error: over HTTP/1 it precedes the flush.
func (w *wire) written(err error, plain bool) bool {
	got := w.got.Load()
	switch {
	case !w.asked.Load():
		return true // a transport of somebody else's that tells us nothing
	case got == 0:
		return false
	case plain && w.waiting.Load():
		// net/http gave up one connection and asked for another. It does so with a POST only
		// when nothing was written, or the server said that it did not process the request.
		return false
	case w.failed.Load() >= got:
		return false
	}
	return !plain || !w.flushFailed(err)
}

// flushFailed reports that the operating system refused the last part of the request, so that
// the server cannot have all of it. Over HTTP/1 nothing but our request is written to the
// connection; over HTTP/2 the error could belong to another request's frames.
func (w *wire) flushFailed(err error) bool {
	var op *net.OpError
	conn := w.conn.Load()
	if conn == nil || !errors.As(err, &op) || op.Op != "write" {
		return false
	}
	t, ok := (*conn).(*tls.Conn)
	return !ok || t.ConnectionState().NegotiatedProtocol != "h2"
}

// isPlain reports a transport of net/http's own, without anything around it that could repeat
// a request, and with HTTP/2 only where TLS has agreed on it.
func isPlain(rt http.RoundTripper) bool {
	t, ok := rt.(*http.Transport)
	return ok && (t.Protocols == nil || !t.Protocols.UnencryptedHTTP2())
}
