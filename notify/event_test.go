package notify

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

func TestReadEntryAndJSON(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		fields map[string]any
		body   string
		wrong  string
	}{
		{
			"everything",
			map[string]any{
				"id": "m1", "from": "sending", "status": "failed", "attempt": "2", "at": "1700000000120", "message_id": "g1",
				"code": "1002", "class": "recipient", "reason": "no <account>",
			},
			`{"event_id":"5-1","sender":"shop","id":"m1","from":"sending","status":"failed","attempt":2,"at":"2023-11-14T22:13:20.120Z",` +
				`"message_id":"g1","code":"1002","class":"recipient","reason":"no <account>"}`, "",
		},
		{
			"accepted just now, whole second",
			map[string]any{"id": "m1", "from": "", "status": "queued", "attempt": "0", "at": "1700000000000"},
			`{"event_id":"5-1","sender":"shop","id":"m1","status":"queued","attempt":0,"at":"2023-11-14T22:13:20.000Z"}`, "",
		},
		{
			"fields of a later version",
			map[string]any{"id": "m1", "status": "queued", "at": "0", "later": "x"},
			`{"event_id":"5-1","sender":"shop","id":"m1","status":"queued","attempt":0,"at":"1970-01-01T00:00:00.000Z"}`, "",
		},
		{"no id", map[string]any{"status": "queued", "at": "1"}, "", "no id or no status"},
		{"no status", map[string]any{"id": "m1", "at": "1"}, "", "no id or no status"},
		{"no time", map[string]any{"id": "m1", "status": "queued"}, "", "field at"},
		{"attempt is no number", map[string]any{"id": "m1", "status": "queued", "at": "1", "attempt": "two"}, "", "field attempt"},
		{"nothing", nil, "", "no id or no status"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			event, err := readEntry("shop", redis.XMessage{ID: "5-1", Values: test.fields})
			if test.wrong != "" {
				require.ErrorContains(t, err, test.wrong)
				require.ErrorContains(t, err, "5-1")
				return
			}
			require.NoError(t, err)
			body, err := json.Marshal(event)
			require.NoError(t, err)
			require.JSONEq(t, test.body, string(body))
			var back Event
			require.NoError(t, json.Unmarshal(body, &back))
			require.Equal(t, event, back)
		})
	}
}

func TestTimesAreUTC(t *testing.T) {
	t.Parallel()
	body, err := json.Marshal(Event{At: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.FixedZone("IST", 5*3600+1800))})
	require.NoError(t, err)
	require.Contains(t, string(body), `"at":"2026-01-01T21:34:05.006Z"`)
}
