package config

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
)

// Networks is a list of networks and single addresses. In the file it is a YAML list, in a variable its elements are joined by commas.
type Networks []netip.Prefix

// UnmarshalText reads "192.0.2.7, 198.51.100.0/24"; an empty text is no network at all.
func (n *Networks) UnmarshalText(text []byte) error {
	*n = nil
	return eachText(text, n.add)
}

func (n *Networks) add(text string) error {
	prefix, err := network(text)
	if err == nil {
		*n = append(*n, prefix)
	}
	return err
}

func (*Networks) example() string { return `addresses and networks, such as ["192.0.2.0/24"]` }

// network reads a network, or an address, which is a network of one. An address in a network that leaves bits for its hosts is
// refused: 192.0.2.7/24 says two things at once.
func network(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil || prefix.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%s is neither an address (192.0.2.7) nor a network (192.0.2.0/24, 2001:db8::/32)", show(text))
	case prefix != prefix.Masked():
		return netip.Prefix{}, fmt.Errorf("%s is an address within a network, and neither an address (%s) nor a network (%s)", show(text), prefix.Addr(), prefix.Masked())
	}
	return prefix, nil
}

// String returns the elements joined by commas, as UnmarshalText reads them.
func (n Networks) String() string {
	all := make([]string, len(n))
	for i, p := range n {
		if all[i] = p.String(); p.IsSingleIP() {
			all[i] = p.Addr().String()
		}
	}
	return strings.Join(all, ", ")
}

// MarshalText is the inverse of UnmarshalText.
func (n Networks) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// MarshalJSON returns the same as a JSON string.
func (n Networks) MarshalJSON() ([]byte, error) { return json.Marshal(n.String()) }
