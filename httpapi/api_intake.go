package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/campaign"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/view"
)

// The parts of the request that creates a campaign.
const (
	partCampaign   = "campaign"
	partRecipients = "recipients"
)

// maxEpilogue is what may follow the last part, in bytes.
const maxEpilogue = 4 << 10

// maxRejects is how many rejected lines an answer names; all of them have an address of their own.
const maxRejects = 1000

// campaignRequest is what a campaign sends, and when.
type campaignRequest struct {
	ID        string                 `json:"id,omitempty" pattern:"^[A-Za-z0-9._-]{1,48}$" doc:"yours: with it a request that broke off can be sent again, and goes on where it was; made for you if absent" example:"spring"`
	Sender    string                 `json:"sender,omitempty" doc:"may be left out if there is only one" example:"shop"`
	Template  campaignTemplateObject `json:"template"`
	Media     *mediaForm             `json:"media,omitempty" doc:"the template's header; {column} in its texts as in params"`
	Priority  message.Priority       `json:"priority,omitempty" default:"bulk"`
	Rate      float64                `json:"rate,omitempty" minimum:"0" doc:"messages a second, below the sender's; the sender's, if left out"`
	StartAt   string                 `json:"start_at,omitempty" format:"date-time" doc:"not before; at once, if left out"`
	ExpiresAt string                 `json:"expires_at,omitempty" format:"date-time" doc:"what was not sent then never is"`
	Window    string                 `json:"window,omitempty" doc:"the part of each day in which messages go" example:"09:00-21:00"`
	Timezone  string                 `json:"timezone,omitempty" doc:"of the window; the sender's, if left out; recipient: the zone of each number" example:"Asia/Kolkata"`
	OnInDoubt string                 `json:"on_in_doubt,omitempty" enum:"resend,hold" doc:"when nobody knows whether Gupshup took a message; if left out, what is configured"`
	Strict    bool                   `json:"strict,omitempty" doc:"send nothing at all if one row is wrong"`
	DryRun    bool                   `json:"dry_run,omitempty" doc:"only read and check the file, which then may have at most 16 MiB"`
}

// campaignTemplateObject is a template whose parameters are filled in from rows.
type campaignTemplateObject struct {
	ID     string   `json:"id" format:"uuid" doc:"Gupshup's UUID of the template" example:"c6aecef6-bcb0-4fb1-8100-28c094e3bc6b"`
	Params []string `json:"params,omitempty" nullable:"false" doc:"texts, in which {column} stands for what a row has there"`
}

// mediaForm is the template's header as Gupshup has it.
type mediaForm struct{ json.RawMessage }

// Schema tells huma what it is.
func (mediaForm) Schema(r huma.Registry) *huma.Schema {
	s := sessionObject{}.Schema(r)
	s.Examples = []any{map[string]any{"type": "image", "image": map[string]any{"link": "{picture}"}}}
	s.Properties["type"].Examples = []any{"image"}
	return s
}

// createdCampaign is the answer to a campaign that was taken in.
type createdCampaign struct {
	ID          string                 `json:"id"`
	Sender      string                 `json:"sender"`
	Status      message.CampaignStatus `json:"status,omitempty" doc:"left out in a dry run"`
	Accepted    int64                  `json:"accepted" doc:"rows that were taken in, or would be"`
	Rejected    int64                  `json:"rejected" doc:"lines that were not"`
	Lines       int64                  `json:"lines" doc:"of the file, all together"`
	Rejects     []rejectedLine         `json:"rejects" nullable:"false" doc:"the first 1,000 of them; all: GET /v1/campaigns/{id}/rejects"`
	Notes       []string               `json:"notes" nullable:"false" doc:"how long it takes, and warnings of what will not fit"`
	ExpectedEnd view.Stamp             `json:"expected_end" nullable:"true"`
	DryRun      bool                   `json:"dry_run"`
}

// rejectedLine is a line that is not sent to.
type rejectedLine struct {
	Line   int64  `json:"line" doc:"from 1; the header is one, too"`
	Reason string `json:"reason" doc:"without what stands there"`
}

// intake registers the request that creates a campaign. huma would take its whole body into memory, so it has a handler of its own and
// tells huma only what it is like.
func (a *api) intake(tag string) {
	op := a.operation(http.MethodPost, pathCampaigns, "create-campaign", tag, "Send a template to many people",
		"A form with two parts, in this order: campaign, which is JSON, and recipients, a CSV file with a header or NDJSON, read as it comes. The column to is "+
			"the number, id the message's own id, media its header; the others fill the parameters. 202: it was taken in. 200: it had been before, or this is "+
			"a dry run. Rows that cannot be sent are rejected, and the rest goes on. Nothing is sent before the whole file was read: a request that broke off is sent "+
			"again with the same id, goes on where it was, and takes no row twice.",
		append(withBody, http.StatusRequestTimeout, http.StatusConflict)...)
	op.Responses[strconv.Itoa(http.StatusRequestTimeout)].Description = "The request broke off: send it again"
	op.Responses[strconv.Itoa(http.StatusUnsupportedMediaType)].Description = "The body is not declared as multipart/form-data"
	a.alsoAnswers(&op, http.StatusAccepted, "It was taken in", createdCampaign{})
	a.alsoAnswers(&op, http.StatusOK, "It had been taken in before, or this was a dry run", createdCampaign{})
	op.Parameters = []*huma.Param{{
		Name: "Idempotency-Key", In: "header", Schema: &huma.Schema{Type: huma.TypeString, MaxLength: ptr(maxIdempotencyKey)},
		Description: "for campaigns without an id: it follows from this, the API key and the sender",
	}}
	op.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"multipart/form-data": {
		Schema: &huma.Schema{
			Type: huma.TypeObject, Required: []string{partCampaign, partRecipients},
			Properties: map[string]*huma.Schema{
				partCampaign:   a.huma.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[campaignRequest](), true, ""),
				partRecipients: {Type: huma.TypeString, Format: "binary", Description: "the file: CSV with a header that names the column to, or NDJSON; at most 1 GiB with the rest"},
			},
		},
		Encoding: map[string]*huma.Encoding{
			partCampaign:   {ContentType: "application/json"},
			partRecipients: {ContentType: "text/csv, application/x-ndjson"},
		},
	}}}
	a.huma.OpenAPI().AddOperation(&op)
	a.mux.HandleFunc(http.MethodPost+" "+pathCampaigns, a.createCampaign)
}

func ptr[T any](v T) *T { return &v }

// createCampaign answers the request.
func (a *api) createCampaign(w http.ResponseWriter, r *http.Request) {
	select {
	case a.uploads.slots <- struct{}{}:
	default:
		newProblem(http.StatusServiceUnavailable, "so many files are being read as this process reads at a time").retry(redisRetry).write(w)
		return
	}
	up := a.uploads.begin(w, r)
	done, p := a.hearCampaign(r, up)
	status, body, contentType := http.StatusAccepted, any(done.createdCampaign), "application/json"
	switch {
	case p != nil:
		status, body, contentType = p.Status, p, problemType
		for name, values := range p.GetHeaders() {
			w.Header()[name] = values
		}
	case done.before || done.DryRun:
		status = http.StatusOK
	}
	ended := up.stop()
	var text bytes.Buffer
	_ = marshal(&text, body) // of strings and numbers it cannot fail
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(text.Len()))
	if !ended {
		w.Header().Set("Connection", "close")
	}
	w.WriteHeader(status)
	_, _ = w.Write(text.Bytes())
	if !ended {
		up.drain()
	}
}

// hearCampaign takes a campaign in, or tells why not. However it ends, also by a panic, the reading is over then and the upload's slot is free.
func (a *api) hearCampaign(r *http.Request, up *upload) (done takenCampaign, p *problem) {
	defer func() { <-a.uploads.slots }()
	defer up.stop()
	ctx, end := a.lasting(r.Context())
	defer end()
	done, err := a.takeCampaign(ctx, r, up)
	if err != nil {
		return done, a.intakeProblem(ctx, err, up)
	}
	_, _ = io.CopyN(io.Discard, up, maxEpilogue)
	return done, nil
}

// intakeProblem tells why a campaign was not taken in.
func (a *api) intakeProblem(ctx context.Context, err error, up *upload) (p *problem) {
	var named *campaignError
	id := ""
	if errors.As(err, &named) {
		id = named.id
	}
	switch {
	case errors.Is(context.Cause(ctx), errStopping):
		p = newProblem(http.StatusServiceUnavailable, "this server is being stopped: send the same again, with the same id, and it goes on where it was").retry(redisRetry)
	case up.broken() != nil:
		p = up.broken()
		a.log.Info("http.upload_broken", zap.String("request_id", visitOf(ctx).id), zap.String("key", visitOf(ctx).key.name()), zap.String("campaign", id))
	case ctx.Err() != nil:
		p = newProblem(http.StatusRequestTimeout, "the client went away: send the same again, with the same id, and it goes on where it was")
	default:
		p = a.problemOf(ctx, err)
	}
	if p.Status != http.StatusUnprocessableEntity {
		p.ID = id
	}
	return p
}

// campaignError is an error with the id of the campaign that it is about.
type campaignError struct {
	id  string
	err error
}

func (e *campaignError) Error() string { return e.err.Error() }
func (e *campaignError) Unwrap() error { return e.err }

// takenCampaign is the answer, and whether the campaign had been taken in before.
type takenCampaign struct {
	createdCampaign
	before bool
}

// takeCampaign reads the parts of the request: the settings, and then row by row the file.
func (a *api) takeCampaign(ctx context.Context, r *http.Request, body io.Reader) (out takenCampaign, err error) {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || params["boundary"] == "" {
		return out, newProblem(http.StatusBadRequest, "the header Content-Type has no boundary: let your HTTP library write it")
	}
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return out, newProblem(http.StatusUnsupportedMediaType, "send the body as it is, without Content-Encoding")
	}
	key := r.Header.Get("Idempotency-Key")
	if len(key) > maxIdempotencyKey {
		return out, wrong("Idempotency-Key", "has %d characters; at most %d", len(key), maxIdempotencyKey)
	}
	parts := multipart.NewReader(body, params["boundary"])
	part, err := nextPart(parts, partCampaign, "send it as the first part: JSON, before the file")
	if err != nil {
		return out, err
	}
	d, s, q, err := a.settings(ctx, part, key)
	if err != nil {
		return out, err
	}
	file, err := nextPart(parts, partRecipients, "send it as the second part: the file, CSV or NDJSON")
	if err != nil {
		return out, err
	}
	out, err = a.take(ctx, d, s, q, file, &whole{Reader: file, parts: parts})
	if err != nil {
		return out, &campaignError{d.ID, err}
	}
	return out, nil
}

// nextPart is the next part of the form, if it has this name.
func nextPart(parts *multipart.Reader, name, missing string) (*multipart.Part, error) {
	part, err := parts.NextPart()
	switch {
	case errors.Is(err, io.EOF), err == nil && part.FormName() != name:
		return nil, wrong(name, "is missing: %s", missing)
	case err != nil:
		return nil, noForm()
	}
	return part, nil
}

func noForm() *problem {
	return newProblem(http.StatusBadRequest, "the body is no multipart/form-data, or is not complete")
}

// whole is the last part of a form. It ends with the form's closing boundary: it tells of a form that ends before, here as Redis may end so,
// too, and of one that goes on, so that nothing is sent of two files the second of which would not be read.
type whole struct {
	io.Reader
	parts *multipart.Reader
	end   error // told again to whoever reads on
}

// Read implements io.Reader.
func (w *whole) Read(p []byte) (int, error) {
	if w.end != nil {
		return 0, w.end
	}
	n, err := w.Reader.Read(p)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		err = noForm()
	case errors.Is(err, io.EOF):
		err = w.last()
	}
	w.end = err
	return n, err
}

// last is io.EOF if the form ends with this part.
func (w *whole) last() error {
	more, err := w.parts.NextPart()
	switch {
	case errors.Is(err, io.EOF):
		return io.EOF
	case err != nil:
		return noForm()
	}
	name := more.FormName()
	if name != partCampaign && name != partRecipients {
		name = "form" // whatever stands there
	}
	return wrong(name, "is a part too many: send campaign and then recipients, once each, and nothing else; nothing of the campaign is sent until then")
}

// settings reads the part that describes the campaign. Everything that is wrong with it is told at once.
func (a *api) settings(ctx context.Context, part io.Reader, key string) (d campaign.Definition, s campaign.Sender, q campaignRequest, err error) {
	raw, err := io.ReadAll(io.LimitReader(part, maxListBody+1))
	if err != nil {
		return d, s, q, noForm()
	}
	if len(raw) > maxListBody {
		return d, s, q, wrong(partCampaign, "has more than %d bytes", maxListBody)
	}
	if !json.Valid(raw) {
		return d, s, q, wrong(partCampaign, "is not JSON")
	}
	var body payload[campaignRequest]
	if body.take(raw); body.err != nil {
		return d, s, q, body.err
	}
	q = body.value
	d = campaign.Definition{
		ID: q.ID, Template: q.Template.ID, Params: q.Template.Params, Priority: q.Priority, Rate: q.Rate, Window: q.Window, Zone: q.Timezone,
		InDoubt: message.OnInDoubt(q.OnInDoubt),
	}
	if q.Media != nil {
		d.Media = q.Media.RawMessage
	}
	s, unknown := a.one(q.Sender)
	var errs [2]error
	d.StartAt, errs[0] = moment("start_at", q.StartAt) // it may have passed when the same is sent again
	d.Expires, errs[1] = moment("expires_at", q.ExpiresAt)
	if unknown != nil {
		s.Rate, s.Name = q.Rate, "-" // the rest is checked all the same
	}
	if d.ID == "" && key != "" {
		d.ID = derivedID(visitOf(ctx).key.name(), s.Name, key)
	}
	var fields message.FieldErrors
	err = s.Complete(&d, a.now())
	if errors.As(err, &fields) {
		for i := range fields {
			switch fields[i].Field {
			case "template":
				fields[i].Field = "template.id"
			case "params":
				fields[i].Field = "template.params"
			}
		}
		err = invalid(fields...)
	}
	return d, s, q, joined(unknown, errs[0], errs[1], err)
}

// take takes the file in, and tells what came of it.
func (a *api) take(ctx context.Context, d campaign.Definition, s campaign.Sender, q campaignRequest, part *multipart.Part, from io.Reader) (out takenCampaign, err error) {
	out.createdCampaign = createdCampaign{ID: d.ID, Sender: s.Name, Rejects: []rejectedLine{}, Notes: []string{}, DryRun: q.DryRun}
	reject := func(r campaign.Rejection) error {
		if len(out.Rejects) < maxRejects {
			out.Rejects = append(out.Rejects, rejectedLine{r.Line, r.Reason})
			return nil
		}
		return errEnough
	}
	if q.DryRun {
		select {
		case a.uploads.tries <- struct{}{}:
			defer func() { <-a.uploads.tries }()
		default:
			return out, newProblem(http.StatusServiceUnavailable, "another file is being checked, and this process checks one at a time: send this one again").retry(redisRetry)
		}
		from = http.MaxBytesReader(nil, io.NopCloser(from), a.uploads.dry)
	}
	in := bufio.NewReaderSize(from, 64<<10)
	file := campaign.File{In: in, Strict: q.Strict, DryRun: q.DryRun, Format: formatOf(part, in)}
	if q.DryRun { // the others are kept, also those of a request that broke off
		file.Reject = func(r campaign.Rejection) error {
			_ = reject(r) // the rest counts all the same
			return nil
		}
	}
	intake := campaign.Intake{Ledger: a.Ledger, Room: a.room, Region: s.Region}
	done, err := intake.Take(ctx, d, file)
	if err != nil {
		return out, err
	}
	out.before = done.Existing
	out.Status, out.Accepted, out.Rejected, out.Lines = done.Status, done.Accepted, done.Rejected, done.Lines
	if !q.DryRun && done.Rejected > 0 {
		if err := campaign.Rejected(ctx, a.Ledger, s.Name, d.ID, reject); err != nil && !errors.Is(err, errEnough) && !errors.Is(err, campaign.ErrForgotten) {
			return out, err
		}
	}
	p, err := campaign.PlanFor(d, done.Zones, s.Rate, s.DailyRecipients, a.now())
	if err != nil {
		return out, err
	}
	if !done.Existing {
		out.Notes = append(out.Notes, view.PlanNotes(d, p, a.now())...)
		out.ExpectedEnd = view.Stamp(p.Ends.Truncate(time.Second))
	}
	return out, nil
}

var errEnough = errors.New("enough")

// formatOf is how a file is written: what its type says, or else what it begins with.
func formatOf(part *multipart.Part, in *bufio.Reader) campaign.Format {
	kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
	switch strings.ToLower(kind) {
	case "text/csv":
		return campaign.CSV
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", "application/jsonlines", "application/json":
		return campaign.NDJSON
	}
	begin, _ := in.Peek(512) // less, if there is less; an error comes again
	if begin = bytes.TrimLeft(begin, "\ufeff \t\r\n"); len(begin) > 0 && begin[0] == '{' {
		return campaign.NDJSON
	}
	return campaign.CSV
}
