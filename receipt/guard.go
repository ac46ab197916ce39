package receipt

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/netip"
	"sync/atomic"
	"time"
)

// guard is what keeps strangers from a sender's callbacks. The zero guard, an unknown sender's, lets nobody in.
type guard struct {
	token token
	allow []netip.Prefix
}

func guards(senders []Sender) map[string]guard {
	all := make(map[string]guard, len(senders))
	for _, s := range senders {
		all[s.Name] = guard{token: newToken(s.Token), allow: s.Allow}
	}
	return all
}

// admits tells whether callbacks may come from an address. One that is not known, as over a Unix socket, is in no network.
func (g guard) admits(client netip.Addr) bool {
	if len(g.allow) == 0 {
		return true
	}
	for _, prefix := range g.allow {
		if prefix.Contains(client) {
			return true
		}
	}
	return false
}

// token is a secret kept by its hash, which all have one length: comparing takes the same time for every guess.
type token struct {
	sum [sha256.Size]byte
	set bool
}

func newToken(secret string) token {
	return token{sum: sha256.Sum256([]byte(secret)), set: secret != ""}
}

// matches does the same work whether or not the token is set; one that is not matches nothing.
func (t token) matches(given string) bool {
	sum := sha256.Sum256([]byte(given))
	return subtle.ConstantTimeCompare(sum[:], t.sum[:]) == 1 && t.set
}

// rarely is a limit on log lines: one a second.
type rarely struct{ last atomic.Int64 }

// now tells whether a line may be written at that time.
func (r *rarely) now(t time.Time) bool {
	last := r.last.Load()
	return t.Unix() > last && r.last.CompareAndSwap(last, t.Unix())
}
