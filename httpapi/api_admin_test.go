package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/flow"
	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

const someTemplate = "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b"

// ids are those of a list's items.
func ids(v map[string]any) (all []string) {
	for _, item := range v["items"].([]any) {
		all = append(all, item.(map[string]any)["id"].(string))
	}
	return all
}

func TestDeadLettersComeInPages(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		c := newCounter(t, rdb, nil)
		got, v := c.ask("GET", "/v1/dead-letters", "")
		require.Equal(t, http.StatusOK, got.StatusCode)
		require.Equal(t, map[string]any{"items": []any{}, "next": ""}, v)
		for i := range 7 { // some in one millisecond
			c.dies(fmt.Sprint("m", i), map[bool]string{true: "1002", false: "1008"}[i < 5])
		}
		_, v = c.ask("GET", "/v1/dead-letters", "")
		all := ids(v)
		require.Len(t, all, 7)
		require.Empty(t, v["next"])
		var paged []string
		cursor := ""
		for range 4 {
			got, v = c.ask("GET", "/v1/dead-letters?limit=2&cursor="+cursor, "")
			require.Equal(t, http.StatusOK, got.StatusCode, got.text)
			paged = append(paged, ids(v)...)
			cursor = v["next"].(string)
		}
		require.Equal(t, all, paged)
		require.Empty(t, cursor)

		_, v = c.ask("GET", "/v1/dead-letters?code=1008&sender="+c.first, "")
		require.Len(t, v["items"], 2)
		item := v["items"].([]any)[0].(map[string]any)
		require.Equal(t, "9198******10", item["to"])
		for _, name := range []string{"id", "sender", "to", "priority", "code", "class", "reason", "message_id", "attempts", "at"} {
			require.Contains(t, item, name)
		}
		_, v = c.ask("GET", "/v1/dead-letters?reveal=true", "", header("Authorization", "Bearer "+deskKey))
		require.Equal(t, number, v["items"].([]any)[0].(map[string]any)["to"])
		_, v = c.ask("GET", "/v1/dead-letters?since="+time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "")
		require.Empty(t, v["items"])
		_, v = c.ask("GET", "/v1/dead-letters?until="+time.Now().Add(-time.Hour).UTC().Format(time.RFC3339), "")
		require.Empty(t, v["items"])
		for query, field := range map[string]string{
			"limit=0": "limit", "limit=1001": "limit", "limit=x": "limit", "limit=" + number: "limit", "cursor=!": "cursor", "since=yesterday": "since", "sender=x": "sender",
		} {
			got, v = c.ask("GET", "/v1/dead-letters?"+query, "")
			require.Equal(t, http.StatusUnprocessableEntity, got.StatusCode, query)
			require.Contains(t, fields(v), field, query)
		}
		for query, words := range map[string]string{ // no library's
			"limit=0": "must be at least 1", "limit=1001": "must be at most 1000", "limit=x": "must be a whole number", "reveal=x": "must be true or false",
			"since=yesterday": "must be a time such as 2026-01-31T18:00:00Z", "x=1": "is not a known parameter",
			"cursor=" + strings.Repeat("x", 32769): "is too long: at most 32768 characters",
		} {
			got, _ = c.ask("GET", "/v1/dead-letters?"+query, "")
			require.Contains(t, got.text, words, query)
		}
		got, _ = c.ask("GET", "/v1/campaigns?status=x", "")
		require.Contains(t, got.text, "must be one of scheduled, ingesting, running, paused, completed, cancelled")
	})
}

func TestReplayingDeadLetters(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		c := newCounter(t, rdb, nil)
		for i := range 4 {
			c.dies(fmt.Sprint("m", i), "1008")
		}
		c.dies("doubt", "IN_DOUBT")
		replay := func(body string) (answer, map[string]any) { return c.ask("POST", "/v1/dead-letters/replay", body) }

		got, v := replay(`{"code":"1008","dry_run":true,"limit":3}`)
		require.Equal(t, http.StatusOK, got.StatusCode)
		require.Equal(t, true, v["dry_run"])
		require.Equal(t, true, v["more"])
		require.EqualValues(t, 3, v["replayed"])
		require.Equal(t, message.Dead, c.status("m0"), "nothing was done")

		_, v = replay(`{"id":"m0"}`)
		require.EqualValues(t, 1, v["replayed"])
		require.Equal(t, message.Queued, c.status("m0"))
		got, v = replay(`{"id":"m0"}`)
		require.Equal(t, http.StatusConflict, got.StatusCode)
		require.Equal(t, "queued", v["message_status"])
		got, _ = replay(`{"id":"nobody"}`)
		require.Equal(t, http.StatusNotFound, got.StatusCode)

		_, v = replay(`{"sender":"` + c.first + `"}`)
		require.EqualValues(t, 3, v["replayed"])
		require.Equal(t, false, v["more"])
		require.Equal(t, message.Dead, c.status("doubt"), "it may have arrived")
		_, v = replay(`{"all":true,"include_in_doubt":true}`)
		require.EqualValues(t, 1, v["replayed"])
		require.Equal(t, message.Queued, c.status("doubt"))

		c.dies("s", "1002")
		require.NoError(t, c.books.Suppress(t.Context(), c.first, []ledger.Suppression{{Number: number, Scope: gupshup.SuppressAll, Code: "1002", Source: "code"}}))
		_, v = replay(`{"all":true,"dry_run":true}`)
		require.EqualValues(t, 0, v["replayed"], "a dry run knows it, too")
		require.Contains(t, v["items"].([]any)[0].(map[string]any)["reason"], "suppressed")
		_, v = replay(`{"all":true}`)
		require.EqualValues(t, 0, v["replayed"])
		require.Contains(t, v["items"].([]any)[0].(map[string]any)["reason"], "suppressed")

		for body, field := range map[string]string{
			`{}`: "all", `{"limit":-1,"all":true}`: "limit", `{"limit":1001,"all":true}`: "limit", `{"since":"yesterday"}`: "since", `{"until":1}`: "until",
			`{"sender":"x"}`: "sender", `{"dry":true}`: "dry", `{"all":"yes"}`: "all",
		} {
			got, v = replay(body)
			require.Equal(t, http.StatusUnprocessableEntity, got.StatusCode, body)
			require.Contains(t, fields(v), field, body)
		}
	})
}

// Redis may go away in the middle: what was done by then is told.
func TestAReplayThatStops(t *testing.T) {
	t.Parallel()
	n := 0
	c := newCounter(t, redistest.Embedded(t), func(o *Options) {
		o.API.Replay = func(context.Context, ledger.Record) error {
			if n++; n == 2 {
				return errors.New("connection refused")
			}
			return nil
		}
	})
	for i := range 3 {
		c.dies(fmt.Sprint("m", i), "1008")
	}
	got, v := c.ask("POST", "/v1/dead-letters/replay", `{"all":true}`)
	require.Equal(t, http.StatusOK, got.StatusCode)
	require.EqualValues(t, 1, v["replayed"])
	require.Equal(t, true, v["more"])
	require.Len(t, v["items"], 2)
	n = 1
	got, _ = c.ask("POST", "/v1/dead-letters/replay", `{"all":true}`)
	require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
}

func TestHoldingASender(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		c := newCounter(t, rdb, nil)
		c.ask("POST", "/v1/messages", c.hello("a"))
		got, v := c.ask("GET", "/v1/senders", "")
		require.Equal(t, http.StatusOK, got.StatusCode)
		require.Len(t, v["items"], 2)

		path := "/v1/senders/" + c.first
		got, v = c.ask("POST", path+"/hold", `{"reason":"wrong link","priorities":["bulk"],"until":"2999-01-01T00:00:00Z"}`)
		require.Equal(t, http.StatusOK, got.StatusCode, got.text)
		hold := v["hold"].(map[string]any)
		require.Equal(t, "shop", hold["by"], "the key's name")
		require.Equal(t, []any{"bulk"}, hold["priorities"])
		require.Equal(t, "2999-01-01T00:00:00.000Z", hold["until"])
		got, v = c.ask("POST", path+"/hold", `{"reason":"moving","by":"ravi"}`)
		require.Equal(t, http.StatusOK, got.StatusCode)
		require.Equal(t, "ravi", v["hold"].(map[string]any)["by"])
		require.EqualValues(t, 1, v["waiting"].(map[string]any)["default"])
		_, v = c.ask("GET", "/v1/messages/a", "")
		require.Equal(t, "by_hand", v["waiting_for"])

		got, v = c.ask("POST", path+"/release", "", header("Content-Type", ""))
		require.Equal(t, http.StatusOK, got.StatusCode, got.text)
		require.Len(t, v["released"], 2)
		require.NoError(t, flow.NewGate(rdb, flow.GateConfig{Sender: c.first, Rate: 10}).Slow(t.Context(), time.Time{}, time.Minute))
		_, v = c.ask("POST", path+"/release", "")
		require.Equal(t, true, v["pace_restored"])
		got, v = c.ask("POST", path+"/release", "")
		require.Equal(t, http.StatusOK, got.StatusCode, "again")
		require.Empty(t, v["released"])
		require.Equal(t, false, v["pace_restored"])

		for body, field := range map[string]string{
			`{}`: "reason", `{"reason":"x","until":"2020-01-01T00:00:00Z"}`: "until", `{"reason":"x","until":"soon"}`: "until",
			`{"reason":"x","priorities":["urgent"]}`: "priorities", `{"reason":"x","priorities":[]}`: "priorities",
			`{"reason":"` + strings.Repeat("x", 201) + `"}`: "reason", `{"reason":1}`: "reason",
		} {
			got, v = c.ask("POST", path+"/hold", body)
			require.Equal(t, http.StatusUnprocessableEntity, got.StatusCode, body)
			require.Contains(t, fields(v), field, body)
		}
		for _, what := range []string{"hold", "release"} {
			got, _ = c.ask("POST", "/v1/senders/nobody/"+what, `{"reason":"x"}`)
			require.Equal(t, http.StatusNotFound, got.StatusCode)
		}
	})
}

func TestHoldingATemplate(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		c := newCounter(t, rdb, nil)
		path := "/v1/templates/" + strings.ToUpper(someTemplate)
		got, v := c.ask("POST", path+"/hold", `{"reason":"wrong price","sender":"`+c.also+`"}`)
		require.Equal(t, http.StatusOK, got.StatusCode, got.text)
		require.Equal(t, someTemplate, v["template"])
		require.Nil(t, v["until"])
		_, v = c.ask("GET", "/v1/templates", "")
		require.Len(t, v["items"], 1)
		_, v = c.ask("GET", "/v1/templates?sender="+c.first, "")
		require.Empty(t, v["items"])
		_, v = c.ask("POST", path+"/release?sender="+c.first, "")
		require.Empty(t, v["released"])
		_, v = c.ask("POST", path+"/release", "")
		require.Len(t, v["released"], 1)
		_, v = c.ask("GET", "/v1/templates", "")
		require.Empty(t, v["items"])

		got, v = c.ask("POST", "/v1/templates/welcome/hold", `{}`)
		require.Equal(t, http.StatusUnprocessableEntity, got.StatusCode)
		require.Len(t, fields(v), 3, "all at once: id, reason, sender")
		got, _ = c.ask("POST", "/v1/templates/welcome/release", "")
		require.Equal(t, http.StatusUnprocessableEntity, got.StatusCode)
	})
}

func TestSuppressions(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		c := newCounter(t, rdb, nil)
		got, v := c.ask("POST", "/v1/suppressions", `{"sender":"`+c.first+`","numbers":["+91 98765 43210","09876543210","+919000000001"],"scope":"bulk","reason":"asked"}`)
		require.Equal(t, http.StatusOK, got.StatusCode, got.text)
		require.EqualValues(t, 2, v["suppressed"], "each once; national numbers as the sender's region has them")
		_, v = c.ask("GET", "/v1/suppressions?sender="+c.first, "")
		require.Len(t, v["items"], 2)
		item := v["items"].([]any)[0].(map[string]any)
		require.Equal(t, "bulk", item["scope"])
		require.Equal(t, "hand", item["source"])
		require.Nil(t, item["until"])
		require.Contains(t, item["number"], "******")

		got, v = c.ask("POST", "/v1/suppressions/remove", `{"sender":"`+c.first+`","numbers":["+919876543210","+919000000009"]}`)
		require.Equal(t, http.StatusOK, got.StatusCode, got.text)
		require.EqualValues(t, 1, v["removed"])

		var list []ledger.Suppression
		for i := range 700 { // more than a short list, which comes whole
			list = append(list, ledger.Suppression{Number: fmt.Sprint(919100000000 + i), Scope: gupshup.SuppressAll, Source: "code"})
		}
		require.NoError(t, c.books.Suppress(t.Context(), c.also, list))
		seen, cursor, pages := map[string]bool{}, "", 0
		for {
			_, v = c.ask("GET", "/v1/suppressions?limit=100&cursor="+cursor+"&reveal=true", "", header("Authorization", "Bearer "+deskKey))
			for _, item := range v["items"].([]any) {
				seen[item.(map[string]any)["number"].(string)] = true
			}
			pages++
			if cursor = v["next"].(string); cursor == "" {
				break
			}
		}
		require.Len(t, seen, 701, "of both senders")
		require.Greater(t, pages, 1)

		for body, want := range map[string][]string{
			`{}`:                                            {"sender", "numbers"},
			`{"sender":"x","numbers":["1","2"]}`:            {"sender", "numbers[0]", "numbers[1]"},
			`{"numbers":["1"],"scope":"some"}`:              {"scope", "numbers[0]"},
			`{"numbers":["1"],"until":"2020-01-01"}`:        {"until"},
			`{"numbers":"1"}`:                               {"numbers"},
			`{"reason":"` + strings.Repeat("x", 201) + `"}`: {"reason"},
		} {
			got, v = c.ask("POST", "/v1/suppressions", body)
			require.Equal(t, http.StatusUnprocessableEntity, got.StatusCode, body)
			for _, field := range want {
				require.Contains(t, fields(v), field, body)
			}
		}
		got, v = c.ask("POST", "/v1/suppressions/remove", `{"numbers":["x"]}`)
		require.Equal(t, http.StatusUnprocessableEntity, got.StatusCode)
		require.Contains(t, fields(v), "numbers[0]")
		got, _ = c.ask("GET", "/v1/suppressions?reveal=true", "")
		require.Equal(t, http.StatusForbidden, got.StatusCode)
	})
}
