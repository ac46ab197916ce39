package producer_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
)

func newProducer(t *testing.T, rdb redis.UniversalClient) (*producer.Producer, string) {
	t.Helper()
	sender := redistest.Sender()
	p, err := producer.New(producer.Config{Redis: rdb, Senders: []producer.Sender{{Name: sender, Region: "IN"}}})
	require.NoError(t, err)
	return p, sender
}

func order(sender, id string) message.Message {
	return message.Message{
		ID: id, Sender: sender, To: "+91 98765 43210",
		Content: gupshup.Content{Template: &gupshup.Template{ID: "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b", Params: []string{"Agent", "42"}}},
	}
}

func TestSendWritesTheRecordAndEnqueuesATaskWithoutTheBody(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		p, sender := newProducer(t, rdb)
		m := order(sender, "order-42")
		m.Metadata = map[string]string{"customer": "7"}
		r, err := p.Send(t.Context(), m)
		require.NoError(t, err)
		require.Equal(t, producer.Result{ID: "order-42", Status: message.Queued}, r)

		rec, err := ledger.New(rdb, ledger.Config{}).Get(t.Context(), sender, "order-42")
		require.NoError(t, err)
		require.Equal(t, "919876543210", rec.To)
		require.Equal(t, message.Default, rec.Priority)
		require.Equal(t, m.Metadata, rec.Metadata)
		require.Equal(t, m.Content, rec.Content)

		info, err := asynq.NewInspectorFromRedisClient(rdb).GetTaskInfo(message.Queue(sender, message.Default), "order-42:1")
		require.NoError(t, err)
		require.Equal(t, asynq.TaskStatePending, info.State)
		require.Equal(t, message.TaskMaxRetry, info.MaxRetry)
		require.NotContains(t, string(info.Payload), "9876543", "the web UI shows payloads")
		require.NotContains(t, string(info.Payload), "Agent")
	})
}

func TestSendingAgainReturnsWhatExists(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		p, sender := newProducer(t, rdb)
		_, err := p.Send(t.Context(), order(sender, "a"))
		require.NoError(t, err)
		again := order(sender, "a")
		again.To = "0 98765 43210" // the same number, as people at home write it
		r, err := p.Send(t.Context(), again)
		require.NoError(t, err)
		require.True(t, r.Existing)

		other := order(sender, "a")
		other.Content.Template.Params[1] = "43"
		_, err = p.Send(t.Context(), other)
		var conflict *producer.ConflictError
		require.ErrorAs(t, err, &conflict)
		require.Equal(t, message.Queued, conflict.Status)
	})
}

func TestATaskThatWasNeverEnqueuedIsEnqueuedByTheRepeat(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		p, sender := newProducer(t, rdb)
		m := order(sender, "a")
		require.NoError(t, m.Normalise("IN", time.Now()))
		_, errs := ledger.New(rdb, ledger.Config{}).Accept(t.Context(), []message.Message{m})
		require.NoError(t, errs[0])
		_, err := p.Send(t.Context(), order(sender, "a"))
		require.NoError(t, err)
		_, err = asynq.NewInspectorFromRedisClient(rdb).GetTaskInfo(message.Queue(sender, message.Default), "a:1")
		require.NoError(t, err)
	})
}

func TestWhatIsForLaterHasNoTaskYet(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		p, sender := newProducer(t, rdb)
		m := order(sender, "a")
		m.SendAt = time.Now().Add(time.Hour)
		_, err := p.Send(t.Context(), m)
		require.NoError(t, err)
		_, err = asynq.NewInspectorFromRedisClient(rdb).GetTaskInfo(message.Queue(sender, message.Default), "a:1")
		require.Error(t, err)
	})
}

func TestEveryWrongFieldIsNamed(t *testing.T) {
	t.Parallel()
	p, sender := newProducer(t, redistest.Embedded(t))
	good := func() message.Message { return order(sender, "a") }
	cases := map[string]struct {
		break_ func(m *message.Message)
		fields []string
	}{
		"id":           {func(m *message.Message) { m.ID = "a b" }, []string{"id"}},
		"long id":      {func(m *message.Message) { m.ID = strings.Repeat("x", 65) }, []string{"id"}},
		"no sender":    {func(m *message.Message) { m.Sender = "" }, []string{"sender"}},
		"wrong sender": {func(m *message.Message) { m.Sender = "nobody" }, []string{"sender"}},
		"number":       {func(m *message.Message) { m.To = "12" }, []string{"to"}},
		"letters":      {func(m *message.Message) { m.To = "98765abcde" }, []string{"to"}},
		"priority":     {func(m *message.Message) { m.Priority = "urgent" }, []string{"priority"}},
		"doubt":        {func(m *message.Message) { m.OnInDoubt = "maybe" }, []string{"on_in_doubt"}},
		"past":         {func(m *message.Message) { m.ExpiresAt = time.Now().Add(-time.Hour) }, []string{"expires_at"}},
		"before": {func(m *message.Message) {
			m.SendAt, m.ExpiresAt = time.Now().Add(2*time.Hour), time.Now().Add(time.Hour)
		}, []string{"expires_at"}},
		"metadata": {func(m *message.Message) { m.Metadata = map[string]string{"k": strings.Repeat("v", 2000)} }, []string{"metadata"}},
		"template": {func(m *message.Message) { m.Content.Template.ID = "order_update" }, []string{"template.id"}},
		"params":   {func(m *message.Message) { m.Content.Template.Params = []string{"a\nb"} }, []string{"template.params[0]"}},
		"nothing":  {func(m *message.Message) { m.Content = gupshup.Content{} }, nil},
		"several":  {func(m *message.Message) { m.ID, m.To, m.Priority = "!", "x", "x" }, []string{"id", "to", "priority"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := good()
			c.break_(&m)
			_, err := p.Send(t.Context(), m)
			var problems gupshup.FieldErrors
			require.ErrorAs(t, err, &problems)
			var fields []string
			for _, f := range problems {
				fields = append(fields, f.Field)
				require.NotContains(t, f.Problem, "98765", "no number in an error")
			}
			for _, f := range c.fields {
				require.Contains(t, fields, f)
			}
		})
	}
}

func TestABatchIsTakenInChunksAndAnsweredInOrder(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		p, sender := newProducer(t, rdb)
		ms := make([]message.Message, 1203)
		for i := range ms {
			ms[i] = order(sender, fmt.Sprintf("m%d", i))
		}
		ms[700].To = "not a number"
		ms[1100].ID = ""
		results := p.SendBatch(t.Context(), ms)
		for i, r := range results {
			switch i {
			case 700:
				require.Error(t, r.Err)
			case 1100:
				require.NoError(t, r.Err)
				require.Len(t, r.ID, 26)
			default:
				require.NoError(t, r.Err)
				require.Equal(t, fmt.Sprintf("m%d", i), r.ID)
			}
		}
		d, err := ledger.New(rdb, ledger.Config{}).AuditDeep(t.Context(), sender)
		require.NoError(t, err)
		require.True(t, d.Balanced(), d.Problems)
		require.EqualValues(t, 1202, d.Accepted)
		info, err := asynq.NewInspectorFromRedisClient(rdb).GetQueueInfo(message.Queue(sender, message.Default))
		require.NoError(t, err)
		require.Equal(t, 1202, info.Pending)
	})
}

func TestWithoutRedisNothingIsCalledAccepted(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1, DialTimeout: time.Second})
	t.Cleanup(func() { _ = rdb.Close() })
	p, sender := newProducer(t, rdb)
	_, err := p.Send(context.Background(), order(sender, "a"))
	require.ErrorContains(t, err, "send it again with the same id")
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	_, err := producer.New(producer.Config{})
	require.ErrorContains(t, err, "Redis")
	_, err = producer.New(producer.Config{Redis: redistest.Embedded(t)})
	require.ErrorContains(t, err, "senders")
}
