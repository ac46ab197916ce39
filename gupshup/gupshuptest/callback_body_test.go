package gupshuptest_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

// The documented samples, with the fields of newer ones added: "phone" in all,
// "conversation" and "pricing" in sent.
const (
	sampleEnqueued = `{"app":"DemoAPI","phone":"917834811114","timestamp":1580546677791,"version":2,"type":"message-event","payload":{
		"id":"59f8db90-c37e-4408-90ab-cc54ef8246ad","type":"enqueued","destination":"91XX985XX10X",
		"payload":{"whatsappMessageId":"gBEGkYaYVSEEAgkD7bRi9syGnBk","type":"session"}}}`
	sampleFailedAtOnce = `{"app":"DemoAPI","phone":"917834811114","timestamp":1580311136040,"version":2,"type":"message-event","payload":{
		"id":"ee4a68a0-1203-4c85-8dc3-49d0b3226a35","type":"failed","destination":"918x98xx21x4",
		"payload":{"code":1008,"reason":"User is not Opted in and Inactive"}}}`
	sampleFailedLater = `{"app":"DemoAPI","phone":"917834811114","timestamp":1663138637856,"version":2,"type":"message-event","payload":{
		"id":"9163a016-710e-41ee-978b-79a1adbd734e","gsId":"72f61f22-5aa4-4615-a970-943edf6da01c","type":"failed",
		"destination":"918x98xx21x4","payload":{"code":470,"reason":"Message failed to send because more than 24 hours have passed"}}}`
	sampleSent = `{"app":"{{APP}}","phone":"{{APP_PHONE}}","timestamp":0,"version":2,"type":"message-event","payload":{
		"id":"{{WA_MESSAGE_ID}}","gsId":"{{GS_MESSAGE_ID}}","type":"sent","destination":"…","payload":{"ts":1585344475},
		"conversation":{"id":"…","expiresAt":1518780636,"type":"service"},"pricing":{"policy":"CBP","category":"service"}}}`
	sampleDelivered = `{"app":"…","phone":"917065917373","timestamp":1747136693404,"version":2,"type":"message-event","payload":{
		"id":"326822fd-55e9-4112-b810-e86909cd71f6","gsId":"1a6207e5-af37-4fc8-948a-25867d3ab077","type":"delivered",
		"destination":"917980890978","payload":{"ts":1747136691}}}`
	sampleBilling = `{"app":"…","phone":"917834811114","timestamp":1739354482884,"version":2,"type":"billing-event","payload":{
		"deductions":{"type":"regular","model":"PMP","source":"whatsapp","billable":true,"category":"marketing"},
		"references":{"id":"<wa id>","gsId":"<gupshup id>","destination":"79507"}}}`
	sampleV3 = `{"object":"whatsapp_business_account","gs_app_id":"x","entry":[{"id":"1","changes":[{"field":"messages","value":{
		"messaging_product":"whatsapp","metadata":{"display_phone_number":"1","phone_number_id":"1"},
		"statuses":[{"gs_id":"x","id":"wamid","recipient_id":"1","status":"delivered","timestamp":"1710930461"}]}}]}]}`
	sampleV3Failed = `{"object":"whatsapp_business_account","gs_app_id":"x","entry":[{"id":"1","changes":[{"field":"messages","value":{
		"messaging_product":"whatsapp","metadata":{"display_phone_number":"1","phone_number_id":"1"},
		"statuses":[{"gs_id":"x","id":"wamid","recipient_id":"1","status":"failed","timestamp":"1710930461",
		"errors":[{"code":131047,"title":"…","href":"…"}]}]}}]}]}`
	sampleUser       = `{"app":"x","timestamp":1,"version":2,"type":"user-event","payload":{"phone":"918x98xx21x4","type":"opted-out"}}`
	samplePreference = `{"app":"x","appId":"x","timestamp":1,"version":2,"type":"preference-event","payload":{"type":"user_preferences","payload":{"user_preferences":[
		{"wa_id":"1","detail":"User requested to stop marketing messages","category":"marketing_messages","value":"stop","timestamp":1}]}}}`
)

// shape lists the paths of a JSON value with the types that are there.
func shape(t testing.TB, body string) []string {
	t.Helper()
	var v any
	require.NoError(t, json.Unmarshal([]byte(body), &v), body)
	var paths []string
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				walk(path+"."+key, v[key])
			}
		case []any:
			for i := range v {
				walk(path+"["+strconv.Itoa(i)+"]", v[i])
			}
		case float64:
			paths = append(paths, path+" number")
		case string:
			paths = append(paths, path+" string")
		case bool:
			paths = append(paths, path+" bool")
		}
	}
	walk("", v)
	return paths
}

func TestCallbacksHaveTheDocumentedShape(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		outcome string
		v3      bool
		want    map[string]string // by event
	}{
		"success": {"read", false, map[string]string{
			"enqueued": sampleEnqueued, "sent": sampleSent, "delivered": sampleDelivered, "read": sampleDelivered, "billing-event": sampleBilling,
		}},
		"failed at once": {"1008", false, map[string]string{"failed": sampleFailedAtOnce}},
		"failed later":   {"470", false, map[string]string{"enqueued": sampleEnqueued, "failed": sampleFailedLater}},
		"version 3":      {"delivered", true, map[string]string{"delivered": sampleV3}},
		"version 3 bad":  {"131047", true, map[string]string{"failed": sampleV3Failed}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newReceiver()
				c := callbacks(r)
				c.V3, c.Billing = tc.v3, 1
				// Several messages, since some fields are there now and then.
				simulate(t, gupshuptest.Config{Callbacks: c, Rules: forced(tc.outcome)}, times(8, testNumber)...)
				seen := map[string]bool{}
				for _, p := range r.all() {
					event := eventOf(t, p)
					if sample, ok := tc.want[event]; ok && (event != "sent" || len(shape(t, p.body)) == len(shape(t, sample))) {
						require.Equal(t, shape(t, sample), shape(t, p.body), p.body)
						seen[event] = true
					}
				}
				require.Len(t, seen, len(tc.want))
			})
		})
	}
}

// eventOf is the kind of a callback in either version.
func eventOf(t testing.TB, p posted) string {
	t.Helper()
	var v3 struct {
		Entry []struct {
			Changes []struct {
				Value struct {
					Statuses []struct{ Status string }
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(p.body), &v3))
	if len(v3.Entry) > 0 {
		return v3.Entry[0].Changes[0].Value.Statuses[0].Status
	}
	return events(t, []posted{p})[0]
}

func TestWhichIDIsWhere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver()
		sim := simulate(t, gupshuptest.Config{Callbacks: callbacks(r), Rules: forced("read")}, testNumber)
		simulated := sim.Accepted(gupshuptest.Filter{})[0]
		var whatsAppID string
		for _, p := range r.all() {
			e := read(t, p)
			require.Equal(t, "DemoApp", e.App)
			require.Equal(t, "917834811114", e.Phone)
			require.Equal(t, testNumber, e.Payload.Destination)
			at := time.UnixMilli(e.Timestamp)
			require.True(t, at.After(simulated.At) && at.Before(r.begun.Add(p.at)), "Gupshup learns of it before it tells")
			if e.Payload.Type == "enqueued" {
				require.Equal(t, simulated.MessageID, e.Payload.ID)
				require.Empty(t, e.Payload.GsID)
				require.Equal(t, "session", e.Payload.Payload.Type)
				whatsAppID = e.Payload.Payload.WhatsappMessageID
				continue
			}
			require.Equal(t, whatsAppID, e.Payload.ID, "the order is kept, so enqueued came before")
			require.Equal(t, simulated.MessageID, e.Payload.GsID)
			require.InDelta(t, at.Unix(), e.Payload.Payload.Ts, 2)
		}
		require.NotEmpty(t, whatsAppID)
		require.NotEqual(t, simulated.MessageID, whatsAppID)
	})
}

func TestMissingGsIDAndStringCodes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver()
		c := callbacks(r)
		c.MissingGsID, c.StringCodes = 1, 1
		simulate(t, gupshuptest.Config{Callbacks: c, Rules: forced("131026")}, testNumber)
		got := r.all()
		first, last := read(t, got[0]), read(t, got[len(got)-1])
		require.Empty(t, last.Payload.GsID)
		require.Equal(t, first.Payload.Payload.WhatsappMessageID, last.Payload.ID)
		require.Equal(t, `"131026"`, string(last.Payload.Payload.Code))
	})
}

func TestAFailureOfGupshupKeepsItsID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver()
		c := callbacks(r)
		c.MissingGsID = 1
		sim := simulate(t, gupshuptest.Config{Callbacks: c, Rules: forced("1002")}, testNumber)
		got := read(t, r.all()[0])
		require.Equal(t, sim.Accepted(gupshuptest.Filter{})[0].MessageID, got.Payload.ID)
		require.Empty(t, got.Payload.GsID)
		require.Equal(t, `1002`, string(got.Payload.Payload.Code))
		require.Equal(t, "Number Not Exist On WhatsApp", got.Payload.Payload.Reason)
	})
}
