package httpapi

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gupdispatch/gupdispatch/campaign"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
	"github.com/gupdispatch/gupdispatch/view"
)

var update = flag.Bool("update", false, "write docs/openapi.json anew")

const (
	shopKey = "shop-key-0123456789abcdef" // may not see whole numbers
	deskKey = "desk-key-0123456789abcdef" // may
	number  = "919876543210"
)

// counter is a server with the REST API over a Redis with two senders, and no worker.
type counter struct {
	*house
	rdb         *redis.Client
	books       *ledger.Ledger
	first, also string // senders
}

func newCounter(t *testing.T, rdb *redis.Client, change func(*Options)) *counter {
	t.Helper()
	c := &counter{rdb: rdb, books: ledger.New(rdb, ledger.Config{}), first: redistest.Sender(), also: redistest.Sender()}
	core, logs := observer.New(zap.DebugLevel)
	p, err := producer.New(producer.Config{Redis: rdb, Senders: []producer.Sender{{Name: c.first, MaxQueued: 50}, {Name: c.also}}})
	require.NoError(t, err)
	now := &clock{}
	opts := Options{
		Listen: "127.0.0.1:0", Redis: rdb, Registry: prometheus.NewRegistry(), Log: zap.New(core), WithoutUI: true,
		API: &API{
			Keys:    []APIKey{{Name: "shop", Key: shopKey}, {Name: "desk", Key: deskKey, Reveal: true}},
			Senders: []campaign.Sender{{Name: c.first, Region: "IN", Rate: 20}, {Name: c.also, Rate: 20}},
			Ledger:  c.books, Producer: p,
			Sender: func(_ context.Context, name string) (view.Sender, error) { return view.Sender{Name: name}, nil },
			Replay: func(ctx context.Context, rec ledger.Record) error {
				_, err := c.books.Replay(ctx, rec.Sender, rec.ID, rec.Generation)
				return err
			},
		},
	}
	if change != nil {
		change(&opts)
	}
	server, err := New(opts)
	require.NoError(t, err)
	c.house = &house{T: t, server: server, client: rdb, clock: now, log: logs}
	return c
}

// ask sends a request with the shop's key and returns the answer, and its body decoded. Nothing secret may be in it or in the log.
func (c *counter) ask(method, target, body string, edits ...func(*http.Request)) (answer, map[string]any) {
	c.Helper()
	edits = append([]func(*http.Request){header("Authorization", "Bearer "+shopKey), header("Content-Type", "application/json")}, edits...)
	got := c.do(method, target, strings.NewReader(body), edits...)
	var v map[string]any
	if got.text != "" {
		require.NoError(c, json.Unmarshal([]byte(got.text), &v), got.text)
	}
	if !strings.Contains(target, "reveal=true") {
		require.NotContains(c, got.text, number)
	}
	for _, entry := range c.log.All() {
		line := fmt.Sprint(entry.Message, entry.ContextMap())
		for _, secret := range []string{shopKey, deskKey, number, "Hello"} {
			require.NotContains(c, line, secret)
		}
	}
	if got.StatusCode >= 400 {
		require.Equal(c, problemType, got.Header.Get("Content-Type"), got.text)
		require.EqualValues(c, got.StatusCode, v["status"])
		require.NotEmpty(c, v["title"])
		require.NotEmpty(c, v["detail"])
		require.NotContains(c, got.text, "Hello", "what was sent is not repeated")
	}
	require.NotEmpty(c, got.Header.Get("X-Request-Id"))
	return got, v
}

func (c *counter) hello(id string) string {
	return fmt.Sprintf(`{"id":%q,"sender":%q,"to":"+%s","message":{"type":"text","text":"Hello"}}`, id, c.first, number)
}

// status is what the ledger says of a message of the first sender.
func (c *counter) status(id string) message.Status {
	rec, err := c.books.Get(c.Context(), c.first, id)
	require.NoError(c, err)
	return rec.Status
}

// fields are those that a problem names, with what is wrong.
func fields(v map[string]any) map[string]string {
	all := map[string]string{}
	list, _ := v["errors"].([]any)
	for _, e := range list {
		f := e.(map[string]any)
		all[f["field"].(string)] = f["problem"].(string)
	}
	return all
}

func TestOpenAPIIsInTheDocs(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), nil)
	got := c.do("GET", "/openapi.json", nil)
	require.Equal(t, 200, got.StatusCode)
	const file = "../docs/openapi.json"
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got.text), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, string(want) == got.text, "run go test ./httpapi -run OpenAPI -update")
}
