package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

func TestSendingAMessage(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		c := newCounter(t, rdb, nil)
		got, v := c.ask("POST", "/v1/messages", c.hello("a"))
		require.Equal(t, http.StatusAccepted, got.StatusCode)
		require.Equal(t, map[string]any{"id": "a", "status": "queued"}, v)
		require.Equal(t, "application/json", got.Header.Get("Content-Type"))

		got, v = c.ask("POST", "/v1/messages", c.hello("a"))
		require.Equal(t, http.StatusOK, got.StatusCode, "the same again")
		require.Equal(t, map[string]any{"id": "a", "status": "queued"}, v)

		got, v = c.ask("POST", "/v1/messages", strings.Replace(c.hello("a"), "Hello", "Hello again", 1))
		require.Equal(t, http.StatusConflict, got.StatusCode)
		require.Equal(t, "a", v["id"])
		require.Equal(t, "queued", v["message_status"])

		got, v = c.ask("POST", "/v1/messages", strings.Replace(c.hello("a"), `"id":"a",`, "", 1))
		require.Equal(t, http.StatusAccepted, got.StatusCode, "an id is made")
		require.Len(t, v["id"], 26)

		require.NoError(t, c.books.Suppress(t.Context(), c.first, []ledger.Suppression{{Number: number, Scope: gupshup.SuppressAll, Code: "1012", Source: "code"}}))
		got, v = c.ask("POST", "/v1/messages", c.hello("b"))
		require.Equal(t, http.StatusAccepted, got.StatusCode)
		require.Equal(t, map[string]any{"id": "b", "status": "suppressed"}, v, "a status, not an error")
	})
}

func TestEachWrongFieldIsNamed(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), nil)
	const text = `"message":{"type":"text","text":"Hello"}`
	for name, tt := range map[string]struct {
		body   string
		fields []string
	}{
		"nothing":          {`{}`, []string{"sender", "to", "message"}},
		"unknown field":    {`{"sneder":"x"}`, []string{"sneder"}},
		"unknown sender":   {`{"sender":"x","to":"1",` + text + `}`, []string{"sender", "to"}},
		"id":               {`{"id":"a b","sender":"S","to":"+919876543210",` + text + `}`, []string{"id"}},
		"number":           {`{"sender":"S","to":"12",` + text + `}`, []string{"to"}},
		"number, a number": {`{"sender":"S","to":919876543210,` + text + `}`, []string{"to"}},
		"priority":         {`{"sender":"S","to":"+919876543210","priority":"urgent",` + text + `}`, []string{"priority"}},
		"times":            {`{"sender":"S","to":"+919876543210","send_at":"tomorrow","expires_at":1,` + text + `}`, []string{"send_at", "expires_at"}},
		"expired":          {`{"sender":"S","to":"+919876543210","expires_at":"2020-01-01T00:00:00Z",` + text + `}`, []string{"expires_at"}},
		"in doubt":         {`{"sender":"S","to":"+919876543210","on_in_doubt":"pray",` + text + `}`, []string{"on_in_doubt"}},
		"metadata":         {`{"sender":"S","to":"+919876543210","metadata":{"k":"` + strings.Repeat("x", 1100) + `"},` + text + `}`, []string{"metadata"}},
		"template id":      {`{"sender":"S","to":"+919876543210","template":{"id":"welcome","params":[]}}`, []string{"template.id"}},
		"both":             {`{"sender":"S","to":"+919876543210","template":{"id":"c6aecef6-bcb0-4fb1-8100-28c094e3bc6b","params":[]},` + text + `}`, []string{"template"}},
		"within message":   {`{"sender":"S","to":"+919876543210","message":{"type":"image","originalUrl":"ftp://x"}}`, []string{"message.originalUrl"}},
		"fallback":         {`{"sender":"S","to":"+919876543210","fallback":{},` + text + `}`, []string{"fallback.template"}},
	} {
		t.Run(name, func(t *testing.T) {
			body := strings.ReplaceAll(tt.body, `"sender":"S"`, `"sender":"`+c.first+`"`)
			got, v := c.ask("POST", "/v1/messages", body)
			require.Equal(t, http.StatusUnprocessableEntity, got.StatusCode, got.text)
			named := fields(v)
			for _, f := range tt.fields {
				require.NotEmpty(t, named[f], "%s: %v", f, named)
			}
		})
	}
	for body, status := range map[string]int{"": 400, "{": 400, `{"a":1}}`: 400, "[]": 422, `"x"`: 422, "null": 422} {
		got, _ := c.ask("POST", "/v1/messages", body)
		require.Equal(t, status, got.StatusCode, "%q: %s", body, got.text)
	}
}

// What is documented is what is read.
func TestTheMessageObjectIsDocumented(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), nil)
	var doc struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]any
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(c.do("GET", "/openapi.json", nil).text), &doc))
	documented := doc.Components.Schemas["MessageObject"].Properties
	for name := range documented {
		var m message.Message
		err := json.Unmarshal(fmt.Appendf(nil, `{%q:null}`, name), &m)
		require.NoError(t, err, name)
	}
	full := message.Message{
		ID: "a", Sender: "s", To: "1", Priority: message.Bulk, SendAt: time.Now(), ExpiresAt: time.Now(), OnInDoubt: message.Hold, Metadata: map[string]string{"a": "b"},
		Content: gupshup.Content{
			Message: gupshup.Text{Text: "x"}, Template: &gupshup.Template{}, Media: gupshup.Carousel{}, PostbackTexts: []gupshup.PostbackText{{}}, DisablePreview: true, Encode: true,
		},
	}
	full.Fallback = full.Content
	raw, err := json.Marshal(full)
	require.NoError(t, err)
	var written map[string]any
	require.NoError(t, json.Unmarshal(raw, &written))
	for name := range written {
		require.Contains(t, documented, name)
	}
	require.Len(t, documented, len(written))
	template, err := json.Marshal(gupshup.Template{Params: []string{}, Expiration: 1, MPM: &gupshup.MPM{}, Catalog: true})
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(template, &written))
	for name := range doc.Components.Schemas["TemplateObject"].Properties {
		require.Contains(t, written, name)
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		c := newCounter(t, rdb, nil)
		body := strings.Replace(c.hello(""), `"id":"",`, "", 1)
		key := header("Idempotency-Key", "order 42")
		got, first := c.ask("POST", "/v1/messages", body, key)
		require.Equal(t, http.StatusAccepted, got.StatusCode, got.text)
		got, again := c.ask("POST", "/v1/messages", body, key)
		require.Equal(t, http.StatusOK, got.StatusCode)
		require.Equal(t, first["id"], again["id"])

		got, _ = c.ask("POST", "/v1/messages", strings.Replace(body, "Hello", "Hello again", 1), key)
		require.Equal(t, http.StatusConflict, got.StatusCode)

		for what, other := range map[string]answer{
			"another key of the API": first2(c.ask("POST", "/v1/messages", body, key, header("Authorization", "Bearer "+deskKey))),
			"another sender":         first2(c.ask("POST", "/v1/messages", strings.Replace(body, c.first, c.also, 1), key)),
			"another key":            first2(c.ask("POST", "/v1/messages", body, header("Idempotency-Key", "order 43"))),
		} {
			require.Equal(t, http.StatusAccepted, other.StatusCode, what)
			require.NotContains(t, other.text, first["id"], what)
		}
		got, v := c.ask("POST", "/v1/messages", c.hello("own"), key)
		require.Equal(t, http.StatusAccepted, got.StatusCode)
		require.Equal(t, "own", v["id"], "an id says more")
		got, v = c.ask("POST", "/v1/messages", body, header("Idempotency-Key", strings.Repeat("x", 256)))
		require.Equal(t, http.StatusUnprocessableEntity, got.StatusCode)
		require.Contains(t, fields(v), "Idempotency-Key")
	})
}

func first2(got answer, _ map[string]any) answer { return got }

func TestAClientThatHangsUp(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), nil)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	got, _ := c.ask("POST", "/v1/messages", c.hello("a"), func(r *http.Request) { *r = *r.WithContext(gone) })
	require.Equal(t, http.StatusAccepted, got.StatusCode)
	require.Equal(t, message.Queued, c.status("a"))
}

func TestNoRoom(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		c := newCounter(t, rdb, nil)
		for i := range 50 {
			got, _ := c.ask("POST", "/v1/messages", c.hello(fmt.Sprint("m", i)))
			require.Equal(t, http.StatusAccepted, got.StatusCode)
		}
		got, v := c.ask("POST", "/v1/messages", c.hello("more"))
		require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
		require.Equal(t, "5", got.Header.Get("Retry-After"))
		require.Contains(t, v["detail"], "max_queued")
		require.Equal(t, "more", v["id"])
	})
}

// What is unknown is not called a failure, and the id is told with which it can be asked again.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), nil)
	require.NoError(t, c.rdb.Close())
	got, v := c.ask("POST", "/v1/messages", strings.Replace(c.hello("a"), `"id":"a",`, "", 1))
	require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
	require.NotEmpty(t, got.Header.Get("Retry-After"))
	require.Contains(t, v["detail"], "unknown")
	require.Len(t, v["id"], 26)
	for _, target := range []string{"/v1/messages/a", "/v1/dead-letters", "/v1/templates", "/v1/suppressions"} {
		got, _ = c.ask("GET", target, "")
		require.Equal(t, http.StatusServiceUnavailable, got.StatusCode, target)
		require.NotEmpty(t, got.Header.Get("Retry-After"), target)
	}
	got, v = c.ask("POST", "/v1/messages/batch", `{"messages":[`+c.hello("a")+`]}`)
	require.Equal(t, http.StatusOK, got.StatusCode)
	require.NotEmpty(t, got.Header.Get("Retry-After"))
	require.EqualValues(t, 503, v["results"].([]any)[0].(map[string]any)["http_status"])
}

func TestBatch(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		c := newCounter(t, rdb, nil)
		c.ask("POST", "/v1/messages", c.hello("old"))
		other := strings.Replace(c.hello("old"), "Hello", "Hello again", 1)
		got, v := c.ask("POST", "/v1/messages/batch", fmt.Sprintf(`{"messages":[%s,%s,%s,%s,%s]}`,
			c.hello("new"), `{"nonsense":1}`, c.hello("old"), other, `{"sender":"x","to":"1"}`))
		require.Equal(t, http.StatusOK, got.StatusCode, got.text)
		var statuses []int
		for _, r := range v["results"].([]any) {
			statuses = append(statuses, int(r.(map[string]any)["http_status"].(float64)))
		}
		require.Equal(t, []int{202, 422, 200, 409, 422}, statuses, "one for each, in order")
		result := func(i int) map[string]any { return v["results"].([]any)[i].(map[string]any) }
		require.Equal(t, map[string]any{"http_status": 202.0, "id": "new", "status": "queued"}, result(0))
		require.Contains(t, fields(result(1)["problem"].(map[string]any)), "nonsense")
		require.Contains(t, fields(result(4)["problem"].(map[string]any)), "sender")
		require.Empty(t, got.Header.Get("Retry-After"))

		many := strings.TrimSuffix(strings.Repeat(`{},`, 1001), ",")
		for body, field := range map[string]string{`{}`: "messages", `{"messages":[]}`: "messages", `{"messages":[` + many + `]}`: "messages", `{"messages":{}}`: "messages", `{"message":[]}`: "message"} {
			got, v := c.ask("POST", "/v1/messages/batch", body)
			require.Equal(t, http.StatusUnprocessableEntity, got.StatusCode)
			require.Contains(t, fields(v), field)
		}
	})
}

// What a repeat does not keep must not look promised.
func TestABatchTakesNoIdempotencyKey(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), nil)
	got, v := c.ask("POST", "/v1/messages/batch", `{"messages":[`+c.hello("a")+`]}`, header("Idempotency-Key", "order 42"))
	require.Equal(t, http.StatusUnprocessableEntity, got.StatusCode, got.text)
	require.Contains(t, fields(v), "Idempotency-Key")
	got, _ = c.ask("GET", "/v1/messages/a", "")
	require.Equal(t, http.StatusNotFound, got.StatusCode, "nothing was taken in")
}

func TestShowingAMessage(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		c := newCounter(t, rdb, nil)
		c.ask("POST", "/v1/messages", c.hello("a"))
		got, v := c.ask("GET", "/v1/messages/a", "")
		require.Equal(t, http.StatusOK, got.StatusCode)
		for _, name := range []string{"id", "sender", "to", "priority", "status", "waiting_for", "message_id", "code", "class", "reason", "attempts", "receipts", "created_at", "updated_at"} {
			require.Contains(t, v, name)
		}
		require.Equal(t, "9198******10", v["to"])

		got, _ = c.ask("GET", "/v1/messages/a?reveal=true", "")
		require.Equal(t, http.StatusForbidden, got.StatusCode, "this key may not")
		_, v = c.ask("GET", "/v1/messages/a?reveal=true", "", header("Authorization", "Bearer "+deskKey))
		require.Equal(t, number, v["to"])
		_, v = c.ask("GET", "/v1/messages/a", "", header("Authorization", "Bearer "+deskKey))
		require.Equal(t, "9198******10", v["to"], "only when asked to")

		got, _ = c.ask("GET", "/v1/messages/nobody", "")
		require.Equal(t, http.StatusNotFound, got.StatusCode)
		c.ask("POST", "/v1/messages", strings.Replace(c.hello("a"), c.first, c.also, 1))
		for _, method := range []string{"GET", "DELETE"} {
			got, v = c.ask(method, "/v1/messages/a", "")
			require.Equal(t, http.StatusConflict, got.StatusCode)
			require.Equal(t, []any{c.first, c.also}, v["senders"])
		}
		got, v = c.ask("GET", "/v1/messages/a?sender="+c.also, "")
		require.Equal(t, http.StatusOK, got.StatusCode)
		require.Equal(t, c.also, v["sender"])
		for query, field := range map[string]string{"sender=x": "sender", "reveal=perhaps": "reveal", "sneder=x": "sneder"} {
			got, v = c.ask("GET", "/v1/messages/a?"+query, "")
			require.Equal(t, http.StatusUnprocessableEntity, got.StatusCode)
			require.Contains(t, fields(v), field)
		}
	})
}

func TestCancelling(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		c := newCounter(t, rdb, nil)
		c.ask("POST", "/v1/messages", c.hello("a"))
		for range 2 {
			got, v := c.ask("DELETE", "/v1/messages/a", "")
			require.Equal(t, http.StatusOK, got.StatusCode)
			require.Equal(t, map[string]any{"id": "a", "sender": c.first, "status": "cancelled"}, v)
		}
		got, _ := c.ask("DELETE", "/v1/messages/nobody", "")
		require.Equal(t, http.StatusNotFound, got.StatusCode)
		c.dies("d", "1002")
		got, v := c.ask("DELETE", "/v1/messages/d", "")
		require.Equal(t, http.StatusConflict, got.StatusCode)
		require.Equal(t, "dead", v["message_status"])
	})
}

// dies makes a dead letter of the first sender without a worker.
func (c *counter) dies(id, code string) {
	c.Helper()
	c.ask("POST", "/v1/messages", c.hello(id))
	claim, err := c.books.Claim(c.Context(), ledger.ClaimRequest{Sender: c.first, ID: id, Generation: 1, Token: "t", Lease: time.Minute})
	require.NoError(c, err)
	require.Equal(c, ledger.Send, claim.Verdict)
	_, err = c.books.Commit(c.Context(), ledger.Commit{
		Sender: c.first, ID: id, Attempt: 1, Outcome: ledger.OutcomeRefused, Next: message.Dead, Spends: true, Code: code, Class: gupshup.ClassRecipient, Reason: "no WhatsApp",
	})
	require.NoError(c, err)
}

// Whoever comes first wins: a message that was said to be cancelled is not claimed, and one that was claimed is not said to be cancelled.
func TestCancelRacesWithWorkers(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		c := newCounter(t, rdb, nil)
		for i := range 40 {
			id := fmt.Sprint("m", i)
			c.ask("POST", "/v1/messages", c.hello(id))
			var claim ledger.Claim
			var err error
			var wg sync.WaitGroup
			wg.Go(func() {
				claim, err = c.books.Claim(context.Background(), ledger.ClaimRequest{Sender: c.first, ID: id, Generation: 1, Token: "t", Lease: time.Minute})
			})
			got, _ := c.ask("DELETE", "/v1/messages/"+id, "")
			wg.Wait()
			require.NoError(t, err)
			if claim.Verdict == ledger.Send {
				require.Equal(t, http.StatusConflict, got.StatusCode)
				require.Equal(t, message.Sending, c.status(id))
			} else {
				require.Equal(t, http.StatusOK, got.StatusCode)
				require.Equal(t, ledger.AlreadyDone, claim.Verdict)
				require.Equal(t, message.Cancelled, c.status(id))
			}
		}
	})
}
