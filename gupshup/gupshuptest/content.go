package gupshuptest

import (
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/gupdispatch/gupdispatch/gupshup"
)

// typeOfTemplates is the Type of an accepted template, whose media, if any, are not its content.
const typeOfTemplates = "template"

// readSession reads a session message.
func readSession(req *request) *refusal {
	if req.message == "" {
		return badRequest(refusedMessage, "Invalid message: is required")
	}
	if req.template != "" || req.postbacks != "" {
		return badRequest(refusedMessage, "Invalid message: template and postbackTexts belong to template messages")
	}
	message, err := gupshup.DecodeMessage([]byte(req.message))
	if err == nil {
		err = message.Validate()
	}
	if err != nil {
		return badRequest(refusedMessage, "Invalid message: "+err.Error())
	}
	req.contentType = message.Type()
	return nil
}

// readTemplate reads a template with its media and postback texts.
func readTemplate(req *request) *refusal { return readTemplateOf(req, false) }

// readCatalog reads a catalogue template, the one kind that Gupshup takes at
// /raw/msg. Elsewhere it cannot be told from any other template.
func readCatalog(req *request) *refusal { return readTemplateOf(req, true) }

func readTemplateOf(req *request, catalog bool) *refusal {
	content := gupshup.Content{Template: &gupshup.Template{}}
	if err := decode(req.template, content.Template); err != nil {
		return badRequest(refusedTemplate, "Invalid template: "+err.Error())
	}
	if content.Template.Catalog {
		return badRequest(refusedTemplate, "Invalid template: catalog is not a field of Gupshup's")
	}
	content.Template.Catalog = catalog
	if req.message != "" {
		media, err := gupshup.DecodeMedia([]byte(req.message))
		if err != nil {
			return badRequest(refusedMessage, "Invalid message: "+err.Error())
		}
		content.Media = media
	}
	if req.postbacks != "" {
		if err := decode(req.postbacks, &content.PostbackTexts); err != nil {
			return badRequest(refusedPostback, "Invalid postbackTexts: "+err.Error())
		}
	}
	if no := refusedContent(content.Validate()); no != nil {
		return no
	}
	req.contentType, req.templateID = typeOfTemplates, content.Template.ID
	return nil
}

// refusedContent turns what Content.Validate found into an answer. A template
// id that is not a UUID gets the 401 that Gupshup has for it, in place of
// everything else.
func refusedContent(err error) *refusal {
	if err == nil {
		return nil
	}
	reason := refusedTemplate
	var fields gupshup.FieldErrors
	if errors.As(err, &fields) {
		for _, f := range fields {
			if f.Field == "template.id" {
				return &refusal{refusedTemplate, portalUserNotFound}
			}
		}
		reason = reasonOf(fields[0].Field)
	}
	return badRequest(reason, "Invalid "+reason+": "+err.Error())
}

// reasonOf finds the form field of a path in a Content.
func reasonOf(path string) string {
	switch {
	case strings.HasPrefix(path, "media"):
		return refusedMessage // media travel in the form field "message"
	case strings.HasPrefix(path, "postback"):
		return refusedPostback
	}
	return refusedTemplate
}

// decode reads exactly one JSON value without unknown fields. Its errors do not
// quote values.
func decode(text string, into any) error {
	if text == "" {
		return errors.New("is required")
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return errors.New("is not of the documented form")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("has something after its end")
	}
	return nil
}

// codeText is what package gupshup knows about a code.
func codeText(code int) string {
	if row, ok := gupshup.LookupCode(strconv.Itoa(code)); ok {
		return row.Meaning
	}
	return "Unknown error"
}
