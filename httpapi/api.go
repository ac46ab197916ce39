package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/campaign"
	"github.com/gupdispatch/gupdispatch/internal/tracing"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
	"github.com/gupdispatch/gupdispatch/view"
)

// Bodies that are taken, in bytes, and how long the work of a request may take: less than the server's time to answer.
const (
	maxMessageBody = 256 << 10
	maxBatchBody   = 16 << 20
	maxListBody    = 256 << 10
	workTimeout    = 30 * time.Second

	// redisRetry is when to try again while Redis does not answer.
	redisRetry = 5 * time.Second
)

// API is what the REST API needs. Its zero value is of no use: all but Allow, Rate and Keys are required.
type API struct {
	Keys     []APIKey          // without any, every request is refused
	Allow    []netip.Prefix    // where requests may come from; none: everywhere
	Rate     int               // requests a second and key; 0: any number
	Senders  []campaign.Sender // of whose messages, numbers and campaigns the API is asked
	Ledger   *ledger.Ledger
	Producer Accepter
	// Sender shows one of Senders.
	Sender func(ctx context.Context, name string) (view.Sender, error)
	// Replay makes a dead letter a queued message again and brings it to the workers. Its errors are those of Ledger.Replay.
	Replay func(ctx context.Context, letter ledger.Record) error
}

// Accepter takes messages in; *producer.Producer does.
type Accepter interface {
	SendBatch(ctx context.Context, ms []message.Message) []producer.Result
}

// api is the REST API: a handler for every path below /v1/, for /openapi.json and for /docs.
type api struct {
	API
	keys    keyring
	limit   *limiter // nil: none
	proxies proxies
	redis   redis.UniversalClient
	room    *ledger.Room
	now     func() time.Time
	log     *zap.Logger
	tracer  *tracing.Tracer
	mux     *http.ServeMux
	huma    huma.API

	uploads  uploads
	standing *standing
	stopping context.Context // ends when the server is to stop; long requests end with it
	stop     context.CancelFunc
}

func newAPI(opts Options, pages pages) (*api, error) {
	if o := opts.API; len(o.Senders) == 0 || o.Ledger == nil || o.Producer == nil || o.Sender == nil || o.Replay == nil {
		return nil, errors.New("option API is incomplete: Senders, Ledger, Producer, Sender and Replay are required")
	}
	keys, err := newKeyring(opts.API.Keys)
	if err != nil {
		return nil, err
	}
	a := &api{
		API: *opts.API, keys: keys, proxies: opts.TrustedProxies, redis: opts.Redis, room: ledger.NewRoom(opts.Redis), now: opts.Now, log: opts.Log,
		tracer: tracing.New(opts.Tracer), mux: http.NewServeMux(), uploads: newUploads(),
	}
	a.stopping, a.stop = context.WithCancel(context.Background())
	if a.Rate > 0 {
		a.limit = newLimiter(a.Rate, time.Second/time.Duration(a.Rate), max(1, len(a.Keys)))
	}
	a.huma = humago.New(a.mux, humaConfig())
	a.messages()
	a.batch()
	a.campaigns()
	a.deadLetters()
	a.senders()
	a.templates()
	a.suppressions()
	a.document(pages)
	return a, nil
}

// humaConfig is huma without its pages, which need assets from elsewhere, and without what it adds to answers.
func humaConfig() huma.Config {
	format := huma.Format{Marshal: marshal, Unmarshal: unmarshal}
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	registry.RegisterTypeAlias(reflect.TypeFor[view.Stamp](), reflect.TypeFor[time.Time]())
	registry.RegisterTypeAlias(reflect.TypeFor[message.Message](), reflect.TypeFor[messageObject]())
	return huma.Config{
		OpenAPI:                      &huma.OpenAPI{OpenAPI: "3.1.0", Components: &huma.Components{Schemas: registry}},
		Formats:                      map[string]huma.Format{"application/json": format, "json": format}, // the latter for application/problem+json
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
		Transformers:                 []huma.Transformer{ownProblem},
	}
}

func marshal(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false) // nobody puts this into a page
	return enc.Encode(v)
}

// unmarshal hands a body over as it is: what is wrong with it is told by the handler, field by field.
func unmarshal(data []byte, v any) error {
	if body, ok := v.(interface{ take(raw []byte) }); ok {
		body.take(data)
		return nil
	}
	return json.Unmarshal(data, v)
}

// ownProblem turns an error of huma's into one of ours, which does not repeat what the client sent.
func ownProblem(_ huma.Context, _ string, v any) (any, error) {
	model, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := newProblem(model.Status, ownDetail(strings.TrimSuffix(model.Detail, ".")))
	for _, e := range model.Errors {
		_, field, _ := strings.Cut(e.Location, ".") // behind query, path or body
		p.Errors = append(p.Errors, fieldProblem{Field: field, Problem: ownWords(e.Message)})
	}
	if len(p.Errors) > 0 {
		p.Detail = "the request is not valid: correct the fields that errors names"
	}
	return p, nil
}

// operation describes a path. problems are the statuses of the problems that it may answer, besides those that all may.
func (a *api) operation(method, path, id, tag, summary, description string, problems ...int) huma.Operation {
	op := huma.Operation{
		Method: method, Path: path, OperationID: id, Tags: []string{tag}, Summary: summary, Description: description,
		DefaultStatus: http.StatusOK, Responses: map[string]*huma.Response{}, Security: []map[string][]string{{"key": {}}},
		SkipValidateBody: true, MaxBodyBytes: maxListBody, BodyReadTimeout: readTimeout,
	}
	schema := a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[problem](), true, "")
	for _, status := range append(problems, always...) {
		op.Responses[fmt.Sprint(status)] = &huma.Response{
			Description: problemTexts[status], Content: map[string]*huma.MediaType{problemType: {Schema: schema}}, Headers: problemHeaders(status),
		}
	}
	return op
}

// always are the problems that every operation may answer.
var always = []int{
	http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusServiceUnavailable,
}

// problemTexts tell what each status of a problem means here.
var problemTexts = map[int]string{
	http.StatusBadRequest:            "The body is missing or is not JSON",
	http.StatusUnauthorized:          "No API key, or one that is not known",
	http.StatusForbidden:             "The client's address may not use the API, or its key may not do this",
	http.StatusNotFound:              "There is no such thing",
	http.StatusRequestTimeout:        "The request did not come to its end in time",
	http.StatusConflict:              "It contradicts what is there already",
	http.StatusRequestEntityTooLarge: "The body is too large",
	http.StatusUnsupportedMediaType:  "The body is not declared as application/json",
	http.StatusUnprocessableEntity:   "Fields are wrong: errors names each",
	http.StatusTooManyRequests:       "This key asks more often than it may",
	http.StatusServiceUnavailable:    "There is no room now, or Redis did not answer, or must not be used as it is: try again",
}

func problemHeaders(status int) map[string]*huma.Param {
	if status != http.StatusTooManyRequests && status != http.StatusServiceUnavailable {
		return nil
	}
	return map[string]*huma.Param{"Retry-After": {Description: "when to try again, in seconds", Schema: &huma.Schema{Type: huma.TypeInteger}}}
}

// withBody adds the problems that only requests with a body have.
var withBody = []int{http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType}

// register makes a handler answer its operation. Whatever error it returns is told as a problem.
func register[I, O any](a *api, op huma.Operation, handle func(context.Context, *I) (*O, error)) {
	huma.Register(a.huma, op, func(ctx context.Context, in *I) (*O, error) {
		// A client that hangs up does not take back what it asked for.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), workTimeout)
		defer cancel()
		out, err := handle(ctx, in)
		if err != nil {
			return nil, a.problemOf(ctx, err)
		}
		return out, nil
	})
}

// reply is a body with a status; 0 is the operation's own.
type reply[T any] struct {
	Status int
	Body   T
}

func ok[T any](body T) *reply[T] { return &reply[T]{Status: http.StatusOK, Body: body} }

// page is a part of a list.
type page[T any] struct {
	Items []T    `json:"items" nullable:"false"`
	Next  string `json:"next" doc:"the cursor of the next page; empty on the last one"`
}

// problemOf tells an error to the client, and those that are ours to the log.
func (a *api) problemOf(ctx context.Context, err error) *problem {
	var p *problem
	var fields message.FieldErrors
	var conflict *producer.ConflictError
	var full *producer.FullError
	var late *ledger.TooLateError
	var broken *campaign.PanicError
	switch {
	case errors.As(err, &broken):
		a.log.Error("http.panic", zap.String("panic", broken.What), zap.ByteString("stack", broken.Stack), zap.String("request_id", visitOf(ctx).id))
		return newProblem(http.StatusInternalServerError, mistake)
	case errors.As(err, &p):
		return p
	case errors.As(err, &fields):
		return invalid(fields...)
	case errors.As(err, &conflict):
		p = newProblem(http.StatusConflict, "this id belongs to a message with other content: use another id")
		p.ID, p.MessageStatus = conflict.ID, conflict.Status
		return p
	case errors.As(err, &late):
		p = newProblem(http.StatusConflict, "not cancelled: "+late.Error())
		p.MessageStatus = late.Status
		return p
	case campaignProblem(err) != nil:
		return campaignProblem(err)
	case errors.Is(err, ledger.ErrNotFound):
		return newProblem(http.StatusNotFound, "there is no such message: it was never accepted, or its record was retired")
	case errors.As(err, &full):
		return newProblem(http.StatusServiceUnavailable, full.Error()).retry(full.RetryAfter)
	}
	if errors.Is(err, ledger.ErrNoMemory) || redis.HasErrorPrefix(err, "OOM") {
		return newProblem(http.StatusServiceUnavailable, "Redis has no memory left, so this was not done: repeat it when there is room").retry(redisRetry)
	}
	a.logFailed(ctx, err)
	if errors.Is(err, ledger.ErrRefused) {
		return newProblem(http.StatusInternalServerError, "Redis refuses the command: look into the log for this request's X-Request-Id")
	}
	return newProblem(http.StatusServiceUnavailable,
		"Redis did not confirm it, and it is unknown whether it was done: repeat the request, which is safe with the same id").retry(redisRetry)
}

// logFailed tells the log of an error of ours.
func (a *api) logFailed(ctx context.Context, err error) {
	a.log.Warn("http.failed", zap.String("request_id", visitOf(ctx).id), zap.String("key", visitOf(ctx).key.name()), zap.Error(err))
}

// mistake tells of a panic.
const mistake = "a mistake of ours: look into the log for this request's X-Request-Id"

// invalid is the problem of fields that are wrong.
func invalid(fields ...message.FieldError) *problem {
	p := newProblem(http.StatusUnprocessableEntity, "the request is not valid: correct the fields that errors names")
	for _, f := range fields {
		p.Errors = append(p.Errors, fieldProblem{Field: f.Field, Problem: f.Problem})
	}
	return p
}

// wrong is the problem of one field.
func wrong(field, format string, args ...any) *problem {
	return invalid(message.FieldError{Field: field, Problem: fmt.Sprintf(format, args...)})
}

// joined makes one problem of several, so that all fields that are wrong are told at once; what is more than a field comes first.
func joined(errs ...error) error {
	var fields []fieldProblem
	for _, err := range errs {
		var p *problem
		switch {
		case err == nil:
		case errors.As(err, &p) && len(p.Errors) > 0:
			fields = append(fields, p.Errors...)
		default:
			return err
		}
	}
	if len(fields) == 0 {
		return nil
	}
	p := invalid()
	p.Errors = fields
	return p
}

// names lists the configured senders.
func (a *api) names() []string {
	names := make([]string, len(a.Senders))
	for i, s := range a.Senders {
		names[i] = s.Name
	}
	return names
}

// some are the senders that a request is about: the one it names, or all.
func (a *api) some(name string) ([]string, error) {
	if name == "" {
		return a.names(), nil
	}
	if !slices.Contains(a.names(), name) {
		return nil, wrong("sender", "is not a configured sender")
	}
	return []string{name}, nil
}

// one is the sender that a request changes something of: it may be left out if there is only one.
func (a *api) one(name string) (campaign.Sender, error) {
	if name == "" && len(a.Senders) == 1 {
		return a.Senders[0], nil
	}
	i := slices.IndexFunc(a.Senders, func(s campaign.Sender) bool { return s.Name == name })
	switch {
	case name == "":
		return campaign.Sender{}, wrong("sender", "is missing: there are several senders, so name one")
	case i < 0:
		return campaign.Sender{}, wrong("sender", "is not a configured sender")
	}
	return a.Senders[i], nil
}
