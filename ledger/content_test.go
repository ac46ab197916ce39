package ledger_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

const someTemplate = "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b"

func filled(params ...string) *gupshup.Template {
	return &gupshup.Template{ID: someTemplate, Params: params}
}

// Content comes back as it went in, from a claim and from the record, however the record writes it.
func TestContentComesBack(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]gupshup.Content{
		"text":                        {Message: gupshup.Text{Text: "[1,2]"}},
		"template":                    {Template: filled("Asha", `"4711"`, "https://shop.example/?a=1&b=2")},
		"template without parameters": {Template: filled()},
		"template with empty list":    {Template: &gupshup.Template{ID: someTemplate, Params: []string{}}},
		"template with expiration":    {Template: &gupshup.Template{ID: someTemplate, Params: []string{"a"}, Expiration: 1_795_785_728_389}},
		"catalogue":                   {Template: &gupshup.Template{ID: someTemplate, Params: []string{"p1"}, Catalog: true}},
		"template with media":         {Template: filled("a"), Media: gupshup.MediaImage{Link: "https://shop.example/a.png"}},
		"template with postback":      {Template: filled("a"), PostbackTexts: []gupshup.PostbackText{{Index: 1, Text: "yes"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
				b := newBook(t, rdb)
				m := b.message("a", message.Default)
				m.Content = content
				if content.Template == nil {
					m.Fallback = gupshup.Content{Template: filled("x")}
				}
				b.accept(m)
				require.Equal(t, content, b.claim("a", 1, "run").Content)
				rec := b.get("a")
				require.Equal(t, content, rec.Content)
				require.Equal(t, m.Fallback, rec.Fallback)
			})
		})
	}
}

// Whatever the record leaves out because it is what one expects reads as if it were there.
func TestARecordWithoutSurprises(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		mid := b.sent("a")
		early := b.now().Add(-time.Hour) // by a clock that is wrong
		b.receive(receipt(gupshup.ReceiptEnqueued, mid, early))
		b.receive(receipt(gupshup.ReceiptEnqueued, mid, early.Add(time.Second)))
		rec := b.get("a")
		require.Equal(t, 1, rec.Generation)
		require.Len(t, rec.Attempts, 1)
		require.Equal(t, ledger.OutcomeSubmitted, rec.Attempts[0].Outcome)
		require.Len(t, rec.Receipts, 1)
		require.Equal(t, early.UTC(), rec.Receipts[0].At)

		b.accept(b.message("b", message.Default))
		first := b.claim("b", 1, "run-1")
		require.Equal(t, first.Intent, first.First)
		b.commit(of(transient, "b", 1))
		b.ahead += time.Hour
		q := b.sweep(ledger.SweepRequest{}).Requeue
		require.Len(t, q, 1)
		again := b.claim("b", q[0].Generation, "run-2")
		require.Equal(t, first.First, again.First)
		require.Greater(t, again.Intent, again.First)
	})
}
