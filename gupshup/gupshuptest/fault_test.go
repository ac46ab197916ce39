package gupshuptest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

// faultCase is what a client sees of a fault, and whether the message was accepted.
type faultCase struct {
	name     string
	fault    gupshuptest.Fault
	status   int // 0: no reply
	body     string
	typ      string
	header   http.Header
	wantErr  func(error) bool
	accepted bool
}

func isReset(err error) bool { return errors.Is(err, syscall.ECONNRESET) }

func isNotHTTP(err error) bool { return err != nil && !isReset(err) && !errors.Is(err, io.EOF) }

const page504 = "<html>\r\n<head><title>504 Gateway Timeout</title></head>\r\n<body>\r\n<center><h1>504 Gateway Timeout</h1></center>\r\n</body>\r\n</html>\r\n"

func faultCases() []faultCase {
	const html, text = "text/html", "text/plain"
	return []faultCase{
		{name: "code", fault: gupshuptest.Fault{Kind: gupshuptest.KindCode, Code: 1002, Message: "no such number"}, status: 400, typ: html, body: `{"status":"error","code":1002,"message":"no such number"}`},
		{name: "code quoted with status", fault: gupshuptest.Fault{Kind: gupshuptest.KindCode, Code: 1003, QuoteCode: true, Status: 500, Message: "x"}, status: 500, typ: html, body: `{"status":"error","code":"1003","message":"x"}`},
		{name: "http", fault: gupshuptest.Fault{Kind: gupshuptest.KindHTTP}, status: 500, typ: html, body: `{"message":"Internal Server Error","status":"error"}`},
		{name: "http html", fault: gupshuptest.Fault{Kind: gupshuptest.KindHTTP, Status: 504, Body: gupshuptest.BodyHTML}, status: 504, typ: html, body: page504},
		{name: "http text", fault: gupshuptest.Fault{Kind: gupshuptest.KindHTTP, Status: 403, Body: gupshuptest.BodyText}, status: 403, typ: text, body: "Forbidden"},
		{name: "http empty", fault: gupshuptest.Fault{Kind: gupshuptest.KindHTTP, Status: 408, Body: gupshuptest.BodyEmpty}, status: 408},
		{name: "http without a body allowed", fault: gupshuptest.Fault{Kind: gupshuptest.KindHTTP, Status: 204}, status: 204, typ: html},
		{name: "http unnamed status", fault: gupshuptest.Fault{Kind: gupshuptest.KindHTTP, Status: 599}, status: 599, typ: html, body: `{"message":"Status 599","status":"error"}`},
		{name: "http retry after", fault: gupshuptest.Fault{Kind: gupshuptest.KindHTTP, Status: 503, RetryAfter: 1500 * time.Millisecond}, status: 503, typ: html, body: `{"message":"Service Unavailable","status":"error"}`, header: http.Header{"Retry-After": {"2"}}},
		{name: "401 nested", fault: gupshuptest.Fault{Kind: gupshuptest.Kind401Nested}, status: 401, typ: html, body: `{"message":{"message":"Authentication Failed"},"status":"error"}`},
		{name: "401 text", fault: gupshuptest.Fault{Kind: gupshuptest.Kind401Text}, status: 401, typ: text, body: "Portal User Not Found With APIKey"},
		{name: "reason", fault: gupshuptest.Fault{Kind: gupshuptest.KindReason}, status: 400, typ: html, body: `{"reason":"Source Contains XSS Characters","status":"error"}`},
		{name: "429", fault: gupshuptest.Fault{Kind: gupshuptest.Kind429}, status: 429, typ: html, body: `{"message":"Too Many Requests","status":"error"}`, header: http.Header{"Retry-After": nil}},
		{name: "429 retry after", fault: gupshuptest.Fault{Kind: gupshuptest.Kind429, RetryAfter: time.Minute}, status: 429, typ: html, body: `{"message":"Too Many Requests","status":"error"}`, header: http.Header{"Retry-After": {"60"}}},
		{name: "slow", fault: gupshuptest.Fault{Kind: gupshuptest.KindSlow, Delay: time.Millisecond}, status: 200, typ: html, accepted: true},
		{name: "callback", fault: gupshuptest.Fault{Kind: gupshuptest.KindCallback, Outcome: "1002"}, status: 200, typ: html, accepted: true},
		{name: "504", fault: gupshuptest.Fault{Kind: gupshuptest.Kind504}, status: 504, typ: html, body: page504},
		{name: "504 after", fault: gupshuptest.Fault{Kind: gupshuptest.Kind504After}, status: 504, typ: html, body: page504, accepted: true},
		{name: "no message id", fault: gupshuptest.Fault{Kind: gupshuptest.KindNoMessageID}, status: 200, typ: html, body: `{"status":"submitted"}`, accepted: true},
		{name: "2xx error", fault: gupshuptest.Fault{Kind: gupshuptest.Kind2xxError}, status: 200, typ: html, body: `{"message":"Message could not be processed","status":"error"}`},
		{name: "html 2xx", fault: gupshuptest.Fault{Kind: gupshuptest.KindHTML2xx}, status: 200, typ: html, body: "<html><body><h1>Welcome</h1></body></html>"},
		{name: "truncated", fault: gupshuptest.Fault{Kind: gupshuptest.KindTruncated}, status: 200, typ: html, accepted: true},
		{name: "redirect", fault: gupshuptest.Fault{Kind: gupshuptest.KindRedirect}, status: 307, header: http.Header{"Location": {sessionPath}}},
		{name: "reset before", fault: gupshuptest.Fault{Kind: gupshuptest.KindResetBefore}, wantErr: isReset},
		{name: "reset after", fault: gupshuptest.Fault{Kind: gupshuptest.KindResetAfter}, wantErr: isReset, accepted: true},
		{name: "garbage", fault: gupshuptest.Fault{Kind: gupshuptest.KindGarbage}, wantErr: isNotHTTP},
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	covered := map[gupshuptest.Kind]bool{gupshuptest.KindHang: true} // has tests of its own
	for _, tc := range faultCases() {
		covered[tc.fault.Kind] = true
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			srv := gupshuptest.NewServer(t, gupshuptest.Config{
				Rules: []gupshuptest.Rule{{Times: 1, Fault: tc.fault}}, Strict: true,
			})
			got, err := post(t.Context(), newClient(t), srv.URL+sessionPath, textForm(testNumber))
			if tc.wantErr != nil {
				require.Truef(t, tc.wantErr(err), "error: %v", err)
			} else {
				require.NoError(t, err)
				requireReply(t, tc, got)
			}

			stats := srv.Stats()
			require.EqualValues(t, 1, stats.Faults[tc.fault.Kind])
			accepted := srv.Accepted(gupshuptest.Filter{})
			if tc.accepted {
				require.Len(t, accepted, 1)
				require.Empty(t, stats.Refused)
			} else {
				require.Empty(t, accepted)
				require.EqualValues(t, 1, stats.Refused["fault:"+string(tc.fault.Kind)])
			}
			if tc.status == 0 {
				require.EqualValues(t, 1, stats.NoReply)
			}

			next := send(t, srv, testNumber)
			require.Equal(t, 200, next.status, "once the fault is used up, all is well")
		})
	}
	for _, kind := range gupshuptest.Kinds() {
		require.Truef(t, covered[kind], "no case for fault kind %s", kind)
	}
}

func requireReply(t *testing.T, tc faultCase, got answer) {
	t.Helper()
	require.Equal(t, tc.status, got.status)
	require.Equal(t, tc.typ, got.header.Get("Content-Type"))
	for name, values := range tc.header {
		require.Equal(t, values, got.header.Values(name), name)
	}
	switch tc.fault.Kind {
	case gupshuptest.KindSlow, gupshuptest.KindCallback:
		require.Contains(t, got.body, `{"status":"submitted","messageId":"`)
	case gupshuptest.KindTruncated:
		require.Contains(t, got.body, `{"status":"submitted","messageId":"`)
		require.False(t, json.Valid([]byte(got.body)))
	default:
		if tc.status != http.StatusNoContent {
			require.Equal(t, tc.body, got.body)
		}
	}
}

func TestSlowAnswersOnlyAfterItsDelay(t *testing.T) {
	t.Parallel()
	const delay = 30 * time.Millisecond
	srv := gupshuptest.NewServer(t, gupshuptest.Config{
		Rules: []gupshuptest.Rule{{Fault: gupshuptest.Fault{Kind: gupshuptest.KindSlow, Delay: delay}}},
	})
	begin := time.Now()
	send(t, srv, testNumber)
	require.GreaterOrEqual(t, time.Since(begin), delay)
}

func TestSlowHasAcceptedWhenTheClientGivesUp(t *testing.T) {
	t.Parallel()
	srv := gupshuptest.NewServer(t, gupshuptest.Config{
		Rules: []gupshuptest.Rule{{Fault: gupshuptest.Fault{Kind: gupshuptest.KindSlow, Delay: time.Hour}}},
	})
	ctx, leave := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := post(ctx, newClient(t), srv.URL+sessionPath, textForm(testNumber))
		done <- err
	}()
	require.NoError(t, srv.WaitAccepted(t.Context(), 1))
	leave()
	require.ErrorIs(t, <-done, context.Canceled)
	require.Len(t, srv.Accepted(gupshuptest.Filter{}), 1)
}

func TestHangEndsWhenTheClientLeaves(t *testing.T) {
	t.Parallel()
	srv := gupshuptest.NewServer(t, gupshuptest.Config{
		Rules: []gupshuptest.Rule{{Fault: gupshuptest.Fault{Kind: gupshuptest.KindHang}}},
	})
	ctx, leave := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := post(ctx, newClient(t), srv.URL+sessionPath, textForm(testNumber))
		done <- err
	}()
	require.Eventually(t, func() bool { return srv.Stats().Faults[gupshuptest.KindHang] == 1 }, 10*time.Second, time.Millisecond)
	leave()
	require.ErrorIs(t, <-done, context.Canceled)
	require.Eventually(t, func() bool { return srv.Stats().InFlight == 0 }, 10*time.Second, time.Millisecond)
	require.EqualValues(t, 1, srv.Stats().NoReply)
	require.Zero(t, srv.Stats().Accepted)
}

func TestCloseEndsHangsAndDelays(t *testing.T) {
	t.Parallel()
	for _, fault := range []gupshuptest.Fault{
		{Kind: gupshuptest.KindHang},
		{Kind: gupshuptest.KindSlow, Delay: time.Hour},
		{Kind: gupshuptest.KindResetBefore, Delay: time.Hour},
	} {
		t.Run(string(fault.Kind), func(t *testing.T) {
			t.Parallel()
			srv := gupshuptest.NewServer(t, gupshuptest.Config{Rules: []gupshuptest.Rule{{Fault: fault}}})
			done := make(chan error, 1)
			go func() {
				_, err := post(context.Background(), newClient(t), srv.URL+sessionPath, textForm(testNumber))
				done <- err
			}()
			require.Eventually(t, func() bool { return srv.Stats().Faults[fault.Kind] == 1 }, 10*time.Second, time.Millisecond)
			srv.Close()
			require.ErrorIs(t, <-done, io.EOF, "the connection ends without an answer")
		})
	}
}

func TestFaultJSON(t *testing.T) {
	t.Parallel()
	full := gupshuptest.Fault{
		Kind: gupshuptest.KindHTTP, Code: 1, QuoteCode: true, Status: 503, Body: gupshuptest.BodyHTML, Message: "m",
		RetryAfter: 2 * time.Second, Delay: 250 * time.Millisecond,
	}
	written, err := json.Marshal(full)
	require.NoError(t, err)
	require.JSONEq(t, `{"kind":"http","code":1,"quote_code":true,"status":503,"body":"html","message":"m","retry_after":"2s","delay":"250ms"}`, string(written))
	var read gupshuptest.Fault
	require.NoError(t, json.Unmarshal(written, &read))
	require.Equal(t, full, read)

	require.NoError(t, json.Unmarshal([]byte(`{"kind":"429","retry_after":1.5}`), &read))
	require.Equal(t, gupshuptest.Fault{Kind: gupshuptest.Kind429, RetryAfter: 1500 * time.Millisecond}, read)

	small, err := json.Marshal(gupshuptest.Fault{Kind: gupshuptest.KindHang})
	require.NoError(t, err)
	require.JSONEq(t, `{"kind":"hang"}`, string(small))

	for _, wrong := range []string{`{"kind":"429","retry":1}`, `{"delay":"soon"}`, `{"delay":true}`, `[]`} {
		require.Error(t, json.Unmarshal([]byte(wrong), &read), wrong)
	}
}
