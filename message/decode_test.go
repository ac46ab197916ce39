package message_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/message"
)

func TestDecodingErrorsNameTheField(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"to":919876543210}`:                        "to: must be a string, in quotes",
		`{"priority":1}`:                             "priority: must be a string, in quotes",
		`{"metadata":"x"}`:                           "metadata: must be an object",
		`{"metadata":{"a":1}}`:                       "metadata: must be a string, in quotes",
		`{"colour":"red"}`:                           "colour: is not a known field",
		`{"send_at":"tomorrow"}`:                     "send_at: must be a time such as 2026-01-31T18:00:00Z",
		`{"send_at":"","expires_at":"919876543210"}`: "send_at: must be a time such as 2026-01-31T18:00:00Z; expires_at: must be a time such as 2026-01-31T18:00:00Z",
		`{"send_at":1767225600000}`:                  "send_at: must be a time",
		`{"message":{"type":"fax"}}`:                 "message.type: must be one of",
	} {
		var m message.Message
		err := json.Unmarshal([]byte(raw), &m)
		var fields gupshup.FieldErrors
		require.ErrorAs(t, err, &fields, raw)
		require.Contains(t, err.Error(), want)
		require.NotContains(t, err.Error(), "919876543210")
	}
}
