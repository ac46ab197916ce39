package httpapi

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// writer is where a document is written to.
type writer = io.Writer

// document is a long answer that is written bit by bit.
type document struct {
	name  string
	write func(ctx context.Context, w writer) error
}

// stream makes a handler answer its operation with a CSV document. An error before its first bytes is told as a problem; after one in its
// middle the connection is closed, so that nobody takes the part for the whole.
func stream[I any](a *api, op huma.Operation, handle func(context.Context, *I) (document, error)) {
	op.Responses["200"] = &huma.Response{
		Description: "The document", Content: map[string]*huma.MediaType{"text/csv": {Schema: &huma.Schema{Type: huma.TypeString}}},
	}
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*huma.StreamResponse, error) {
		begin, cancel := context.WithTimeout(ctx, workTimeout)
		defer cancel()
		doc, err := handle(begin, in)
		if err != nil {
			return nil, a.problemOf(ctx, err)
		}
		return &huma.StreamResponse{Body: func(c huma.Context) {
			_, w := humago.Unwrap(c)
			ctx, end := a.lasting(ctx)
			defer end()
			a.send(ctx, w, doc)
		}}, nil
	})
}

func (a *api) send(ctx context.Context, w http.ResponseWriter, doc document) {
	out := &download{w: w, conn: http.NewResponseController(w), begin: func() {
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		w.Header().Set("Content-Disposition", `attachment; filename="`+doc.name+`"`) // ids have no quotes
	}}
	buffered := bufio.NewWriterSize(out, 32<<10)
	err := doc.write(ctx, buffered)
	if err == nil {
		err = buffered.Flush()
	}
	switch {
	case err == nil:
	case errors.Is(context.Cause(ctx), errStopping) && !out.begun:
		newProblem(http.StatusServiceUnavailable, "this server is being stopped: ask another one, or again").retry(redisRetry).write(w)
	case !out.begun:
		a.problemOf(ctx, err).write(w)
	default:
		if ctx.Err() == nil {
			a.logFailed(ctx, err) // whatever it is: the client sees only that the answer broke off
		}
		panic(http.ErrAbortHandler)
	}
}
