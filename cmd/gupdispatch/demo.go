package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

// demoFlags are the flags of `demo`.
type demoFlags struct {
	messages int
	rate     float64
	seed     uint64
	sample   string
	keep     bool
	listen   string
	verbose  bool
}

func newDemoCommand(e *env) *cobra.Command {
	var f demoFlags
	c := &cobra.Command{
		Use:   "demo",
		Short: "Send 1,200 sample messages through a simulated Gupshup, and prove where each ended",
		Long: `Send 1,200 sample messages through the whole of gupdispatch: an embedded Redis, a worker, the receiver of callbacks
and a simulated Gupshup which refuses, throttles, breaks connections, loses answers, and tells by callback what became of
what it took: in any order, some of it twice. Nothing needs to be installed, nothing leaves this machine, and
nothing stays: it takes about half a minute.

Each message of the sample says what will happen to it and what must become of it. The demo compares, audits the books
and fails (exit code 1) if a single message is not where it should be.`,
		Example: `  gupdispatch demo
  gupdispatch demo --keep                      # look around afterwards: web UI, message show, dead list, suppress list, send
  gupdispatch demo --messages 5000 --rate 250`,
		Args: exactly(0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case e.configFile != "":
				return usagef("--config: the demo brings a configuration of its own; use `%s serve` to run yours", c.Root().Name())
			case c.Flags().Changed("listen") && !f.keep:
				return usagef("--listen is for the web UI, which is only open with --keep")
			}
			return e.demo(c.Context(), f)
		},
	}
	flags := c.Flags()
	flags.IntVar(&f.messages, "messages", 0, "shorten or repeat the sample to so many messages, at most 20,000; 0 sends it as it is")
	flags.Float64Var(&f.rate, "rate", demoSenders()[0].rate, "messages per second of the sender shop")
	flags.Uint64Var(&f.seed, "seed", 0, "repeats the simulator's message ids; 0 draws one")
	flags.StringVar(&f.sample, "sample", "", "`file` of NDJSON to send instead, written like the shipped sample/messages.ndjson")
	flags.BoolVar(&f.keep, "keep", false, "leave everything running until Ctrl-C, with the web UI of the queues")
	flags.StringVar(&f.listen, "listen", "127.0.0.1:0", "`address` of the web UI, with --keep; port 0 takes a free one")
	flags.BoolVar(&f.verbose, "verbose", false, "show the worker's log on standard error")
	return c
}

// check says what is wrong with the flags, if anything.
func (f demoFlags) check() error {
	switch {
	case f.messages < 0 || f.messages > maxDemoMessages:
		return usagef("--messages %d: use a number from 1 to %s, or leave it out", f.messages, thousands(maxDemoMessages))
	case !(f.rate > 0 && f.rate <= 1000): // also refuses NaN
		return usagef("--rate %v: use a number above 0 and up to 1000", f.rate)
	}
	return nil
}

// load reads the sample that the flags ask for.
func (f demoFlags) load() ([]demoMessage, error) {
	raw, name := shippedSample, "the shipped sample"
	if f.sample != "" {
		var err error
		if raw, err = os.ReadFile(f.sample); err != nil {
			return nil, usagef("--sample: %s", err)
		}
		name = f.sample
	}
	sample, err := readDemoSample(raw)
	if err != nil {
		return nil, usagef("%s: %s", name, err)
	}
	n := f.messages
	if n == 0 {
		n = min(len(sample), maxDemoMessages)
	}
	return repeatTo(sample, n)
}

// demo is the whole story: set the stage, hand over the messages, watch until nothing moves, compare, tell.
func (e *env) demo(ctx context.Context, f demoFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	sample, err := f.load()
	if err != nil {
		return err
	}
	s, err := e.openStage(ctx, f, sample)
	if err != nil {
		return err
	}
	defer s.close()
	s.introduce()

	began := time.Now()
	group, both := errgroup.WithContext(ctx)
	group.Go(func() error { return s.accept(both) })
	group.Go(func() error { return s.watch(both) })
	if err := group.Wait(); err != nil {
		return demoInterrupted(ctx, err)
	}
	result, err := s.collect(ctx, time.Since(began))
	if err != nil {
		return err
	}
	s.report(result)
	if f.keep {
		err = s.keep(ctx)
	} else {
		fmt.Fprint(e.stdout, demoNext)
	}
	if stopped := s.stop(); err == nil {
		err = stopped
	}
	if err == nil && !result.ok() {
		return errReported
	}
	return err
}

const demoNext = `
Try next
  gupdispatch demo --keep                       the same, and look around: the web UI, and in another terminal
                                                "message show ID", the whole story of a message, receipts and all,
                                                "dead list", "suppress list" and "receipts parked"
  gupdispatch demo --messages 5000 --rate 250   more and faster
  gupdispatch simulate                          only the simulated Gupshup, to point a sender's base_url at
`
