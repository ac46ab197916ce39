package httpapi

import (
	"bytes"
	"context"
	"crypto/hmac"
	"encoding/base64"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/ledger"
)

const (
	// maxConsoleForm bounds a form of the pages, in bytes: a few short fields.
	maxConsoleForm = 16 << 10

	// flashCookie carries what came of a form to the page that follows it, and flashLife is how long that may take.
	flashCookie = "gupdispatch_said"
	flashLife   = 30   // s
	maxFlash    = 1000 // bytes of its text: browsers keep no cookie above 4 KB

	// freshHeader is what console.js sends when it asks for what has changed: that is no page that a person sees.
	freshHeader = "X-Gupdispatch-Fresh"
)

// consolePages are the paths of our own pages, besides those below /campaigns/.
var consolePages = []string{"/", "/campaigns", "/dead", "/dead/replay", "/message", "/audit-log"}

// consolePaths are what the server hands over to them.
var consolePaths = []string{
	"/{$}", "/senders/", "/templates/", "/campaigns", "/campaigns/", "/dead", "/dead/replay", "/message", "/message/cancel", "/audit-log",
	"/console.css", "/console.js", "/console.svg",
}

// isConsole says whether a path is one of our own pages.
func isConsole(path string) bool {
	return slices.Contains(consolePages, path) || strings.HasPrefix(path, "/campaigns/")
}

// console is our own pages: what asynqmon cannot show. They are made here, as plain HTML, and work without scripts; one small script brings
// what has changed since. They do nothing that the commands and the REST API do not do, too.
type console struct {
	api      *api // whose functions they share
	sessions *sessions
	audit    *audit
	html     *template.Template
	readOnly bool
	now      func() time.Time
	log      *zap.Logger
}

// newConsole is the handler for the pages.
func newConsole(opts Options, pages pages, sessions *sessions, audit *audit, api *api) http.Handler {
	c := &console{api: api, sessions: sessions, audit: audit, html: pages.html, readOnly: opts.UIReadOnly, now: opts.Now, log: opts.Log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", c.page("senders", c.sendersPage))
	mux.HandleFunc("POST /senders/{name}/release", c.form(releasesSender, c.releaseSender))
	mux.HandleFunc("POST /templates/{id}/release", c.form(releasesTemplate, c.releaseTemplate))
	mux.HandleFunc("GET /campaigns", c.page("campaigns", c.campaignsPage))
	mux.HandleFunc("GET /campaigns/{sender}/{id}", c.page("campaign", c.campaignPage))
	mux.HandleFunc("POST /campaigns/{sender}/{id}/{event}", c.form(steersCampaign, c.steerCampaign))
	mux.HandleFunc("GET /dead", c.page("dead", c.deadPage))
	mux.HandleFunc("GET /dead/replay", c.page("replay", c.replayPage))
	mux.HandleFunc("POST /dead/replay", c.form(replaysDead, c.replayDead))
	mux.HandleFunc("GET /message", c.page("message", c.messagePage))
	mux.HandleFunc("POST /message/cancel", c.form(cancelsMessage, c.cancelMessage))
	mux.HandleFunc("GET /audit-log", c.page("audit", c.auditPage))
	mux.HandleFunc("GET /console.css", pages.asset("console.css", "text/css; charset=utf-8"))
	mux.HandleFunc("GET /console.js", pages.asset("console.js", "text/javascript; charset=utf-8"))
	mux.HandleFunc("GET /console.svg", pages.asset("console.svg", "image/svg+xml"))
	return sameOrigin(mux)
}

// consoleData is what every page shows, and what one of them does.
type consoleData struct {
	Page   string // its name
	Title  string
	User   string
	Role   Role
	Acts   bool   // has buttons
	Token  string // for forms
	Here   string // this page, to come back to
	Said   string // what came of a form
	Failed bool   // and that it was nothing good
	Again  bool   // and that it is worth another try
	Live   bool   // changes by itself
	Now    time.Time
	Body   any
}

// refusal is an error of the pages that is told as it is.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

func refused(status int, text string) error { return &refusal{status, text} }

// page answers with what show finds. Its template is "console-" and its name.
func (c *console) page(name string, show func(r *http.Request, d *consoleData) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		got, a, in := c.sessions.of(r)
		if !in {
			to := url.URL{Path: "/ui/login", RawQuery: url.Values{"next": {r.URL.RequestURI()}}.Encode()}
			http.Redirect(w, r, to.String(), http.StatusSeeOther)
			return
		}
		c.sessions.touch(w, r, got, a)
		d := c.data(got, a)
		d.Page, d.Here = name, r.URL.RequestURI()
		if r.Header.Get(freshHeader) == "" { // another tab must not take what was meant for the page that follows the form
			d.Said = c.said(w, r)
		}
		ctx, cancel := context.WithTimeout(r.Context(), workTimeout)
		defer cancel()
		status := http.StatusOK
		if err := show(r.WithContext(ctx), &d); err != nil {
			status, d.Said, d.Failed = c.explain(err)
			d.Page, d.Live = "failed", false
			d.Title = http.StatusText(status)
			if status < http.StatusInternalServerError {
				d.Here = above(r.URL)
			} else {
				d.Again = true
			}
		}
		c.send(w, status, d)
	}
}

// above is the page to go back to from one that cannot be shown: the list that it would be of, or the first one.
func above(u *url.URL) string {
	first, rest, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	if list := "/" + first; rest != "" || u.RawQuery != "" {
		return list
	}
	return "/"
}

func (c *console) data(got session, a account) consoleData {
	return consoleData{User: a.name, Role: a.role, Acts: a.role == RoleAdmin && !c.readOnly, Token: c.sessions.formToken(got), Now: c.now()}
}

func (c *console) send(w http.ResponseWriter, status int, d consoleData) {
	var page bytes.Buffer
	if err := c.html.ExecuteTemplate(&page, "console-"+d.Page, d); err != nil {
		c.log.Error("ui.page", zap.String("page", d.Page), zap.Error(err))
		writeProblem(w, http.StatusInternalServerError, "the page could not be made")
		return
	}
	w.Header().Set("Content-Security-Policy", policyConsole)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(page.Bytes())
}

// explain tells an error to a person, and those that are ours to the log.
func (c *console) explain(err error) (status int, text string, failed bool) {
	var r *refusal
	var p *problem
	switch {
	case errors.As(err, &r):
		return r.status, r.text, true
	case errors.As(err, &p):
		return p.Status, p.Detail, true
	case errors.Is(err, ledger.ErrNotFound):
		return http.StatusNotFound, "There is no such message: it was never accepted, or its record was retired.", true
	}
	c.log.Warn("ui.failed", zap.Error(err))
	return http.StatusServiceUnavailable, "Redis did not answer. Try again.", true
}

// act is what a form does: its name and what it is about, for the audit log, and what comes of it.
type act struct {
	name, target string
	detail       string // what else the audit log should know
	said         string // what the person is told
	next         string // the page to show then, if not the one that it was asked from
}

// form does what a form asks, notes it, and sends the person back. Only admins may, in their session, from a page that was made for it.
func (c *console) form(of func(r *http.Request) act, do func(ctx context.Context, r *http.Request, a account, act *act) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		got, a, in := c.sessions.of(r)
		if !in {
			http.Redirect(w, r, "/ui/login?next=/", http.StatusSeeOther)
			return
		}
		// A person who closes the page does not take back what they asked for.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), workTimeout)
		defer cancel()
		r.Body = http.MaxBytesReader(w, r.Body, maxConsoleForm)
		if err := r.ParseForm(); err != nil {
			c.fail(w, r, got, a, refused(http.StatusBadRequest, "The form could not be read."))
			return
		}
		asked, noted := of(r), false
		note := func(status int, detail string) {
			noted = true
			c.audit.note(r, a, asked.name, asked.target, status, detail)
		}
		defer func() { // of a panic, after which nobody knows whether it was done
			if !noted {
				note(http.StatusInternalServerError, joinTexts(asked.detail, "It broke off."))
			}
		}()
		err := c.may(r, got, a)
		if err == nil {
			err = do(ctx, r, a, &asked)
		}
		if err != nil {
			status, text, _ := c.explain(err)
			note(status, joinTexts(asked.detail, text))
			c.fail(w, r, got, a, err)
			return
		}
		note(http.StatusOK, asked.detail)
		if asked.next == "" {
			asked.next = here(r)
		}
		c.say(w, r, asked.said)
		http.Redirect(w, r, asked.next, http.StatusSeeOther)
	}
}

// may says why a form must not do anything.
func (c *console) may(r *http.Request, got session, a account) error {
	switch {
	case !hmac.Equal([]byte(r.PostForm.Get("token")), []byte(c.sessions.formToken(got))):
		return refused(http.StatusForbidden, "This form was made for another session. Open the page again, and repeat it.")
	case a.role != RoleAdmin:
		return refused(http.StatusForbidden, "The role viewer may look, not act.")
	case c.readOnly:
		return refused(http.StatusForbidden, "The web UI is configured to be read-only.")
	}
	return nil
}

// here is the page that a form was sent from.
func here(r *http.Request) string {
	if next := safeNext(r.PostForm.Get("here")); next != uiHome {
		return next
	}
	return "/"
}

func (c *console) fail(w http.ResponseWriter, r *http.Request, got session, a account, err error) {
	d := c.data(got, a)
	var status int
	status, d.Said, d.Failed = c.explain(err)
	d.Page, d.Title, d.Here = "failed", http.StatusText(status), here(r)
	c.send(w, status, d)
}

// say keeps what came of a form for the next page, cut if it is very long. The cookie is no secret, and another site can neither set nor read it.
func (c *console) say(w http.ResponseWriter, r *http.Request, text string) {
	if len(text) > maxFlash {
		const more = "…"
		text = strings.ToValidUTF8(text[:maxFlash-len(more)], "") + more
	}
	c.flash(w, r, base64.RawURLEncoding.EncodeToString([]byte(text)), flashLife)
}

// said takes what a form left for this page.
func (c *console) said(w http.ResponseWriter, r *http.Request) string {
	kept, err := r.Cookie(flashCookie)
	if err != nil {
		return ""
	}
	c.flash(w, r, "", -1)
	text, err := base64.RawURLEncoding.DecodeString(kept.Value)
	if err != nil || len(text) > maxFlash {
		return ""
	}
	return string(text)
}

func (c *console) flash(w http.ResponseWriter, r *http.Request, value string, life int) {
	http.SetCookie(w, &http.Cookie{
		Name: flashCookie, Value: value, Path: "/", MaxAge: life, HttpOnly: true, Secure: c.sessions.proxies.secure(r), SameSite: http.SameSiteStrictMode,
	})
}
