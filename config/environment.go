package config

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// prefix begins the name of every variable that sets a key.
const prefix = "GUPDISPATCH"

// foreign are variables of our prefix that are nobody's mistake: the test suite's switch, and what Kubernetes injects for a Service whose
// name begins with ours (GUPDISPATCH_PORT_8080_TCP_ADDR, GUPDISPATCH_HTTP_SERVICE_HOST).
var foreign = regexp.MustCompile(`^GUPDISPATCH_(REQUIRE_REDIS|([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?))$`)

// setting is one key that the environment may set.
type setting struct {
	path  string
	value reflect.Value
}

// environment lists the variables that cfg's keys answer to. An element of a list is found by its name, which therefore cannot be set.
func environment(cfg *Config) map[string]setting {
	found := map[string]setting{}
	collect(found, "", prefix, reflect.ValueOf(cfg).Elem())
	return found
}

func collect(found map[string]setting, path, env string, v reflect.Value) {
	for _, k := range keysOf(v) {
		below, name := join(path, k.name), variable(env, k.name)
		switch {
		case isScalar(k.value):
			found[name] = setting{below, k.value}
		case k.value.Kind() == reflect.Struct:
			collect(found, below, name, k.value)
		case k.value.Kind() == reflect.Slice:
			for i := range k.value.Len() {
				item := k.value.Index(i)
				label := item.FieldByName("Name").String()
				if !nameRule.MatchString(label) {
					continue
				}
				collect(found, below+"["+label+"]", variable(name, label), item)
				delete(found, variable(variable(name, label), "name"))
			}
		}
	}
}

// overlay applies the variables of ours to cfg and returns which variable set which path.
func (d *decoder) overlay(cfg *Config, variables map[string]any) map[string]string {
	settings, named := environment(cfg), secretVariables(cfg)
	setBy := map[string]string{}
	for _, name := range sortedKeys(variables) {
		text, _ := variables[name].(string)
		known, ok := settings[name]
		code, isCode := strings.CutPrefix(name, variable(prefix, "codes")+"_")
		switch {
		case ok:
			d.text(name, known.value, text)
			setBy[known.path] = name
		case isCode && code != "":
			code = strings.ToLower(code) // codes are digits, or http_ and digits
			cfg.Codes = withEntry(cfg.Codes, code, text)
			setBy[join("codes", code)] = name
		case slices.Contains(named, name) || foreign.MatchString(name):
		default:
			d.problems.add(name, unknownVariable(name, settings), "is an environment variable that sets no known key")
		}
	}
	return setBy
}

func unknownVariable(name string, settings map[string]setting) string {
	known := slices.Sorted(maps.Keys(settings))
	if slices.Contains(known, name+"_ENV") {
		return "a secret is read from a variable that the file names: set " + name + "_ENV, or the key it stands for, to that variable's name"
	}
	if advice := suggest(name, known); strings.HasPrefix(advice, "did you mean") {
		return advice
	}
	return "unset it, or correct its name: GUPDISPATCH_<KEY>, or GUPDISPATCH_SENDERS_<NAME>_<KEY> for a sender the file lists"
}

func withEntry(m map[string]string, name, value string) map[string]string {
	m = maps.Clone(m)
	if m == nil {
		m = map[string]string{}
	}
	m[name] = value
	return m
}
