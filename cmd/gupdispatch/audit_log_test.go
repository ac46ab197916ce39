package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/message"
)

func TestAuditLog(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		user := redistest.Sender() // whose entries nobody else writes
		s := newSite(t, rdb, gupshuptest.Config{},
			"http: {listen: \"127.0.0.1:0\", session_key_env: TEST_KEY, ui_users: [{name: "+user+", password_env: TEST_PASSWORD, role: admin}]}")
		s.environ = append(s.environ, "TEST_KEY=0123456789abcdef0123456789abcdef")
		require.Contains(t, s.run("audit-log", "--user", user).errs, "nobody did anything")
		base, client := s.begin("http").address(), browser(t)
		login := func(password string) {
			res, err := client.PostForm(base+"/ui/login", url.Values{"name": {user}, "password": {password}})
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
		}
		login("wrong-" + testPassword)
		login(testPassword)
		s.ok("send", "--to", testNumber, "--text", "Hello", "--id", "m-1")
		queue := message.Queue(s.sender, message.Default)
		req, err := http.NewRequest(http.MethodDelete, base+"/ui/api/queues/"+queue+"/pending_tasks/m-1:1", nil)
		require.NoError(t, err)
		res, err := client.Do(req)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusNoContent, res.StatusCode)
		require.Equal(t, message.Cancelled, s.status(s.sender, "m-1"))

		// Another replica with the same key takes the login; one that was restarted is another one.
		other := s.begin("http").address()
		jar := client.Jar.Cookies(res.Request.URL)
		at, err := url.Parse(other)
		require.NoError(t, err)
		client.Jar.SetCookies(at, jar)
		code, _ := fetch(t, client, other+"/ui/api/queues")
		require.Equal(t, http.StatusOK, code)

		var entries []map[string]string
		require.NoError(t, json.Unmarshal([]byte(s.ok("audit-log", "--user", user, "--json").out), &entries))
		require.Len(t, entries, 3)
		require.Equal(t, "task.delete", entries[0]["action"])
		require.Equal(t, queue+" m-1:1", entries[0]["target"])
		require.Equal(t, "refused", entries[2]["outcome"])
		text := s.ok("audit-log", "--user", user, "--since", "1h", "--action", "task").out
		require.Contains(t, text, "task.delete")
		require.NotContains(t, text, "login")
		require.NotContains(t, text, testPassword)
		require.Equal(t, exitUsage, s.run("audit-log", "--limit", "-1").code)
	})
}
