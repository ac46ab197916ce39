package httpapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gupdispatch/gupdispatch/internal/panics"
)

// Limits of the HTTP server. A route that needs longer, such as an upload,
// moves its own deadlines with http.ResponseController.
const (
	headerTimeout  = 5 * time.Second
	readTimeout    = 30 * time.Second
	writeTimeout   = 60 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10

	// shutdownGrace is how long requests under way may still take after the
	// server was told to stop; then their connections are closed.
	shutdownGrace = 10 * time.Second
)

// Server answers every path of the package. Its zero value is of no use: New
// makes one.
type Server struct {
	opts    Options
	ready   *readiness
	handler http.Handler
	api     *api         // nil: none
	cert    *certificate // nil: plain HTTP

	mu       sync.Mutex
	listener net.Listener
}

// New builds a server and opens nothing yet. Its error names every problem of
// opts at once and never contains a password.
func New(opts Options) (*Server, error) {
	opts, problems := opts.withDefaults()
	users, err := newDirectory(opts.UIUsers)
	if err = errors.Join(problems, err); err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	pages, err := loadPages()
	if err != nil {
		return nil, fmt.Errorf("httpapi: %w", err)
	}
	s := &Server{opts: opts, ready: newReadiness(opts)}
	var known books
	if opts.API != nil {
		if s.api, err = newAPI(opts, pages); err != nil {
			return nil, fmt.Errorf("httpapi: %w", err)
		}
		s.api.standing = &standing{look: s.ready.configured, now: opts.Now}
		known = opts.API.Ledger
	}
	sessions, audit := newSessions(opts, users), newAudit(opts)
	ui := newUI(opts, users, pages, sessions, audit, known)
	var desk http.Handler
	if s.api != nil && len(users.accounts) > 0 {
		desk = newConsole(opts, pages, sessions, audit, s.api)
	}
	if opts.TLSCert != "" {
		s.cert = &certificate{certFile: opts.TLSCert, keyFile: opts.TLSKey}
		if _, err := s.cert.get(nil); err != nil {
			return nil, fmt.Errorf("httpapi: %w", err)
		}
	}
	s.handler = s.routes(ui, desk)
	return s, nil
}

// routes is the table of everything this server answers.
func (s *Server) routes(ui, desk http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", alive)
	mux.Handle("GET /readyz", s.ready)
	mux.Handle("GET /metrics", metrics(s.opts.Registry, s.opts.Log))
	if s.opts.Callbacks != nil {
		mux.Handle("/callbacks/", s.opts.Callbacks)
	}
	if s.api != nil {
		for _, path := range []string{"/v1/", pathOpenAPI, pathDocs, pathDocsStyle} {
			mux.Handle(path, s.api)
		}
	}
	if !s.opts.WithoutUI {
		mux.Handle("/ui", ui)
		mux.Handle("/ui/", ui)
		if desk == nil {
			desk = http.RedirectHandler("/ui/", http.StatusSeeOther)
		}
		for _, path := range consolePaths {
			mux.Handle(path, desk)
		}
	}
	return s.caught(secureHeaders(mux))
}

// caught keeps panics from net/http, which would log their value: that may hold anything.
func (s *Server) caught(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if value := recover(); value != nil {
				if value != http.ErrAbortHandler { //nolint:errorlint // the very value, as net/http compares it
					s.opts.Log.Error("http.panic", panics.Fields(value)...)
				}
				panic(http.ErrAbortHandler) // the connection ends, and nothing more is logged
			}
		}()
		h.ServeHTTP(w, r)
	})
}

// Handler returns the server's handler, for tests and for mounting elsewhere.
func (s *Server) Handler() http.Handler { return s.handler }

// Listen binds Options.Listen and returns the address, with the port the system
// chose for port 0. It may be called before Serve, so that a port in use is
// noticed first; calling it again returns the same address.
func (s *Server) Listen(ctx context.Context) (net.Addr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener == nil {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", s.opts.Listen)
		if err != nil {
			return nil, fmt.Errorf("httpapi: listen on %s: %w; free the port or change http.listen", s.opts.Listen, err)
		}
		s.listener = listener
	}
	return s.listener.Addr(), nil
}

// Serve answers requests until ctx ends, then lets those under way finish for
// up to ten seconds. It binds the address if Listen did not, may be called
// once, and returns nil after an orderly stop. Requests do not inherit ctx:
// its end stops the server, not the work of those who already came in.
func (s *Server) Serve(ctx context.Context) error {
	addr, err := s.Listen(ctx)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
	}
	// The error can only be an unknown level, which WarnLevel is not.
	server.ErrorLog, _ = zap.NewStdLogAt(s.opts.Log, zapcore.WarnLevel)

	serve := server.Serve
	if s.cert != nil {
		server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.cert.get}
		serve = func(l net.Listener) error { return server.ServeTLS(l, "", "") }
	}
	ended := make(chan error, 1)
	go func() { ended <- serve(s.listener) }()
	s.opts.Log.Info("http.listening", zap.Stringer("address", addr))

	select {
	case err := <-ended:
		return fmt.Errorf("httpapi: serve on %s: %w", addr, err)
	case <-ctx.Done():
	}
	s.ready.drain()
	if s.api != nil {
		s.api.stop() // long requests end now, and say how they are gone on with
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownGrace)
	defer cancel()
	if err := server.Shutdown(grace); err != nil {
		err = fmt.Errorf("httpapi: requests still under way after %s were cut off: %w", shutdownGrace, err)
		return errors.Join(err, server.Close())
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("httpapi: serve on %s: %w", addr, err)
	}
	return nil
}
