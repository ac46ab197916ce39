package gupshuptest_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

// pushed posts one callback and returns what arrived.
func pushed(t *testing.T, cfg gupshuptest.Config, p gupshuptest.Push) posted {
	t.Helper()
	r := newReceiver()
	c := callbacks(r)
	c.V3 = cfg.Callbacks.V3
	cfg.Callbacks, cfg.Now, cfg.Seed = c, new(clock).now, 7
	sim := gupshuptest.New(cfg)
	defer sim.Close()
	require.NoError(t, sim.Push(p))
	require.NoError(t, sim.Drain(t.Context()))
	got := r.all()
	require.Len(t, got, 1)
	require.Zero(t, got[0].at, "at once")
	return got[0]
}

func TestPush(t *testing.T) {
	t.Parallel()
	const head = `{"app":"DemoApp","timestamp":1700000000000,"version":2,"type":`
	const phoned = `{"app":"DemoApp","phone":"917834811114","timestamp":1700000000000,"version":2,"type":`
	const sender = `"sender":{"phone":"919876543210","name":"Simulated User"}`
	for name, tc := range map[string]struct {
		push gupshuptest.Push
		want string
	}{
		"opted out":     {gupshuptest.Push{Kind: gupshuptest.PushOptedOut, Phone: testNumber}, head + `"user-event","payload":{"phone":"919876543210","type":"opted-out"}}`},
		"opted in":      {gupshuptest.Push{Kind: gupshuptest.PushOptedIn, Phone: testNumber}, head + `"user-event","payload":{"phone":"919876543210","type":"opted-in"}}`},
		"sandbox start": {gupshuptest.Push{Kind: gupshuptest.PushSandboxStart}, head + `"user-event","payload":{"phone":"callbackSetPhone","type":"sandbox-start"}}`},
		"text": {gupshuptest.Push{Kind: gupshuptest.PushText, Phone: testNumber, Text: "hello", ID: "in-1", ReplyTo: "gs-1"}, phoned +
			`"message","payload":{"id":"in-1","source":"919876543210","type":"text","payload":{"text":"hello"},` + sender + `,"context":{"id":"wamid.gs-1","gsId":"gs-1"}}}`},
		"button": {gupshuptest.Push{Kind: gupshuptest.PushButton, Phone: testNumber, Text: "Yes", Postback: "yes-1", ID: "in-1"}, phoned +
			`"message","payload":{"id":"in-1","source":"919876543210","type":"button_reply","payload":{"title":"Yes","id":"yes-1","reply":"Yes 1"},` + sender + `}}`},
		"quick reply": {gupshuptest.Push{Kind: gupshuptest.PushQuickReply, Phone: testNumber, Text: "Stop", Postback: "p", ID: "in-1"}, phoned +
			`"message","payload":{"id":"in-1","source":"919876543210","type":"quick_reply","payload":{"text":"Stop","type":"button","postbackText":"p"},` + sender + `}}`},
		"quick reply as text": {gupshuptest.Push{Kind: gupshuptest.PushButtonText, Phone: testNumber, Text: "Stop", ID: "in-1"}, phoned +
			`"message","payload":{"id":"in-1","source":"919876543210","type":"text","payload":{"text":"Stop","type":"button"},` + sender + `}}`},
		"list": {gupshuptest.Push{Kind: gupshuptest.PushListReply, Phone: testNumber, Text: "One", Postback: "p", ID: "in-1"}, phoned +
			`"message","payload":{"id":"in-1","source":"919876543210","type":"list_reply","payload":{"title":"One","reply":"One 1","postbackText":"p"},` + sender + `}}`},
		"template": {gupshuptest.Push{Kind: gupshuptest.PushTemplate, ID: testTemplate, Text: "paused"}, phoned +
			`"template-event","payload":{"type":"status-update","id":"` + testTemplate + `","status":"paused","elementName":"simulated","languageCode":"en"}}`},
		"account": {gupshuptest.Push{Kind: gupshuptest.PushAccount, Text: "TIER_1K"}, phoned +
			`"account-event","payload":{"type":"tier-event","event":"UPGRADE","newTier":"TIER_1K"}}`},
		"raw": {gupshuptest.Push{Kind: gupshuptest.PushRaw, Body: json.RawMessage(`[1]`)}, `[1]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				require.JSONEq(t, tc.want, pushed(t, gupshuptest.Config{}, tc.push).body)
			})
		})
	}
}

func TestPushOfAPreference(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := pushed(t, gupshuptest.Config{}, gupshuptest.Push{Kind: gupshuptest.PushStop, Phone: testNumber})
		require.Equal(t, shape(t, samplePreference), shape(t, got.body))
		require.Contains(t, got.body, `"wa_id":"919876543210"`)
		require.Contains(t, got.body, `"value":"stop"`)
		user := pushed(t, gupshuptest.Config{}, gupshuptest.Push{Kind: gupshuptest.PushOptedOut, Phone: testNumber})
		require.Equal(t, shape(t, sampleUser), shape(t, user.body))
	})
}

func TestPushInVersion3(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		kind gupshuptest.PushKind
		want string
	}{
		{gupshuptest.PushText, `"type":"text","text":{"body":"Yes"}`},
		{gupshuptest.PushButton, `"type":"interactive","interactive":{"type":"button_reply","button_reply":{"id":"p","title":"Yes"}}`},
		{gupshuptest.PushListReply, `"type":"interactive","interactive":{"type":"list_reply","list_reply":{"id":"p","title":"Yes"}}`},
		{gupshuptest.PushQuickReply, `"type":"button","button":{"text":"Yes","payload":"p"}`},
		{gupshuptest.PushResume, `"field":"user_preferences"`},
		{gupshuptest.PushOptedOut, `"type":"user-event"`},
	} {
		t.Run(string(tc.kind), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				got := pushed(t, gupshuptest.Config{Callbacks: gupshuptest.Callbacks{V3: true}},
					gupshuptest.Push{Kind: tc.kind, Phone: testNumber, Text: "Yes", Postback: "p"})
				require.Contains(t, got.body, tc.want)
			})
		})
	}
}

func TestSandboxStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver()
		c := callbacks(r)
		c.SandboxStart = true
		simulate(t, gupshuptest.Config{Callbacks: c, Apps: []gupshuptest.App{{Name: "My App", Source: "917834811114", APIKey: "k"}}})
		got := r.all()
		require.Len(t, got, 1)
		require.Equal(t, "http://receiver.invalid/callbacks/gupshup/My%20App", got[0].url)
		require.Contains(t, got[0].body, `"callbackSetPhone","type":"sandbox-start"`)
	})
}

func TestPushUsesTheSourceOfTheApp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		apps := []gupshuptest.App{{Name: "First", Source: "917834811114", APIKey: "k"}, {Name: "Second", Source: "917834811115", APIKey: "k"}}
		got := pushed(t, gupshuptest.Config{Apps: apps}, gupshuptest.Push{Kind: gupshuptest.PushText, App: "Second", Phone: testNumber})
		require.Contains(t, got.body, `{"app":"Second","phone":"917834811115"`)
		got = pushed(t, gupshuptest.Config{Apps: apps}, gupshuptest.Push{Kind: gupshuptest.PushText, Phone: testNumber})
		require.Contains(t, got.body, `{"app":"First","phone":"917834811114"`)
	})
}

func TestInvalidPushes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sim := simulate(t, gupshuptest.Config{Callbacks: callbacks(newReceiver())})
		for name, p := range map[string]gupshuptest.Push{
			"no kind":      {Phone: testNumber},
			"unknown kind": {Kind: "shout", Phone: testNumber},
			"no phone":     {Kind: gupshuptest.PushText},
			"plus":         {Kind: gupshuptest.PushStop, Phone: "+" + testNumber},
			"no body":      {Kind: gupshuptest.PushRaw},
			"no status":    {Kind: gupshuptest.PushTemplate, ID: testTemplate},
		} {
			require.Error(t, sim.Push(p), name)
		}
		sim.Close()
		require.ErrorContains(t, sim.Push(gupshuptest.Push{Kind: gupshuptest.PushText, Phone: testNumber}), "closed")
	})
}
