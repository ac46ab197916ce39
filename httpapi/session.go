package httpapi

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// Not gupdispatch_ui, as it was while it was for /ui only: browsers send the one with the longer path first, and an old one would hide this.
	cookieName = "gupdispatch_session"
	cookiePath = "/" // the web UI below /ui, and our own pages

	// sessionIdle ends a session nobody uses. An open page of the web UI asks
	// for news every few seconds, which counts as use.
	sessionIdle = 30 * time.Minute
	// sessionLife ends a session however much it is used: one working day.
	sessionLife = 12 * time.Hour
	// sessionRefresh is how old the time of last use may grow in the cookie.
	sessionRefresh = time.Minute

	// maxRevoked bounds the sessions remembered as logged out.
	maxRevoked = 4096
)

// session is what a cookie says, signed so that nobody else can say it.
type session struct {
	ID     string `json:"id"` // 32 random bytes
	Name   string `json:"name"`
	Issued int64  `json:"issued"` // Unix seconds
	Used   int64  `json:"used"`   // Unix seconds
}

// sessions issues and checks session cookies. They are signed rather than
// stored, so that replicas with one key need no common store. The key is mixed
// with each user's password, so that changing it or removing the user ends
// their sessions. The price is that a logout is remembered by this process
// only: the browser forgets the cookie, but a stolen copy lives on in another
// replica for as long as it is used and sessionLife allows.
type sessions struct {
	key     []byte
	users   *directory
	proxies proxies
	now     func() time.Time

	mu      sync.Mutex
	revoked map[string]time.Time // by session id: when it would have ended
}

func newSessions(opts Options, users *directory) *sessions {
	key := opts.SessionKey
	if len(key) == 0 {
		key = randomBytes(minSessionKey)
	}
	return &sessions{
		key:     key,
		users:   users,
		proxies: opts.TrustedProxies,
		now:     opts.Now,
		revoked: make(map[string]time.Time),
	}
}

// start gives the answer a cookie with a new session for a.
func (s *sessions) start(w http.ResponseWriter, r *http.Request, a account) {
	now := s.now().Unix()
	id := base64.RawURLEncoding.EncodeToString(randomBytes(32))
	s.write(w, r, session{ID: id, Name: a.name, Issued: now, Used: now}, a)
}

// of returns the session a request carries and whose it is; false if there is
// none that still holds.
func (s *sessions) of(r *http.Request) (session, account, bool) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return session{}, account{}, false
	}
	got, a, ok := s.open(cookie.Value)
	if !ok || !s.holds(got) {
		return session{}, account{}, false
	}
	return got, a, true
}

// touch renews the cookie of a session in use.
func (s *sessions) touch(w http.ResponseWriter, r *http.Request, got session, a account) {
	now := s.now()
	if now.Sub(time.Unix(got.Used, 0)) < sessionRefresh {
		return
	}
	got.Used = now.Unix()
	s.write(w, r, got, a)
}

// end logs out: the browser forgets the cookie, and this process refuses it.
func (s *sessions) end(w http.ResponseWriter, r *http.Request) {
	if got, _, ok := s.of(r); ok {
		s.revoke(got)
	}
	s.set(w, r, "", -1)
}

func (s *sessions) holds(got session) bool {
	now := s.now()
	if now.Sub(time.Unix(got.Used, 0)) >= sessionIdle || now.Sub(time.Unix(got.Issued, 0)) >= sessionLife {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, revoked := s.revoked[got.ID]
	return !revoked
}

// revoke remembers a session until it would have ended by itself. When there
// are too many, the one nearest to that end is forgotten.
func (s *sessions) revoke(got session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, first := s.now(), ""
	for id, ends := range s.revoked {
		if ends.Before(now) {
			delete(s.revoked, id)
		} else if first == "" || ends.Before(s.revoked[first]) {
			first = id
		}
	}
	if len(s.revoked) >= maxRevoked {
		delete(s.revoked, first)
	}
	s.revoked[got.ID] = time.Unix(got.Issued, 0).Add(sessionLife)
}

// open reads "<payload>.<signature>", both base64url.
func (s *sessions) open(value string) (session, account, bool) {
	payload, signature, _ := strings.Cut(value, ".")
	raw, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return session{}, account{}, false
	}
	var got session
	if err := json.Unmarshal(raw, &got); err != nil {
		return session{}, account{}, false
	}
	a, known := s.users.accounts[got.Name]
	if !known || !hmac.Equal([]byte(signature), []byte(s.sign(payload, a))) {
		return session{}, account{}, false
	}
	return got, a, true
}

func (s *sessions) write(w http.ResponseWriter, r *http.Request, got session, a account) {
	// A struct of strings and integers always encodes.
	raw, _ := json.Marshal(got)
	payload := base64.RawURLEncoding.EncodeToString(raw)
	s.set(w, r, payload+"."+s.sign(payload, a), 0)
}

func (s *sessions) sign(payload string, a account) string {
	own := hmac.New(sha256.New, s.key)
	own.Write(a.secret[:])
	mac := hmac.New(sha256.New, own.Sum(nil))
	mac.Write([]byte(payload))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// formToken is what the forms of a session carry: another site can make a browser send one, but does not know it. It stays the same for as
// long as the session lasts, also in another replica.
func (s *sessions) formToken(got session) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte("form\x00" + got.ID))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// set writes the cookie; it has no expiry of its own, so closing the browser
// ends it, and a maxAge below 0 deletes it at once.
func (s *sessions) set(w http.ResponseWriter, r *http.Request, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name:     cookieName,
		Value:    value,
		Path:     cookiePath,
		MaxAge:   maxAge,
		HttpOnly: true,
		Secure:   s.proxies.secure(r),
		SameSite: http.SameSiteStrictMode,
	})
}

// randomBytes never fails: crypto/rand.Read ends the process instead.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}
