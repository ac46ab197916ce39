package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestSecretsAreNeverPrinted(t *testing.T) {
	t.Parallel()
	cfg, problems := load(t, "http: {api_keys: [{name: a, key_env: A}], ui_users: [{name: b, password_env: B}]}"+aSender+"    callback_token_env: C\n    notify_secret_env: N",
		"A=s3cret-a", "B=s3cret-b", "C=s3cret-c", "SHOP_KEY=s3cret-d", "N=s3cret-n", "GUPDISPATCH_REDIS_URL=redis://u:s3cret-e@h:1/2")
	require.Empty(t, problems)
	require.Equal(t, []string{"s3cret-a", "s3cret-b", "s3cret-c", "s3cret-d", "s3cret-n"}, []string{
		cfg.HTTP.APIKeys[0].Key.Reveal(), cfg.HTTP.UIUsers[0].Password.Reveal(), cfg.Senders[0].CallbackToken.Reveal(), cfg.Senders[0].Key.Reveal(),
		cfg.Senders[0].NotifySecret.Reveal(),
	})

	hidden := struct{ inside Config }{*cfg} // fmt calls no methods on unexported fields
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb+verb+verb+verb, cfg, *cfg, hidden, cfg.Senders[0].Key)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "cfg", cfg, "key", cfg.Senders[0].Key)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "cfg", cfg, "key", cfg.Senders[0].Key)
	require.NoError(t, json.NewEncoder(&out).Encode(cfg))
	require.NoError(t, yaml.NewEncoder(&out).Encode(cfg))
	out.WriteString(cfg.Redis.Address())
	require.NotContains(t, out.String(), "s3cret")
	require.NotContains(t, out.String(), fmt.Sprintf("%x", "s3cret"))
	require.Contains(t, out.String(), "[redacted]")
	require.Contains(t, cfg.Redis.Address(), "@h:1/2")
}

func TestSecretMatches(t *testing.T) {
	t.Parallel()
	require.True(t, NewSecret("a").Matches("a"))
	require.False(t, NewSecret("a").Matches("b"))
	require.False(t, NewSecret("a").Matches(""))
	require.False(t, NewSecret("").Matches(""), "what is not set lets nobody in")
	require.False(t, Secret{}.IsSet())
}

func TestSecretsThatAreNotSet(t *testing.T) {
	t.Parallel()
	cfg, problems := load(t, "http: {api_keys: [{name: a, key_env: A}], ui_users: [{name: b, password_env: B}]}"+aSender+"    callback_token_env: C", "B=x", "C= ")
	require.Empty(t, problems, "a command that needs no secret must not ask for one")

	var missing Problems
	require.ErrorAs(t, cfg.CheckHTTPSecrets(), &missing)
	require.Len(t, missing, 2)
	require.Equal(t, "http.api_keys[a].key_env", missing[0].Key)
	require.Equal(t, "senders[my-shop].callback_token_env", missing[1].Key)
	require.ErrorAs(t, cfg.CheckSenderKeys(), &missing)
	require.Contains(t, missing.Error(), `"SHOP_KEY" is not set`)
	require.NoError(t, cfg.CheckNotifySecrets())

	cfg, problems = load(t, "http: {session_key_env: KEY}"+aSender, "KEY=short")
	require.Empty(t, problems)
	require.ErrorAs(t, cfg.CheckHTTPSecrets(), &missing)
	require.Contains(t, missing.Error(), "http.session_key_env: the key has 5 bytes, and needs at least 32")
	require.NotContains(t, missing.Error(), "short")
	cfg, problems = load(t, "http: {session_key_env: KEY}"+aSender, "KEY=0123456789abcdef0123456789abcdef")
	require.Empty(t, problems)
	require.NoError(t, cfg.CheckHTTPSecrets())
	require.Equal(t, "0123456789abcdef0123456789abcdef", cfg.HTTP.SessionKey.Reveal())

	cfg, problems = load(t, aSender+"    notify_url: https://shop.example\n    notify_secret_env: NOTIFY")
	require.Empty(t, problems)
	require.ErrorAs(t, cfg.CheckNotifySecrets(), &missing)
	require.Contains(t, missing.Error(), `senders[my-shop].notify_secret_env: the environment variable "NOTIFY" is not set`)

	cfg, problems = load(t, aSender, "SHOP_KEY=k")
	require.Empty(t, problems)
	require.NoError(t, cfg.CheckSenderKeys())
	require.NoError(t, cfg.CheckHTTPSecrets(), "no secrets are named")
}

func TestAPIKeyFileIsReadAgainWhenItChanges(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	write := func(content string, modified time.Time) {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		require.NoError(t, os.Chtimes(path, modified, modified))
	}
	s := NewSender("a")
	s.APIKeyFile = path
	key := s.APIKey()
	read := func() string {
		got, err := key()
		require.NoError(t, err)
		return got
	}
	then := time.Unix(1_700_000_000, 0)

	_, err := key()
	require.ErrorContains(t, err, path, "not there yet")
	write(" first\n", then)
	require.Equal(t, "first", read(), "trimmed")
	write(" other\n", then)
	require.Equal(t, "first", read(), "from memory: neither size nor time has changed")
	write(" third\n", then.Add(time.Second))
	require.Equal(t, "third", read(), "time")
	write("fourth-key\n", then.Add(time.Second))
	require.Equal(t, "fourth-key", read(), "size")

	beside := path + ".new"
	require.NoError(t, os.WriteFile(beside, []byte("fifth-keys\n"), 0o600))
	require.NoError(t, os.Chtimes(beside, then.Add(time.Second), then.Add(time.Second)))
	require.NoError(t, os.Rename(beside, path))
	require.Equal(t, "fifth-keys", read(), "another file in its place")

	for content, want := range map[string]string{" \n": "empty", "s3cret one": "more than one word", string(make([]byte, longestKey+1)): "more than one word"} {
		then = then.Add(time.Minute)
		write(content, then)
		_, err = key()
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "s3cret")
	}
	require.NoError(t, os.Remove(path))
	_, err = key()
	require.Error(t, err, "a key that was taken away is not used on")
}

func TestAPIKeyFromManyGoroutines(t *testing.T) {
	t.Parallel()
	s := NewSender("a")
	s.APIKeyFile = filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(s.APIKeyFile, []byte("k"), 0o600))
	key := s.APIKey()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if got, err := key(); got != "k" || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}
