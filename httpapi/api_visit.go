package httpapi

import (
	"context"
	"fmt"
	"mime"
	"net/http"
	"slices"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/internal/panics"
	"github.com/gupdispatch/gupdispatch/internal/tracing"
	"github.com/gupdispatch/gupdispatch/message"
)

// visit is what is known of a request besides itself.
type visit struct {
	id  string // X-Request-Id
	key *hashedKey
}

type visitKey struct{}

// visitOf is the visit of a request's context.
func visitOf(ctx context.Context) *visit {
	v, ok := ctx.Value(visitKey{}).(*visit)
	if !ok {
		return &visit{}
	}
	return v
}

const requestID = "X-Request-Id"

// ServeHTTP names the request, lets it in or not, and logs what came of it. The log has the name of the key, never the key, and no query,
// in which there may be anything.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v, begun := &visit{id: r.Header.Get(requestID)}, a.now()
	if !message.ValidID(v.id) {
		v.id = message.NewID()
	}
	w.Header().Set(requestID, v.id)
	ctx := context.WithValue(r.Context(), visitKey{}, v)
	r = r.WithContext(ctx)
	span := trace.SpanFromContext(context.Background()) // of no effect
	seen := &seenWriter{ResponseWriter: w}
	defer func() {
		failed := recover()
		aborted := failed == http.ErrAbortHandler //nolint:errorlint // what net/http asks for is this very value
		if failed != nil && !aborted {
			a.log.Error("http.panic", append(panics.Fields(failed), zap.String("request_id", v.id))...)
			if seen.status == 0 {
				writeProblem(seen, http.StatusInternalServerError, mistake)
			}
		}
		a.log.Info("http.request", zap.String("request_id", v.id), zap.String("key", v.key.name()), zap.Stringer("client", a.proxies.client(r)),
			zap.String("method", r.Method), zap.String("path", maskNumbers(r.URL.Path)), zap.Int("status", seen.status),
			zap.Int64("bytes", seen.bytes), zap.Duration("took", a.now().Sub(begun)), traced(ctx))
		if span.IsRecording() {
			span.SetAttributes(tracing.String("request_id", v.id), tracing.String("key", v.key.name()), tracing.Int("http_status", seen.status))
		}
		span.End()
		if aborted { // an answer that is not complete: net/http closes the connection
			panic(http.ErrAbortHandler)
		}
	}()
	if p := a.admit(r, v); p != nil {
		p.write(seen)
		return
	}
	if p := a.standing.refuse(r); p != nil {
		p.write(seen)
		return
	}
	if v.key != nil { // nobody else decides what is traced
		ctx, span = a.span(r)
		r = r.WithContext(ctx)
	}
	handler, pattern := a.mux.Handler(r)
	if pattern == "" {
		refuseUnknown(seen, r, handler)
		return
	}
	a.mux.ServeHTTP(seen, r)
}

// span begins the span of a request, within the trace of whoever makes it. Its name is the operation's: paths hold ids.
func (a *api) span(r *http.Request) (context.Context, trace.Span) {
	if !a.tracer.On() {
		return a.tracer.Start(r.Context(), "")
	}
	_, operation := a.mux.Handler(r)
	if operation == "" {
		operation = "no operation"
	}
	return a.tracer.Start(tracing.FromRequest(r), operation, trace.WithSpanKind(trace.SpanKindServer))
}

// traced names the trace in a line of the log.
func traced(ctx context.Context) zap.Field {
	if id := tracing.ID(ctx); id != "" {
		return zap.String("trace_id", id)
	}
	return zap.Skip()
}

// public are the paths for which no key is needed: they hold nothing that is not in the source.
var public = []string{pathOpenAPI, pathDocs, pathDocsStyle}

// admit returns why a request must not go on.
func (a *api) admit(r *http.Request, v *visit) (p *problem) {
	if len(a.Allow) > 0 && !proxies(a.Allow).trusts(a.proxies.client(r)) {
		return newProblem(http.StatusForbidden, "requests from this address are not taken: see http.allow")
	}
	if slices.Contains(public, r.URL.Path) {
		return nil
	}
	if v.key, p = a.keys.authenticate(r); p != nil {
		return p
	}
	if a.limit != nil {
		if wait := a.limit.take(v.key.called, a.now()); wait > 0 {
			detail := fmt.Sprintf("this key may ask %d times a second (http.api_rate): slow down, or send batches", a.Rate)
			return newProblem(http.StatusTooManyRequests, detail).retry(wait)
		}
	}
	if r.Method != http.MethodPost || r.ContentLength == 0 {
		return nil
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case r.URL.Path == pathCampaigns && kind != "multipart/form-data":
		return newProblem(http.StatusUnsupportedMediaType, "send a form, and say so in the header Content-Type: multipart/form-data; see /docs")
	case r.URL.Path != pathCampaigns && kind != "application/json":
		return newProblem(http.StatusUnsupportedMediaType, "send JSON, and say so in the header Content-Type: application/json")
	}
	return nil
}

// refuseUnknown answers for a path or a method that there is not; handler is the mux's own answer.
func refuseUnknown(w http.ResponseWriter, r *http.Request, handler http.Handler) {
	probe := &probeWriter{headers: http.Header{}}
	handler.ServeHTTP(probe, r)
	if probe.status == http.StatusMethodNotAllowed {
		newProblem(probe.status, "this path does not take that method; see /docs").header("Allow", probe.headers.Get("Allow")).write(w)
		return
	}
	writeProblem(w, http.StatusNotFound, "there is no such path; see /docs")
}

// seenWriter remembers what was answered.
type seenWriter struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader implements http.ResponseWriter.
func (w *seenWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *seenWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController through.
func (w *seenWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// probeWriter only takes down status and headers.
type probeWriter struct {
	headers http.Header
	status  int
}

// Header implements http.ResponseWriter.
func (w *probeWriter) Header() http.Header { return w.headers }

// WriteHeader implements http.ResponseWriter.
func (w *probeWriter) WriteHeader(status int) { w.status = status }

// Write implements http.ResponseWriter.
func (w *probeWriter) Write(b []byte) (int, error) { return len(b), nil }
