package httpapi

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"strconv"

	"github.com/gupdispatch/gupdispatch/view"
)

//go:embed page
var pageFiles embed.FS

// pages are the few pages of our own: plain HTML that needs neither scripts nor
// anything from elsewhere.
type pages struct {
	html *template.Template
	bar  *template.Template
}

// pageData is what a page may show. The zero value is the empty login form.
type pageData struct {
	Next  string // where to go after the login
	Error string // why the last attempt failed
	Name  string // who is logged in, "" for nobody
	Role  Role
}

func loadPages() (pages, error) {
	html, err := template.New("").Funcs(template.FuncMap{
		"ago": ago, "clock": timeOfDay, "thousands": view.Thousands[int64], "counted": counted, "address": messageAddress,
		"rate":         func(v float64) string { return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) },
		"thousandsInt": view.Thousands[int], "sub": func(a, b int) int { return a - b },
		"nothing": func() map[string]string { return nil },
		"list":    func(items ...any) []any { return items },
	}).ParseFS(pageFiles, "page/*.html")
	if err != nil {
		return pages{}, fmt.Errorf("parse the pages: %w", err)
	}
	return pages{html: html, bar: html.Lookup("bar")}, nil
}

func (p pages) send(w http.ResponseWriter, status int, name string, data pageData) {
	var page bytes.Buffer
	if err := p.html.ExecuteTemplate(&page, name, data); err != nil {
		writeProblem(w, http.StatusInternalServerError, "the page could not be made")
		return
	}
	w.Header().Set("Content-Security-Policy", policyPages)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes())
}

// asset serves a style sheet or a script of the pages, also to those who are not in. It is asked for again each time: it is small, and must
// fit the page.
func (p pages) asset(name, kind string) http.HandlerFunc {
	content, err := pageFiles.ReadFile("page/" + name)
	if err != nil {
		panic(err) // the file is part of the binary
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(content)
	}
}

// explainUsers answers everything under /ui while nobody may log in.
func (p pages) explainUsers(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/ui/login.css" {
		p.asset("login.css", "text/css; charset=utf-8")(w, r)
		return
	}
	p.send(w, http.StatusForbidden, "no_users", pageData{})
}
