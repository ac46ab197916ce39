package httpapi

import (
	"math"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/gupdispatch/gupdispatch/auditlog"
)

const (
	uiHome = "/ui/"

	// maxLoginBody bounds the login form, in bytes: two short fields and a path.
	maxLoginBody = 16 << 10

	// Attempts to log in, successful ones included, are counted by client and by
	// name: a burst, then one per interval. The name's limit stops guessing from
	// many addresses at once: 2,880 guesses a day.
	clientBurst, clientInterval = 10, 30 * time.Second
	nameBurst, nameInterval     = 20, 30 * time.Second

	// maxCounted bounds the clients, and the names, that are counted.
	maxCounted = 4096
)

// login is the way in and out of the web UI.
type login struct {
	users    *directory
	sessions *sessions
	pages    pages
	proxies  proxies
	audit    *audit
	byClient *limiter
	byName   *limiter
	now      func() time.Time
}

func newLogin(opts Options, users *directory, sessions *sessions, pages pages, audit *audit) *login {
	return &login{
		users:    users,
		sessions: sessions,
		pages:    pages,
		proxies:  opts.TrustedProxies,
		audit:    audit,
		byClient: newLimiter(clientBurst, clientInterval, maxCounted),
		byName:   newLimiter(nameBurst, nameInterval, maxCounted),
		now:      opts.Now,
	}
}

// show answers GET: the form, or, for who is in already, the way out.
func (l *login) show(w http.ResponseWriter, r *http.Request) {
	data := pageData{Next: safeNext(r.URL.Query().Get("next"))}
	if _, a, ok := l.sessions.of(r); ok {
		data.Name, data.Role = a.name, a.role
	}
	l.pages.send(w, http.StatusOK, "login", data)
}

// enter answers the form. The limits come before the password is looked at, so
// that nothing is learnt, and no time spent, beyond them.
func (l *login) enter(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxLoginBody)
	if err := r.ParseForm(); err != nil {
		l.refuse(w, http.StatusBadRequest, "", "The form could not be read. Please try again.")
		return
	}
	name, password, next := r.PostForm.Get("name"), r.PostForm.Get("password"), safeNext(r.PostForm.Get("next"))
	if wait := l.wait(r, name); wait > 0 {
		l.note(r, name, http.StatusTooManyRequests, "too many attempts")
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		l.refuse(w, http.StatusTooManyRequests, next, "Too many attempts. Please wait a minute and try again.")
		return
	}
	if len(name) > maxNameLen || len(password) > maxPasswordLen {
		name = "" // nobody's
	}
	a, proven := l.users.verify(r.Context(), name, password)
	if !proven {
		l.note(r, name, http.StatusUnauthorized, "name or password is wrong")
		l.refuse(w, http.StatusUnauthorized, next, "Name or password is wrong.")
		return
	}
	l.note(r, name, http.StatusOK, "")
	l.sessions.start(w, r, a)
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// leave ends the session.
func (l *login) leave(w http.ResponseWriter, r *http.Request) {
	if _, a, in := l.sessions.of(r); in {
		l.audit.note(r, a, auditlog.ActionLogout, "", http.StatusOK, "")
	}
	l.sessions.end(w, r)
	http.Redirect(w, r, "/ui/login", http.StatusSeeOther)
}

// wait counts the attempt and returns how long its client or name must pause.
func (l *login) wait(r *http.Request, name string) time.Duration {
	now := l.now()
	if wait := l.byClient.take(network(l.proxies.client(r)), now); wait > 0 {
		return wait
	}
	if len(name) > maxNameLen {
		return 0 // no account has it, and it is not worth keeping
	}
	return l.byName.take(name, now)
}

func (l *login) refuse(w http.ResponseWriter, status int, next, message string) {
	l.pages.send(w, status, "login", pageData{Next: next, Error: message})
}

// note notes an attempt. A name nobody has is not written: people type their
// password into the wrong field.
func (l *login) note(r *http.Request, name string, status int, why string) {
	a, known := l.users.accounts[name]
	if !known {
		a.name = "(unknown)"
	}
	l.audit.note(r, a, auditlog.ActionLogin, "", status, why)
}

// safeNext returns where to go after the login: a page of ours or of the web UI,
// and nothing that leaves this site, whatever a link claimed.
func safeNext(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || strings.Contains(next, `\`) {
		return uiHome
	}
	clean := path.Clean(u.Path)
	queues := strings.HasPrefix(clean, uiHome) && !strings.HasPrefix(clean, "/ui/log") && !strings.HasPrefix(clean+"/", uiAPI)
	if !queues && !isConsole(clean) {
		return uiHome
	}
	return (&url.URL{Path: clean, RawQuery: u.RawQuery}).String()
}
