package config

import (
	"encoding"
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// textList is a list of texts. In the file it is a YAML list, in a variable its elements are joined by commas.
type textList interface {
	encoding.TextUnmarshaler
	add(text string) error
	example() string
}

// texts decodes a YAML list; a single text is read as a variable's would be.
func (d *decoder) texts(path string, target textList, in any) {
	_ = target.UnmarshalText(nil)
	items, ok := in.([]any)
	if !ok {
		items = []any{in}
	}
	for _, item := range items {
		text, ok := item.(string)
		if !ok {
			d.problems.add(path, "write "+target.example(), "holds %s and not text", kindOf(item))
			continue
		}
		if err := eachText([]byte(text), target.add); err != nil {
			d.problems.add(path, "write one of these", "%v", err)
		}
	}
}

// eachText hands out the elements of a list that is one text.
func eachText(list []byte, add func(string) error) error {
	for _, one := range strings.FieldsFunc(string(list), func(r rune) bool { return r == ',' || r == ' ' }) {
		if err := add(one); err != nil {
			return err
		}
	}
	return nil
}

// Addresses is a list of host:port, in the file a YAML list, in a variable joined by commas.
type Addresses []string

// UnmarshalText reads "10.0.0.1:26379, sentinel-2:26379"; an empty text is no address at all.
func (a *Addresses) UnmarshalText(text []byte) error {
	*a = nil
	return eachText(text, a.add)
}

func (a *Addresses) add(text string) error {
	host, port, err := net.SplitHostPort(text)
	if n, e := strconv.Atoi(port); err != nil || e != nil || host == "" || n < 1 || n > 65535 {
		return fmt.Errorf("%s is not an address (redis-1:6379, 10.0.0.1:26379)", show(text))
	}
	*a = append(*a, text)
	return nil
}

func (*Addresses) example() string { return `addresses, such as ["redis-1:6379", "redis-2:6379"]` }

// String returns the elements joined by commas, as UnmarshalText reads them.
func (a Addresses) String() string { return strings.Join(a, ", ") }

// MarshalText is the inverse of UnmarshalText.
func (a Addresses) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// MarshalJSON returns the same as a JSON string.
func (a Addresses) MarshalJSON() ([]byte, error) { return json.Marshal(a.String()) }
