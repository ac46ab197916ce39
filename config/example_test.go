package config

import (
	"os"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

func readExample() (string, error) {
	data, err := os.ReadFile("../gupdispatch.example.yaml")
	return string(data), err
}

// The example file claims to show the defaults, except for its own API key, user and sender.
func TestExampleShowsTheDefaults(t *testing.T) {
	t.Parallel()
	yaml, err := readExample()
	require.NoError(t, err)
	got, problems := load(t, yaml)
	require.Empty(t, problems)

	demo := NewSender("demo")
	demo.App, demo.Source, demo.APIKeyEnv, demo.CallbackTokenEnv = "DemoApp", "917834811114", "GUPSHUP_API_KEY", "DEMO_CALLBACK_TOKEN"
	want := Default()
	want.HTTP.APIKeys = []APIKey{{Name: "shop", KeyEnv: "SHOP_API_KEY"}}
	want.HTTP.UIUsers = []UIUser{{Name: "ops", PasswordEnv: "OPS_PASSWORD", Role: "admin"}}
	want.Senders = []Sender{demo}
	want.Codes = map[string]string{}
	require.Equal(t, &want, got)
}

// The example file claims to be complete. The one key it can only show as a comment is api_key_file, which excludes api_key_env.
func TestExampleShowsEveryKey(t *testing.T) {
	t.Parallel()
	yaml, err := readExample()
	require.NoError(t, err)
	top, err := oneDocument{}.Unmarshal([]byte(yaml))
	require.NoError(t, err)
	cfg := Default()
	requireKeys(t, "", reflect.ValueOf(&cfg).Elem(), top)
	require.Contains(t, yaml, "# api_key_file:")
}

func requireKeys(t *testing.T, path string, v reflect.Value, in any) {
	t.Helper()
	entries, ok := asMap(in)
	require.True(t, ok, "%s is no group of keys in the example", path)
	for _, k := range keysOf(v) {
		at := join(path, k.name)
		if at == "senders[].api_key_file" {
			continue
		}
		require.Contains(t, entries, k.name, "the example lacks %s", at)
		switch {
		case isScalar(k.value):
		case k.value.Kind() == reflect.Struct:
			requireKeys(t, at, k.value, entries[k.name])
		case k.value.Kind() == reflect.Slice:
			requireKeys(t, at+"[]", reflect.New(k.value.Type().Elem()).Elem(), entries[k.name].([]any)[0])
		}
	}
}
