package gupshuptest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

// TestMagicNumbers sends to every magic number. What a fault does is tested in
// TestFaults; here is which fault a number means.
func TestMagicNumbers(t *testing.T) {
	t.Parallel()
	statusOf := map[string]int{
		"0400": 400, "0401": 401, "0403": 403, "0404": 404, "0408": 408, "0411": 401, "0421": 401, "0422": 422,
		"0429": 429, "0430": 429, "0440": 400, "0441": 400, "0500": 500, "0502": 502, "0503": 503, "0504": 504, "0505": 504,
		"0604": 200, "0605": 200, "0606": 200, "0607": 200, "0608": 307,
	}
	noReply := map[string]gupshuptest.Kind{
		"0600": gupshuptest.KindSlow, "0601": gupshuptest.KindHang, "0602": gupshuptest.KindResetBefore,
		"0603": gupshuptest.KindResetAfter, "0609": gupshuptest.KindGarbage,
	}
	for _, suffix := range []string{"0705", "0706"} {
		noReply[suffix] = gupshuptest.KindResetAfter
	}
	accepts := map[string]bool{"0504": true, "0600": true, "0603": true, "0604": true, "0607": true}

	for _, magic := range gupshuptest.Magic() {
		t.Run(magic.Suffix, func(t *testing.T) {
			t.Parallel()
			if kind, ok := noReply[magic.Suffix]; ok {
				require.Equal(t, kind, magic.Fault.Kind)
				return
			}
			srv := gupshuptest.NewServer(t, gupshuptest.Config{MagicNumbers: true})
			got := send(t, srv, "491511"+magic.Suffix)
			if magic.Fault.Kind == gupshuptest.KindCallback {
				require.Equal(t, 200, got.status)
				require.EqualValues(t, 1, srv.Stats().Accepted)
				return
			}
			status, listed := statusOf[magic.Suffix]
			if !listed { // all others are codes
				status = 400
				require.Contains(t, got.body, `"code":`+magic.Suffix+`,`)
				_, known := gupshup.LookupCode(magic.Suffix)
				require.True(t, known, "package gupshup should know this code")
			}
			require.Equal(t, status, got.status)
			require.Equal(t, accepts[magic.Suffix], srv.Stats().Accepted == 1)
		})
	}
}

func TestMagicCoversEveryCodeOfGupshup(t *testing.T) {
	t.Parallel()
	have := map[string]bool{}
	for _, magic := range gupshuptest.Magic() {
		require.False(t, have[magic.Suffix], "twice: %s", magic.Suffix)
		require.NoError(t, magic.Fault.Validate())
		require.NotEmpty(t, magic.About)
		have[magic.Suffix] = true
	}
	classes := map[gupshup.Class]bool{}
	for _, code := range gupshup.Codes() {
		if code.Source == gupshup.SourceGupshup && len(code.Code) == 4 {
			require.True(t, have[code.Code], "no magic number for %s", code.Code)
		}
		if have[code.Code] {
			classes[code.Class] = true
		}
	}
	for _, code := range gupshup.Codes() {
		if code.Class != gupshup.ClassUnknown {
			require.True(t, classes[code.Class], "no magic number of class %s, such as %s", code.Class, code.Code)
		}
	}
}

func TestMagicNumbersNeedTheirSwitchAndYieldToRules(t *testing.T) {
	t.Parallel()
	const number = "4915111002"
	require.Equal(t, []int{200}, statuses(t, gupshuptest.New(gupshuptest.Config{}), number))

	sim := gupshuptest.New(gupshuptest.Config{MagicNumbers: true, Rules: []gupshuptest.Rule{{Times: 1, Fault: teapot()}}})
	require.Equal(t, []int{418, 400, 200}, statuses(t, sim, number, number, testNumber))
}

func TestMagicPrefersTheLongerSuffix(t *testing.T) {
	t.Parallel()
	srv := gupshuptest.NewServer(t, gupshuptest.Config{MagicNumbers: true, Latency: time.Millisecond})
	require.Contains(t, send(t, srv, "491511130429").body, `"code":130429`, "and not 0429")
	require.Equal(t, 429, send(t, srv, "4915110429").status)
}
