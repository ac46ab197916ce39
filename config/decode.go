package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"time"
)

// decoder fills a Config from parsed YAML. Unlike a lenient decoder it converts nothing: a number where text is wanted would lose
// its leading zeros in silence.
type decoder struct{ problems Problems }

// decode sets target to what the file says at path. Nothing at all ("key:" with no value) keeps the default.
func (d *decoder) decode(path string, target reflect.Value, in any) {
	if in == nil {
		return
	}
	if list, ok := target.Addr().Interface().(textList); ok {
		d.texts(path, list, in)
		return
	}
	if isScalar(target) {
		d.scalar(path, target, in)
		return
	}
	switch target.Kind() {
	case reflect.Struct:
		d.object(path, target, in)
	case reflect.Slice:
		d.list(path, target, in)
	default:
		d.table(path, target, in)
	}
}

// isScalar tells values that a single text can set from structs, lists and maps.
func isScalar(v reflect.Value) bool {
	if _, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return true
	}
	switch v.Kind() {
	case reflect.Struct, reflect.Slice, reflect.Map:
		return false
	}
	return true
}

func (d *decoder) object(path string, target reflect.Value, in any) {
	entries, ok := asMap(in)
	if !ok {
		d.problems.add(path, "write its keys below it, indented", "is %s and not a group of keys", kindOf(in))
		return
	}
	keys := keysOf(target)
	for _, k := range keys {
		d.decode(join(path, k.name), k.value, entries[k.name])
		delete(entries, k.name)
	}
	for _, name := range sortedKeys(entries) {
		what, fix := unknown(name, names(keys))
		d.problems.add(join(path, name), fix, "%s", what)
	}
}

// unknown says what is wrong with a key or variable that does not exist among the known ones.
func unknown(name string, known []string) (what, fix string) {
	if slices.Contains(known, name+"_env") {
		return "a secret is never written into the configuration, where backups, logs and colleagues find it",
			"put it into an environment variable and name that variable with " + name + "_env"
	}
	return "is not a known key", suggest(name, known)
}

// list decodes a list of things with names. Problems call an element by its name, and by its place when it has none.
func (d *decoder) list(path string, target reflect.Value, in any) {
	items, ok := in.([]any)
	if !ok {
		d.problems.add(path, `write each entry below it, beginning with "- name:"`, "is %s and not a list", kindOf(in))
		return
	}
	out := reflect.MakeSlice(target.Type(), len(items), len(items))
	for i, item := range items {
		if s, ok := out.Index(i).Addr().Interface().(interface{ setDefaults() }); ok {
			s.setDefaults()
		}
		label := strconv.Itoa(i)
		if entries, ok := asMap(item); ok {
			if name, ok := entries["name"].(string); ok && nameRule.MatchString(name) {
				label = name
			}
		}
		d.object(path+"["+label+"]", out.Index(i), item)
	}
	target.Set(out)
}

func (d *decoder) table(path string, target reflect.Value, in any) {
	entries, ok := asMap(in)
	if !ok {
		d.problems.add(path, `write its entries below it, as "key: value"`, "is %s and not a table", kindOf(in))
		return
	}
	out := map[string]string{}
	for _, name := range sortedKeys(entries) {
		text, ok := entries[name].(string)
		if !ok {
			d.problems.add(join(path, name), "write a name", "is %s and not text", kindOf(entries[name]))
			continue
		}
		out[name] = text
	}
	target.Set(reflect.ValueOf(out))
}

// scalar sets one value. Durations and the types that read themselves take text, and for convenience bare whole numbers.
func (d *decoder) scalar(path string, target reflect.Value, in any) {
	text, isText := in.(string)
	number, isInt := in.(int)
	switch _, readsText := target.Addr().Interface().(encoding.TextUnmarshaler); {
	case isText && (readsText || target.Kind() == reflect.String || target.Type() == reflect.TypeFor[time.Duration]()):
		d.text(path, target, text)
	case isInt && (readsText || target.Type() == reflect.TypeFor[time.Duration]()):
		d.text(path, target, strconv.Itoa(number))
	case isInt && target.Kind() == reflect.Int:
		target.SetInt(int64(number))
	case isInt && target.Kind() == reflect.Float64:
		target.SetFloat(float64(number))
	case reflect.TypeOf(in).Kind() == target.Kind() && (target.Kind() == reflect.Float64 || target.Kind() == reflect.Bool):
		target.Set(reflect.ValueOf(in))
	default:
		want, fix := wanted(target)
		d.problems.add(path, fix, "is %s and not %s", kindOf(in), want)
	}
}

// text sets one value from text, as environment variables do.
func (d *decoder) text(path string, target reflect.Value, text string) {
	var err error
	switch to := target.Addr().Interface().(type) {
	case encoding.TextUnmarshaler:
		if err = to.UnmarshalText([]byte(text)); err != nil {
			d.problems.add(path, "write one of these", "%v", err)
		}
		return
	case *string:
		*to = text
	case *time.Duration:
		*to, err = ParseDuration(text)
	case *int:
		*to, err = strconv.Atoi(text)
	case *float64:
		*to, err = strconv.ParseFloat(text, 64)
	case *bool:
		*to, err = strconv.ParseBool(text)
	default:
		err = fmt.Errorf("a field of type %T cannot be set from text", to)
	}
	if err != nil {
		want, fix := wanted(target)
		d.problems.add(path, fix, "%s is not %s", show(text), want)
	}
}

// wanted names the kind of value a field takes, and how to write one.
func wanted(v reflect.Value) (want, fix string) {
	if v.Type() == reflect.TypeFor[time.Duration]() {
		return "a duration", "write a number with its unit, such as 500ms, 10s, 5m, 24h or 7d"
	}
	switch v.Kind() {
	case reflect.Int:
		return "a whole number", "write digits without quotes"
	case reflect.Float64:
		return "a number", "write digits without quotes, such as 20 or 0.5"
	case reflect.Bool:
		return "true or false", "write true or false without quotes"
	}
	return "text", "write one value in quotes"
}
