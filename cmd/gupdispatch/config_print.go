package main

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/gupdispatch/gupdispatch/config"
)

// effective is the configuration as YAML with the keys of the file, in their order. Secrets print as [redacted] by their own type,
// and those that come from variables have no key at all; of redis.url only the password is hidden.
func effective(cfg *config.Config) *yaml.Node {
	shown := *cfg
	shown.Redis.URL = config.Secret{}
	shown.Alerts.URL = withoutQuery(cfg.Alerts.URL)
	shown.Senders = slices.Clone(cfg.Senders)
	for i := range shown.Senders {
		shown.Senders[i].NotifyURL = withoutQuery(shown.Senders[i].NotifyURL)
	}
	node := toYAML(reflect.ValueOf(shown))
	setKey(setKey(node, "redis", nil), "url", text(cfg.Redis.Address()))
	return node
}

// withoutQuery hides a URL's query, where applications keep tokens.
func withoutQuery(url string) string {
	if before, _, found := strings.Cut(url, "?"); found {
		return before + "?[redacted]"
	}
	return url
}

// setKey returns the value of a key of a mapping, after replacing it if one is given.
func setKey(mapping *yaml.Node, key string, value *yaml.Node) *yaml.Node {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			if value != nil {
				mapping.Content[i+1] = value
			}
			return mapping.Content[i+1]
		}
	}
	return nil
}

func toYAML(v reflect.Value) *yaml.Node {
	if d, ok := v.Interface().(time.Duration); ok {
		return plain(d.String())
	}
	if m, ok := v.Interface().(encoding.TextMarshaler); ok {
		b, _ := m.MarshalText() // of Secret and Pumps, which never fail
		return text(string(b))
	}
	switch v.Kind() {
	case reflect.Struct:
		node := &yaml.Node{Kind: yaml.MappingNode}
		addKeys(node, v)
		return node
	case reflect.Slice:
		node := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.Len() {
			node.Content = append(node.Content, toYAML(v.Index(i)))
		}
		return node
	case reflect.String:
		return text(v.String())
	case reflect.Float64:
		return plain(strconv.FormatFloat(v.Float(), 'g', -1, 64))
	case reflect.Map:
		node := &yaml.Node{}
		_ = node.Encode(v.Interface()) // strings to strings, sorted
		return node
	}
	return plain(fmt.Sprint(v.Interface()))
}

// addKeys adds the keys of a struct: config's tags name them, as they do for the decoder.
func addKeys(node *yaml.Node, v reflect.Value) {
	for i := range v.NumField() {
		switch name := v.Type().Field(i).Tag.Get("koanf"); name {
		case "", "-":
		case ",squash":
			addKeys(node, v.Field(i))
		default:
			node.Content = append(node.Content, plain(name), toYAML(v.Field(i)))
		}
	}
}

// text is a string, quoted where YAML would take it for something else.
func text(s string) *yaml.Node {
	node := &yaml.Node{}
	_ = node.Encode(s)
	return node
}

// plain is a scalar that says by itself what it is.
func plain(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: s} }
