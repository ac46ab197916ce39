package asynqlog

import (
	"context"
	"errors"

	"github.com/hibiken/asynq"
	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/internal/panics"
)

// errPanic is what asynq, and with it the web UI, is told of a panic.
var errPanic = errors.New("the handler panicked: see handler.panic in the log")

// Guard catches the panics of a handler before asynq does, which would write their value into Redis and show it in the web UI.
func Guard(log *zap.Logger, h asynq.Handler) asynq.Handler {
	return asynq.HandlerFunc(func(ctx context.Context, t *asynq.Task) (err error) {
		defer func() {
			if value := recover(); value != nil {
				id, _ := asynq.GetTaskID(ctx)
				log.Error("handler.panic", append(panics.Fields(value), zap.String("task", id))...)
				err = errPanic
			}
		}()
		return h.ProcessTask(ctx, t)
	})
}
