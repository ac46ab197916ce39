package config

import (
	"errors"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
)

// DefaultPath is the file that Load looks for when it is given none.
const DefaultPath = "gupdispatch.yaml"

// Load reads the configuration from the defaults, the file at path and environ ("NAME=value" entries, as os.Environ returns them), and
// validates it. Without a path it reads gupdispatch.yaml in the working directory if there is one. Every problem is reported at once, as
// Problems; the configuration is nil then. Secrets that are not set are no problem yet: see CheckSenderKeys, CheckHTTPSecrets and CheckNotifySecrets.
func Load(path string, environ []string) (*Config, error) {
	data, err := read(path)
	if err != nil {
		return nil, Problems{{Key: path, What: "cannot be read: " + reason(err), Fix: "correct the path or the file's permissions"}}
	}
	if path == "" {
		path = DefaultPath
	}
	return parse(path, data, environ)
}

// read returns nothing for the default file when it does not exist; a file that was asked for must be there.
func read(path string) ([]byte, error) {
	if path != "" {
		return os.ReadFile(path)
	}
	data, err := os.ReadFile(DefaultPath)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// reason drops the path that the key of the problem names already.
func reason(err error) string {
	if e := new(fs.PathError); errors.As(err, &e) {
		return e.Err.Error()
	}
	return err.Error()
}

// parse builds the configuration from the file's content and the environment.
func parse(path string, data []byte, environ []string) (*Config, error) {
	file := koanf.New(".")
	if err := file.Load(rawbytes.Provider(data), oneDocument{}); err != nil {
		return nil, Problems{{Key: path, What: err.Error(), Fix: "correct the YAML"}}
	}
	variables, err := env.Provider("", env.Opt{Prefix: prefix + "_", EnvironFunc: func() []string { return environ }}).Read()
	if err != nil {
		return nil, Problems{{Key: "environment", What: err.Error(), Fix: "correct the variable"}}
	}

	cfg, d := Default(), &decoder{}
	d.decode("", reflect.ValueOf(&cfg).Elem(), file.Raw())
	setBy := d.overlay(&cfg, variables)
	for i := range cfg.Senders { // so that joining it with a path gives one slash
		cfg.Senders[i].BaseURL = strings.TrimRight(cfg.Senders[i].BaseURL, "/")
	}
	cfg.resolve(environ)
	if err := d.withValidation(&cfg, setBy); err != nil {
		return nil, err
	}
	return &cfg, nil
}

// withValidation adds what Validate finds to what decoding found, except about keys that could not be decoded and what lies below them. A
// value that came from a variable is called by both names.
func (d *decoder) withValidation(cfg *Config, setBy map[string]string) error {
	var found Problems
	undecoded := d.problems
	_ = errors.As(cfg.Validate(), &found)
	for _, p := range found {
		name := setBy[p.Key]
		if slices.ContainsFunc(undecoded, func(q Problem) bool {
			return q.Key == p.Key || q.Key == name || strings.HasPrefix(p.Key, q.Key+".")
		}) {
			continue
		}
		if name != "" {
			p.Key += " (set by " + name + ")"
		}
		d.problems = append(d.problems, p)
	}
	return d.problems.err()
}
