package gupshuptest_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

const portalText = "Portal User Not Found With APIKey"

func jsonError(message string) string { return `{"message":"` + message + `","status":"error"}` }

func TestValidation(t *testing.T) {
	t.Parallel()
	text := func() url.Values { return textForm(testNumber) }
	tmpl := func() url.Values { return templateForm(testNumber) }
	catalog := `{"id":"` + testTemplate + `","params":["product-1"]}`
	image := `{"type":"image","image":{"link":"https://example.com/a.jpg"}}`
	long := strings.Repeat("x", 4097)

	tests := []struct {
		name   string
		path   string
		form   url.Values
		status int
		body   string // exact if it is the whole, otherwise a part
		reason string // empty: accepted
	}{
		{"text", sessionPath, text(), 200, `{"status":"submitted","messageId":"`, ""},
		{"template", templatePath, tmpl(), 202, `{"status":"submitted","messageId":"`, ""},
		{"template with media", templatePath, with(tmpl(), "message", image), 202, `"messageId"`, ""},
		{"template with postbacks", templatePath, with(tmpl(), "postbackTexts", `[{"index":0,"text":"yes"}]`), 202, `"messageId"`, ""},
		{"catalogue template", rawPath, with(tmpl(), "template", catalog), 200, `"messageId"`, ""},
		{"old session path", "/sm/api/v1/msg", text(), 200, `"messageId"`, ""},
		{"old template path", "/sm/api/v1/template/msg", tmpl(), 202, `"messageId"`, ""},
		{"no channel", sessionPath, with(text(), "channel", ""), 200, `"messageId"`, ""},
		{"source with plus", sessionPath, with(text(), "source", "+917834811114"), 200, `"messageId"`, ""},
		{"unknown field", sessionPath, with(text(), "bypassCheck", "true"), 200, `"messageId"`, ""},

		{"unknown path", "/wa/api/v2/msg", text(), 404, jsonError("Not Found"), "path"},
		{"other channel", sessionPath, with(text(), "channel", "sms"), 400, jsonError("Invalid Channel"), "channel"},
		{"no app", sessionPath, with(text(), "src.name", ""), 400, jsonError("Invalid App Details"), "app"},
		{"other app", sessionPath, with(text(), "src.name", "OtherApp"), 400, jsonError("Invalid App Details"), "app"},
		{"app of another key", sessionPath, with(with(text(), "src.name", "SecondApp"), "source", "4915112345678"), 400, jsonError("Invalid App Details"), "app"},
		{"no source", sessionPath, with(text(), "source", ""), 400, jsonError("Invalid App Details"), "app"},
		{"other source", sessionPath, with(text(), "source", "917834811115"), 400, jsonError("Invalid App Details"), "app"},
		{"no destination", sessionPath, with(text(), "destination", ""), 400, jsonError("Invalid Destination"), "destination"},
		{"destination with plus", sessionPath, with(text(), "destination", "+919876543210"), 400, jsonError("Invalid Destination"), "destination"},
		{"short destination", sessionPath, with(text(), "destination", "123456"), 400, jsonError("Invalid Destination"), "destination"},
		{"long destination", sessionPath, with(text(), "destination", "1234567890123456"), 400, jsonError("Invalid Destination"), "destination"},
		{"letters in destination", templatePath, with(tmpl(), "destination", "91987x543210"), 400, jsonError("Invalid Destination"), "destination"},

		{"no message", sessionPath, with(text(), "message", ""), 400, "is required", "message"},
		{"message is not JSON", sessionPath, with(text(), "message", "hello"), 400, "Invalid message", "message"},
		{"message of unknown type", sessionPath, with(text(), "message", `{"type":"fax"}`), 400, "must be one of", "message"},
		{"message with unknown field", sessionPath, with(text(), "message", `{"type":"text","text":"a","colour":"red"}`), 400, "colour", "message"},
		{"empty text", sessionPath, with(text(), "message", `{"type":"text","text":""}`), 400, "text: is required", "message"},
		{"text too long", sessionPath, with(text(), "message", `{"type":"text","text":"`+long+`"}`), 400, "4096", "message"},
		{"template at the session path", sessionPath, with(tmpl(), "message", `{"type":"text","text":"a"}`), 400, "belong to template messages", "message"},
		{"postbacks at the session path", sessionPath, with(text(), "postbackTexts", "[]"), 400, "belong to template messages", "message"},

		{"no template", templatePath, with(tmpl(), "template", ""), 400, "Invalid template: is required", "template"},
		{"template is not JSON", templatePath, with(tmpl(), "template", "{"), 400, "Invalid template", "template"},
		{"template twice", templatePath, with(tmpl(), "template", catalog+catalog), 400, "after its end", "template"},
		{"template params are numbers", templatePath, with(tmpl(), "template", `{"id":"`+testTemplate+`","params":[1]}`), 400, "Invalid template", "template"},
		{"template param with line break", templatePath, with(tmpl(), "template", `{"id":"`+testTemplate+`","params":["a\nb"]}`), 400, "params[0]", "template"},
		{"template with our own field", templatePath, with(tmpl(), "template", `{"id":"`+testTemplate+`","catalog":true}`), 400, "catalog", "template"},
		{"template named, not by id", templatePath, with(tmpl(), "template", `{"id":"order_shipped","params":[]}`), 401, portalText, "template"},
		{"template by Meta's id", templatePath, with(tmpl(), "template", `{"id":"1234567890123456","params":["a\nb"]}`), 401, portalText, "template"},
		{"template without id", rawPath, with(tmpl(), "template", `{"params":["p"]}`), 401, portalText, "template"},
		{"session type at the template path", templatePath, with(tmpl(), "message", `{"type":"text","text":"hello"}`), 400, "must be one of", "message"},
		{"session image at the template path", templatePath, with(tmpl(), "message", `{"type":"image","originalUrl":"https://example.com/a.jpg"}`), 400, "Invalid message", "message"},
		{"media without a source", templatePath, with(tmpl(), "message", `{"type":"image","image":{}}`), 400, "Invalid message", "message"},
		{"postbacks are not an array", templatePath, with(tmpl(), "postbackTexts", `{}`), 400, "Invalid postbackTexts", "postback"},
		{"postback twice", templatePath, with(tmpl(), "postbackTexts", `[{"index":0,"text":"a"},{"index":0,"text":"b"}]`), 400, "same", "postback"},
		{"catalogue template without product", rawPath, with(tmpl(), "template", `{"id":"`+testTemplate+`","params":[]}`), 400, "product", "template"},
		{"catalogue template with media", rawPath, with(with(tmpl(), "template", catalog), "message", image), 400, "media", "message"},
		{"text at the catalogue path", rawPath, text(), 400, "Invalid template: is required", "template"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			srv := gupshuptest.NewServer(t, gupshuptest.Config{Apps: []gupshuptest.App{
				{Name: "DemoApp", Source: "917834811114", APIKey: testKey},
				{Name: "SecondApp", Source: "4915112345678", APIKey: "another key"},
			}})
			got, err := post(t.Context(), newClient(t), srv.URL+tc.path, tc.form)
			require.NoError(t, err)
			require.Equal(t, tc.status, got.status, got.body)
			require.Contains(t, got.body, tc.body)

			stats := srv.Stats()
			require.EqualValues(t, 1, stats.Requests)
			if tc.reason == "" {
				require.EqualValues(t, 1, stats.Accepted)
				require.Equal(t, tc.path, srv.Accepted(gupshuptest.Filter{})[0].Path)
				return
			}
			require.Equal(t, map[string]uint64{tc.reason: 1}, stats.Refused)
			require.Empty(t, srv.Accepted(gupshuptest.Filter{}))
		})
	}
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	known := []gupshuptest.App{{Name: "DemoApp", Source: "917834811114", APIKey: testKey}}
	tests := []struct {
		name   string
		apps   []gupshuptest.App
		header string
		key    string
		status int
	}{
		{"as documented", known, "apikey", testKey, 200},
		{"any case", known, "APIKey", testKey, 200},
		{"any key without known apps", nil, "apikey", "whatever", 200},
		{"wrong key", known, "apikey", "wrong", 401},
		{"no key", known, "X-Other", testKey, 401},
		{"empty key", nil, "apikey", " ", 401},
		{"the documented name that does not work", nil, "api_key", testKey, 401},
		{"the partner's header", nil, "Authorization", testKey, 401},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			srv := gupshuptest.NewServer(t, gupshuptest.Config{Apps: tc.apps})
			got, err := do(t.Context(), newClient(t), http.MethodPost, srv.URL+sessionPath, textForm(testNumber).Encode(), http.Header{
				"Content-Type": {"application/x-www-form-urlencoded"}, tc.header: {tc.key},
			})
			require.NoError(t, err)
			require.Equal(t, tc.status, got.status)
			if tc.status == 401 {
				require.Equal(t, jsonError("Authentication Failed"), got.body)
				require.EqualValues(t, 1, srv.Stats().Refused["auth"])
			}
		})
	}
}

func TestTransportOfTheForm(t *testing.T) {
	t.Parallel()
	const formType = "application/x-www-form-urlencoded"
	valid := textForm(testNumber).Encode()
	tests := []struct {
		name   string
		method string
		typ    string
		body   string
		status int
		reason string
	}{
		{"charset", http.MethodPost, formType + "; charset=UTF-8", valid, 200, ""},
		{"get", http.MethodGet, formType, "", 405, "method"},
		{"put", http.MethodPut, formType, valid, 405, "method"},
		{"json", http.MethodPost, "application/json", `{}`, 415, "form"},
		{"no type", http.MethodPost, "", valid, 415, "form"},
		{"bad escape", http.MethodPost, formType, "source=%zz", 400, "form"},
		{"empty", http.MethodPost, formType, "", 400, "app"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			srv := gupshuptest.NewServer(t, gupshuptest.Config{})
			got, err := do(t.Context(), newClient(t), tc.method, srv.URL+sessionPath, tc.body, http.Header{
				"Content-Type": {tc.typ}, "Apikey": {testKey},
			})
			require.NoError(t, err)
			require.Equal(t, tc.status, got.status, got.body)
			if tc.reason != "" {
				require.Equal(t, map[string]uint64{tc.reason: 1}, srv.Stats().Refused)
			}
			if tc.reason == "method" {
				require.Equal(t, http.MethodPost, got.header.Get("Allow"))
			}
		})
	}
}

// TestBodyIsLimited goes without a network: there, a client that is still
// writing may see a reset in place of the answer.
func TestBodyIsLimited(t *testing.T) {
	t.Parallel()
	valid := textForm(testNumber).Encode()
	large := valid + "&x=" + strings.Repeat("x", 1<<20)
	sim := gupshuptest.New(gupshuptest.Config{})
	const unknown = -1
	for _, tc := range []struct {
		body   string
		length int64
		status int
	}{
		{valid, int64(len(valid)), 200},
		{valid, unknown, 200},
		{large, int64(len(large)), 413},
		{large, unknown, 413},
	} {
		require.Equal(t, tc.status, serve(t, sim, tc.body, tc.length).Code)
	}
	require.Equal(t, map[string]uint64{"size": 2}, sim.Stats().Refused)
	require.Equal(t, 400, serve(t, sim, valid, int64(len(valid))+1).Code, "cut off on its way")
}

func TestRepliesAsConfigured(t *testing.T) {
	t.Parallel()
	srv := gupshuptest.NewServer(t, gupshuptest.Config{JSONContentType: true, SuccessStatus: "success", LegacySM: "401"})
	got := send(t, srv, testNumber)
	require.Equal(t, "application/json", got.header.Get("Content-Type"))
	require.Regexp(t, `^\{"status":"success","messageId":"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"\}$`, got.body)
	require.Contains(t, got.body, srv.Accepted(gupshuptest.Filter{})[0].MessageID)

	for _, path := range []string{"/sm/api/v1/msg", "/sm/api/v1/template/msg"} {
		got, err := post(t.Context(), newClient(t), srv.URL+path, textForm(testNumber))
		require.NoError(t, err)
		require.Equal(t, 401, got.status)
		require.Equal(t, portalText, got.body)
	}
	require.EqualValues(t, 2, srv.Stats().Refused["legacy"])
}

func TestRefusalsDoNotRepeatWhatTheyWereSent(t *testing.T) {
	t.Parallel()
	srv := gupshuptest.NewServer(t, gupshuptest.Config{})
	for path, form := range map[string]url.Values{
		sessionPath:  with(textForm(testNumber), "message", `{"type":"text","text":["secret"]}`),
		templatePath: with(templateForm(testNumber), "template", `{"id":"secret","params":["secret\n"],"secret":"secret"}`),
	} {
		got, err := post(t.Context(), newClient(t), srv.URL+path, form)
		require.NoError(t, err)
		require.Equal(t, 400, got.status)
		require.NotContains(t, got.body, "secret")
		require.NotContains(t, got.body, testNumber)
	}
}
