package message_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/message"
)

func TestNumberKey(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"5215512345678": "525512345678", "525512345678": "525512345678", // Mexico
		"5491112345678": "541112345678", "541112345678": "541112345678", // Argentina
		"5511987654321": "551187654321", "551187654321": "551187654321", // Brazil, mobile
		"551133334444": "551133334444", // Brazil, fixed
		"919876543210": "919876543210", "521": "521", "": "",
	} {
		require.Equal(t, want, message.NumberKey(given), given)
	}
}
