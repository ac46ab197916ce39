package httpapi

import (
	"context"
	"net/http"
	"net/url"
	"path"
	"strings"

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
	keep     func(ctx context.Context, queue string) (bool, error)
	proxies  proxies
	log      *zap.Logger
}

// newUI builds the handler for /ui and everything below it.
func newUI(opts Options, users *directory) (http.Handler, error) {
	pages, err := loadPages()
	if err != nil {
		return nil, err
	}
	if len(users.accounts) == 0 {
		return http.HandlerFunc(pages.explainUsers), nil
	}
	u := &ui{
		sessions: newSessions(opts, users),
		acting:   newMonitor(opts.Redis, false, pages.bar),
		looking:  newMonitor(opts.Redis, true, pages.bar),
		readOnly: opts.UIReadOnly,
		keep:     opts.KeepPaused,
		proxies:  opts.TrustedProxies,
		log:      opts.Log,
	}
	u.login = newLogin(opts, users, u.sessions, pages)

	mux := http.NewServeMux()
	mux.HandleFunc("GET /ui/login", u.login.show)
	mux.HandleFunc("POST /ui/login", u.login.enter)
	mux.HandleFunc("GET /ui/logout", u.login.show)
	mux.HandleFunc("POST /ui/logout", u.login.leave)
	mux.HandleFunc("GET /ui/login.css", pages.style)
	mux.HandleFunc("/ui", u.inside)
	mux.HandleFunc("/ui/", u.inside)

	// asynqmon checks no origin: without this, any site an operator visits could
	// press its buttons. SameSite=Strict guards as well, in another way.
	crossOrigin := http.NewCrossOriginProtection()
	crossOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeProblem(w, http.StatusForbidden, "the request came from another site: act from the web UI itself")
	}))
	return crossOrigin.Handler(mux), nil
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
		writeProblem(w, http.StatusForbidden, "Redis' INFO is shown to the role admin only")
		return
	}
	u.monitor(a).serve(w, r, a)
}

// act serves everything else, and writes one line about it, refused or not:
// who, what and how it ended, never the body.
func (u *ui) act(w http.ResponseWriter, r *http.Request, a account) {
	out := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
	defer func() {
		u.log.Info("ui.action",
			zap.String("user", a.name),
			zap.String("role", string(a.role)),
			zap.Stringer("client", u.proxies.client(r)),
			zap.String("method", r.Method),
			zap.String("path", r.URL.Path),
			zap.Int("status", out.status),
		)
	}()
	switch {
	case a.role != RoleAdmin:
		writeProblem(out, http.StatusForbidden, "the role viewer may look, not act")
	case u.readOnly:
		writeProblem(out, http.StatusForbidden, "the web UI is configured to be read-only")
	case !strings.HasPrefix(r.URL.Path, uiAPI):
		out.Header().Set("Allow", "GET, HEAD")
		writeProblem(out, http.StatusMethodNotAllowed, "pages of the web UI can only be read")
	default:
		if u.pause(out, r) {
			return
		}
		r.Body = http.MaxBytesReader(out, r.Body, maxActionBody)
		u.acting.serve(out, r, a)
	}
}

// pause answers a person's Pause of a queue that a hold has paused, as asynqmon
// answers any other: the queue then stays paused when the hold is over. What is
// no such request it leaves to asynqmon, and says so with false.
func (u *ui) pause(w http.ResponseWriter, r *http.Request) bool {
	rest, found := strings.CutPrefix(r.URL.Path, uiAPI+"queues/")
	queue, pauses := strings.CutSuffix(rest, ":pause")
	if u.keep == nil || r.Method != http.MethodPost || !found || !pauses {
		return false
	}
	kept, err := u.keep(r.Context(), queue)
	switch {
	case err != nil:
		u.log.Warn("ui.pause", zap.Error(err))
		writeProblem(w, http.StatusServiceUnavailable, "Redis did not answer: try again")
	case kept:
		w.WriteHeader(http.StatusNoContent)
	default:
		return false
	}
	return true
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
		writeProblem(w, http.StatusUnauthorized, "log in at /ui/login")
		return
	}
	to := url.URL{Path: "/ui/login"}
	if next := safeNext(r.URL.RequestURI()); next != uiHome {
		to.RawQuery = url.Values{"next": {next}}.Encode()
	}
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}

func isRead(method string) bool { return method == http.MethodGet || method == http.MethodHead }

// statusRecorder remembers the status of an answer for the log.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status and passes it on.
func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the connection.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }
