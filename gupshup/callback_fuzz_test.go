package gupshup_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
)

// bounded checks what every event promises, whatever it was parsed from.
func bounded(t *testing.T, events []gupshup.Event) {
	t.Helper()
	require.NotEmpty(t, events)
	require.LessOrEqual(t, len(events), 1000)
	for _, e := range events {
		require.NotEmpty(t, e.Kind)
		for text, most := range map[string]int{
			e.Type: 64, e.Detail: 64, e.Code: 64, e.App: 128, e.Reason: 256, e.Button: 256, e.Postback: 1024,
		} {
			require.LessOrEqual(t, utf8.RuneCountInString(text), most)
			require.True(t, utf8.ValidString(text))
		}
		for _, line := range []string{e.Type, e.Detail, e.Code, e.App, e.Reason, e.Button} {
			require.False(t, strings.ContainsAny(line, "\r\n\t\x00\x1b"), line)
		}
		for _, id := range []string{e.MessageID, e.WhatsAppID, e.TemplateID, e.ReplyTo} {
			require.LessOrEqual(t, len(id), 256)
		}
		require.Regexp(t, `^[0-9]{0,20}$`, e.Phone)
		for _, label := range []string{e.Type, e.Detail, e.Reason} {
			require.NotRegexp(t, `[0-9]{7}`, label)
		}
		if e.Kind == gupshup.EventReceipt || e.Kind == gupshup.EventBilling {
			require.NotEmpty(t, e.MessageID)
			require.NotEqual(t, e.MessageID, e.WhatsAppID)
		}
		if !e.At.IsZero() {
			require.Positive(t, e.At.UnixMilli())
			require.Less(t, e.At.Year(), 10_000)
		}
		require.True(t, gupshup.EventClass(e.Code).Valid())
	}
}

// FuzzParseCallback looks for panics, and for events that break their promises.
func FuzzParseCallback(f *testing.F) {
	for name := range callbacks() {
		f.Add(callbackFixture(f, name))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := gupshup.ParseCallback(body)
		if err != nil {
			require.Empty(t, events)
			require.EqualError(t, err, "callback: the body is not one JSON object")
			return
		}
		bounded(t, events)
	})
}

func BenchmarkParseCallback(b *testing.B) {
	for _, name := range []string{"delivered_both_ids_are_uuids", "failed_at_whatsapp_has_gsid", "v3_sent_in_seconds"} {
		body := callbackFixture(b, name)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, err := gupshup.ParseCallback(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
