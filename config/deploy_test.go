package config

import (
	"errors"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

type composeService struct {
	Image   string            `yaml:"image"`
	Command []string          `yaml:"command"`
	Grace   string            `yaml:"stop_grace_period"`
	Env     map[string]string `yaml:"environment"`
}

// The shipped containers and their configuration must agree: on the time to stop in, and on the secrets each process is given.
func TestComposeAgreesWithItsConfiguration(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../docker-compose.yml")
	require.NoError(t, err)
	var compose struct {
		Services map[string]composeService `yaml:"services"`
	}
	require.NoError(t, yaml.Unmarshal(data, &compose))

	for name, check := range map[string]func(*Config) error{
		"http":   func(c *Config) error { return c.CheckHTTPSecrets() },
		"worker": func(c *Config) error { return errors.Join(c.CheckSenderKeys(), c.CheckNotifySecrets()) },
	} {
		service := compose.Services[name]
		require.Equal(t, []string{name}, service.Command)
		var environ []string
		for variable := range service.Env {
			environ = append(environ, variable+"=x")
		}
		cfg, err := Load("../deploy/gupdispatch.compose.yaml", environ)
		require.NoError(t, err)
		require.NoError(t, check(cfg), "service %s lacks a secret", name)

		grace, err := ParseDuration(service.Grace)
		require.NoError(t, err)
		require.Equal(t, cfg.Workers.StopGrace, grace, "stop_grace_period of %s", name)
	}
}
