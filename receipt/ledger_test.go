package receipt

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// The whole way from a callback's body to the records in Redis.
func TestCallbacksReachTheLedger(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		l, sender := ledger.New(rdb, ledger.Config{}), redistest.Sender()
		h := newHouse(t, func(c *Config) {
			c.Senders, c.Recorder = []Sender{{Name: sender, Token: testToken}}, l
		})
		post := func(body string) int { return h.do(http.MethodPost, "/callbacks/gupshup/"+sender, body).Code }
		ctx := t.Context()
		submitted(t, l, sender, "a", "m-"+sender)

		event := `{"app":"DemoApp","timestamp":%d,"version":2,"type":"message-event","payload":{"id":"wamid.1","gsId":"m-` + sender +
			`","type":"%s","destination":"` + testNumber + `","payload":{"ts":%d}}}`
		for _, name := range []string{"delivered", "sent", "delivered", "read"} { // in no order, and one of them twice
			now := time.Now()
			require.Equal(t, http.StatusOK, post(fmt.Sprintf(event, now.UnixMilli(), name, now.Unix())), name)
		}
		rec, err := l.Get(ctx, sender, "a")
		require.NoError(t, err)
		require.Equal(t, message.Read, rec.Status)

		require.Equal(t, http.StatusOK, post(optedOutBody))
		var list []ledger.Suppression
		require.NoError(t, l.Suppressions(ctx, sender, func(s ledger.Suppression) bool { list = append(list, s); return true }))
		require.Len(t, list, 1)
		require.Equal(t, []any{testNumber, gupshup.SuppressAll, "user-event"}, []any{list[0].Number, list[0].Scope, list[0].Source})
		require.Equal(t, http.StatusOK, post(resumeBody))
		require.NoError(t, l.Suppressions(ctx, sender, func(ledger.Suppression) bool { list = nil; return true }))
		require.Nil(t, list, "resuming marketing does not lift an opt-out from everything")
		require.Equal(t, http.StatusOK, post(inboundBody))

		require.Equal(t, http.StatusOK, post(metaBody), "messages of others who use the same app")
		hearing, err := l.Hearing(ctx, sender)
		require.NoError(t, err)
		require.Equal(t, 2, hearing.Parked)
	})
}

// submitted makes a message that Gupshup has taken.
func submitted(t *testing.T, l *ledger.Ledger, sender, id, messageID string) {
	t.Helper()
	m := message.Message{ID: id, Sender: sender, To: testNumber, Content: gupshup.Content{Message: gupshup.Text{Text: "Hello"}}}
	require.NoError(t, m.Normalise("", time.Now()))
	_, errs := l.Accept(t.Context(), []message.Message{m})
	require.NoError(t, errs[0])
	c, err := l.Claim(t.Context(), ledger.ClaimRequest{Sender: sender, ID: id, Generation: 1, Token: "t", Lease: time.Minute})
	require.NoError(t, err)
	require.Equal(t, ledger.Send, c.Verdict)
	_, err = l.Commit(t.Context(), ledger.Commit{
		Sender: sender, ID: id, Attempt: c.Attempt, Outcome: ledger.OutcomeSubmitted, Next: message.Submitted, Spends: true, MessageID: messageID,
	})
	require.NoError(t, err)
}

func TestRedisAway(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialerRetries: 1, DialTimeout: time.Second})
	t.Cleanup(func() { _ = rdb.Close() })
	h := newHouse(t, func(c *Config) { c.Recorder = ledger.New(rdb, ledger.Config{}) })
	for _, body := range []string{sentBody, inboundBody, optedOutBody, resumeBody} {
		require.Equal(t, http.StatusServiceUnavailable, h.post(body).Code)
	}
	require.Equal(t, http.StatusOK, h.post(sandboxBody).Code, "nothing to record")
}
