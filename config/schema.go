package config

import (
	"reflect"
	"regexp"
	"strings"
)

// key is one key of a struct: its name in the file and the field behind it.
type key struct {
	name  string
	value reflect.Value
}

// keysOf lists the keys of a struct in the order they are declared; squashed structs lend theirs, and fields tagged "-" have none.
func keysOf(v reflect.Value) []key {
	var keys []key
	for i := range v.NumField() {
		switch name := v.Type().Field(i).Tag.Get("koanf"); name {
		case "", "-":
		case ",squash":
			keys = append(keys, keysOf(v.Field(i))...)
		default:
			keys = append(keys, key{name, v.Field(i)})
		}
	}
	return keys
}

// names returns the keys' names.
func names(keys []key) []string {
	out := make([]string, len(keys))
	for i, k := range keys {
		out[i] = k.name
	}
	return out
}

// variable returns the environment variable of a key below another's: "GUPDISPATCH_SENDERS" and "my-shop" give
// "GUPDISPATCH_SENDERS_MY_SHOP".
func variable(parent, name string) string {
	return parent + "_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// join returns the path of a key below another's. A name as no key of ours has it is quoted.
func join(parent, name string) string {
	if !plainName.MatchString(name) {
		name = show(name)
	}
	if parent == "" {
		return name
	}
	return parent + "." + name
}
