// Package panics tells of a panic without telling what must not be told.
package panics

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"go.uber.org/zap"
)

// Fields describe a recovered panic for the log: what it was and where. The value itself may hold a message's text or a number, so only the
// runtime's own errors, which name types and indexes, are written out; of any other value its type is. Call it in the deferred function.
func Fields(value any) []zap.Field {
	text := fmt.Sprintf("a value of type %T", value)
	if err, ok := value.(runtime.Error); ok {
		text = err.Error()
	}
	return []zap.Field{zap.String("panic", text), zap.ByteString("stack", debug.Stack())}
}
