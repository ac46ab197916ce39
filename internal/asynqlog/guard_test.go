package asynqlog

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestAPanicTellsWhereAndNotWhat(t *testing.T) {
	t.Parallel()
	const secret = "Your code is 482913"
	var none []string
	for name, tc := range map[string]struct {
		panics func()
		want   string
	}{
		"text":  {func() { panic(secret) }, "a value of type string"},
		"error": {func() { panic(errors.New(secret)) }, "a value of type *errors.errorString"},
		"index": {func() { _ = none[len(secret)] }, "runtime error: index out of range [19] with length 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			core, logs := observer.New(zap.DebugLevel)
			err := Guard(zap.New(core), asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
				tc.panics()
				return nil
			})).ProcessTask(t.Context(), asynq.NewTask("message:send", nil))
			require.ErrorIs(t, err, errPanic)
			lines := logs.FilterMessage("handler.panic").All()
			require.Len(t, lines, 1)
			m := lines[0].ContextMap()
			require.Equal(t, tc.want, m["panic"])
			require.Contains(t, m["stack"], "TestAPanicTellsWhereAndNotWhat")
			require.NotContains(t, fmt.Sprint(m, err), secret)
		})
	}
	want := errors.New("as it is")
	require.Equal(t, want, Guard(zap.NewNop(), asynq.HandlerFunc(func(context.Context, *asynq.Task) error { return want })).ProcessTask(t.Context(), nil))
}
