package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/message"
)

// What is planted. None of it is found anywhere else.
const (
	plantedKey      = "planted-gupshup-key-41c7"
	plantedBearer   = "planted-bearer-9be0aa31f0"
	plantedPassword = "planted-password-77ab"
	plantedToken    = "planted-callback-token-5c"
	plantedHook     = "planted-webhook-secret-d0"
	plantedAlert    = "planted-alert-secret-e1f4"
	plantedQuery    = "planted-query-of-url-3344"
	plantedGuess    = "planted-guess-of-somebody"
	plantedOTP      = "773311"
	plantedName     = "Zarathustra"
	plantedText     = "Zebras cross at dawn"
	plantedDigits   = "98123456" // what the planted numbers begin with, behind their country
)

// plantedNumber is a number of its own for each case.
func plantedNumber(i int) string { return fmt.Sprintf("91%s%02d", plantedDigits, i) }

// leakCase is a way for a message to go, of a sender of its own, since many hold it.
type leakCase struct {
	name  string
	fault gupshuptest.Fault
	class string // what the log must say of it
}

func leakCases() []leakCase {
	quoting := func(to string) string {
		return fmt.Sprintf("%s to +%s and %s failed: %s %s", plantedKey, to, to[2:], plantedText, plantedOTP)
	}
	code := func(name string, code int) leakCase {
		return leakCase{name, gupshuptest.Fault{Kind: gupshuptest.KindCode, Code: code}, name}
	}
	cases := []leakCase{
		{"ok", gupshuptest.Fault{Kind: gupshuptest.KindCallback, Outcome: "delivered"}, ""},
		code("recipient", 1002), code("consent", 1008), code("content", 1010), code("media", 131053), code("template", 4005),
		code("template-gone", 132001), code("spam", 131048), code("pair-throttled", 131056), code("maintenance", 131057), code("transient", 131000),
		code("wait-day", 131049), code("unknown", 98765),
		{"account", gupshuptest.Fault{Kind: gupshuptest.Kind401Text}, "account"},
		{"throttled", gupshuptest.Fault{Kind: gupshuptest.Kind429, RetryAfter: time.Minute}, "throttled"},
		{"not-sent", gupshuptest.Fault{}, "not_sent"}, // its sender's Gupshup does not listen
		{"in-doubt", gupshuptest.Fault{Kind: gupshuptest.KindResetAfter, Outcome: gupshuptest.OutcomeNone}, "in_doubt"},
		{"by-callback", gupshuptest.Fault{Kind: gupshuptest.KindCallback, Outcome: "1002"}, ""},
	}
	for i := range cases {
		switch cases[i].fault.Kind {
		case gupshuptest.KindCode, gupshuptest.Kind401Text, gupshuptest.Kind429:
			cases[i].fault.Message = quoting(plantedNumber(i))
		}
		cases[i].class = strings.ReplaceAll(cases[i].class, "-", "_")
	}
	return cases
}

// leaks is a site where everything is planted.
type leaks struct {
	*site
	cases []leakCase
}

func newLeaks(t *testing.T) *leaks {
	t.Helper()
	logged := filepath.Join(t.TempDir(), "redis.log")
	rdb := redistest.Own(t, "--maxmemory", "1gb", "--loglevel", "verbose", "--logfile", logged)
	l := &leaks{cases: leakCases()}
	var rules []gupshuptest.Rule
	for i, c := range l.cases {
		if c.fault.Kind != "" {
			rules = append(rules, gupshuptest.Rule{Destination: plantedNumber(i), Fault: c.fault})
		}
	}
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = fmt.Fprintf(w, "%s %s %s %s", plantedHook, plantedText, r.URL, body)
	}))
	t.Cleanup(refusing.Close)
	top := fmt.Sprintf("log: {level: debug}\nhttp: {listen: \"127.0.0.1:0\", api_rate: 0, api_keys: [{name: shop, key_env: P_BEARER}], ui_users: [{name: ops, password_env: P_PASSWORD, role: admin}]}\n"+
		"workers: {listen: \"127.0.0.1:0\"}\nalerts: {url: \"%s/alerts?k=%s\", secret_env: P_ALERT}", refusing.URL, plantedQuery)
	l.site = newSite(t, rdb, gupshuptest.Config{
		Rules: rules, Apps: []gupshuptest.App{{Name: "DemoApp", Source: "917834811114", APIKey: plantedKey}},
	}, top)
	text := ""
	for _, c := range l.cases {
		base := l.sim.URL
		if c.class == "not_sent" {
			base = "http://127.0.0.1:1"
		}
		text += fmt.Sprintf("  - {name: %s, app: DemoApp, source: \"917834811114\", api_key_env: P_KEY, base_url: %q, rate: 1000, burst: 10, callback_token_env: P_TOKEN, "+
			"notify_url: \"%s/hook?k=%s\", notify_secret_env: P_HOOK}\n", c.name, base, refusing.URL, plantedQuery)
	}
	old, err := os.ReadFile(l.file)
	require.NoError(t, err)
	head, _, _ := strings.Cut(string(old), "senders:\n")
	require.NoError(t, os.WriteFile(l.file, []byte(head+"senders:\n"+text), 0o600))
	l.environ = []string{
		"P_KEY=" + plantedKey, "P_BEARER=" + plantedBearer, "P_PASSWORD=" + plantedPassword, "P_TOKEN=" + plantedToken, "P_HOOK=" + plantedHook, "P_ALERT=" + plantedAlert,
	}
	t.Cleanup(func() {
		text, err := os.ReadFile(logged)
		require.NoError(t, err)
		require.NotEmpty(t, text)
		l.clean("Redis's log", string(text))
	})
	return l
}

// clean fails if a text holds anything that was planted.
func (l *leaks) clean(where, text string) {
	l.t.Helper()
	for _, planted := range []string{
		plantedKey, plantedBearer, plantedPassword, plantedToken, plantedHook, plantedAlert, plantedQuery, plantedGuess, plantedOTP, plantedName, plantedText, plantedDigits, "98123 456",
	} {
		if at := strings.Index(text, planted); at >= 0 {
			require.Fail(l.t, "a leak", "%s has %q: …%s…", where, planted, text[max(0, at-300):min(len(text), at+200)])
		}
	}
}

// command runs a command line, whatever it comes to.
func (l *leaks) command(stdin string, args ...string) string {
	l.t.Helper()
	r := l.runWith(stdin, args...)
	l.clean(fmt.Sprint("the output of ", args[:min(2, len(args))]), r.out+r.errs)
	return r.out
}

// ask makes a request as it is and looks at the answer, headers and all.
func (l *leaks) ask(client *http.Client, method, address, body string, header ...string) (int, string) {
	l.t.Helper()
	r, err := http.NewRequestWithContext(l.t.Context(), method, address, strings.NewReader(body))
	require.NoError(l.t, err)
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := client.Do(r)
	require.NoError(l.t, err)
	got, err := io.ReadAll(res.Body)
	require.NoError(l.t, err)
	require.NoError(l.t, res.Body.Close())
	at, _ := url.Parse(address)
	l.clean(fmt.Sprint("the answer to ", method, " ", at.Path), fmt.Sprint(res.Header)+string(got))
	return res.StatusCode, string(got)
}

// Keys, passwords, tokens, texts and numbers are planted, sent along every way there is, and looked for in everything that was said: by all
// processes at the level debug, by commands, by the API and the web UI, by Redis's log, and in what Redis keeps for all to see.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	l := newLeaks(t)
	serve, worker := l.begin("serve"), l.begin("worker")
	base := serve.address()
	require.NoError(t, l.sim.SetCallbacks(gupshuptest.Callbacks{URL: base + "/callbacks/gupshup/by-callback", Token: plantedToken, Speed: 1000}))
	bearer := []string{"Authorization", "Bearer " + plantedBearer}
	client := browser(t)

	// Every class of failures, and success, by API and command.
	for i, c := range l.cases {
		body := fmt.Sprintf(`{"id":"m-%s","sender":%q,"to":%q,"template":{"id":%q,"params":[%q,%q,%q]}}`,
			c.name, c.name, plantedNumber(i), testTemplate, plantedOTP, plantedName, plantedText)
		status, answer := l.ask(client, "POST", base+"/v1/messages", body, bearer...)
		require.Equal(t, http.StatusAccepted, status, answer)
		l.command("", "send", "--sender", c.name, "--to", plantedNumber(i), "--text", plantedText+" "+plantedOTP, "--id", "t-"+c.name, "--priority", "critical")
	}
	l.refusals(base, client)
	l.command("name,to\n"+plantedName+","+plantedNumber(90)+"\n"+plantedName+",12"+plantedDigits+"\n", "campaign", "create", "--id", "spring", "--sender", "ok",
		"--template", testTemplate, "--param", "{name}", "--csv", "-", "--rejects", filepath.Join(t.TempDir(), "rejects.csv"))
	require.NotEmpty(t, l.command("", "campaign", "show", "spring"))
	l.command("", "suppress", "add", plantedNumber(91), "--sender", "ok", "--reason", "asked for it")
	settled := func(i int) bool {
		log := serve.errs.String() + worker.errs.String()
		return l.cases[i].class == "" || strings.Contains(log, `"class":"`+l.cases[i].class+`"`)
	}
	for i, c := range l.cases {
		require.Eventually(t, func() bool { return settled(i) }, 30*time.Second, 20*time.Millisecond, "%s: %s", c.name, serve.errs)
	}
	require.Eventually(t, func() bool { // the first of the two to fail suppresses the number, maybe before the other was sent
		m, text := l.status("by-callback", "m-by-callback"), l.status("by-callback", "t-by-callback")
		return (m == message.Dead || text == message.Dead) && strings.Contains(serve.errs.String()+worker.errs.String(), "notify.retried")
	}, 30*time.Second, 20*time.Millisecond, "%s", serve.errs)

	// A callback that quotes everything, and one that nobody knows.
	record, err := l.ledger.Get(t.Context(), "ok", "m-ok")
	require.NoError(t, err)
	for _, id := range []string{record.MessageID, "gs-of-nobody"} {
		body := fmt.Sprintf(`{"app":"DemoApp","timestamp":%d,"version":2,"type":"message-event","payload":{"id":"wamid.x","gsId":%q,"type":"failed","destination":%q,`+
			`"payload":{"code":131026,"reason":"no way to +%s, see https://x.example/?k=%s"}}}`, time.Now().UnixMilli(), id, plantedNumber(0), plantedNumber(0), plantedQuery)
		l.ask(client, "POST", base+"/callbacks/gupshup/ok?token="+plantedToken, body)
	}
	l.ask(client, "POST", base+"/callbacks/gupshup/ok?token="+plantedToken, fmt.Sprintf(
		`{"app":"DemoApp","timestamp":1,"version":2,"type":"message","payload":{"id":"x","source":%q,"type":"text","payload":{"text":%q},"sender":{"phone":%q,"name":%q}}}`,
		plantedNumber(0), plantedText, plantedNumber(0), plantedName))

	// Connections that break in the middle make all kinds of errors.
	require.NoError(t, l.rdb.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err())

	l.lookAround(base, client)
	l.lookIntoRedis(t.Context())
	l.measured(base, client)
	for _, r := range []*running{serve, worker} {
		end := r.stop()
		require.Equal(t, exitOK, end.code)
		require.Contains(t, end.errs, `"level":"debug"`)
		l.clean("the log of "+r.args[0], end.out+end.errs)
	}
}

// refusals are all that is turned away at the door.
func (l *leaks) refusals(base string, client *http.Client) {
	l.t.Helper()
	refused := func(status int, method, path, body string, header ...string) {
		l.t.Helper()
		got, answer := l.ask(client, method, base+path, body, header...)
		require.Equal(l.t, status, got, "%s %s: %s", method, path, answer)
	}
	auth := []string{"Authorization", "Bearer " + plantedBearer}
	number := plantedNumber(95)
	refused(401, "GET", "/v1/messages/a", "", "Authorization", "Bearer "+plantedGuess)
	refused(422, "POST", "/v1/messages", fmt.Sprintf(`{"sender":"ok","to":"%s%s","message":{"type":"text","text":%q}}`, number, number, plantedText), auth...)
	refused(422, "POST", "/v1/messages", fmt.Sprintf(`{"sender":"ok","to":%s,"message":{"type":"text","text":[%q]}}`, number, plantedText), auth...)
	refused(422, "POST", "/v1/messages", fmt.Sprintf(`{"sender":"ok","to":%q,"template":{"id":%q,"params":[]}}`, number, plantedOTP), auth...)
	refused(400, "POST", "/v1/messages", fmt.Sprintf(`{"to":%q,"message":%q`, number, plantedText), auth...)
	refused(404, "GET", "/v1/messages/none?reveal=false", "", auth...)
	refused(404, "GET", "/v1/"+number+"?to="+number+"&text="+url.QueryEscape(plantedText), "", auth...)
	refused(401, "POST", "/callbacks/gupshup/ok?token="+plantedGuess, `{}`)
	refused(400, "POST", "/callbacks/gupshup/ok?token="+plantedToken, plantedText+" "+number)
	l.ask(client, "POST", base+"/ui/login", url.Values{"name": {"ops"}, "password": {plantedGuess}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	l.command("", "send", "--sender", "ok", "--to", number+number, "--text", plantedText)
	l.command("", "send", "--sender", "ok", "--to", number)
	l.command(fmt.Sprintf(`{"sender":"ok","to":%q,"message":{"type":"text","text":%q}`, number, plantedText), "send", "--file", "-")
}

// lookAround asks everything that shows messages to people.
func (l *leaks) lookAround(base string, client *http.Client) {
	l.t.Helper()
	auth := []string{"Authorization", "Bearer " + plantedBearer}
	for _, path := range []string{"/v1/senders", "/v1/templates", "/v1/dead-letters", "/v1/suppressions", "/metrics", "/readyz", "/docs", "/openapi.json"} {
		status, _ := l.ask(client, "GET", base+path, "", auth...)
		require.Equal(l.t, http.StatusOK, status, path)
	}
	l.ask(client, "POST", base+"/v1/dead-letters/replay", `{"sender":"content","dry_run":true}`, auth...)
	for i, c := range l.cases {
		l.command("", "message", "list", "--to", plantedNumber(i), "--sender", c.name)
		l.ask(client, "GET", base+"/v1/messages/m-"+c.name+"?sender="+c.name, "", auth...)
		l.command("", "message", "show", "m-"+c.name, "--sender", c.name)
	}
	for _, args := range [][]string{
		{"sender", "list"},
		{"sender", "list", "--json"},
		{"template", "list"},
		{"dead", "list"},
		{"dead", "list", "--json"},
		{"dead", "export"},
		{"dead", "show", "m-recipient"},
		{"receipts", "parked"},
		{"suppress", "list"},
		{"campaign", "list"},
		{"campaign", "show", "spring"},
		{"campaign", "report", "spring"},
		{"audit", "--deep"},
		{"config", "check", "--print"},
		{"sender", "release", "account"},
		{"dead", "replay", "--code", "1008", "--yes"},
	} {
		l.command("", args...)
	}

	res, err := client.PostForm(base+"/ui/login", url.Values{"name": {"ops"}, "password": {plantedPassword}})
	require.NoError(l.t, err)
	require.NoError(l.t, res.Body.Close())
	_, queues := l.ask(client, "GET", base+"/ui/api/queues", "")
	require.Contains(l.t, queues, "ok.critical")
	archived := 0
	for _, c := range l.cases {
		for _, lane := range []string{"critical", "default", "bulk", "probe", "notify", "alerts"} {
			for _, state := range []string{"pending", "active", "scheduled", "retry", "archived", "completed"} {
				_, tasks := l.ask(client, "GET", fmt.Sprintf("%s/ui/api/queues/%s.%s/%s_tasks", base, c.name, lane, state), "")
				if state == "archived" {
					archived += strings.Count(tasks, "dead letter: ")
				}
			}
			l.ask(client, "GET", fmt.Sprintf("%s/ui/api/queues/%s.%s/tasks/m-%s:1", base, c.name, lane, c.name), "")
		}
	}
	require.Positive(l.t, archived)
	l.ask(client, "GET", base+"/ui/api/servers", "")
}

// measured fails if a metric that there is has no sample in a process that has seen everything: then it was forgotten.
func (l *leaks) measured(base string, client *http.Client) {
	l.t.Helper()
	_, text := l.ask(client, "GET", base+"/metrics", "")
	_, all := described(l.t)
	for name := range all {
		require.Regexp(l.t, `(?m)^`+name+`(_bucket|_sum|_count)?[{ ]`, text, name)
	}
}

// lookIntoRedis reads all that Redis keeps. What is to be sent is there, in the ledger's own keys; but secrets are nowhere, and neither names of
// keys nor anything of asynq's, which the web UI shows, has a text or a number.
func (l *leaks) lookIntoRedis(ctx context.Context) {
	l.t.Helper()
	seen := 0
	for keys := l.rdb.Scan(ctx, 0, "*", 1000).Iterator(); keys.Next(ctx); {
		key := keys.Val()
		content := l.content(ctx, key)
		for _, secret := range []string{plantedKey, plantedBearer, plantedPassword, plantedToken, plantedHook, plantedAlert, plantedQuery, plantedGuess} {
			require.NotContains(l.t, key+content, secret, "a secret is in Redis, in %s", key)
		}
		for _, text := range []string{plantedText, plantedName, plantedOTP} {
			require.NotContains(l.t, key, text)
		}
		if strings.HasPrefix(key, "asynq:") {
			seen++
			l.clean("Redis's key "+key, key+content)
		}
	}
	require.Greater(l.t, seen, 50)
}

// content is all that a key holds.
func (l *leaks) content(ctx context.Context, key string) string {
	l.t.Helper()
	var v any
	var err error
	switch kind := l.rdb.Type(ctx, key).Val(); kind {
	case "string":
		v, err = l.rdb.Get(ctx, key).Result()
	case "hash":
		v, err = l.rdb.HGetAll(ctx, key).Result()
	case "list":
		v, err = l.rdb.LRange(ctx, key, 0, -1).Result()
	case "set":
		v, err = l.rdb.SMembers(ctx, key).Result()
	case "zset":
		v, err = l.rdb.ZRange(ctx, key, 0, -1).Result()
	case "stream":
		v, err = l.rdb.XRange(ctx, key, "-", "+").Result()
	case "none": // gone meanwhile
	default:
		require.Fail(l.t, "unknown type", "%s is a %s", key, kind)
	}
	if err != nil {
		require.ErrorIs(l.t, err, redis.Nil)
	}
	return fmt.Sprint(v)
}
