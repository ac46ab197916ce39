package gupshup

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
)

// Fault is a transport fault: no complete reply came back.
type Fault struct {
	// Err is what net/http reported. Its text may hold the URL and is never passed on.
	Err error
	// Written says that the whole request may have reached the server.
	Written bool
}

// classify names the fault. What matters is only whether the request may have been written.
func (f *Fault) classify() *Error {
	code, reason := describe(f.Err)
	e := &Error{Class: ClassNotSent, Code: code, Reason: reason, Err: cause(f.Err)}
	if f.Written {
		e.Class = ClassInDoubt
	}
	return e
}

// describe names a fault and words it without hosts, addresses and anything a server sent.
func describe(err error) (code, reason string) {
	var (
		dns     *net.DNSError
		op      *net.OpError
		timeout net.Error
	)
	switch {
	case err == nil:
		return CodeTransport, "no reply"
	case errors.Is(err, context.Canceled):
		return CodeCanceled, "given up by the caller"
	case errors.As(err, &dns):
		return CodeDNS, "the host name cannot be resolved"
	case isTLS(err):
		return CodeTLS, tlsReason(err)
	case errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect"):
		return CodeConnect, "no connection" + errnoText(err)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return CodeTimeout, "no reply in time"
	case isReset(err):
		return CodeReset, "the connection broke" + errnoText(err)
	}
	return CodeTransport, "the connection failed"
}

func isTLS(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		record       tls.RecordHeaderError
		alert        tls.AlertError
		op           *net.OpError
	)
	return errors.As(err, &verification) || errors.As(err, &record) || errors.As(err, &alert) ||
		errors.Is(err, http.ErrSchemeMismatch) ||
		// crypto/tls reports alerts of either side with these words for an operation.
		errors.As(err, &op) && (op.Op == "remote error" || op.Op == "local error")
}

func tlsReason(err error) string {
	var (
		authority x509.UnknownAuthorityError
		host      x509.HostnameError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.As(err, &authority):
		return "the server's certificate is signed by an unknown authority"
	case errors.As(err, &host):
		return "the server's certificate is for another host"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the server's certificate has expired or is not valid yet"
	case errors.Is(err, http.ErrSchemeMismatch):
		return "the server speaks HTTP, not HTTPS"
	}
	return "no TLS session with the server"
}

// isReset has one text among the types: net/http does not export its error for a server that
// closed a kept-alive connection just as the request went out.
func isReset(err error) bool {
	for _, broken := range []error{
		syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF, net.ErrClosed,
	} {
		if errors.Is(err, broken) {
			return true
		}
	}
	return strings.Contains(err.Error(), "server closed idle connection")
}

func errnoText(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return ": " + errno.Error()
	}
	return ""
}

// cause keeps of an error only values whose text is fixed, so that whatever logs the chain
// cannot leak a URL or a server's answer.
func cause(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	for _, known := range []error{
		context.Canceled, context.DeadlineExceeded, io.ErrUnexpectedEOF, io.EOF, net.ErrClosed, http.ErrSchemeMismatch,
	} {
		if errors.Is(err, known) {
			return known
		}
	}
	return nil
}
