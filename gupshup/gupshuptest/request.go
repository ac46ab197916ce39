package gupshuptest

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
)

// endpoint is one address of the API.
type endpoint struct {
	path     string
	okStatus int
	legacy   bool
	// read reads and validates what the endpoint's messages consist of.
	read func(*request) *refusal
}

// endpoints are the documented self-serve endpoints; each answers with the 2xx
// of its reference page.
var endpoints = map[string]endpoint{
	"/wa/api/v1/msg":          {path: "/wa/api/v1/msg", okStatus: http.StatusOK, read: readSession},
	"/wa/api/v1/template/msg": {path: "/wa/api/v1/template/msg", okStatus: http.StatusAccepted, read: readTemplate},
	"/wa/api/v1/raw/msg":      {path: "/wa/api/v1/raw/msg", okStatus: http.StatusOK, read: readCatalog},
	"/sm/api/v1/msg":          {path: "/sm/api/v1/msg", okStatus: http.StatusOK, legacy: true, read: readSession},
	"/sm/api/v1/template/msg": {path: "/sm/api/v1/template/msg", okStatus: http.StatusAccepted, legacy: true, read: readTemplate},
}

// maxBody is far above the largest documented message.
const maxBody = 1 << 20

// request is a send request as far as it is understood.
type request struct {
	endpoint    endpoint
	form        url.Values
	app         string
	source      string
	destination string
	message     string // the three form fields with JSON
	template    string
	postbacks   string
	contentType string // of the message, or "template"
	templateID  string
	outcome     string // that a fault forces
}

// refusal is why a request is not accepted, and what it is told.
type refusal struct {
	reason string
	reply  reply
}

func badRequest(reason, message string) *refusal {
	return &refusal{reason, jsonError(http.StatusBadRequest, message)}
}

var rateRefusal = refusal{refusedRate, jsonError(http.StatusTooManyRequests, tooManyRequests)}

// read reads and validates a request in the order in which a server can: the
// address, the key, the form, the parties, the content.
func (s *Simulator) read(r *http.Request) (*request, *refusal) {
	ep, ok := endpoints[r.URL.Path]
	switch {
	case !ok:
		return nil, &refusal{refusedPath, jsonError(http.StatusNotFound, "Not Found")}
	case r.Method != http.MethodPost:
		no := jsonError(http.StatusMethodNotAllowed, "Method Not Allowed")
		no.allow = http.MethodPost
		return nil, &refusal{refusedMethod, no}
	case ep.legacy && s.cfg.LegacySM == "401":
		return nil, &refusal{refusedLegacy, portalUserNotFound}
	}
	key := strings.TrimSpace(r.Header.Get("apikey"))
	if key == "" || (s.apps != nil && s.apps[key] == nil) {
		return nil, &refusal{refusedAuth, jsonError(http.StatusUnauthorized, "Authentication Failed")}
	}
	form, no := readForm(r)
	if no != nil {
		return nil, no
	}
	req := &request{
		endpoint: ep,
		form:     form,
		app:      form.Get("src.name"),
		// All samples but one write the source without "+".
		source:      strings.TrimPrefix(form.Get("source"), "+"),
		destination: form.Get("destination"),
		message:     form.Get("message"),
		template:    form.Get("template"),
		postbacks:   form.Get("postbackTexts"),
	}
	if no := s.checkParties(key, req); no != nil {
		return nil, no
	}
	if no := ep.read(req); no != nil {
		return nil, no
	}
	return req, nil
}

// readForm reads the body.
func readForm(r *http.Request) (url.Values, *refusal) {
	const formType = "application/x-www-form-urlencoded"
	if header := r.Header.Get("Content-Type"); header != formType {
		if media, _, err := mime.ParseMediaType(header); err != nil || media != formType {
			return nil, &refusal{refusedForm, jsonError(http.StatusUnsupportedMediaType, "Content-Type must be "+formType)}
		}
	}
	body, err := readBody(r)
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, &refusal{refusedSize, jsonError(http.StatusRequestEntityTooLarge, "Request Entity Too Large")}
	}
	if err != nil {
		return nil, badRequest(refusedForm, "Request body could not be read")
	}
	form, err := url.ParseQuery(body)
	if err != nil {
		return nil, badRequest(refusedForm, "Request body is not a valid form")
	}
	return form, nil
}

// readBody reads the body in one piece where its length is known.
func readBody(r *http.Request) (string, error) {
	if r.ContentLength > maxBody {
		return "", &http.MaxBytesError{Limit: maxBody}
	}
	if r.ContentLength >= 0 {
		body := make([]byte, r.ContentLength)
		_, err := io.ReadFull(r.Body, body)
		return string(body), err
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	return string(body), err
}

// checkParties checks channel, sender and recipient.
func (s *Simulator) checkParties(key string, req *request) *refusal {
	if channel := req.form.Get("channel"); channel != "" && channel != "whatsapp" {
		return badRequest(refusedChannel, "Invalid Channel")
	}
	if !s.knows(key, req.app, req.source) {
		return badRequest(refusedApp, "Invalid App Details")
	}
	if !isNumber(req.destination) {
		return badRequest(refusedDestination, "Invalid Destination")
	}
	return nil
}

// knows reports whether the key may send as this app from this source.
func (s *Simulator) knows(key, app, source string) bool {
	if app == "" || !isNumber(source) {
		return false
	}
	if s.apps == nil {
		return true
	}
	for _, known := range s.apps[key] {
		if known.Name == app && strings.TrimPrefix(known.Source, "+") == source {
			return true
		}
	}
	return false
}

// isNumber reports whether s is an international number without "+": 7 to 15 digits.
func isNumber(s string) bool {
	if len(s) < 7 || len(s) > 15 {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
