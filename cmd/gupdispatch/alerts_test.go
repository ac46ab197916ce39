package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
)

const deploy = "../../deploy/"

// query is a PromQL expression in a file of ours.
type query struct {
	where, expr string
	shows       []string // labels that its text, or its legend, shows
}

var shownLabel = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}`)

func labelsIn(texts ...string) (names []string) {
	for _, found := range shownLabel.FindAllStringSubmatch(strings.Join(texts, " "), -1) {
		names = append(names, found[1])
	}
	return names
}

// alertRules are those of deploy/alerts.yml.
type alertRules struct {
	Groups []struct {
		Rules []struct {
			Alert, Expr string
			Labels      map[string]string
			Annotations map[string]string
		}
	}
}

func readAlerts(t *testing.T) (rules alertRules) {
	t.Helper()
	text, err := os.ReadFile(deploy + "alerts.yml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &rules))
	require.NotEmpty(t, rules.Groups)
	return rules
}

// queries are all expressions of the alert rules and of the dashboard.
func queries(t *testing.T) (all []query) {
	t.Helper()
	for _, g := range readAlerts(t).Groups {
		for _, r := range g.Rules {
			all = append(all, query{r.Alert, r.Expr, labelsIn(r.Annotations["summary"], r.Annotations["description"])})
		}
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
		Templating struct{ List []struct{ Definition string } }
	}
	text, err := os.ReadFile(deploy + "grafana/dashboards/gupdispatch.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &board))
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			all = append(all, query{"panel " + p.Title, target.Expr, labelsIn(target.LegendFormat)})
		}
	}
	for _, v := range board.Templating.List {
		if v.Definition != "" {
			all = append(all, query{"a variable of the dashboard", v.Definition, nil})
		}
	}
	require.Greater(t, len(all), 50)
	return all
}

var (
	metricIn  = regexp.MustCompile(`\b(gupdispatch_\w+)(?:\{([^}]*)\})?`)
	matcherIn = regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
	groupsBy  = regexp.MustCompile(`\b(?:by|without|on|ignoring)\s*\(([^)]*)\)`)
	series    = regexp.MustCompile(`_(bucket|sum|count)$`)
)

// Whatever dashboards and alerts ask for, a running process has: metrics, their labels, and the values that these are compared with.
func TestAlertsAndDashboardNameWhatThereIs(t *testing.T) {
	t.Parallel()
	registry, labels := described(t)
	families, err := registry.Gather()
	require.NoError(t, err)
	values := map[string][]string{} // of a metric's label
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				values[f.GetName()+" "+l.GetName()] = append(values[f.GetName()+" "+l.GetName()], l.GetValue())
			}
		}
	}
	reasons := []string{ledger.ReasonByHand, ledger.ReasonOutage, ledger.ReasonStorm} // nothing is held here
	for _, c := range gupshup.Classes() {
		reasons = append(reasons, string(c))
	}
	values["gupdispatch_sender_hold reason"] = reasons

	asked := map[string]bool{}
	for _, q := range queries(t) {
		scraped := []string{"job", "instance"} // by Prometheus itself
		known := slices.Clone(scraped)
		for _, found := range metricIn.FindAllStringSubmatch(q.expr, -1) {
			name := found[1]
			if _, ok := labels[name]; !ok {
				name = series.ReplaceAllString(name, "")
				known = append(known, "le")
			}
			require.Contains(t, labels, name, "%s asks for a metric that there is not", q.where)
			asked[name] = true
			known = append(known, labels[name]...)
			for _, m := range matcherIn.FindAllStringSubmatch(found[2], -1) {
				require.Contains(t, append(slices.Clone(labels[name]), scraped...), m[1], "%s: %s has no such label", q.where, name)
				if !strings.Contains(m[3], "$") && m[3] != "" {
					for _, value := range strings.Split(m[3], "|") {
						form := regexp.MustCompile("^(?:" + value + ")$")
						require.True(t, slices.ContainsFunc(values[name+" "+m[1]], form.MatchString), "%s: %s never has %s %q", q.where, name, m[1], value)
					}
				}
			}
		}
		for _, found := range groupsBy.FindAllStringSubmatch(q.expr, -1) {
			for _, label := range strings.FieldsFunc(found[1], func(r rune) bool { return r == ',' || r == ' ' }) {
				require.Contains(t, known, label, "%s groups by a label that there is not", q.where)
			}
		}
		require.Subset(t, known, q.shows, "%s shows a label that there is not", q.where)
	}
	for name := range labels {
		require.True(t, asked[name], "%s is on no dashboard and in no alert: is it of use?", name)
	}
}

// Who is woken finds what it means and what to do.
func TestAlertsLeadToTheRunbook(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	anchors := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(text), -1) {
		anchors[strings.ToLower(strings.ReplaceAll(heading[1], " ", "-"))] = true
	}
	seen := map[string]bool{}
	for _, g := range readAlerts(t).Groups {
		for _, r := range g.Rules {
			require.False(t, seen[r.Alert], "%s is there twice", r.Alert)
			seen[r.Alert] = true
			require.Contains(t, []string{"critical", "warning", "info"}, r.Labels["severity"], r.Alert)
			require.NotEmpty(t, r.Annotations["summary"], r.Alert)
			require.NotEmpty(t, r.Annotations["description"], r.Alert)
			anchor, ok := strings.CutPrefix(r.Annotations["runbook_url"], "https://github.com/gupdispatch/gupdispatch/blob/main/docs/operations.md#")
			require.True(t, ok, r.Alert)
			require.Equal(t, strings.ToLower(r.Alert), anchor)
			require.True(t, anchors[anchor], "docs/operations.md has no section %s", r.Alert)
		}
	}
}

// promtool runs it, where it is installed, and returns what it said.
func promtool(t *testing.T, stdin string, args ...string) {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("REQUIRE_PROMTOOL") == "1" {
			t.Fatal("REQUIRE_PROMTOOL=1, but promtool is not in PATH")
		}
		t.Skip("SKIPPED: put promtool into PATH, for example from Debian's package prometheus")
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir, cmd.Stdin = deploy, strings.NewReader(stdin)
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, "promtool %v: %s", args, said)
}

func TestPromtoolLikesTheRules(t *testing.T) {
	t.Parallel()
	promtool(t, "", "check", "rules", "--lint-fatal", "alerts.yml")
	promtool(t, "", "check", "config", "prometheus.yml")
}

// alerts_test.yml says when each alert comes, and when not.
func TestPromtoolTestsTheRules(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(deploy, "alerts_test.yml"))
	require.NoError(t, err)
	for _, g := range readAlerts(t).Groups {
		for _, r := range g.Rules {
			require.Contains(t, string(text), `alertname="`+r.Alert+`"`, "alerts_test.yml does not say when it comes")
		}
	}
	promtool(t, "", "test", "rules", "alerts_test.yml")
}

// The runbook's commands exist, with their flags: each line of its shell blocks, and each `gupdispatch …` in its text, is parsed as a command line.
func TestRunbookCommandsExist(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	found := regexp.MustCompile("(?m)(?:^|`)(gupdispatch [a-z][^`#\n|]*)").FindAllStringSubmatch(string(text), -1)
	require.Greater(t, len(found), 30)
	for _, line := range found {
		args := shellWords(line[1])[1:]
		root := newRoot(newEnv(nil, strings.NewReader(""), &screen{}, &screen{}))
		command, rest, err := root.Find(args)
		require.NoError(t, err, line[1])
		require.False(t, command.HasSubCommands(), "%s is no whole command", line[1])
		require.NoError(t, command.ParseFlags(rest), line[1])
		require.NoError(t, command.ValidateArgs(command.Flags().Args()), line[1])
	}
}

// shellWords splits a line at spaces outside double quotes.
func shellWords(line string) (words []string) {
	for _, w := range regexp.MustCompile(`"([^"]*)"|(\S+)`).FindAllStringSubmatch(strings.TrimSpace(line), -1) {
		words = append(words, w[1]+w[2])
	}
	return words
}

func TestPromtoolLikesTheMetrics(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "http: {listen: \"127.0.0.1:0\"}")
	base, client := s.begin("serve").address(), browser(t)
	s.ok("send", "--to", testNumber, "--text", "Hello", "--wait", "--timeout", "30s")
	_, text := fetch(t, client, base+"/metrics")
	promtool(t, text, "check", "metrics")
}
