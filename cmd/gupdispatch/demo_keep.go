package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/message"
)

// keepLook is how often --keep looks whether what was held has gone out.
const keepLook = time.Second

// keep leaves everything running until ctx ends. It mends what the held messages wait for, so that their coming back can be seen.
func (s *demoStage) keep(ctx context.Context) error {
	if err := s.sim.SetRules(demoRules(s.sample, true)); err != nil {
		return err
	}
	if err := s.hearStranger(ctx); err != nil {
		return demoInterrupted(ctx, err)
	}
	held, err := s.heldIDs(ctx)
	if err != nil {
		return demoInterrupted(ctx, err)
	}
	s.explainKeep(len(held))
	ticker := time.NewTicker(keepLook)
	defer ticker.Stop()
	began := time.Now()
	for {
		select {
		case <-ctx.Done():
			fmt.Fprintln(s.env.stdout, "\nStopped; everything is removed.")
			return nil
		case err := <-s.ended:
			s.ended <- nil
			if ctx.Err() != nil {
				continue // it stops for the same reason
			}
			return errors.Join(errors.New("the worker has ended too early"), err)
		case <-ticker.C:
		}
		if len(held) == 0 {
			continue
		}
		if gone, err := s.taken(ctx, held); err == nil && gone {
			fmt.Fprintf(s.env.stdout, "\nAfter %s: the holds are over, and Gupshup has taken the %s messages behind them.\n", sinceText(time.Since(began)), thousands(len(held)))
			held = nil
		}
	}
}

// heldIDs are the messages that wait for what keep has just mended.
func (s *demoStage) heldIDs(ctx context.Context) ([]demoID, error) {
	lifted := map[string]bool{}
	for _, c := range demoCases() {
		lifted[c.name] = c.lift
	}
	var held []demoID
	for _, d := range s.sample {
		if !lifted[d.Case] {
			continue
		}
		rec, err := s.app.ledger.Get(ctx, d.Sender, d.ID)
		if err != nil {
			return nil, err
		}
		if rec.Status == message.Queued {
			held = append(held, demoID{d.Sender, d.ID})
		}
	}
	return held, nil
}

// taken tells whether Gupshup has taken them all.
func (s *demoStage) taken(ctx context.Context, ids []demoID) (bool, error) {
	for _, id := range ids {
		rec, err := s.app.ledger.Get(ctx, id.sender, id.id)
		if err != nil || !rec.Status.Taken() {
			return false, err
		}
	}
	return true, nil
}

// explainKeep says what can be done now. Every command works as it stands.
func (s *demoStage) explainKeep(held int) {
	out := s.env.stdout
	if held > 0 {
		fmt.Fprintf(out, "\nSomebody has just topped up the wallet and the template is active again: the %s messages behind the two holds\ngo out once their minute is over.\n", thousands(held))
	}
	fmt.Fprintln(out, "\nCallbacks go on, too. One has just told of a message that something else sent from the shop's app: it is parked.")
	fmt.Fprintf(out, "\nLook around until Ctrl-C, with a browser: http://%s/ (user %s, password %s)\nThe queues as asynq has them: http://%s/ui/\nIn another terminal:\n",
		s.uiAddr, demoUser, s.password, s.uiAddr)
	for _, line := range s.keepCommands() {
		fmt.Fprintf(out, "  %s --config %s %s\n", calledAs(os.Args[0]), s.file, line)
	}
	fmt.Fprintf(out, "The REST API, described at http://%s/docs:\n", s.uiAddr)
	for _, line := range s.keepRequests() {
		fmt.Fprintln(out, "  "+line)
	}
	fmt.Fprintf(out, "What Gupshup saw:\n  curl -s http://%s/_sim/stats\n", s.simAddr)
}

// calledAs is what to type for this program: the path that it was called by, or its name, which the shell finds.
func calledAs(arg0 string) string {
	if strings.ContainsRune(arg0, os.PathSeparator) {
		return arg0
	}
	return "gupdispatch"
}

// keepRequests work against the API of a kept demo, in a shell and in their order.
func (s *demoStage) keepRequests() []string {
	ask := func(path, more string) string {
		return fmt.Sprintf("curl -s http://%s%s -H 'Authorization: Bearer %s'%s", s.uiAddr, path, s.httpKey, more)
	}
	return []string{
		ask("/v1/messages", ` -H 'Content-Type: application/json' -d '{"id":"hello","sender":"shop","to":"15559998889","message":{"type":"text","text":"Hello"}}'`),
		ask("/v1/messages/hello", ""),
		`printf 'to,name\n15559990001,Asha\n15559990002,Ravi\n12,Nobody\n' | ` + ask("/v1/campaigns",
			` -F 'campaign={"id":"spring","sender":"shop","template":{"id":"c6aecef6-bcb0-4fb1-8100-28c094e3bc6b","params":["{name}"]}}' -F recipients=@-`),
		ask("/v1/campaigns/spring", ""),
		ask("/v1/campaigns/spring/report", ""),
	}
}

// keepCommands work against a kept demo.
func (s *demoStage) keepCommands() []string {
	commands := []string{"audit --deep", "sender list", "dead list"}
	for _, id := range s.stories() {
		commands = append(commands, "message show "+id)
	}
	return append(commands,
		"suppress list", "receipts parked",
		"send --sender shop --to 15559998888 --text 'Hello from the demo' --wait",
		"send --sender shop --to 15559991002 --text 'A magic number: this one is refused' --wait",
	)
}

// stories are messages worth looking at: one that a callback rescued from doubt, if there is any, and the dead letter that was
// tried most often, rather by callback than by reply.
func (s *demoStage) stories() []string {
	var ids []string
	var dead demoMessage
	told := map[string]bool{}
	for _, c := range demoCases() {
		told[c.name] = c.told || c.fault.Kind == gupshuptest.KindCallback
	}
	for _, d := range s.sample {
		more := d.Expect.attempts - dead.Expect.attempts
		switch {
		case len(ids) == 0 && told[d.Case] && d.Expect.status != message.Dead:
			ids = append(ids, d.ID)
		case d.Expect.status == message.Dead && (more > 0 || more == 0 && told[d.Case] && !told[dead.Case]):
			dead = d
		}
	}
	if dead.ID != "" {
		ids = append(ids, dead.ID)
	}
	return ids
}
