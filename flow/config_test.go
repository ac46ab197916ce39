package flow

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGateConfigValidate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		cfg  GateConfig
		want []string // what the error says; none means no error
	}{
		{"usable", GateConfig{Sender: "s", Rate: 0.5}, nil},
		{"all problems at once", GateConfig{Rate: 0, Burst: -1}, []string{"no name", "rate 0", "burst -1"}},
		{"no number", GateConfig{Sender: "s", Rate: math.NaN()}, []string{"rate NaN"}},
		{"too fast to keep", GateConfig{Sender: "s", Rate: 2e6}, []string{"rate 2e+06"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			err := tc.cfg.Validate()
			if tc.want == nil {
				require.NoError(t, err)
				require.NotPanics(t, func() { NewGate(nil, tc.cfg) })
				return
			}
			for _, part := range tc.want {
				require.ErrorContains(t, err, part)
			}
			require.Panics(t, func() { NewGate(nil, tc.cfg) })
		})
	}
}
