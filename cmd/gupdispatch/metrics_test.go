package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
)

// described lists the metrics of ours that `serve` registers, with their labels. It asks the registry that the process itself would show,
// made by the same functions, so that it knows also what has no samples yet.
func described(t *testing.T) (registry *prometheus.Registry, labels map[string][]string) {
	t.Helper()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "http: {listen: \"127.0.0.1:0\"}")
	s.configure("api_key_env: TEST_KEY", "api_key_env: TEST_KEY, callback_token_env: TEST_PASSWORD, notify_url: \"http://127.0.0.1:1/\", notify_secret_env: TEST_PASSWORD")
	e := newEnv(s.environ, strings.NewReader(""), &screen{}, &screen{})
	e.configFile = s.file
	cfg, err := e.config()
	require.NoError(t, err)
	a, err := e.build(t.Context(), cfg, zap.NewNop())
	require.NoError(t, err)
	t.Cleanup(a.close)
	registry = a.registry()
	_, hangUp, err := a.worker(registry)
	require.NoError(t, err)
	t.Cleanup(hangUp)
	_, err = a.notifier(registry)
	require.NoError(t, err)
	_, err = a.httpServer(door{listen: cfg.HTTP.Listen, ui: true}, registry)
	require.NoError(t, err)

	labels = map[string][]string{}
	descs := make(chan *prometheus.Desc)
	go func() {
		registry.Describe(descs)
		close(descs)
	}()
	form := regexp.MustCompile(`fqName: "(\w+)".*constLabels: \{(.*)\}, variableLabels: \{(.*?)\}+`)
	for d := range descs {
		found := form.FindStringSubmatch(d.String())
		require.NotNil(t, found, "client_golang writes a Desc in another way now: %s", d)
		if strings.HasPrefix(found[1], "gupdispatch_") {
			constant, _, _ := strings.Cut(found[2], "=")
			names := strings.FieldsFunc(constant+","+found[3], func(r rune) bool { return r == ',' || r == ' ' })
			slices.Sort(names)
			labels[found[1]] = names
		}
	}
	return registry, labels
}

// Names and labels are part of the contract: docs/metrics.md has all that there are, and no others.
func TestMetricsAreDocumented(t *testing.T) {
	t.Parallel()
	_, want := described(t)
	text, err := os.ReadFile("../../docs/metrics.md")
	require.NoError(t, err)
	got := map[string][]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (.*?) ?\\|").FindAllStringSubmatch(string(text), -1) {
		names := strings.FieldsFunc(row[2], func(r rune) bool { return r == ',' || r == ' ' })
		slices.Sort(names)
		require.NotContains(t, got, row[1], "documented twice")
		got[row[1]] = names
	}
	for name, labels := range want {
		require.ElementsMatch(t, labels, got[name], "%s in docs/metrics.md", name)
		require.Contains(t, got, name, "docs/metrics.md leaves it out")
	}
	for name := range got {
		require.Contains(t, want, name, "docs/metrics.md tells of what is not there")
	}
}

// A label with one value for each message, number, template or campaign would fill Prometheus up.
func TestLabelsAreBounded(t *testing.T) {
	t.Parallel()
	_, all := described(t)
	bounded := []string{"sender", "priority", "status", "queue", "state", "event", "result", "code", "class", "reason", "version"}
	for name, labels := range all {
		require.Subset(t, bounded, labels, "%s: is the new label bounded?", name)
	}
}

func TestMetricsAreLinted(t *testing.T) {
	t.Parallel()
	registry, _ := described(t)
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	require.Empty(t, problems)
}
