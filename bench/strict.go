package main

import (
	"context"
	"fmt"
	"os"

	"github.com/jedib0t/go-pretty/v6/table"
)

// strict measures what it costs to have every change confirmed by a replica, which is on the same machine.
func strict(ctx context.Context, n, reps int) error {
	settings := []struct {
		name string
		setting
	}{
		{"standard, no replica", setting{role: roleFull}},
		{"standard, a replica", setting{role: roleFull, replica: true}},
		{"strict, a replica", setting{role: roleStrict, replica: true}},
	}
	results := make([][]result, len(settings))
	for range reps {
		for i, s := range settings {
			r, err := measure(ctx, s.setting, n)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			results[i] = append(results[i], r)
			fmt.Fprintf(os.Stderr, "%s: %.0f messages/s\n", s.name, r.rate)
		}
	}
	w := table.NewWriter()
	w.SetOutputMirror(os.Stdout)
	w.AppendHeader(table.Row{"durability", "messages/s", "× standard", "worker CPU s/1,000", "Redis CPU s/1,000"})
	for i, s := range settings {
		m := median(results[i])
		w.AppendRow(table.Row{
			s.name, fmt.Sprintf("%.0f", m.rate), fmt.Sprintf("%.2f", m.rate/median(results[0]).rate), fmt.Sprintf("%.3f", m.workerCPU), fmt.Sprintf("%.3f", m.redisCPU),
		})
	}
	w.Render()
	return nil
}
