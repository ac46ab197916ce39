package httpapi

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
)

//go:embed page
var pageFiles embed.FS

// pages are the few pages of our own: plain HTML that needs neither scripts nor
// anything from elsewhere.
type pages struct {
	html *template.Template
	bar  *template.Template
	css  []byte
}

// pageData is what a page may show. The zero value is the empty login form.
type pageData struct {
	Next  string // where to go after the login
	Error string // why the last attempt failed
	Name  string // who is logged in, "" for nobody
	Role  Role
}

func loadPages() (pages, error) {
	html, err := template.ParseFS(pageFiles, "page/*.html")
	if err != nil {
		return pages{}, fmt.Errorf("parse the pages: %w", err)
	}
	css, err := pageFiles.ReadFile("page/login.css")
	if err != nil {
		return pages{}, fmt.Errorf("read the style: %w", err)
	}
	return pages{html: html, bar: html.Lookup("bar"), css: css}, nil
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

// style serves the style sheet of the pages, also to those who are not in.
func (p pages) style(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "private, max-age=3600")
	_, _ = w.Write(p.css)
}

// explainUsers answers everything under /ui while nobody may log in.
func (p pages) explainUsers(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/ui/login.css" {
		p.style(w, r)
		return
	}
	p.send(w, http.StatusForbidden, "no_users", pageData{})
}
