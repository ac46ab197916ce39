package deploy

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// project loads the compose file as `docker compose` does, against its schema.
func project(t *testing.T, env ...string) (*cli.ProjectOptions, error) {
	t.Helper()
	return cli.NewProjectOptions([]string{"../../docker-compose.yml"}, cli.WithEnv(env), cli.WithProfiles([]string{"*"}), cli.WithInterpolation(true))
}

func TestComposeFileIsValid(t *testing.T) {
	t.Parallel()
	secrets, err := exec.Command("../../deploy/new-env").Output()
	require.NoError(t, err)
	var env []string
	seen := map[string]bool{}
	for line := range strings.Lines(string(secrets)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, "#") {
			require.Len(t, value, 48, name)
			require.False(t, seen[value], "each has a text of its own")
			seen[value], env = true, append(env, name+"="+value)
		}
	}
	o, err := project(t, env...)
	require.NoError(t, err)
	p, err := o.LoadProject(t.Context())
	require.NoError(t, err)
	for _, name := range []string{"redis", "http", "worker", "simulator", "prometheus", "grafana"} {
		require.Contains(t, p.Services, name)
	}
	require.Equal(t, 2, *p.Services["worker"].Deploy.Replicas)
	for _, name := range []string{"http", "worker"} {
		s := p.Services[name]
		require.True(t, s.ReadOnly)
		require.NotNil(t, s.StopGracePeriod)
		require.Contains(t, s.DependsOn, "redis")
	}
	require.NotContains(t, p.Services["http"].Environment, "GUPSHUP_API_KEY", "it does not send")
	require.NotContains(t, p.Services["worker"].Environment, "SHOP_API_KEY", "it lets nobody in")
	for _, s := range p.Services {
		for _, v := range s.Volumes {
			if v.Type == "bind" {
				_, err := os.Stat(v.Source)
				require.NoError(t, err, "%s mounts it", s.Name)
			}
		}
	}

	// Without secrets it says what to do.
	o, err = project(t)
	require.NoError(t, err)
	_, err = o.LoadProject(t.Context())
	require.ErrorContains(t, err, "run deploy/new-env > .env")
}

// The shipped redis.conf is one that a Redis takes, and that says what the program wants.
func TestRedisConfIsTaken(t *testing.T) {
	t.Parallel()
	server, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("GUPDISPATCH_REQUIRE_REDIS") == "1" {
			t.Fatal("GUPDISPATCH_REQUIRE_REDIS=1, but there is no redis-server in PATH")
		}
		t.Skip("SKIPPED: put redis-server into PATH")
	}
	conf, err := filepath.Abs("../../deploy/redis.conf")
	require.NoError(t, err)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := free.Addr().String()
	require.NoError(t, free.Close())
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.Command(server, conf, "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir())
	require.NoError(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	rdb := redis.NewClient(&redis.Options{Addr: addr, Protocol: 2})
	defer func() { _ = rdb.Close() }()
	require.Eventually(t, func() bool { return rdb.Ping(t.Context()).Err() == nil }, 10*time.Second, 20*time.Millisecond)
	for name, want := range map[string]string{
		"maxmemory": "2147483648", "maxmemory-policy": "noeviction", "appendonly": "yes", "hash-max-listpack-value": "1024",
	} {
		got, err := rdb.ConfigGet(t.Context(), name).Result()
		require.NoError(t, err)
		require.Equal(t, want, got[name])
	}
}

// systemd itself looks at the units; the program they start is put where they look for it.
func TestUnitsAreValid(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("SKIPPED: put systemd-analyze into PATH (Debian's package systemd)")
	}
	units, err := filepath.Glob("../../deploy/systemd/*.service")
	require.NoError(t, err)
	require.Len(t, units, 2)
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		require.NoError(t, err)
		require.Contains(t, string(text), "ExecStart=/usr/local/bin/gupdispatch ")
		file := filepath.Join(t.TempDir(), filepath.Base(unit))
		require.NoError(t, os.WriteFile(file, []byte(strings.ReplaceAll(string(text), "/usr/local/bin/gupdispatch", "/bin/true")), 0o600))
		out, err := exec.Command(analyze, "verify", "--man=no", file).CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.NotContains(t, string(out), filepath.Base(unit), "%s", out) // what it warns of
		out, err = exec.Command(analyze, "security", "--offline=yes", "--threshold=30", file).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
}
