package main

import (
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gupdispatch/gupdispatch/config"
)

// newLog makes the log of a long-running command.
func newLog(c config.Log, w io.Writer) *zap.Logger {
	level, err := zapcore.ParseLevel(c.Level)
	if err != nil {
		level = zapcore.InfoLevel // config.Validate has refused anything else
	}
	format := zap.NewProductionEncoderConfig()
	format.TimeKey, format.MessageKey = "time", "event"
	format.EncodeDuration = zapcore.StringDurationEncoder
	format.EncodeTime = func(t time.Time, enc zapcore.PrimitiveArrayEncoder) { enc.AppendString(stamp(t).String()) }
	encoder := zapcore.NewJSONEncoder(format)
	if c.Format == "console" {
		format.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(format)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.AddSync(w), level))
}
