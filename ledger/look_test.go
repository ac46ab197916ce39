package ledger_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

func TestCheckReplayOnlyLooks(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		for _, id := range []string{"queued", "dead", "cancelled"} {
			b.accept(b.message(id, message.Default))
			if id != "queued" {
				b.claim(id, 1, "run")
				b.commit(ledger.Commit{ID: id, Attempt: 1, Outcome: ledger.OutcomeRefused, Next: message.Dead, Spends: true, Code: "1008"})
			}
		}
		key := "gupdispatch:{" + b.sender + "}:"
		require.NoError(t, rdb.HSet(t.Context(), key+"m:cancelled", "cm", "spring").Err())
		require.NoError(t, rdb.HSet(t.Context(), key+"c:spring", "st", "cancelled").Err())

		var refs []ledger.LetterRef
		for i := range 600 { // more than one round trip
			refs = append(refs, ledger.LetterRef{Sender: b.sender, ID: []string{"queued", "dead", "cancelled", "nobody"}[i%4]})
		}
		before := b.get("dead")
		look := func() []string {
			why, err := b.CheckReplay(t.Context(), refs)
			require.NoError(t, err)
			require.Len(t, why, len(refs))
			var texts []string
			for i, err := range why {
				require.Equal(t, ledger.LeftAlone(why[i%4]), ledger.LeftAlone(err), fmt.Sprint(i))
				if i < 4 {
					texts = append(texts, ledger.LeftAlone(err))
				}
			}
			return texts
		}
		texts := look()
		require.Equal(t, "it is queued, and no dead letter any more", texts[0])
		require.Empty(t, texts[1])
		require.Contains(t, texts[2], "its campaign spring was cancelled")
		require.Equal(t, "it is no dead letter any more", texts[3])
		require.NoError(t, b.Suppress(t.Context(), b.sender, []ledger.Suppression{{Number: number, Scope: gupshup.SuppressAll, Code: "1002", Source: "hand"}}))
		require.Contains(t, look()[1], "its number is suppressed (1002)")
		require.Equal(t, before, b.get("dead"))
		require.Empty(t, ledger.LeftAlone(nil))
		require.Empty(t, ledger.LeftAlone(errors.New("away")))
	})
}
