package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// longestKey bounds what is read from a key file, in bytes; Gupshup's keys have well under a hundred.
const longestKey = 4096

// APIKey returns a reader of the sender's API key, for use by many goroutines. It answers from memory until api_key_file changes, which
// it notices by the file's identity, size and time of change, so that a key can be replaced without a restart. The key is trimmed. An
// error names the variable or the file and never holds the key; a file that cannot be read is an error even when an older key is known.
func (s Sender) APIKey() func() (string, error) {
	if s.APIKeyFile != "" {
		f := &keyFile{path: s.APIKeyFile}
		return f.read
	}
	return func() (string, error) {
		if !s.Key.IsSet() {
			return "", fmt.Errorf("no API key: the environment variable %s is not set", show(s.APIKeyEnv))
		}
		return s.Key.Reveal(), nil
	}
}

// keyFile remembers the key and the file it was read from.
type keyFile struct {
	path string

	mu   sync.Mutex
	seen os.FileInfo
	key  Secret
}

func (f *keyFile) read() (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, err := os.Stat(f.path)
	if err != nil {
		return "", fmt.Errorf("no API key: %w", err)
	}
	if f.seen != nil && sameVersion(f.seen, now) {
		return f.key.Reveal(), nil
	}
	if err := f.load(); err != nil {
		f.seen = nil
		return "", fmt.Errorf("no API key in %s: %w", f.path, err)
	}
	return f.key.Reveal(), nil
}

func sameVersion(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// load reads the file. What it remembers of the file is taken before the content, so that a change in between is noticed next time.
func (f *keyFile) load() error {
	file, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	data, err := io.ReadAll(io.LimitReader(file, longestKey+1))
	if err != nil {
		return err
	}
	key := strings.TrimSpace(string(data))
	switch {
	case key == "":
		return errors.New("the file is empty")
	case len(data) > longestKey || strings.ContainsAny(key, " \t\r\n"):
		return errors.New("the file holds more than one word")
	}
	f.seen, f.key = info, NewSecret(key)
	return nil
}
