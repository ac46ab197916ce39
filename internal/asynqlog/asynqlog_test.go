package asynqlog

import (
	"fmt"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

var _ asynq.Logger = (*Logger)(nil)

func TestOneLineOfAFormInTenSeconds(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.DebugLevel)
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	l := New(zap.New(core))
	l.now = func() time.Time { return now }
	said := func() (lines []string) {
		for _, e := range logs.TakeAll() {
			require.Equal(t, "asynq", e.Message)
			m := e.ContextMap()
			lines = append(lines, fmt.Sprint(m["text"], " ", m["more"]))
		}
		return lines
	}
	for i := range 40 { // four servers for ten seconds
		l.Error(fmt.Sprintf("Dequeue error: read tcp 127.0.0.1:%d: connection refused", 40000+i))
		l.Error("Failed to forward scheduled tasks: EOF")
		now = now.Add(240 * time.Millisecond)
	}
	require.Equal(t, []string{"Dequeue error: read tcp 127.0.0.1:40000: connection refused <nil>", "Failed to forward scheduled tasks: EOF <nil>"}, said())
	now = now.Add(time.Second)
	l.Error("Dequeue error: EOF")
	require.Equal(t, []string{"Dequeue error: EOF 39"}, said())

	l.Warn("Retry exhausted for task id=", "m-1:1")
	l.Debug("a")
	l.Info("b")
	require.Empty(t, said(), "our own events tell it")
}
