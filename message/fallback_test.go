package message_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/message"
)

const templateID = "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b"

func TestFallbackProblemsNameTheirField(t *testing.T) {
	t.Parallel()
	const text = `"message":{"type":"text","text":"Hello"},`
	long := strings.Repeat("x", message.MaxContentLength)
	for name, c := range map[string]struct{ raw, want string }{
		"fine":            {text + `"fallback":{"template":{"id":"` + templateID + `","params":["a"]}}`, ""},
		"with its media":  {text + `"fallback":{"template":{"id":"` + templateID + `"},"media":{"type":"image","image":{"link":"https://x.example/a.jpg"}}}`, ""},
		"null is none":    {text + `"fallback":null`, ""},
		"empty":           {text + `"fallback":{}`, "fallback.template: is required"},
		"no object":       {text + `"fallback":"welcome"`, "fallback: must be an object"},
		"a list":          {text + `"fallback":[]`, "fallback: must be an object"},
		"no template id":  {text + `"fallback":{"template":{"params":[]}}`, "fallback.template.id: must be the template's UUID"},
		"a template name": {text + `"fallback":{"template":{"id":"welcome"}}`, "fallback.template.id: must be the template's UUID"},
		"unknown key":     {text + `"fallback":{"tmplate":{"id":"welcome"}}`, "fallback.tmplate: is not a known field"},
		"unknown key of the template": {
			text + `"fallback":{"template":{"id":"` + templateID + `","parameters":["a"]}}`, "fallback.",
		},
		"a wrong kind": {text + `"fallback":{"template":{"id":7}}`, "fallback.template.id: must be a string"},
		"a session message": {
			text + `"fallback":{"message":{"type":"text","text":"x"}}`, "fallback.message: must be absent",
		},
		"both": {
			text + `"fallback":{"message":{"type":"text","text":"x"},"template":{"id":"` + templateID + `"}}`, "fallback.message: must be absent",
		},
		"a session message's option": {
			text + `"fallback":{"template":{"id":"` + templateID + `"},"disable_preview":true}`, "fallback.disable_preview: must be absent",
		},
		"media alone": {
			text + `"fallback":{"media":{"type":"image","image":{"link":"https://x.example/a.jpg"}}}`, "fallback.template: is required",
		},
		"bad media": {
			text + `"fallback":{"template":{"id":"` + templateID + `"},"media":{"type":"image","image":{"link":"nowhere"}}}`, "fallback.media.image.link",
		},
		"beside a template": {
			`"template":{"id":"` + templateID + `"},"fallback":{"template":{"id":"` + templateID + `"}}`, "fallback: must be absent beside a template",
		},
		"too long": {text + `"fallback":{"template":{"id":"` + templateID + `","params":["` + long + `"]}}`, "fallback: has "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var m message.Message
			err := json.Unmarshal([]byte(`{`+c.raw+`,"sender":"s","to":"919876543210"}`), &m)
			if err == nil {
				err = m.Normalise("", time.Now())
			}
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			var fields gupshup.FieldErrors
			require.ErrorAs(t, err, &fields)
			require.Len(t, fields, 1, "one mistake is told once: %s", err)
			require.Contains(t, err.Error(), c.want)
		})
	}
}

func TestTheFingerprintCoversTheFallback(t *testing.T) {
	t.Parallel()
	sum := func(m message.Message) string {
		f, err := m.Fingerprint()
		require.NoError(t, err)
		return f
	}
	m := message.Message{
		ID: "a", Sender: "s", To: "919876543210", Priority: message.Default, Content: gupshup.Content{Message: gupshup.Text{Text: "x"}},
		SendAt: time.UnixMilli(1), ExpiresAt: time.UnixMilli(2),
	}
	without := sum(m)
	require.Equal(t, "wEs6fBLaCyq253ih", without, "fingerprints that are in Redis already must stay what they are")
	m.Fallback = gupshup.Content{Template: &gupshup.Template{ID: templateID, Params: []string{"a"}}}
	with := sum(m)
	require.NotEqual(t, without, with)
	m.Fallback.Template = &gupshup.Template{ID: templateID, Params: []string{"b"}}
	require.NotEqual(t, with, sum(m))
}

// Whatever a message says comes back from its JSON form, and is the same message by its fingerprint.
func TestMessagesRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := anyMessage(t)
		require.NoError(t, m.Normalise("", time.UnixMilli(0)))
		raw, err := json.Marshal(m)
		require.NoError(t, err)
		var back message.Message
		require.NoError(t, json.Unmarshal(raw, &back), string(raw))
		require.NoError(t, back.Normalise("", time.UnixMilli(0)))
		require.Equal(t, m, back)
		a, err := m.Fingerprint()
		require.NoError(t, err)
		b, err := back.Fingerprint()
		require.NoError(t, err)
		require.Equal(t, a, b)
		again, err := json.Marshal(back)
		require.NoError(t, err)
		require.Equal(t, string(raw), string(again))
	})
}

func anyMessage(t *rapid.T) message.Message {
	m := message.Message{
		ID: rapid.StringMatching(`[A-Za-z0-9._-]{1,64}`).Draw(t, "id"), Sender: "shop", To: "919876543210",
		Priority:  rapid.SampledFrom([]message.Priority{message.Critical, message.Default, message.Bulk}).Draw(t, "priority"),
		OnInDoubt: rapid.SampledFrom([]message.OnInDoubt{"", message.Resend, message.Hold}).Draw(t, "on_in_doubt"),
		Metadata:  rapid.MapOfN(rapid.StringN(1, 8, 16), rapid.StringN(0, 8, 16), 0, 3).Draw(t, "metadata"),
	}
	if len(m.Metadata) == 0 {
		m.Metadata = nil
	}
	if rapid.Bool().Draw(t, "timed") {
		m.SendAt = time.UnixMilli(rapid.Int64Range(1, 1e12).Draw(t, "send_at"))
		m.ExpiresAt = m.SendAt.Add(time.Duration(rapid.Int64Range(0, 1e6).Draw(t, "life")) * time.Millisecond)
	}
	if rapid.Bool().Draw(t, "template") {
		m.Content = anyTemplate(t)
		return m
	}
	m.Content = gupshup.Content{Message: gupshup.Text{Text: "x" + anyText(t, "text")}, DisablePreview: rapid.Bool().Draw(t, "disable_preview")}
	if rapid.Bool().Draw(t, "fallback") {
		m.Fallback = anyTemplate(t)
	}
	return m
}

func anyTemplate(t *rapid.T) gupshup.Content {
	c := gupshup.Content{Template: &gupshup.Template{ID: templateID, Params: []string{anyText(t, "param"), anyText(t, "param")}}}
	if rapid.Bool().Draw(t, "media") {
		c.Media = gupshup.MediaImage{Link: "https://x.example/a.jpg?b=1&c=2"}
	}
	if rapid.Bool().Draw(t, "postback") {
		c.PostbackTexts = []gupshup.PostbackText{{Index: 0, Text: "y" + anyText(t, "postback")}}
	}
	return c
}

// anyText is what people and templates write, with the characters that JSON and HTML treat in a way of their own.
func anyText(t *rapid.T, label string) string {
	return rapid.StringOfN(rapid.SampledFrom([]rune(`aé😀<>&"\'/{}:,`)), 0, 12, -1).Draw(t, label)
}
