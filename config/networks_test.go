package config

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestNetworks(t *testing.T) {
	t.Parallel()
	want := Networks{
		netip.MustParsePrefix("192.0.2.7/32"), netip.MustParsePrefix("198.51.100.0/24"),
		netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2001:db8::1/128"),
	}
	for name, tc := range map[string]struct{ yaml, env string }{
		"list":     {`["192.0.2.7", 198.51.100.0/24, "2001:db8::/32", "2001:db8::1"]`, ""},
		"text":     {`"192.0.2.7,198.51.100.0/24, 2001:db8::/32 2001:db8::1"`, ""},
		"variable": {"[10.0.0.1]", "GUPDISPATCH_SENDERS_MY_SHOP_CALLBACK_ALLOW=192.0.2.7,198.51.100.0/24,2001:db8::/32,2001:db8::1"},
		"mapped":   {`["::ffff:192.0.2.7", 198.51.100.0/24, "2001:db8::/32", "2001:db8::1"]`, ""},
	} {
		cfg, problems := load(t, aSender+"    callback_allow: "+tc.yaml, tc.env)
		require.Empty(t, problems, name)
		require.Equal(t, want, cfg.Senders[0].CallbackAllow, name)
	}
	require.Equal(t, "192.0.2.7, 198.51.100.0/24, 2001:db8::/32, 2001:db8::1", want.String())

	printed, err := yaml.Marshal(map[string]any{"http": map[string]any{"trusted_proxies": want}})
	require.NoError(t, err)
	cfg, problems := load(t, string(printed))
	require.Empty(t, problems, "what is printed can be read")
	require.Equal(t, want, cfg.HTTP.TrustedProxies)

	for _, none := range []string{"[]", "''", ""} {
		cfg, problems := load(t, "http: {trusted_proxies: "+none+"}")
		require.Empty(t, problems)
		require.Nil(t, cfg.HTTP.TrustedProxies)
	}
}
