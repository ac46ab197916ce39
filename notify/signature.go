package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// SignatureHeader carries the signature of a posted event: "t=<unix seconds>,v1=<hex>", where v1 is the HMAC-SHA256, keyed
// with the shared secret, of the time as written in t, a dot, and the body as received.
const SignatureHeader = "X-Gupdispatch-Signature"

// DefaultTolerance is how old a signature may be when Verify is given no tolerance.
const DefaultTolerance = 5 * time.Minute

// What Verify finds wrong; ask with errors.Is.
var (
	ErrNoSecret          = errors.New("notify: the secret is empty")
	ErrNoSignature       = errors.New("notify: there is no " + SignatureHeader)
	ErrSignatureFormat   = errors.New("notify: the signature is not of the form t=<seconds>,v1=<hex>")
	ErrSignatureMismatch = errors.New("notify: the signature does not fit the body: another secret, or a changed body")
	ErrSignatureAge      = errors.New("notify: the signature was not made just now: repeated by somebody, or a wrong clock")
)

// Sign makes the value of SignatureHeader for a body posted at that time.
func Sign(secret string, body []byte, at time.Time) string {
	t := strconv.FormatInt(at.Unix(), 10)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac(secret, t, body))
}

// Verify tells whether a body was signed with the secret, at most tolerance before or after now. Zero tolerance means
// DefaultTolerance. Give it the value of SignatureHeader and the body exactly as it was received, before any decoding. Of
// several v1 in a signature one has to fit. While a secret is being changed, accept what either Verify accepts.
//
// The comparison takes a time that tells nothing about the right signature. A good signature says who sent the event, not
// that it is the first time: remember the event_id of what is done.
func Verify(secret, signature string, body []byte, tolerance time.Duration, now time.Time) error {
	switch {
	case secret == "":
		return ErrNoSecret // anybody could sign with it
	case strings.TrimSpace(signature) == "":
		return ErrNoSignature
	}
	at, candidates, err := parseSignature(signature)
	if err != nil {
		return err
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: t is no number of seconds", ErrSignatureFormat)
	}
	want, fits := mac(secret, at, body), false
	for _, c := range candidates {
		fits = hmac.Equal(c, want) || fits
	}
	if !fits {
		return ErrSignatureMismatch
	}
	if tolerance <= 0 {
		tolerance = DefaultTolerance
	}
	if now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return ErrSignatureAge
	}
	return nil
}

// parseSignature takes a header apart. Names it does not know are for later versions, and passed over.
func parseSignature(header string) (at string, v1 [][]byte, err error) {
	for part := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			if at != "" {
				return "", nil, fmt.Errorf("%w: t is there twice", ErrSignatureFormat)
			}
			at = value
		case "v1":
			sum, err := hex.DecodeString(value)
			if err != nil || len(sum) != sha256.Size {
				return "", nil, fmt.Errorf("%w: v1 is not %d hex digits", ErrSignatureFormat, 2*sha256.Size)
			}
			v1 = append(v1, sum)
		}
	}
	if at == "" || len(v1) == 0 {
		return "", nil, fmt.Errorf("%w: t or v1 is missing", ErrSignatureFormat)
	}
	return at, v1, nil
}

func mac(secret, at string, body []byte) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(at + "."))
	h.Write(body)
	return h.Sum(nil)
}
