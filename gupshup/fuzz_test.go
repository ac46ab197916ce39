package gupshup_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
)

// FuzzClassify looks for panics, and for replies that are neither a receipt nor an error.
func FuzzClassify(f *testing.F) {
	for _, body := range []string{
		accepted, `{"status":"error","code":1002}`, `{"message":{"message":"Authentication Failed"},"status":"error"}`,
		"Portal User Not Found With APIKey", "<html>", `{"messages":[{"id":"a"}]}`, `{"error":{"code":"131056","message":"x"}}`, "", "null", `{"code":1e9}`,
	} {
		f.Add(200, []byte(body), "")
		f.Add(400, []byte(body), "30")
		f.Add(500, []byte(body), "Thu, 01 Oct 2026 12:01:30 GMT")
	}
	f.Fuzz(func(t *testing.T, status int, body []byte, retryAfter string) {
		reply := &gupshup.Reply{Status: status, Header: map[string][]string{"Retry-After": {retryAfter}}, Body: body}
		receipt, err := gupshup.Classify(reply, nil, nil, noon)
		if err == nil {
			require.NotEmpty(t, receipt.MessageID)
			require.Equal(t, 2, status/100)
			return
		}
		require.Zero(t, receipt)
		require.True(t, err.Class.Valid())
		require.NotEqual(t, gupshup.ClassNotSent, err.Class, "there was a reply")
		require.NotEmpty(t, err.Code)
		require.LessOrEqual(t, utf8.RuneCountInString(err.Reason), 200)
		require.True(t, utf8.ValidString(err.Reason))
		require.False(t, strings.ContainsAny(err.Reason, "\r\n\x00\x1b"))
		require.NotRegexp(t, `[0-9]{7}`, err.Reason)
		require.GreaterOrEqual(t, err.RetryAfter, noon.Sub(noon))
	})
}

// FuzzDecodeMessage checks that whatever is accepted has one stable form.
func FuzzDecodeMessage(f *testing.F) {
	for _, test := range wireForms() {
		f.Add([]byte(test.wire))
	}
	f.Add([]byte(`{"type":"image","image":{"link":"https://a.example"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if m, err := gupshup.DecodeMessage(raw); err == nil {
			_ = m.Validate()
			stable(t, m, func(raw []byte) (any, error) { return gupshup.DecodeMessage(raw) })
		}
		if m, err := gupshup.DecodeMedia(raw); err == nil {
			_ = m.Validate()
			stable(t, m, func(raw []byte) (any, error) { return gupshup.DecodeMedia(raw) })
		}
	})
}

// FuzzContent does the same for the project's own form.
func FuzzContent(f *testing.F) {
	f.Add([]byte(`{"template":{"id":"` + templateID + `","params":["a"]},"media":{"type":"image","image":{"link":"https://a.example"}},"postback_texts":[{"index":0,"text":"x"}]}`))
	for _, test := range wireForms() {
		f.Add([]byte(`{"message":` + test.wire + `,"encode":true}`))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var c gupshup.Content
		if json.Unmarshal(raw, &c) != nil {
			return
		}
		valid := c.Validate() == nil
		_, err := gupshup.Request{Source: "1", AppName: "a", Destination: "1", Content: c}.Form()
		if valid {
			require.NoError(t, err)
		}
		stable(t, c, func(raw []byte) (any, error) {
			var c gupshup.Content
			err := json.Unmarshal(raw, &c)
			return c, err
		})
	})
}

// stable checks that encoding, decoding and encoding again changes nothing.
func stable(t *testing.T, v any, decode func([]byte) (any, error)) {
	t.Helper()
	first, err := json.Marshal(v)
	require.NoError(t, err)
	again, err := decode(first)
	require.NoError(t, err, string(first))
	second, err := json.Marshal(again)
	require.NoError(t, err)
	require.Equal(t, string(first), string(second))
}
