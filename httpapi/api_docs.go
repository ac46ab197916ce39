package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

const (
	pathOpenAPI   = "/openapi.json"
	pathDocs      = "/docs"
	pathDocsStyle = "/docs/style.css"
)

// document serves the OpenAPI document and a page that lists the operations, both made once. Neither needs anything from elsewhere.
func (a *api) document(pages pages) {
	a.describe()
	spec, err := json.MarshalIndent(a.huma.OpenAPI(), "", "  ")
	if err != nil {
		panic(err) // it is made of what is compiled in; a test serves it
	}
	spec = append(spec, '\n')
	a.mux.HandleFunc("GET "+pathOpenAPI, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(spec)
	})
	var page bytes.Buffer
	if err := pages.html.ExecuteTemplate(&page, "docs", chaptersOf(a.huma.OpenAPI())); err != nil {
		panic(err) // as above
	}
	a.mux.HandleFunc("GET "+pathDocs, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Security-Policy", policyPages)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(page.Bytes())
	})
	a.mux.HandleFunc("GET "+pathDocsStyle, pages.asset("login.css", "text/css; charset=utf-8"))
}

// docChapter is a tag with its operations, as the page shows them.
type docChapter struct {
	Name, Text string
	Operations []docOperation
}

type docOperation struct {
	Method, Path, Summary, Text string
	Fields                      []docField // parameters, then the fields of the body
	Answers                     []docField
}

type docField struct{ Name, Where, Kind, Text string }

func chaptersOf(doc *huma.OpenAPI) (chapters []docChapter) {
	for _, tag := range doc.Tags {
		c := docChapter{Name: tag.Name, Text: tag.Description}
		for _, path := range sortedKeys(doc.Paths) {
			item := doc.Paths[path]
			for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Delete} {
				if op != nil && slices.Contains(op.Tags, tag.Name) {
					c.Operations = append(c.Operations, docOperationOf(doc, op))
				}
			}
		}
		chapters = append(chapters, c)
	}
	return chapters
}

func docOperationOf(doc *huma.OpenAPI, op *huma.Operation) docOperation {
	d := docOperation{Method: op.Method, Path: op.Path, Summary: op.Summary, Text: op.Description}
	for _, p := range op.Parameters {
		d.Fields = append(d.Fields, docField{Name: p.Name, Where: p.In, Kind: kindOf(p.Schema), Text: p.Description})
	}
	if op.RequestBody != nil {
		for _, media := range sortedKeys(op.RequestBody.Content) { // there is one
			d.Fields = append(d.Fields, bodyFields(doc, op.RequestBody.Content[media].Schema, "body")...)
		}
	}
	for _, status := range sortedKeys(op.Responses) {
		d.Answers = append(d.Answers, docField{Name: status, Text: op.Responses[status].Description})
	}
	return d
}

// bodyFields are the fields of a body, or of a part of a form.
func bodyFields(doc *huma.OpenAPI, schema *huma.Schema, where string) (fields []docField) {
	body := resolve(doc, schema)
	for _, name := range sortedKeys(body.Properties) {
		field := body.Properties[name]
		f := docField{Name: name, Where: where, Kind: kindOf(field), Text: field.Description}
		if slices.Contains(body.Required, name) {
			f.Kind += ", required"
		}
		fields = append(fields, f)
		if name == partCampaign && where == "body" && field.Ref != "" {
			fields = append(fields, bodyFields(doc, field, "part "+name)...)
		}
	}
	return fields
}

func resolve(doc *huma.OpenAPI, s *huma.Schema) *huma.Schema {
	if s.Ref == "" {
		return s
	}
	return doc.Components.Schemas.SchemaFromRef(s.Ref)
}

// kindOf is a schema in a word or two.
func kindOf(s *huma.Schema) string {
	switch {
	case s.Ref != "":
		return s.Ref[strings.LastIndex(s.Ref, "/")+1:]
	case s.Type == huma.TypeArray:
		return "list of " + kindOf(s.Items)
	case s.Format == "date-time":
		return "time"
	}
	return s.Type
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
