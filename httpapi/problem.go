package httpapi

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/gupdispatch/gupdispatch/message"
)

const problemType = "application/problem+json"

// problem is an error as programs are told of it, in the form of RFC 9457. Errors, ID, Senders, MessageStatus and CampaignStatus are
// members of our own, there where they help.
type problem struct {
	Title  string         `json:"title" doc:"what the status means" example:"Unprocessable Entity"`
	Status int            `json:"status" doc:"the HTTP status" example:"422"`
	Detail string         `json:"detail,omitempty" doc:"what is wrong, and what to do about it"`
	Errors []fieldProblem `json:"errors,omitempty" nullable:"false" doc:"each field that is wrong"`
	ID     string         `json:"id,omitempty" doc:"the id of the message or campaign: sent again with it, it cannot be accepted twice"`
	// The rest is for 409.
	Senders        []string               `json:"senders,omitempty" nullable:"false" doc:"all that have a message or campaign with this id: choose one"`
	MessageStatus  message.Status         `json:"message_status,omitempty" doc:"of the message that has the id, or that cannot be cancelled"`
	CampaignStatus message.CampaignStatus `json:"campaign_status,omitempty" doc:"of the campaign that has the id, or that cannot do so"`

	retryAfter time.Duration
	headers    http.Header
}

// fieldProblem is one field that is wrong.
type fieldProblem struct {
	Field   string `json:"field" doc:"a path in the names of the JSON, such as message.options[1].title, or the name of a parameter"`
	Problem string `json:"problem" doc:"what is wrong with it, without its value"`
}

// newProblem makes a problem. The detail says what to do about it, and never repeats what the client sent.
func newProblem(status int, detail string) *problem {
	return &problem{Title: http.StatusText(status), Status: status, Detail: detail}
}

// retry says when it is worth trying again.
func (p *problem) retry(after time.Duration) *problem {
	p.retryAfter = after
	return p
}

// header adds a header to the answer.
func (p *problem) header(name, value string) *problem {
	if p.headers == nil {
		p.headers = http.Header{}
	}
	p.headers.Set(name, value)
	return p
}

// Error implements error.
func (p *problem) Error() string { return p.Title + ": " + p.Detail }

// GetStatus tells huma the status.
func (p *problem) GetStatus() int { return p.Status }

// ContentType tells huma what the body is.
func (p *problem) ContentType(string) string { return problemType }

// GetHeaders tells huma the headers.
func (p *problem) GetHeaders() http.Header {
	h := http.Header{}
	for name, values := range p.headers {
		h[name] = values
	}
	if p.retryAfter > 0 {
		h.Set("Retry-After", seconds(p.retryAfter))
	}
	return h
}

// write answers with it.
func (p *problem) write(w http.ResponseWriter) {
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	writeBody(w, p.Status, problemType, p)
}

// seconds is a duration as Retry-After has it.
func seconds(d time.Duration) string { return strconv.Itoa(max(1, int(math.Ceil(d.Seconds())))) }

// writeProblem answers with an application/problem+json body.
func writeProblem(w http.ResponseWriter, status int, detail string) {
	newProblem(status, detail).write(w)
}
