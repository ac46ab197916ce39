package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/hibiken/asynq"
	"go.uber.org/zap"
)

// maxActionBody bounds the body of an action in the web UI, in bytes: a batch
// names a page of task ids.
const maxActionBody = 1 << 20

// ui is the web UI behind its login.
type ui struct {
	sessions *sessions
	login    *login
	acting   monitor // for those who may act
	looking  monitor // for those who may only look: hides the buttons
	readOnly bool
	gate     *gate // nil: there is no ledger, and nobody may act
	audit    *audit
	log      *zap.Logger
}

// newUI builds the handler for /ui and everything below it. books is nil where there are none.
func newUI(opts Options, users *directory, pages pages, sessions *sessions, audit *audit, books books) http.Handler {
	if len(users.accounts) == 0 {
		return http.HandlerFunc(pages.explainUsers)
	}
	u := &ui{
		sessions: sessions,
		acting:   newMonitor(opts.Redis, false, pages.bar),
		looking:  newMonitor(opts.Redis, true, pages.bar),
		readOnly: opts.UIReadOnly,
		audit:    audit,
		log:      opts.Log,
	}
	if books != nil {
		u.gate = &gate{books: books, tasks: asynq.NewInspectorFromRedisClient(opts.Redis), keep: opts.KeepPaused}
	}
	u.login = newLogin(opts, users, u.sessions, pages, audit)

	mux := http.NewServeMux()
	mux.HandleFunc("GET /ui/login", u.login.show)
	mux.HandleFunc("POST /ui/login", u.login.enter)
	mux.HandleFunc("GET /ui/logout", u.login.show)
	mux.HandleFunc("POST /ui/logout", u.login.leave)
	mux.HandleFunc("GET /ui/login.css", pages.asset("login.css", "text/css; charset=utf-8"))
	mux.HandleFunc("GET /ui/notice.js", pages.asset("notice.js", "text/javascript; charset=utf-8"))
	mux.HandleFunc("/ui", u.inside)
	mux.HandleFunc("/ui/", u.inside)
	return sameOrigin(mux)
}

// sameOrigin refuses whatever another site makes a browser do. asynqmon checks no origin: without this, any site an operator visits could
// press its buttons. SameSite=Strict guards as well, in another way.
func sameOrigin(next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	crossOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, http.StatusForbidden, "the request came from another site: act from the web UI itself")
	}))
	return crossOrigin.Handler(next)
}

// inside answers what needs a login.
func (u *ui) inside(w http.ResponseWriter, r *http.Request) {
	got, a, ok := u.sessions.of(r)
	if !ok {
		u.demandLogin(w, r)
		return
	}
	u.sessions.touch(w, r, got, a)
	if isRead(r.Method) {
		u.look(w, r, a)
		return
	}
	u.act(w, r, a)
}

// look serves reading. Redis' INFO tells of the host and of other databases'
// load, which is nothing for viewers.
func (u *ui) look(w http.ResponseWriter, r *http.Request, a account) {
	if a.role != RoleAdmin && path.Clean(r.URL.Path) == uiAPI+"redis_info" {
		say(w, r, http.StatusForbidden, "Redis' INFO is shown to the role admin only")
		return
	}
	u.monitor(a).serve(w, r, a)
}

// act serves everything else, and notes it, refused or not: who, what and how it ended, never the body.
func (u *ui) act(w http.ResponseWriter, r *http.Request, a account) {
	out := &seenWriter{ResponseWriter: w}
	d, known := readDeed(r.Method, r.URL.Path)
	done := deedNote{action: d.action(), target: d.target()}
	if !known {
		done = deedNote{action: "ui.unknown", target: r.Method + " " + maskNumbers(r.URL.Path)}
	}
	// Every deed is answered, unless it panics: then nobody knows whether it was done.
	defer func() {
		u.audit.note(r, a, done.action, done.target, cmp.Or(out.status, http.StatusInternalServerError), done.detail)
	}()
	refused := func(status int, text string) {
		done.detail = text
		say(out, r, status, text)
	}
	switch {
	case a.role != RoleAdmin:
		refused(http.StatusForbidden, "The role viewer may look, not act.")
	case u.readOnly:
		refused(http.StatusForbidden, "The web UI is configured to be read-only.")
	case !strings.HasPrefix(r.URL.Path, uiAPI):
		out.Header().Set("Allow", "GET, HEAD")
		refused(http.StatusMethodNotAllowed, "pages of the web UI can only be read")
	case !known:
		refused(http.StatusNotFound, noSuchPath)
	case u.gate == nil:
		refused(http.StatusServiceUnavailable, "This process has no ledger, and so nobody may act here.")
	default:
		done.detail = u.deed(out, r, a, d)
	}
}

// deedNote is what the audit log is told of a deed.
type deedNote struct{ action, target, detail string }

// deed does what the gate lets be done, and answers. It returns what is worth noting.
func (u *ui) deed(w http.ResponseWriter, r *http.Request, a account, d deed) (detail string) {
	// A person who closes the page does not take back what they asked for.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), workTimeout)
	defer cancel()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxActionBody))
	if err != nil {
		say(w, r, http.StatusBadRequest, "The request could not be read.")
		return ""
	}
	ruled, err := u.gate.rule(ctx, d, body)
	switch {
	case err != nil:
		u.log.Warn("ui.failed", zap.String("action", d.action()), zap.String("target", d.target()), zap.Error(err))
		say(w, r, http.StatusServiceUnavailable, "Redis did not answer, and it is unknown how much was done. Try again.")
		return "Redis did not answer"
	case ruled.text != "":
		say(w, r, ruled.status, ruled.text)
		return joinTexts(ruled.text, ruled.detail)
	}
	if ruled.notice != "" {
		w.Header().Set(noticeHeader, url.PathEscape(ruled.notice))
	}
	switch {
	case ruled.pass:
		r = r.WithContext(ctx)
		r.Body = io.NopCloser(bytes.NewReader(body))
		seen := &headWriter{ResponseWriter: w}
		u.acting.serve(seen, r, a)
		if d.scope == allTasks {
			ruled.detail = joinTexts(ruled.detail, seen.count())
		}
	case ruled.body != nil:
		w.Header().Set("Content-Security-Policy", policyUI)
		writeBody(w, ruled.status, "application/json", ruled.body)
	default:
		w.WriteHeader(ruled.status)
	}
	return joinTexts(ruled.notice, ruled.detail)
}

// headWriter keeps the beginning of what is answered.
type headWriter struct {
	http.ResponseWriter
	head []byte
}

// maxHead is more than asynqmon's answer to an action on all tasks of a list.
const maxHead = 256

// Write implements http.ResponseWriter.
func (w *headWriter) Write(b []byte) (int, error) {
	w.head = append(w.head, b[:min(len(b), maxHead-len(w.head))]...)
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController through.
func (w *headWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// count says to how many tasks something was done, if that was answered.
func (w *headWriter) count() string {
	var counts map[string]int
	if json.Unmarshal(w.head, &counts) != nil {
		return ""
	}
	for _, verb := range []string{"deleted", "archived", "scheduled"} {
		if n, told := counts[verb]; told {
			return fmt.Sprintf("%d %s.", n, verb)
		}
	}
	return ""
}

// noticeHeader carries what the web UI shows beside what asynqmon says of an action; see page/notice.js.
const noticeHeader = "X-Gupdispatch-Notice"

// noSuchPath answers what asynqmon would answer with its page.
const noSuchPath = "The web UI has no such path."

func joinTexts(texts ...string) string {
	return strings.TrimSpace(strings.Join(texts, " "))
}

// say refuses. asynqmon's script shows the body of an error as it is, so below /ui/api/ it is a text; elsewhere it is a problem, as always.
func say(w http.ResponseWriter, r *http.Request, status int, text string) {
	if !strings.HasPrefix(r.URL.Path, uiAPI) {
		writeProblem(w, status, text)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}

func (u *ui) monitor(a account) monitor {
	if a.role == RoleAdmin && !u.readOnly {
		return u.acting
	}
	return u.looking
}

// demandLogin sends a person to the login page and back afterwards. A program,
// which is what the page's own script is, gets 401: it would take the login
// page for data.
func (u *ui) demandLogin(w http.ResponseWriter, r *http.Request) {
	wantsJSON := strings.HasPrefix(r.URL.Path, uiAPI) || strings.Contains(r.Header.Get("Accept"), "application/json")
	if wantsJSON || !isRead(r.Method) {
		say(w, r, http.StatusUnauthorized, "log in at /ui/login")
		return
	}
	to := url.URL{Path: "/ui/login"}
	if next := safeNext(r.URL.RequestURI()); next != uiHome {
		to.RawQuery = url.Values{"next": {next}}.Encode()
	}
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}

func isRead(method string) bool { return method == http.MethodGet || method == http.MethodHead }
