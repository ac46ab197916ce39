package httpapi

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, user, password string
		want                 int
	}{
		{"plain", "ops", adminPassword, 303},
		{"hashed", "desk", viewerPassword, 303},
		{"wrong", "ops", "wrong", 401},
		{"wrong against the hash", "desk", "wrong", 401},
		{"another's", "desk", adminPassword, 401},
		{"unknown name", "nobody", viewerPassword, 401},
		{"nothing", "", "", 401},
		{"longer than any name", strings.Repeat("n", maxNameLen+1), adminPassword, 401},
		{"longer than any password", "ops", strings.Repeat("p", maxPasswordLen+1), 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, nil)
			res := h.logIn(tt.user, tt.password, "")
			require.Equal(t, tt.want, res.StatusCode)
			if tt.want == 303 {
				require.Equal(t, "/ui/", res.Header.Get("Location"))
				require.Equal(t, 200, h.do("GET", "/ui/api/queues", nil, cookie(res.session())).StatusCode)
				return
			}
			require.Nil(t, res.session())
			require.Contains(t, res.text, "Name or password is wrong.")
			lines := h.log.FilterMessage("ui.action").All()
			require.Len(t, lines, 1)
			line := lines[0].ContextMap()
			require.Contains(t, []any{"ops", "desk", "(unknown)"}, line["user"])
			require.Equal(t, "login", line["action"])
			require.Equal(t, "refused", line["outcome"])
			require.Equal(t, "name or password is wrong", line["detail"])
			require.Empty(t, line["target"])
		})
	}
}

func TestHashItselfIsNoPassword(t *testing.T) {
	t.Parallel()
	var hash string
	h := newHouse(t, func(o *Options) { hash = o.UIUsers[1].Password })
	require.Equal(t, http.StatusUnauthorized, h.logIn("desk", hash, "").StatusCode)
}

func TestLoginIsLimited(t *testing.T) {
	t.Parallel()
	t.Run("by client", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, nil)
		for i := range clientBurst {
			require.Equal(t, 401, h.logIn(fmt.Sprint("guess", i), "x", "").StatusCode)
		}
		res := h.logIn("ops", adminPassword, "")
		require.Equal(t, http.StatusTooManyRequests, res.StatusCode, "even the right password")
		require.Equal(t, "30", res.Header.Get("Retry-After"))
		require.Equal(t, 303, h.logIn("ops", adminPassword, "", from("198.51.100.7:1")).StatusCode, "another client")
		h.clock.advance(clientInterval)
		require.Equal(t, 303, h.logIn("ops", adminPassword, "").StatusCode)
	})
	t.Run("by name", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, nil)
		for i := range nameBurst {
			require.Equal(t, 401, h.logIn("ops", "x", "", from(fmt.Sprintf("198.51.100.%d:1", i))).StatusCode)
		}
		require.Equal(t, 429, h.logIn("ops", "x", "", from("203.0.113.1:1")).StatusCode)
		require.Equal(t, 303, h.logIn("desk", viewerPassword, "", from("203.0.113.1:1")).StatusCode)
	})
	t.Run("by IPv6 network", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, nil)
		for i := range clientBurst {
			require.Equal(t, 401, h.logIn(fmt.Sprint("guess", i), "x", "", from(fmt.Sprintf("[2001:db8::%d]:1", i))).StatusCode)
		}
		require.Equal(t, 429, h.logIn("ops", "x", "", from("[2001:db8::ffff]:1")).StatusCode)
	})
}

func TestCookie(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	https := header("X-Forwarded-Proto", "https")
	tests := []struct {
		name   string
		edits  []func(*http.Request)
		secure bool
	}{
		{"plain HTTP", nil, false},
		{"TLS", []func(*http.Request){func(r *http.Request) { r.TLS = new(tls.ConnectionState) }}, true},
		{"TLS at a trusted proxy", []func(*http.Request){https, from("10.1.2.3:4")}, true},
		{"a stranger's claim", []func(*http.Request){https, from("192.0.2.9:4")}, false},
		{"HTTP at a trusted proxy", []func(*http.Request){from("10.1.2.3:4")}, false},
	}
	h := newHouse(t, func(o *Options) { o.TrustedProxies = trusted })
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := h.logIn("ops", adminPassword, "", tt.edits...).session()
			require.NotNil(t, c)
			require.True(t, c.HttpOnly)
			require.Equal(t, http.SameSiteStrictMode, c.SameSite)
			require.Equal(t, "/", c.Path)
			require.Equal(t, tt.secure, c.Secure)
			require.Zero(t, c.MaxAge)
			require.Empty(t, c.Domain)
		})
	}
}

func TestLogout(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	in, other := h.as("ops"), h.as("ops")

	page := h.do("GET", "/ui/logout", nil, in)
	require.Contains(t, page.text, `action="/ui/logout"`)
	require.Equal(t, 200, h.do("GET", "/ui/api/queues", nil, in).StatusCode, "looking at the way out is not leaving")

	out := h.do("POST", "/ui/logout", nil, in)
	require.Equal(t, 303, out.StatusCode)
	require.Equal(t, "/ui/login", out.Header.Get("Location"))
	require.Negative(t, out.session().MaxAge)
	require.Equal(t, 401, h.do("GET", "/ui/api/queues", nil, in).StatusCode, "a kept copy of the cookie")
	require.Equal(t, 200, h.do("GET", "/ui/api/queues", nil, other).StatusCode, "another session of the same person")
	require.Equal(t, 303, h.do("POST", "/ui/logout", nil).StatusCode, "leaving without being in")
}

func TestSessionEnds(t *testing.T) {
	t.Parallel()
	t.Run("unused", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, nil)
		in := h.as("ops")
		h.clock.advance(sessionIdle - time.Second)
		require.Equal(t, 200, h.do("GET", "/ui/api/queues", nil, in).StatusCode)
		h.clock.advance(time.Second)
		require.Equal(t, 401, h.do("GET", "/ui/api/queues", nil, in).StatusCode)
	})
	t.Run("used all day", func(t *testing.T) {
		t.Parallel()
		h := newHouse(t, nil)
		in := h.as("ops")
		step := sessionIdle - time.Minute
		var used time.Duration
		for ; used+step < sessionLife; used += step {
			h.clock.advance(step)
			res := h.do("GET", "/ui/api/queues", nil, in)
			require.Equal(t, 200, res.StatusCode, used)
			require.NotNil(t, res.session(), "a cookie in use is renewed")
			in = cookie(res.session())
		}
		h.clock.advance(sessionLife - used)
		require.Equal(t, 401, h.do("GET", "/ui/api/queues", nil, in).StatusCode)
	})
}

func TestSessionAcrossServers(t *testing.T) {
	t.Parallel()
	key := []byte(strings.Repeat("k", minSessionKey))
	with := func(key []byte, password string) func(*Options) {
		return func(o *Options) { o.SessionKey = key; o.UIUsers[0].Password = password }
	}
	first := newHouse(t, with(key, adminPassword))
	in := first.as("ops")
	tests := []struct {
		name  string
		other *house
		want  int
	}{
		{"same key", newHouse(t, with(key, adminPassword)), 200},
		{"another key", newHouse(t, with([]byte(strings.Repeat("x", minSessionKey)), adminPassword)), 401},
		{"own random key", newHouse(t, with(nil, adminPassword)), 401},
		{"changed password", newHouse(t, with(key, "another")), 401},
		{"user removed", newHouse(t, func(o *Options) { o.SessionKey = key; o.UIUsers = o.UIUsers[1:] }), 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, tt.other.do("GET", "/ui/api/queues", nil, in).StatusCode)
		})
	}
}

func TestForgedCookies(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	good := h.logIn("desk", viewerPassword, "").session().Value
	payload, signature, _ := strings.Cut(good, ".")
	// {"id":"x","name":"ops","issued":1772355600,"used":1772355600}
	const ops = "eyJpZCI6IngiLCJuYW1lIjoib3BzIiwiaXNzdWVkIjoxNzcyMzU1NjAwLCJ1c2VkIjoxNzcyMzU1NjAwfQ"
	for _, value := range []string{
		"", ".", "x", payload, payload + ".", "." + signature, ops + "." + signature, ops + ".", "e30." + signature, "!." + signature, good + "A",
	} {
		res := h.do("GET", "/ui/api/queues", nil, header("Cookie", cookieName+"="+value))
		require.Equal(t, 401, res.StatusCode, value)
	}
	require.Equal(t, 200, h.do("GET", "/ui/api/queues", nil, header("Cookie", cookieName+"="+good)).StatusCode)
}

func TestRevokedAreBounded(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	s := newSessions(h.server.opts, &directory{})
	now := h.clock.Now().Unix()
	for i := range maxRevoked + 10 {
		s.revoke(session{ID: fmt.Sprint(i), Issued: now + int64(i)})
	}
	require.Len(t, s.revoked, maxRevoked)
	require.NotContains(t, s.revoked, "0", "the one that ends first makes room")
	h.clock.advance(2 * sessionLife)
	s.revoke(session{ID: "late", Issued: h.clock.Now().Unix()})
	require.Len(t, s.revoked, 1)
}

func TestSafeNext(t *testing.T) {
	t.Parallel()
	tests := []struct{ next, want string }{
		{"", "/ui/"},
		{"/ui", "/ui/"},
		{"/ui/", "/ui/"},
		{"/ui/queues/demo.bulk?status=archived", "/ui/queues/demo.bulk?status=archived"},
		{"/ui/queues/a%20b", "/ui/queues/a%20b"},
		{"/ui/../v1/messages", "/ui/"},
		{"/ui/%2e%2e/v1", "/ui/"},
		{"/uix", "/ui/"},
		{"/ui/login?next=/ui/x", "/ui/"},
		{"/ui/logout", "/ui/"},
		{"/ui/api/queues", "/ui/"},
		{"https://evil.example/ui/", "/ui/"},
		{"//evil.example/ui/", "/ui/"},
		{"///evil.example/ui/", "/ui/"},
		{`/\evil.example/ui/`, "/ui/"},
		{`\\evil.example`, "/ui/"},
		{"javascript:alert(1)", "/ui/"},
		{"/ui/\r\nSet-Cookie: x=y", "/ui/"},
		{"ui/queues", "/ui/"},
		{"/ui//evil.example", "/ui/evil.example"},
	}
	h := newHouse(t, nil)
	for i, tt := range tests {
		t.Run(tt.next, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, safeNext(tt.next))
			res := h.logIn("desk", viewerPassword, tt.next, from(fmt.Sprintf("198.51.100.%d:1", i)))
			require.Equal(t, tt.want, res.Header.Get("Location"))
		})
	}
}

func TestLoginPageEscapes(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	page := h.do("GET", `/ui/login?next=/ui/queues/%22%3E%3Cscript%3E`, nil)
	require.NotContains(t, page.text, "<script>")
	require.NotContains(t, page.text, "http://")
	require.NotContains(t, page.text, "https://")
}

// Browsers that have a cookie of an earlier version, for /ui, send it along, and first.
func TestAnOldCookieLocksNobodyOut(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	in := h.logIn("ops", adminPassword, "").session()
	old := &http.Cookie{Name: "gupdispatch_ui", Value: in.Value + "x"}
	for _, target := range []string{"/ui/", "/"} {
		require.Equal(t, http.StatusOK, h.do("GET", target, nil, cookie(old), cookie(in)).StatusCode, target)
	}
}
