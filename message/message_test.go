package message_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/message"
)

func TestTheMessageObjectRoundTrips(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"template": `{"id":"a","sender":"shop","to":"919876543210","priority":"critical","send_at":"2026-11-23T10:00:00Z",` +
			`"expires_at":"2026-11-23T10:10:00.5Z","on_in_doubt":"hold","metadata":{"k":"v"},` +
			`"template":{"id":"c6aecef6-bcb0-4fb1-8100-28c094e3bc6b","params":["1"]},"media":{"type":"image","image":{"link":"https://x.example/a.jpg"}}}`,
		"session": `{"sender":"shop","to":"919876543210","message":{"type":"text","text":"Hello"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var m message.Message
			require.NoError(t, json.Unmarshal([]byte(raw), &m))
			again, err := json.Marshal(m)
			require.NoError(t, err)
			require.JSONEq(t, raw, string(again))
		})
	}
}

func TestAnUnknownKeyIsNamed(t *testing.T) {
	t.Parallel()
	for raw, name := range map[string]string{
		`{"sender":"s","to":"1","messsage":{"type":"text","text":"x"}}`:                "messsage",
		`{"sender":"s","to":"1","message":{"type":"text","text":"x","colour":"red"}}`:  "colour",
		`{"sender":"s","to":"1","template":{"id":"x","params":[],"parameters":["a"]}}`: "parameters",
		`{"sender":"s","to":1}`:               "to",
		`{"sender":"s","send_at":"tomorrow"}`: "send_at",
		`["sender"]`:                          "message object",
	} {
		var m message.Message
		require.ErrorContains(t, json.Unmarshal([]byte(raw), &m), name, raw)
	}
}

func TestNormaliseNumber(t *testing.T) {
	t.Parallel()
	cases := []struct{ raw, region, want string }{
		{"919876543210", "", "919876543210"},
		{"+91 98765-43210", "", "919876543210"},
		{" +44 (0)7700 900123 ", "", "447700900123"},
		{"098765 43210", "IN", "919876543210"},
		{"5215512345678", "", "5215512345678"}, // Mexico's extra 1 stays as it was given
		{"5491123456789", "", "5491123456789"}, // and Argentina's 9
		{"098765 43210", "", ""},
		{"12", "", ""},
		{"", "", ""},
		{"+", "", ""},
		{"98765abcde", "", ""},
		{"1234567890123456789", "", ""},
	}
	for _, c := range cases {
		got, err := message.NormaliseNumber(c.raw, c.region)
		require.Equal(t, c.want, got, "%q in %q", c.raw, c.region)
		require.Equal(t, c.want == "", err != nil)
	}
}

func TestMaskNumber(t *testing.T) {
	t.Parallel()
	for to, want := range map[string]string{"919876543210": "9198******10", "1234567": "12***67", "123456": "******", "": ""} {
		require.Equal(t, want, message.MaskNumber(to))
	}
}

func TestFingerprintCoversWhatTheCallerSaid(t *testing.T) {
	t.Parallel()
	base := func() message.Message {
		return message.Message{
			ID: "a", Sender: "s", To: "919876543210", Priority: message.Bulk, SendAt: time.UnixMilli(1), ExpiresAt: time.UnixMilli(2),
			Content: gupshup.Content{Message: gupshup.Text{Text: "x"}}, Metadata: map[string]string{"a": "1", "b": "2"},
		}
	}
	sum := func(m message.Message) string {
		f, err := m.Fingerprint()
		require.NoError(t, err)
		require.Len(t, f, 16)
		return f
	}
	want := sum(base())
	require.Equal(t, want, sum(base()))
	for name, change := range map[string]func(m *message.Message){
		"to":       func(m *message.Message) { m.To = "919876543211" },
		"priority": func(m *message.Message) { m.Priority = message.Critical },
		"content":  func(m *message.Message) { m.Content.Message = gupshup.Text{Text: "y"} },
		"send at":  func(m *message.Message) { m.SendAt = time.UnixMilli(5) },
		"expires":  func(m *message.Message) { m.ExpiresAt = time.UnixMilli(5) },
		"doubt":    func(m *message.Message) { m.OnInDoubt = message.Hold },
		"metadata": func(m *message.Message) { m.Metadata["b"] = "3" },
	} {
		m := base()
		change(&m)
		require.NotEqual(t, want, sum(m), name)
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	require.True(t, message.ValidID(message.NewID()))
	require.NotEqual(t, message.NewID(), message.NewID())
	for id, want := range map[string]bool{"a": true, "A-b_c.9": true, "": false, "a:b": false, "ä": false, strings.Repeat("x", 64): true, strings.Repeat("x", 65): false} {
		require.Equal(t, want, message.ValidID(id), id)
	}
}

func TestQueuesAndTasks(t *testing.T) {
	t.Parallel()
	require.Equal(t, "shop-1.critical", message.Queue("shop-1", message.Critical))
	require.Equal(t, "order-1:2", message.TaskID("order-1", 2))
	task := message.Task{Sender: "shop", ID: "a", Generation: 3, To: "9198******10", Template: "t"}
	raw, err := task.Encode()
	require.NoError(t, err)
	got, err := message.DecodeTask(raw)
	require.NoError(t, err)
	require.Equal(t, task, got)
	for raw, what := range map[string]string{
		``: "readable", `{`: "readable", `{"id":"a","generation":1}`: "sender", `{"sender":"s","generation":1}`: "id",
		`{"sender":"s","id":"a:1","generation":1}`: "id", `{"sender":"s","id":"a"}`: "generation",
	} {
		_, err := message.DecodeTask([]byte(raw))
		require.ErrorContains(t, err, what)
	}
}

func FuzzDecodeTask(f *testing.F) {
	f.Add([]byte(`{"sender":"s","id":"a","generation":1}`))
	f.Add([]byte(`{"sender":"s","id":"a","generation":-1}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		task, err := message.DecodeTask(raw)
		if err != nil {
			return
		}
		require.True(t, message.ValidID(task.ID))
		again, err := task.Encode()
		require.NoError(t, err)
		back, err := message.DecodeTask(again)
		require.NoError(t, err)
		require.Equal(t, task, back)
	})
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte(`{"sender":"s","to":"919876543210","message":{"type":"text","text":"x"}}`))
	f.Add([]byte(`{"template":{"id":"c6aecef6-bcb0-4fb1-8100-28c094e3bc6b","params":["a"]},"media":{"type":"image"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m message.Message
		if json.Unmarshal(raw, &m) != nil || m.Normalise("", time.Now()) != nil {
			return
		}
		again, err := json.Marshal(m)
		require.NoError(t, err)
		var back message.Message
		require.NoError(t, json.Unmarshal(again, &back), string(again))
		a, err := m.Fingerprint()
		require.NoError(t, err)
		require.NoError(t, back.Normalise("", time.Now()))
		b, err := back.Fingerprint()
		require.NoError(t, err)
		require.Equal(t, a, b, "what went through JSON is the same message")
	})
}
