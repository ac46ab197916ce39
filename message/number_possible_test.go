package message

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/nyaruka/phonenumbers"
	"github.com/stretchr/testify/require"
)

// What is remembered of lengths never changes an answer: the library is asked about the same numbers.
func TestPossibleAgreesWithTheLibrary(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1)) //nolint:gosec // any numbers will do
	for range 20_000 {
		var digits strings.Builder
		for range 5 + rnd.IntN(13) {
			digits.WriteByte(byte('0' + rnd.IntN(10)))
		}
		d := digits.String()
		if rnd.IntN(2) == 0 { // countries with prefixes of all kinds, and zeros behind the country
			d = []string{"91", "910", "44", "440", "521", "52", "54", "549", "55", "39", "390", "1", "11", "7", "78", "86", "960", "225", "372"}[rnd.IntN(19)] + d[3:]
		}
		number, err := phonenumbers.Parse("+"+d, "")
		require.Equal(t, err == nil && phonenumbers.IsPossibleNumber(number), possible(d), d)
	}
}
