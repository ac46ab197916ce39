package httpapi

import (
	"net/http"
	"net/netip"
	"strings"
)

// proxies are the reverse proxies whose forwarding headers are believed.
type proxies []netip.Prefix

func (p proxies) trusts(addr netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// ClientAddr returns a function that tells the address a request came from: the
// peer's, or, behind proxies that are trusted, the one they say. It is the zero
// Addr where there is none, as over a Unix socket.
func ClientAddr(trusted []netip.Prefix) func(*http.Request) netip.Addr {
	return proxies(trusted).client
}

// client returns the address a request came from: the peer's, or, behind
// trusted proxies, the last one in X-Forwarded-For that none of them has. What
// stands further left was written by the client and may be a lie.
func (p proxies) client(r *http.Request) netip.Addr {
	addr := peer(r)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(hops) - 1; i >= 0 && p.trusts(addr); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = hop.Unmap().WithZone("")
	}
	return addr
}

// secure reports whether the person's browser spoke TLS, to us or to a trusted
// proxy.
func (p proxies) secure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	return p.trusts(peer(r)) && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// peer is the address at the other end of the connection; the zero Addr if it
// has none, as over a Unix socket.
func peer(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}

// network is what logins are counted by: an IPv4 address, or the /64 an IPv6
// client can choose its addresses from.
func network(addr netip.Addr) string {
	if !addr.Is6() {
		return addr.String()
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return addr.String()
	}
	return prefix.String()
}
