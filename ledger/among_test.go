package ledger

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/internal/redistest"
)

func TestAmongSenders(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		l, ctx := New(rdb, Config{}), context.Background()
		senders := []string{redistest.Sender(), redistest.Sender(), redistest.Sender()}
		for _, s := range senders[1:] {
			_, _, err := l.CreateCampaign(ctx, NewCampaign{Sender: s, ID: "spring", Definition: "{}", Priority: "bulk"})
			require.NoError(t, err)
		}
		found, owners, err := l.CampaignAmong(ctx, senders, "spring")
		require.NoError(t, err)
		require.Equal(t, senders[1:], owners)
		require.Len(t, found, 2)
		require.Equal(t, senders[2], found[1].Sender)
		none, owners, err := l.FindAmong(ctx, senders, "spring")
		require.NoError(t, err, "that nobody has it is no error")
		require.Empty(t, none)
		require.Empty(t, owners)
		require.NoError(t, rdb.Set(ctx, campaignKey(senders[0], "spring"), "x", 0).Err())
		_, _, err = l.CampaignAmong(ctx, senders, "spring")
		require.Error(t, err, "what one sender cannot answer must not be taken for none")
	})
}
