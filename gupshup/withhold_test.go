package gupshup

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// A reply may quote what was sent. Its reason is stored, and shown to people.
func TestAReasonQuotesNothingOfTheMessage(t *testing.T) {
	t.Parallel()
	const id = "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b"
	long := "Dear Asha, your parcel\nleaves tomorrow at nine and will be with you at noon, if nothing comes in between"
	for name, tc := range map[string]struct {
		content      Content
		reason, want string
	}{
		"password":           {Content{Template: &Template{ID: id, Params: []string{"482913"}}}, "Parameter 482913 is not allowed", "Parameter [text] is not allowed"},
		"name":               {Content{Template: &Template{ID: id, Params: []string{"Asha Rao"}}}, "no such thing as Asha Rao", "no such thing as [text]"},
		"one in another":     {Content{Template: &Template{ID: id, Params: []string{"Asha", "Asha Rao"}}}, "Asha Rao and Asha", "[text] and [text]"},
		"text":               {Content{Message: Text{Text: "Your code is 482913"}}, `bad text "Your code is 482913"`, `bad text "[text]"`},
		"text, cut off":      {Content{Message: Text{Text: long}}, "Invalid: Dear Asha, your parcel leaves tomorrow at", "Invalid: [text]"},
		"text with a number": {Content{Message: Text{Text: "Call 98765 43210 now"}}, "bad: Call 98765 43210 now", "bad: [text]"},
		"nothing of it":      {Content{Message: Text{Text: "Hello there"}}, "User is not Opted in", "User is not Opted in"},
		"kinds are words":    {Content{Message: Text{Text: "abc"}}, "a text of type text: abc", "a text of type text: abc"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusBadRequest)
				_ = json.NewEncoder(w).Encode(map[string]string{"status": "error", "message": tc.reason})
			}))
			defer server.Close()
			c, err := New(Config{BaseURL: server.URL, APIKey: StaticKey("key-0123456789")})
			require.NoError(t, err)
			defer c.CloseIdleConnections()
			_, err = c.Send(t.Context(), Request{Source: "917834811114", AppName: "DemoApp", Destination: "919876543210", Content: tc.content})
			var refused *Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, tc.want, refused.Reason)
		})
	}
}
