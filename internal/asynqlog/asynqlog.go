// Package asynqlog lets asynq's servers write into our log: as events like ours, and no more of them than tell something.
package asynqlog

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// every is how often a line of one form is written. While Redis is away each server has one several times a second.
const every = 10 * time.Second

// known are what lines begin with that our own events tell better: a dead letter is "message.attempted" or "message.decided", a panic
// "handler.panic", and a post "notify.archived".
var known = []string{"Retry exhausted for task id"}

// Logger implements asynq.Logger, for any number of servers. Debug and Info are dropped; of Warn and Error, which asynq does not
// tell apart by what they mean, each form comes once in ten seconds, with how many more there were. It is safe for concurrent use.
type Logger struct {
	log *zap.Logger
	now func() time.Time

	mu    sync.Mutex
	forms map[string]*form
}

// form is what lines have in common that differ in ids and addresses only.
type form struct {
	last time.Time
	more int
}

// New makes a logger that writes the event "asynq".
func New(log *zap.Logger) *Logger { return &Logger{log: log, now: time.Now, forms: map[string]*form{}} }

// Debug implements asynq.Logger.
func (l *Logger) Debug(...any) {}

// Info implements asynq.Logger.
func (l *Logger) Info(...any) {}

// Warn implements asynq.Logger.
func (l *Logger) Warn(args ...any) { l.write(zapcore.WarnLevel, fmt.Sprint(args...)) }

// Error implements asynq.Logger.
func (l *Logger) Error(args ...any) { l.write(zapcore.WarnLevel, fmt.Sprint(args...)) }

// Fatal implements asynq.Logger. asynq calls it only in Run, which we do not use; it does not end the process.
func (l *Logger) Fatal(args ...any) { l.write(zapcore.ErrorLevel, fmt.Sprint(args...)) }

func (l *Logger) write(level zapcore.Level, text string) {
	for _, begin := range known {
		if strings.HasPrefix(text, begin) {
			return
		}
	}
	more, due := l.due(formOf(text))
	if !due {
		return
	}
	fields := []zap.Field{zap.String("text", text)}
	if more > 0 {
		fields = append(fields, zap.Int("more", more))
	}
	l.log.Log(level, "asynq", fields...)
}

// due says whether a line of that form may be written now, and how many were not since the last one.
func (l *Logger) due(name string) (more int, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, now := l.forms[name], l.now()
	switch {
	case f == nil:
		if len(l.forms) >= 100 { // never seen; forms are few
			clear(l.forms)
		}
		l.forms[name] = &form{last: now}
		return 0, true
	case now.Sub(f.last) < every:
		f.more++
		return 0, false
	}
	more = f.more
	f.last, f.more = now, 0
	return more, true
}

// formOf is a line up to where ids, queues or an error begin.
func formOf(text string) string {
	if end := strings.IndexAny(text, ":=[\""); end > 0 {
		return text[:end]
	}
	return text
}
