package ledger_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

func TestListFindsTheMessagesToANumber(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		b := newBook(t, rdb)
		for i := range 6 {
			m := b.message(fmt.Sprintf("m%d", i), message.Default)
			if i == 3 {
				m.To = "919000000000"
			}
			b.accept(m)
			b.ahead += time.Second
		}
		require.NoError(t, b.Cancel(t.Context(), b.sender, "m1"))
		list := func(q ledger.ListFilter) (ids []string, l ledger.Listed) {
			q.To, q.Most = "919876543210", max(q.Most, 1)
			l, err := b.List(t.Context(), b.sender, q)
			require.NoError(t, err)
			for _, r := range l.Records {
				ids = append(ids, r.ID)
			}
			return ids, l
		}
		ids, l := list(ledger.ListFilter{Limit: 3, Most: 1e6})
		require.Equal(t, []string{"m5", "m4", "m2"}, ids, "the newest first")
		require.Equal(t, 5, l.Found)
		require.True(t, l.All)
		ids, _ = list(ledger.ListFilter{Limit: 10, Most: 1e6, Status: message.Cancelled})
		require.Equal(t, []string{"m1"}, ids)
	})
}

// One number has several forms; who asks may use another one than who sent.
func TestListKnowsTheFormsOfANumber(t *testing.T) {
	t.Parallel()
	b := newBook(t, redistest.Embedded(t))
	m := b.message("a", message.Default)
	m.To = "5215512345678"
	b.accept(m)
	l, err := b.List(t.Context(), b.sender, ledger.ListFilter{To: "525512345678", Limit: 1, Most: 1e6})
	require.NoError(t, err)
	require.Len(t, l.Records, 1)
}

func TestListGivesUpAndSaysSo(t *testing.T) {
	t.Parallel()
	b := newBook(t, redistest.Real(t)) // the embedded one gives all keys at once
	ms := make([]message.Message, 4000)
	for i := range ms {
		ms[i] = b.message(fmt.Sprintf("m%d", i), message.Default)
	}
	_, errs := b.Accept(t.Context(), ms)
	require.NoError(t, errors.Join(errs...))
	l, err := b.List(t.Context(), b.sender, ledger.ListFilter{To: "919876543210", Limit: 1, Most: 1500})
	require.NoError(t, err)
	require.False(t, l.All)
	require.Less(t, l.Looked, 4000)
}
