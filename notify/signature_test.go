package notify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/notify"
)

var signedAt = time.Unix(1_700_000_000, 0)

func TestVerify(t *testing.T) {
	t.Parallel()
	const secret, body = "whsec-1", `{"event_id":"1-0"}`
	good := notify.Sign(secret, []byte(body), signedAt)
	v1 := good[strings.Index(good, "v1="):]
	other := notify.Sign("another", []byte(body), signedAt)
	otherV1 := other[strings.Index(other, "v1="):]
	tests := []struct {
		name      string
		secret    string
		header    string
		body      string
		tolerance time.Duration
		now       time.Time
		want      error
	}{
		{"as signed", secret, good, body, time.Minute, signedAt, nil},
		{"at the edge of the tolerance", secret, good, body, time.Minute, signedAt.Add(time.Minute), nil},
		{"the receiver's clock is behind", secret, good, body, time.Minute, signedAt.Add(-time.Minute), nil},
		{"default tolerance", secret, good, body, 0, signedAt.Add(notify.DefaultTolerance), nil},
		{"two signatures, the second fits", secret, "t=1700000000," + otherV1 + "," + v1, body, time.Minute, signedAt, nil},
		{"two signatures, the first fits", secret, "t=1700000000," + v1 + "," + otherV1, body, time.Minute, signedAt, nil},
		{"another order, with spaces and a version of the future", secret, v1 + ", v2=abc, t=1700000000", body, time.Minute, signedAt, nil},

		{"no secret", "", notify.Sign("", []byte(body), signedAt), body, time.Minute, signedAt, notify.ErrNoSecret},
		{"no header", secret, "", body, time.Minute, signedAt, notify.ErrNoSignature},
		{"blank header", secret, " ", body, time.Minute, signedAt, notify.ErrNoSignature},
		{"no form at all", secret, "abc", body, time.Minute, signedAt, notify.ErrSignatureFormat},
		{"no time", secret, v1, body, time.Minute, signedAt, notify.ErrSignatureFormat},
		{"no signature", secret, "t=1700000000", body, time.Minute, signedAt, notify.ErrSignatureFormat},
		{"two times", secret, "t=1," + good, body, time.Minute, signedAt, notify.ErrSignatureFormat},
		{"time is no number", secret, "t=now," + v1, body, time.Minute, signedAt, notify.ErrSignatureFormat},
		{"signature is cut", secret, good[:len(good)-2], body, time.Minute, signedAt, notify.ErrSignatureFormat},
		{"another secret", "whsec-2", good, body, time.Minute, signedAt, notify.ErrSignatureMismatch},
		{"another body", secret, good, body + " ", time.Minute, signedAt, notify.ErrSignatureMismatch},
		{"another time", secret, "t=1700000001," + v1, body, time.Minute, signedAt, notify.ErrSignatureMismatch},
		{"too old", secret, good, body, time.Minute, signedAt.Add(61 * time.Second), notify.ErrSignatureAge},
		{"from the future", secret, good, body, time.Minute, signedAt.Add(-61 * time.Second), notify.ErrSignatureAge},
		{"default tolerance is over", secret, good, body, 0, signedAt.Add(notify.DefaultTolerance + time.Second), notify.ErrSignatureAge},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := notify.Verify(test.secret, test.header, []byte(test.body), test.tolerance, test.now)
			require.ErrorIs(t, err, test.want)
			if err != nil {
				require.NotContains(t, err.Error(), "whsec")
			}
		})
	}
}

// A vector that was computed with another implementation: printf '1700000000.{}' | openssl dgst -sha256 -hmac whsec-1.
func TestSignIsPlainHMAC(t *testing.T) {
	t.Parallel()
	require.Equal(t, "t=1700000000,v1=9a02b97a34774b5ad65d6902d5d30b6ca57e781e0dbf55cb22f86a49a38f664d", notify.Sign("whsec-1", []byte("{}"), signedAt))
}

func FuzzVerify(f *testing.F) {
	f.Add("t=1700000000,v1=00", []byte("{}"))
	f.Add(notify.Sign("s", []byte("{}"), signedAt), []byte("{}"))
	f.Add("t=-9223372036854775808,v1=", []byte(nil))
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		err := notify.Verify("a secret that the fuzzer does not know", header, body, time.Hour, signedAt)
		require.Error(t, err)
		good := notify.Sign("k", body, signedAt)
		require.NoError(t, notify.Verify("k", good, body, time.Second, signedAt))
		require.Error(t, notify.Verify("k", header+good, append(body, 'x'), time.Second, signedAt))
	})
}
