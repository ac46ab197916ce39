package gupshup_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
)

// Ids and numbers of the fixtures.
const (
	someMessage  = "ee4a68a0-1203-4c85-8dc3-49d0b3226a35"
	otherMessage = "72f61f22-5aa4-4615-a970-943edf6da01c"
	answered     = "9b71295f-f7af-4c1f-b2b4-31b4a4867bad"
	wamid        = "wamid.HBgMOTE5ODc2NTQzMjEwFQIA"
	inboundID    = "ABEGkYaYVSEEAhAL3SLAWwHKeKrt6s3FKB0c"
	user         = "919876543210"
)

// at is a time in milliseconds since 1970.
func at(milli int64) time.Time { return time.UnixMilli(milli).UTC() }

// callbacks says of every fixture what it tells.
func callbacks() map[string][]gupshup.Event {
	const receipt, other, inbound = gupshup.EventReceipt, gupshup.EventOther, gupshup.EventInbound
	return map[string][]gupshup.Event{
		"enqueued": {{
			Kind: receipt, Type: "enqueued", App: "DemoAPI", At: at(1580546677791), Phone: user,
			MessageID: "59f8db90-c37e-4408-90ab-cc54ef8246ad", WhatsAppID: "gBEGkYaYVSEEAgkD7bRi9syGnBk",
		}},
		"failed_at_gupshup_has_only_id": {{
			Kind: receipt, Type: "failed", App: "DemoAPI", At: at(1580311136040), Phone: user, MessageID: someMessage,
			Code: "1008", Reason: "User is not Opted in and Inactive",
		}},
		"failed_at_whatsapp_has_gsid": {{
			Kind: receipt, Type: "failed", App: "DemoAPI", At: at(1663138637856), Phone: user,
			MessageID: otherMessage, WhatsAppID: "9163a016-710e-41ee-978b-79a1adbd734e", Code: "470",
			Reason: "Message failed to send because more than 24 hours have passed since the customer last replied to this number",
		}},
		"failed_code_is_a_string": {{
			Kind: receipt, Type: "failed", App: "DemoAPI", At: at(1663138637856), Phone: user, MessageID: otherMessage, WhatsAppID: wamid,
			Code: "131049", Reason: "This message was not delivered to maintain healthy ecosystem engagement.",
		}},
		"failed_code_is_a_float": {{
			Kind: receipt, Type: "failed", App: "DemoAPI", At: at(1663138637856), Phone: user, MessageID: otherMessage,
			Code: "1002", Reason: "Number Does Not Exists On WhatsApp",
		}},
		"failed_code_is_a_word": {{
			Kind: receipt, Type: "failed", App: "DemoAPI", At: at(1663138637856), Phone: user, MessageID: otherMessage, Code: "RATE_LIMIT",
		}},
		"failed_without_details": {{
			Kind: receipt, Type: "failed", App: "DemoAPI", At: at(1663138637856), Phone: user, MessageID: otherMessage,
		}},
		"failed_reason_has_number_and_link": {{
			Kind: receipt, Type: "failed", App: "DemoAPI", At: at(1663138637856), Phone: user, MessageID: otherMessage,
			Code: "1010", Reason: "Invalid media [url] for [number]",
		}},
		"sent": {{
			Kind: receipt, Type: "sent", App: "DemoAPI", At: at(1585344475000), Phone: user, MessageID: someMessage, WhatsAppID: wamid,
		}},
		"sent_time_of_sample_is_zero": {{
			Kind: receipt, Type: "sent", App: "{{APP}}", MessageID: "{{GS_MESSAGE_ID}}", WhatsAppID: "{{WA_MESSAGE_ID}}",
		}},
		"delivered_both_ids_are_uuids": {{
			Kind: receipt, Type: "delivered", App: "DemoAPI", At: at(1747136691000), Phone: user,
			MessageID: "1a6207e5-af37-4fc8-948a-25867d3ab077", WhatsAppID: "326822fd-55e9-4112-b810-e86909cd71f6",
		}},
		"delivered_after_a_week_has_no_gsid": {{
			Kind: receipt, Type: "delivered", App: "DemoAPI", At: at(1747136691000), Phone: user, MessageID: wamid,
		}},
		"read": {{
			Kind: receipt, Type: "read", App: "DemoAPI", At: at(1585344602000), Phone: user,
			MessageID: someMessage, WhatsAppID: "gBEGkYaYVSEEAgnZxQ3JmKK6Wvg",
		}},
		"read_with_odd_fields":               {{Kind: receipt, Type: "read", MessageID: someMessage}},
		"read_behind_a_byte_order_mark":      {{Kind: receipt, Type: "read", App: "Démo App", At: at(1585344602933), MessageID: "b", WhatsAppID: "a"}},
		"deleted_is_about_the_users_message": {{Kind: other, Type: "deleted", App: "DemoAPI", At: at(1654703394680)}},
		"mismatch":                           {{Kind: other, Type: "mismatch", App: "DemoAPI", At: at(1654703394680)}},
		"others":                             {{Kind: other, Type: "others", App: "DemoAPI", At: at(1654703394680)}},
		"receipt_without_any_id":             {{Kind: other, Type: "delivered", App: "DemoAPI", At: at(1654703394680)}},

		"billing": {{
			Kind: gupshup.EventBilling, App: "DemoAPI", At: at(1739354482884), Phone: user,
			MessageID: someMessage, WhatsAppID: wamid, Detail: "marketing",
		}},
		"billing_before_july_2025": {{
			Kind: gupshup.EventBilling, App: "DemoAPI", At: at(1580546677791), Phone: user, MessageID: someMessage, Detail: "FTC",
		}},
		"billing_without_category":   {{Kind: gupshup.EventBilling, App: "DemoAPI", At: at(1739354482884), MessageID: someMessage}},
		"billing_of_nothing_of_ours": {{Kind: other, Type: "billing-event", App: "DemoAPI", At: at(1739354482884)}},

		"user_opted_out":         {{Kind: gupshup.EventUser, Type: "opted-out", App: "DemoAPI", At: at(1580546677791), Phone: user}},
		"user_opted_in":          {{Kind: gupshup.EventUser, Type: "opted-in", App: "DemoAPI", At: at(1580546677791), Phone: user}},
		"callback_url_was_set":   {{Kind: gupshup.EventUser, Type: "sandbox-start", App: "DemoAPI", At: at(1580142086287)}},
		"user_did_something_new": {{Kind: other, Type: "renamed", App: "DemoAPI", At: at(1580142086287)}},
		"preferences_of_several_users": {
			{Kind: gupshup.EventPreference, Type: "stop", App: "DemoAPI", At: at(1749999999000), Phone: user},
			{Kind: gupshup.EventPreference, Type: "resume", App: "DemoAPI", At: at(1749999998000), Phone: "919876543211"},
			{Kind: other, Type: "utility_messages", App: "DemoAPI", At: at(1750000000000)},
			{Kind: other, Type: "user_preferences", App: "DemoAPI", At: at(1750000000000)},
		},

		"template_paused": {{
			Kind: gupshup.EventTemplate, Type: "status-update", App: "DemoAPI", At: at(1580546677791), TemplateID: templateID, Detail: "paused",
		}},
		"template_category_changed": {{
			Kind: gupshup.EventTemplate, Type: "category-update", App: "DemoAPI", At: at(1580546677791), TemplateID: templateID, Detail: "MARKETING",
		}},
		"template_category_will_change": {{
			Kind: gupshup.EventTemplate, Type: "category-update", App: "DemoAPI", At: at(1580546677791), TemplateID: templateID, Detail: "MARKETING",
		}},
		"account_restricted": {{
			Kind: gupshup.EventAccount, Type: "status-event", App: "DemoAPI", At: at(1580546677791), Detail: "ACCOUNT_RESTRICTED",
		}},
		"account_tier": {{Kind: gupshup.EventAccount, Type: "tier-event", App: "DemoAPI", At: at(1580546677791), Detail: "FLAGGED"}},
		"onboarding":   {{Kind: other, Type: "onboarding-event", App: "DemoAPI", At: at(1580546677791)}},

		"inbound_text_answers_our_message": {{
			Kind: inbound, Type: "text", App: "DemoAPI", At: at(1580227766370), Phone: user, WhatsAppID: inboundID, ReplyTo: answered,
		}},
		"inbound_image_source_is_in_sender": {{
			Kind: inbound, Type: "image", App: "DemoAPI", At: at(1580227766370), Phone: user, WhatsAppID: inboundID,
		}},
		"inbound_list_reply": {{
			Kind: inbound, Type: "list_reply", App: "DemoAPI", At: at(1580227766370), Phone: user, WhatsAppID: inboundID,
		}},
		"tap_of_session_button": {{
			Kind: inbound, Type: "button_reply", App: "DemoAPI", At: at(1580227766370), Phone: user, WhatsAppID: inboundID,
			ReplyTo: answered, Button: "Yes",
		}},
		"tap_of_template_button": {{
			Kind: inbound, Type: "quick_reply", App: "DemoAPI", At: at(1580227766370), Phone: user, WhatsAppID: inboundID,
			ReplyTo: answered, Button: "Stop", Postback: "stop-1",
		}},
		"tap_of_template_button_as_text": {{
			Kind: inbound, Type: "text", App: "DemoAPI", At: at(1580227766370), Phone: user, WhatsAppID: inboundID, Button: "Stop",
		}},

		"v3_enqueued_in_milliseconds": {{
			Kind: receipt, Type: "enqueued", At: at(1710930461123), Phone: user, MessageID: someMessage, WhatsAppID: wamid,
		}},
		"v3_sent_in_seconds": {{
			Kind: receipt, Type: "sent", At: at(1710930461000), Phone: user, MessageID: someMessage, WhatsAppID: wamid,
		}},
		"v3_failed_at_whatsapp": {{
			Kind: receipt, Type: "failed", At: at(1710930461000), Phone: user, MessageID: someMessage, WhatsAppID: wamid,
			Code: "131047", Reason: "Re-engagement message",
		}},
		"v3_failed_at_gupshup": {{
			Kind: receipt, Type: "failed", At: at(1710930461000), Phone: user, MessageID: someMessage,
			Code: "1002", Reason: "Number Not Exist On WhatsApp",
		}},
		"v3_several_of_everything": {
			{Kind: receipt, Type: "read", At: at(1710930461000), Phone: user, MessageID: "a1", WhatsAppID: "wamid.1"},
			{Kind: receipt, Type: "delivered", At: at(1710930462000), Phone: "919876543211", MessageID: "wamid.2"},
			{Kind: other, Type: "warning"},
			{Kind: other, Type: "messages"},
			{Kind: other, Type: "message_template_status_update"},
			{Kind: other, Type: "whatsapp_business_account"},
			{Kind: inbound, Type: "text", At: at(1710930463000), Phone: "919876543212", WhatsAppID: "wamid.4"},
			{Kind: other, Type: "whatsapp_business_account"},
		},
		"v3_tap_of_template_button": {{
			Kind: inbound, Type: "button", At: at(1710930461000), Phone: user, WhatsAppID: "wamid.HBgN",
			ReplyTo: someMessage, Button: "Stop", Postback: "stop-1",
		}},
		"v3_tap_of_session_button": {{
			Kind: inbound, Type: "interactive", At: at(1710930461000), Phone: user, WhatsAppID: "wamid.HBgN",
			ReplyTo: someMessage, Button: "Yes", Postback: "yes-1",
		}},
		"v3_preference": {{Kind: gupshup.EventPreference, Type: "stop", At: at(1749999999000), Phone: user}},
		"v3_billing": {{
			Kind: gupshup.EventBilling, Phone: user, MessageID: someMessage, WhatsAppID: "wamid.HBgM", Detail: "utility",
		}},
		"v3_billing_of_a_call":       {{Kind: other, Type: "billing-event"}},
		"v3_without_entries":         {{Kind: other, Type: "whatsapp_business_account"}},
		"empty_object":               {{Kind: other}},
		"form_that_nobody_described": {{Kind: other, Type: "call-event [number]"}},
	}
}

func callbackFixture(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", "callback", name+".json"))
	require.NoError(t, err)
	return body
}

func TestParseCallback(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "callback", "*.json"))
	require.NoError(t, err)
	want := callbacks()
	require.Len(t, files, len(want), "every fixture has a row, and every row a fixture")
	for name, events := range want {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := gupshup.ParseCallback(callbackFixture(t, name))
			require.NoError(t, err)
			require.Equal(t, events, got)
		})
	}
}

func TestParseCallbackRefusesWhatIsNoObject(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"", " ", "null", "7", `"919876543210"`, `[{"type":"message-event"}]`, "{", `{"app":"919876543210"`, `{"app":1}{}`, `{"app":1} x`,
		"app=DemoAPI&phone=919876543210", "<html>", "{app:1}", "{\"app\":\"a\nb\"}",
	} {
		events, err := gupshup.ParseCallback([]byte(body))
		require.EqualError(t, err, "callback: the body is not one JSON object", body)
		require.Nil(t, events)
	}
}

// Any one field may have any type without costing the receipt.
func TestParseCallbackForgivesEveryField(t *testing.T) {
	t.Parallel()
	fields := []string{
		`"app":"DemoAPI"`, `"timestamp":1747136693404`, `"version":2`, `"gsId":"ours"`, `"destination":"919876543210"`,
		`"payload":{"code":1002,"reason":"why"}`, `"code":1002`, `"reason":"why"`, `"sender":{"phone":"1"}`, `"phone":"1"`, `"context":{"gsId":"1"}`,
		`"gsId":"1"`, `"category":{"new":"x"}`, `"new":"x"`, `"deductions":{"type":"x"}`, `"references":{"id":"x"}`, `"entry":[]`, `"object":"x"`,
	}
	body := `{"app":"DemoAPI","timestamp":1747136693404,"version":2,"object":"x","entry":[],"type":"message-event","payload":{"id":"id","gsId":"ours",` +
		`"type":"failed","destination":"919876543210","payload":{"code":1002,"reason":"why"},"sender":{"phone":"1"},"context":{"gsId":"1"},` +
		`"category":{"new":"x"},"deductions":{"type":"x"},"references":{"id":"x"}}}`
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ":")
		for _, odd := range []string{"null", "true", "-1", "1e400", "1.5", `""`, `"\ud800"`, "[]", "[[{}]]", "{}", `{"id":[]}`, "[1,2]"} {
			changed := strings.Replace(body, name+":"+value, name+":"+odd, 1)
			events, err := gupshup.ParseCallback([]byte(changed))
			require.NoError(t, err, changed)
			require.Len(t, events, 1)
			require.Equal(t, gupshup.EventReceipt, events[0].Kind, changed)
			require.Equal(t, "failed", events[0].Type)
			require.NotEmpty(t, events[0].MessageID)
		}
	}
}

func TestParseCallbackIDs(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 257)
	tests := map[string]struct {
		payload           string
		message, whatsApp string
	}{
		"too long for a gsId":            {`"id":"a","gsId":"` + long + `"`, "a", ""},
		"too long for an id":             {`"id":"` + long + `","gsId":"b"`, "b", ""},
		"both too long":                  {`"id":"` + long + `","gsId":"` + long + `"`, "", ""},
		"as long as may be":              {`"id":"` + long[1:] + `"`, long[1:], ""},
		"the same twice":                 {`"id":"a","gsId":"a"`, "a", ""},
		"empty gsId":                     {`"id":"a","gsId":" "`, "a", ""},
		"numbers":                        {`"id":12345678901234567890,"gsId":7`, "7", "12345678901234567890"},
		"WhatsApp's is only in the gsId": {`"gsId":"b"`, "b", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events, err := gupshup.ParseCallback([]byte(`{"type":"message-event","payload":{"type":"sent",` + test.payload + `}}`))
			require.NoError(t, err)
			require.Len(t, events, 1)
			require.Equal(t, test.message, events[0].MessageID)
			require.Equal(t, test.whatsApp, events[0].WhatsAppID)
			require.Equal(t, test.message == "", events[0].Kind == gupshup.EventOther)
		})
	}
}

func TestParseCallbackScalars(t *testing.T) {
	t.Parallel()
	failed := func(t *testing.T, timestamp, code, phone string) gupshup.Event {
		t.Helper()
		events, err := gupshup.ParseCallback(fmt.Appendf(nil,
			`{"type":"message-event","timestamp":%s,"payload":{"id":"a","type":"failed","destination":%s,"payload":{"code":%s}}}`, timestamp, phone, code))
		require.NoError(t, err)
		require.Len(t, events, 1)
		return events[0]
	}
	for timestamp, want := range map[string]time.Time{
		`1747136693404`: at(1747136693404), `"1747136693404"`: at(1747136693404), `1747136693`: at(1747136693000), `"1747136693.5"`: at(1747136693500),
		`1.747136693404e12`: at(1747136693404), `1747136693404123`: {}, `-5`: {}, `"NaN"`: {}, `"Inf"`: {}, `1e300`: {}, `"soon"`: {}, `0`: {},
	} {
		require.Equal(t, want, failed(t, timestamp, "1", "1").At, timestamp)
	}
	for code, want := range map[string]string{
		`1002`: "1002", `"1002"`: "1002", `1002.0`: "1002", `" 1002 "`: "1002", `"01002"`: "1002", `1.002e3`: "1002", `0`: "0", `131049`: "131049",
		`9999999`: "9999999", `919876543210`: "[number]", `"NaN"`: "NaN", `10.5`: "10.5", `""`: "", `null`: "", `true`: "", `{}`: "",
	} {
		require.Equal(t, want, failed(t, "1", code, "1").Code, code)
	}
	for phone, want := range map[string]string{
		`"919876543210"`: user, `"+919876543210"`: user, `919876543210`: user, `"callbackSetPhone"`: "", `"918x98xx21x4"`: "", `"+"`: "",
		`"12345678901234567890"`: "12345678901234567890", `"123456789012345678901"`: "", `"९१९८७६५४३२१०"`: "", `["1"]`: "",
	} {
		require.Equal(t, want, failed(t, "1", "1", phone).Phone, phone)
	}
}

func TestParseCallbackBounds(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é ", 5000)
	events, err := gupshup.ParseCallback(fmt.Appendf(nil,
		`{"app":%[1]q,"type":"message","payload":{"type":%[1]q,"payload":{"type":"button","text":%[1]q,"postbackText":%[1]q}}}`, long))
	require.NoError(t, err)
	bounded(t, events)
	require.NotEmpty(t, events[0].Type)
	require.NotEmpty(t, events[0].App)
	require.NotEmpty(t, events[0].Button)
	require.NotEmpty(t, events[0].Postback)

	status := `{"gs_id":"a","id":"b","status":"read"}`
	for name, body := range map[string]string{
		"statuses":    `{"entry":[{"changes":[{"value":{"statuses":[` + strings.Repeat(status+",", 1500) + status + `]}}]}]}`,
		"messages":    `{"entry":[{"changes":[{"value":{"messages":[` + strings.Repeat("{},", 1500) + `{}]}}]}]}`,
		"preferences": `{"entry":[{"changes":[{"value":{"user_preferences":[` + strings.Repeat("{},", 1500) + `{}]}}]}]}`,
		"changes":     `{"entry":[{"changes":[` + strings.Repeat("{},", 1500) + `{}]}]}`,
		"entries":     `{"entry":[` + strings.Repeat(`{"changes":[0]},`, 1500) + `{}]}`,
		"odd entries": `{"entry":[` + strings.Repeat(`0,`, 1500) + `0]}`,
	} {
		events, err := gupshup.ParseCallback([]byte(body))
		require.NoError(t, err, name)
		require.Len(t, events, 1000, name)
	}
}

func TestEventClass(t *testing.T) {
	t.Parallel()
	for _, row := range gupshup.Codes() {
		if !strings.Contains(row.Code, "-") {
			require.Equal(t, row.Class, gupshup.EventClass(row.Code), row.Code)
		}
	}
	for code, want := range map[string]gupshup.Class{
		"1002": gupshup.ClassRecipient, "1002.0": gupshup.ClassRecipient, "4002": gupshup.ClassInDoubt, "250": gupshup.ClassAccount,
		"": gupshup.ClassUnknown, "999999": gupshup.ClassUnknown, "RATE_LIMIT": gupshup.ClassUnknown, "-1": gupshup.ClassUnknown,
	} {
		require.Equal(t, want, gupshup.EventClass(code), code)
	}
}
