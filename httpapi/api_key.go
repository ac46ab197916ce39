package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// APIKey is a program that may use the REST API.
type APIKey struct {
	Name   string // appears in logs
	Key    string // the bearer token
	Reveal bool   // it may ask for unmasked phone numbers
}

// String leaves the key out.
func (k APIKey) String() string { return "API key " + k.Name }

// GoString leaves the key out, too.
func (k APIKey) GoString() string { return k.String() }

// hashedKey is a key that can be recognised, but not told.
type hashedKey struct {
	called string
	reveal bool
	sum    [sha256.Size]byte
}

// name is the key's, "" for none.
func (k *hashedKey) name() string {
	if k == nil {
		return ""
	}
	return k.called
}

type keyring []*hashedKey

func newKeyring(keys []APIKey) (keyring, error) {
	var ring keyring
	var problems []error
	names := map[string]bool{}
	for i, k := range keys {
		switch {
		case k.Name == "":
			problems = append(problems, fmt.Errorf("http.api_keys[%d]: the name is empty", i))
		case k.Key == "":
			problems = append(problems, fmt.Errorf("http.api_keys[%s]: the key is empty", k.Name))
		case names[k.Name]:
			problems = append(problems, fmt.Errorf("http.api_keys[%s]: the name is given twice", k.Name))
		}
		names[k.Name] = true
		ring = append(ring, &hashedKey{called: k.Name, reveal: k.Reveal, sum: sha256.Sum256([]byte(k.Key))})
	}
	return ring, errors.Join(problems...)
}

// find returns the key that a token is, or nil. It looks at all keys, and at each for the same time.
func (ring keyring) find(token string) (found *hashedKey) {
	sum := sha256.Sum256([]byte(token))
	for _, k := range ring {
		if subtle.ConstantTimeCompare(sum[:], k.sum[:]) == 1 {
			found = k
		}
	}
	return found
}

// authenticate returns the request's key, or the problem with it.
func (ring keyring) authenticate(r *http.Request) (*hashedKey, *problem) {
	refuse := func(detail string) *problem {
		return newProblem(http.StatusUnauthorized, detail).header("WWW-Authenticate", `Bearer realm="gupdispatch"`)
	}
	if len(ring) == 0 {
		return nil, refuse("no API keys are configured: add one to http.api_keys")
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") || token == "" {
		return nil, refuse("send an API key in the header Authorization: Bearer …")
	}
	key := ring.find(token)
	if key == nil {
		return nil, refuse("this API key is not known")
	}
	return key, nil
}
