package main

import (
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

const healthPatience = 4 * time.Second // less than a container's check is given: see Dockerfile

// newHealthCommand is for container health checks: the image has no shell and no curl.
func newHealthCommand(e *env) *cobra.Command {
	var url string
	c := &cobra.Command{
		Use: "health", Short: "Ask a running process whether it is ready, for container health checks", Args: exactly(0, ""),
		Long: "Ask a running process whether it is ready. Exit code 0: it is; 1: it is not, or does not answer.",
		RunE: func(c *cobra.Command, _ []string) error {
			req, err := http.NewRequestWithContext(c.Context(), http.MethodGet, url, nil)
			if err != nil {
				return usagef("--url %q cannot be asked: write something like http://127.0.0.1:8080/readyz", url)
			}
			res, err := (&http.Client{Timeout: healthPatience}).Do(req)
			if err != nil {
				return fmt.Errorf("no answer: %w", err)
			}
			defer func() { _ = res.Body.Close() }()
			said, _ := io.ReadAll(io.LimitReader(res.Body, 2000))
			if res.StatusCode != http.StatusOK {
				return fmt.Errorf("not ready (status %d): %s", res.StatusCode, said)
			}
			fmt.Fprintf(e.stdout, "%s", said)
			return nil
		},
	}
	c.Flags().StringVar(&url, "url", "http://127.0.0.1:8080/readyz", "what to ask")
	return c
}
