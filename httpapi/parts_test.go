package httpapi

import (
	"fmt"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestMaskNumbers(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"nothing", "", ""},
		{"words", "template order_ready, attempt 3", "template order_ready, attempt 3"},
		{"Indian number", "919876543210", "9198******10"},
		{"with plus", `{"to":"+919876543210"}`, `{"to":"+9198******10"}`},
		{"as a number", `{"to":919876543210}`, `{"to":9198******10}`},
		{"spelt out", "call +91 98765-43210 now", "call +91 98***-***10 now"},
		{"seven digits", "1234567", "12***67"},
		{"ten digits", "9876543210", "9876****10"},
		{"six digits: a one-time password's length", "123456", "123456"},
		{"two numbers", "919876543210,918765432109", "9198******10,9187******09"},
		{"a UUID", "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b", "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b"},
		{"a UUID of digits", "12345678-1234-1234-1234-123456789012", "12345678-1234-1234-1234-123456789012"},
		{"masked already", "9198******10", "9198******10"},
		{"a time", "2026-03-01T09:00:00.123456Z", "2026-03-01T09:00:00.123456Z"},
		{"plus without a number", "1 + 2 - - - 3", "1 + 2 - - - 3"},
		{"sender and queue", "demo.critical", "demo.critical"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, maskNumbers(tt.in))
		})
	}
}

func TestPayloadsAreShownFieldByField(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, kind, payload, want string }{
		{
			"a message", "message:send", `{"sender":"demo","id":"m-1","generation":2,"to":"919876543210","template":"t","text":"secret"}`,
			`{"sender":"demo","id":"m-1","generation":2,"to":"9198******10","template":"t"}`,
		},
		{
			"an event: its id is no phone number", "notify:event",
			`{"event_id":"1764259200123-0","sender":"demo","id":"m-1","status":"dead","attempt":1,"at":"2026-03-01T09:00:00.000Z",` +
				`"code":"1002","reason":"919876543210 is not on WhatsApp","text":"secret"}`,
			`{"event_id":"1764259200123-0","sender":"demo","id":"m-1","status":"dead","attempt":1,"code":"1002",` +
				`"reason":"9198******10 is not on WhatsApp","at":"2026-03-01T09:00:00.000Z"}`,
		},
		{
			"an alert", "notify:hold",
			`{"event":"hold.began","event_id":"demo:sender:1764259200123:began","sender":"demo","held":"sender","reason":"by_hand",` +
				`"note":"call +919876543210","by":"ops","since":"2026-03-01T09:00:00.000Z","at":"2026-03-01T09:00:00.000Z"}`,
			`{"event":"hold.began","event_id":"demo:sender:1764259200123:began","sender":"demo","held":"sender","reason":"by_hand",` +
				`"note":"call +9198******10","by":"ops","since":"2026-03-01T09:00:00.000Z","at":"2026-03-01T09:00:00.000Z"}`,
		},
		{"not JSON", "message:send", "secret", "6 bytes, not shown: this is no task of gupdispatch's"},
		{"somebody else's", "mail", `{"text":"secret"}`, "17 bytes, not shown: this is no task of gupdispatch's"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, showPayload(tt.kind, []byte(tt.payload)))
		})
	}
	for in, want := range map[string]string{
		"ee4a68a0-1203-4c85-8dc3-49d0b3226a35": "ee4a68a0-1203-4c85-8dc3-49d0b3226a35", "gBEGkYiEB1VX1234567890": "gBEGkYiEB1VX1234567890",
		"919876543210": "9198******10", "sent to 919876543210": "sent to 9198******10", "": "",
	} {
		require.Equal(t, want, showResult([]byte(in)))
	}
	// In a payload, which is a text in the answer, the quotes are escaped: what stands there is no field of the answer.
	require.Equal(t, `{"error_message":"no \"9198******10\"","payload":"{\"error_message\":\"919876543210\"}"}`,
		string(maskErrors([]byte(`{"error_message":"no \"919876543210\"","payload":"{\"error_message\":\"919876543210\"}"}`))))
}

func TestMaskedTwiceIsMaskedOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.StringMatching(`\+?[0-9]{7,15}`).Draw(t, "number")
		masked := maskNumbers("to " + number + " ok")
		require.NotContains(t, masked, number)
		require.Equal(t, masked, maskNumbers(masked))
		require.Len(t, masked, len(number)+6)
	})
}

func TestLimiter(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	l := newLimiter(3, time.Minute, 2)
	for range 3 {
		require.Zero(t, l.take("a", start))
	}
	require.Equal(t, time.Minute, l.take("a", start))
	require.Equal(t, 30*time.Second, l.take("a", start.Add(30*time.Second)), "a refusal is not counted")
	require.Zero(t, l.take("a", start.Add(time.Minute)))

	// A flood of new keys neither grows the map nor frees the busy one.
	for i := range 100 {
		require.Zero(t, l.take(fmt.Sprint("flood", i), start.Add(time.Minute)))
		require.LessOrEqual(t, len(l.full), 2)
	}
	require.Positive(t, l.take("a", start.Add(time.Minute)))
	require.Zero(t, l.take("new", start.Add(time.Hour)))
	require.Len(t, l.full, 1, "what has passed is dropped")
}

// Whatever the pattern, nobody gets more than the burst and one per interval.
func TestLimiterBound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const burst, interval = 5, time.Second
		l := newLimiter(burst, interval, 10)
		start := time.Unix(1_772_355_600, 0)
		now, allowed := start, 0
		for _, gap := range rapid.SliceOf(rapid.IntRange(0, 3000)).Draw(t, "gaps in ms") {
			now = now.Add(time.Duration(gap) * time.Millisecond)
			if l.take("k", now) == 0 {
				allowed++
			}
		}
		require.LessOrEqual(t, allowed, burst+int(now.Sub(start)/interval))
	})
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	trusted := proxies{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	tests := []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"direct", "192.0.2.1:9", nil, "192.0.2.1"},
		{"direct, with a lie", "192.0.2.1:9", []string{"198.51.100.1"}, "192.0.2.1"},
		{"proxy", "10.0.0.1:9", []string{"198.51.100.1"}, "198.51.100.1"},
		{"proxy that says nothing", "10.0.0.1:9", nil, "10.0.0.1"},
		{"two proxies", "10.0.0.1:9", []string{"198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{"two headers", "10.0.0.1:9", []string{"198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		{"lie before the proxy's word", "10.0.0.1:9", []string{"203.0.113.5, 198.51.100.1"}, "198.51.100.1"},
		{"garbage", "10.0.0.1:9", []string{"unknown"}, "10.0.0.1"},
		{"IPv6", "[fd00::1]:9", []string{"2001:db8::5"}, "2001:db8::5"},
		{"mapped IPv4", "[::ffff:10.0.0.1]:9", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"no address", "@", nil, "invalid IP"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = tt.peer
			for _, value := range tt.forwarded {
				r.Header.Add("X-Forwarded-For", value)
			}
			require.Equal(t, tt.want, trusted.client(r).String())
		})
	}
	require.Equal(t, "2001:db8::/64", network(netip.MustParseAddr("2001:db8::5")))
	require.Equal(t, "192.0.2.1", network(netip.MustParseAddr("192.0.2.1")))
}
