package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
)

// idle shows what senders cost Redis while nothing is sent.
func idle(ctx context.Context, during time.Duration) error {
	w := table.NewWriter()
	w.SetOutputMirror(os.Stdout)
	w.AppendHeader(table.Row{"senders of an idle worker", "Redis commands/s", "per sender", "bar", ""})
	for _, n := range []int{1, 10} {
		perSecond, err := idleCommands(ctx, roleFull, n, during)
		if err != nil {
			return fmt.Errorf("%d idle senders: %w", n, err)
		}
		each, verdict := perSecond/float64(n), "met"
		if each > 200 {
			verdict = "missed"
		}
		w.AppendRow(table.Row{n, fmt.Sprintf("%.0f", perSecond), fmt.Sprintf("%.0f", each), 200, verdict})
	}
	w.Render()
	return nil
}
