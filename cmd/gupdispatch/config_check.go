package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/gupdispatch/gupdispatch/config"
)

func newConfigCommand(e *env) *cobra.Command {
	return group("config", "Check the configuration", newConfigCheckCommand(e))
}

func newConfigCheckCommand(e *env) *cobra.Command {
	var offline, show bool
	c := &cobra.Command{
		Use: "check", Short: "Report every problem of the configuration, and whether its Redis will do", Args: exactly(0, ""),
		Long: "Report every problem of the configuration at once. Without any, ask Redis for the settings that the promises rest on.\n" +
			"Exit code 2: the configuration is wrong. Exit code 1: Redis does not answer, or must not be used as it is.",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := e.config()
			if err != nil {
				return err
			}
			if show {
				if err := e.printConfig(cfg); err != nil {
					return err
				}
			}
			e.checkSecrets(cfg)
			fmt.Fprintf(e.stderr, "the configuration is valid; senders: %d\n", len(cfg.Senders))
			if offline {
				return nil
			}
			return e.checkRedis(c, cfg)
		},
	}
	c.Flags().BoolVar(&offline, "offline", false, "do not ask Redis")
	c.Flags().BoolVar(&show, "print", false, "print the effective configuration as YAML, without secrets")
	return c
}

// checkSecrets only warns: which processes need which secrets is decided by what they are started as.
func (e *env) checkSecrets(cfg *config.Config) {
	for _, err := range []error{cfg.CheckSenderKeys(), cfg.CheckHTTPSecrets(), cfg.CheckNotifySecrets()} {
		var problems config.Problems
		if errors.As(err, &problems) {
			for _, p := range problems {
				e.note("%s", finding{grade: gradeWarning, name: p.Key + ":", text: p.What + "; " + p.Fix})
			}
		}
	}
	if len(cfg.Senders) == 0 {
		e.note("%s", finding{grade: gradeWarning, name: "senders:", text: "there are none; describe at least one, as gupdispatch.example.yaml shows"})
	}
}

func (e *env) checkRedis(c *cobra.Command, cfg *config.Config) error {
	conns, err := e.connect(c.Context(), cfg.Redis)
	if err != nil {
		return err
	}
	defer conns.close()
	if conns.embedded == nil {
		e.note("Redis at %s answers", cfg.Redis.Address())
	}
	bad := false
	for _, facts := range askRedis(c.Context(), conns.general, cfg.Redis.Strict(), true) {
		for _, f := range facts.judge() {
			e.note("%s", f)
			bad = bad || f.grade == gradeError
		}
	}
	if bad {
		return errors.New("this Redis must not be used as it is: change the settings marked error")
	}
	return nil
}

func (e *env) printConfig(cfg *config.Config) error {
	enc := yaml.NewEncoder(e.stdout)
	enc.SetIndent(2)
	return printed(errors.Join(enc.Encode(effective(cfg)), enc.Close()))
}
