package receipt

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/ledger"
)

// Callbacks as Gupshup sends them: v2, and one in Meta's shape with two receipts in it.
const (
	sentBody = `{"app":"DemoApp","timestamp":1585344602933,"version":2,"type":"message-event","payload":{"id":"wamid.1","gsId":"m-1","type":"sent",` +
		`"destination":"` + testNumber + `","payload":{"ts":1585344602}}}`
	failedBody = `{"app":"DemoApp","timestamp":1585344602933,"version":2,"type":"message-event","payload":{"id":"m-1","type":"failed",` +
		`"destination":"` + testNumber + `","payload":{"code":1008,"reason":"User ` + testNumber + ` is not Opted in"}}}`
	inboundBody = `{"app":"DemoApp","timestamp":1585344602933,"version":2,"type":"message","payload":{"id":"wamid.2","source":"` + testNumber +
		`","type":"text","payload":{"text":"s3cret"},"sender":{"phone":"` + testNumber + `","name":"A"}}}`
	optedOutBody = `{"app":"DemoApp","timestamp":1585344602933,"version":2,"type":"user-event","payload":{"phone":"` + testNumber + `","type":"opted-out"}}`
	sandboxBody  = `{"app":"DemoApp","timestamp":1585344602933,"version":2,"type":"user-event","payload":{"phone":"callbackSetPhone","type":"sandbox-start"}}`
	resumeBody   = `{"app":"DemoApp","appId":"x","timestamp":1585344602933,"version":2,"type":"preference-event","payload":{"type":"user_preferences","payload":` +
		`{"user_preferences":[{"wa_id":"` + testNumber + `","category":"marketing_messages","value":"resume","timestamp":1585344602}]}}}`
	metaBody = `{"object":"whatsapp_business_account","gs_app_id":"x","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp",` +
		`"statuses":[{"gs_id":"m-1","id":"wamid.1","recipient_id":"` + testNumber + `","status":"sent","timestamp":"1710930461"},` +
		`{"gs_id":"m-2","id":"wamid.2","recipient_id":"` + testNumber + `","status":"delivered","timestamp":"1710930462"}]}}]}]}`
)

func TestCallbacksThatAreNotTaken(t *testing.T) {
	t.Parallel()
	away := errors.New("redis is away")
	for _, tc := range []struct {
		name, method, target, body string
		edit                       func(*http.Request)
		err                        error // the recorder's
		status                     int
		sender                     string
		result                     result // "" is not counted
	}{
		{"another method", "GET", path, "", nil, nil, 405, "", ""},
		{"another method, without a token", "PUT", path, sentBody, header("X-Callback-Token", ""), nil, 405, "", ""},
		{"no token", "POST", path, sentBody, header("X-Callback-Token", ""), nil, 401, "shop", resultUnauthorized},
		{"wrong token", "POST", path, sentBody, header("X-Callback-Token", testToken+"x"), nil, 401, "shop", resultUnauthorized},
		{"half a token", "POST", path, sentBody, header("X-Callback-Token", testToken[:8]), nil, 401, "shop", resultUnauthorized},
		{"wrong token in the query", "POST", path + "?token=x", sentBody, header("X-Callback-Token", ""), nil, 401, "shop", resultUnauthorized},
		{"unknown sender", "POST", "/callbacks/gupshup/other", sentBody, nil, nil, 404, "", resultUnauthorized},
		{"sender without a token", "POST", "/callbacks/gupshup/mute", sentBody, nil, nil, 404, "mute", resultUnauthorized},
		{"sender without a token, and none given", "POST", "/callbacks/gupshup/mute", sentBody, header("X-Callback-Token", ""), nil, 404, "mute", resultUnauthorized},
		{"no sender", "POST", "/callbacks/gupshup/", sentBody, nil, nil, 404, "", ""},
		{"more than a sender", "POST", path + "/x", sentBody, nil, nil, 404, "", ""},
		{"another provider", "POST", "/callbacks/other/shop", sentBody, nil, nil, 404, "", ""},
		{"foreign address", "POST", "/callbacks/gupshup/near", sentBody, from("198.51.100.1:9"), nil, 403, "near", resultForbidden},
		{"foreign address, wrong token", "POST", "/callbacks/gupshup/near?token=x", sentBody, from("198.51.100.1:9"), nil, 403, "near", resultForbidden},
		{"no address", "POST", "/callbacks/gupshup/near", sentBody, from("@"), nil, 403, "near", resultForbidden},
		{"not JSON", "POST", path, "type=s3cret", nil, nil, 400, "shop", resultMalformed},
		{"not an object", "POST", path, `["s3cret"]`, nil, nil, 400, "shop", resultMalformed},
		{"broken JSON", "POST", path, sentBody[:40] + "s3cret", nil, nil, 400, "shop", resultMalformed},
		{"empty", "POST", path, "", nil, nil, 400, "shop", resultMalformed},
		{"broken off", "POST", path, "", func(r *http.Request) { r.Body = io.NopCloser(iotest.ErrReader(io.ErrUnexpectedEOF)) }, nil, 400, "shop", resultMalformed},
		{"too large", "POST", path, `{"type":"` + strings.Repeat("s3cret", maxBody/6) + `"}`, nil, nil, 413, "shop", resultTooLarge},
		{"Redis is away", "POST", path, sentBody, nil, away, 503, "shop", resultUnavailable},
		{"Redis is away for a session", "POST", path, inboundBody, nil, away, 503, "shop", resultUnavailable},
		{"Redis is away for an opt-out", "POST", path, optedOutBody, nil, away, 503, "shop", resultUnavailable},
		{"Redis is away for a resume", "POST", path, resumeBody, nil, away, 503, "shop", resultUnavailable},
		{"Redis is away for one of two", "POST", path, metaBody, nil, away, 503, "shop", resultUnavailable},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, nil)
			h.fake.err = tc.err
			edit := tc.edit
			if edit == nil {
				edit = func(*http.Request) {}
			}
			w := h.do(tc.method, tc.target, tc.body, edit)
			require.Equal(t, tc.status, w.Code)
			require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
			require.Equal(t, tc.status == 503, w.Header().Get("Retry-After") == "5")
			require.Equal(t, tc.status == 405, w.Header().Get("Allow") == "POST")
			if tc.result != "" {
				require.EqualValues(t, 1, h.count("gupdispatch_callbacks_total", string(tc.result), tc.sender))
				require.Len(t, h.log.FilterLevelExact(0).All(), 0, "nothing was recorded")
				require.Equal(t, 2, h.log.Len(), "one line, after the one about the sender without a token")
			}
			require.Zero(t, h.count("gupdispatch_callbacks_total", "ok", "shop"))
			require.Zero(t, h.count("gupdispatch_receipts_total", "sent", "shop"))
			if tc.status != 503 {
				require.Equal(t, told{}, h.fake.told, "nothing was touched")
			}
			for _, secret := range []string{"s3cret", testNumber, testToken} {
				require.NotContains(t, h.logged()+w.Body.String(), secret)
			}
		})
	}
}

func TestCallbacksThatAreTaken(t *testing.T) {
	t.Parallel()
	receipts := func(rs ...string) (all []ledger.Receipt) {
		for _, r := range rs {
			event, id, _ := strings.Cut(r, " ")
			all = append(all, ledger.Receipt{Event: event, MessageID: id})
		}
		return all
	}
	for _, tc := range []struct {
		name, target, body string
		edit               func(*http.Request)
		sender             string
		counted            []string
		want               told
	}{
		{"sent", path, sentBody, nil, "shop", []string{"sent"}, told{calls: 1, receipts: receipts("sent m-1")}},
		{"token in the query", path + "?token=" + testToken, sentBody, header("X-Callback-Token", ""), "shop", []string{"sent"}, told{calls: 1, receipts: receipts("sent m-1")}},
		{"from where it may come", "/callbacks/gupshup/near", sentBody, from("192.0.2.9:1"), "near", []string{"sent"}, told{calls: 1, receipts: receipts("sent m-1")}},
		{"failed", path, failedBody, nil, "shop", []string{"failed"}, told{calls: 1, receipts: receipts("failed m-1")}},
		{"two in one body, in one round trip", path, metaBody, nil, "shop", []string{"sent", "delivered"}, told{calls: 1, receipts: receipts("sent m-1", "delivered m-2")}},
		{"inbound", path, inboundBody, nil, "shop", []string{"inbound"}, told{sessions: []string{testNumber}}},
		{"opted out", path, optedOutBody, nil, "shop", []string{"opted-out"}, told{suppressions: []ledger.Suppression{
			{Number: testNumber, Scope: "all", Code: "opted-out", Source: "user-event"},
		}}},
		{"resume", path, resumeBody, nil, "shop", []string{"resume"}, told{resumed: []string{testNumber}}},
		{"Gupshup tries the URL", path, sandboxBody, nil, "shop", []string{"sandbox-start"}, told{}},
		{"unknown shape", path, `{"hello":"s3cret"}`, nil, "shop", []string{"other"}, told{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t, nil)
			edit := tc.edit
			if edit == nil {
				edit = func(*http.Request) {}
			}
			w := h.do("POST", tc.target, tc.body, edit)
			require.Equal(t, http.StatusOK, w.Code, w.Body)
			require.Empty(t, w.Body.String(), "Gupshup wants an empty body")
			for i, r := range h.fake.receipts {
				h.fake.receipts[i] = ledger.Receipt{Event: r.Event, MessageID: r.MessageID}
			}
			require.Equal(t, tc.want, h.fake.told)
			for _, event := range tc.counted {
				require.EqualValues(t, 1, h.count("gupdispatch_receipts_total", event, tc.sender), event)
			}
			require.EqualValues(t, 1, h.count("gupdispatch_callbacks_total", "ok", tc.sender))
			require.EqualValues(t, 1, h.count("gupdispatch_callback_seconds"))
			require.Equal(t, 1+len(tc.counted), h.log.Len(), "a line for each event")
			for _, secret := range []string{"s3cret", testNumber, testToken} {
				require.NotContains(t, h.logged(), secret)
			}
		})
	}
}

func TestTheLineOfAReceipt(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	h.post(failedBody)
	line := h.log.FilterMessage("receipt.recorded").All()[0].ContextMap()
	require.Equal(t, map[string]any{
		"sender": "shop", "receipt": "failed", "id": "id-of-m-1", "message_id": "m-1", "attempt": int64(2), "status": "sent",
		"outcome": "applied", "code": "1008", "class": "consent",
	}, line)
	require.Equal(t, "mute", h.log.FilterMessage("callback.no_token").All()[0].ContextMap()["sender"])
}

func TestStrangersDoNotFillTheLog(t *testing.T) {
	t.Parallel()
	var r rarely
	at := time.Unix(1_800_000_000, 0)
	require.True(t, r.now(at))
	require.False(t, r.now(at.Add(999*time.Millisecond)))
	require.True(t, r.now(at.Add(time.Second)))
	require.False(t, r.now(at), "nor when the clock goes back")

	h := newHouse(t, nil)
	for range 50 {
		h.post(sentBody, header("X-Callback-Token", "x"))
	}
	require.EqualValues(t, 50, h.count("gupdispatch_callbacks_total", "unauthorized", "shop"))
	require.Less(t, h.log.FilterMessage("callback.refused").Len(), 25)
}

// Beyond the limit callbacks are sent away rather than piled up, and the place becomes free again.
func TestTooManyAtOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t, func(c *Config) { c.AtOnce = 1 })
	entered, leave := make(chan struct{}), make(chan struct{})
	h.fake.during = func(context.Context) { entered <- struct{}{}; <-leave }
	first := make(chan int)
	go func() { first <- h.post(sentBody).Code }()
	<-entered
	w := h.post(sentBody)
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
	close(leave)
	require.Equal(t, http.StatusOK, <-first)
	h.fake.during = nil
	require.Equal(t, http.StatusOK, h.post(sentBody).Code)
}

// Gupshup waits for 10 s: what takes longer than 8 s is answered while it still listens.
func TestSlowRedis(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, nil)
		h.fake.during = func(ctx context.Context) { <-ctx.Done(); h.fake.err = ctx.Err() }
		start := time.Now()
		require.Equal(t, http.StatusServiceUnavailable, h.post(sentBody).Code)
		require.Equal(t, 8*time.Second, time.Since(start))
	})
}

// What Gupshup told is recorded although it hung up: it may not tell it again.
func TestAClientThatHangsUp(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	ctx, hangUp := context.WithCancel(t.Context())
	h.fake.during = func(ctx context.Context) { hangUp(); h.fake.err = ctx.Err() }
	w := h.post(sentBody, func(r *http.Request) { *r = *r.WithContext(ctx) })
	require.Equal(t, http.StatusOK, w.Code)
	require.Len(t, h.fake.receipts, 1)
}

func TestAnIncompleteConfiguration(t *testing.T) {
	t.Parallel()
	_, err := New(Config{Recorder: &fake{}})
	require.ErrorContains(t, err, "httpapi.ClientAddr")
}
