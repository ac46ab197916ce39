package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

// demoSpeed is how many times faster than Gupshup the simulator tells: the first word about a message comes a third of a second
// after its acceptance, and the last one within 4 s.
const demoSpeed = 15

// demoStranger is a user to whom no message of the sample goes.
const demoStranger = "15559997777"

// demoCallbacks are the simulator's callbacks. They are as untidy as Gupshup's may be, which must not change an outcome.
func demoCallbacks(address, token string) gupshuptest.Callbacks {
	return gupshuptest.Callbacks{
		URL: "http://" + address + "/callbacks/gupshup/{app}", Token: token, Speed: demoSpeed,
		Read: 0.6, ReadOnly: 0.1, Duplicates: 0.1, Reorder: 0.2, StringCodes: 0.3, Billing: 0.3,
	}
}

// startReceiver serves the callback URLs on a port of their own, and has the simulator post to them.
func (s *demoStage) startReceiver(ctx context.Context) error {
	handler, err := s.app.callbacks(prometheus.NewRegistry())
	if err != nil {
		return err
	}
	listener, err := listenLocal(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.hearAddr = listener.Addr().String()
	s.receiver = &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	s.serving.Go(func() { _ = s.receiver.Serve(listener) }) // ends by Shutdown
	return s.sim.SetCallbacks(demoCallbacks(s.hearAddr, s.token))
}

// optOut has those users say that they want no messages whose messages are to meet that. It returns when all are on record.
func (s *demoStage) optOut(ctx context.Context) error {
	for _, d := range s.sample {
		if d.Case != caseOptedOut {
			continue
		}
		if err := s.sim.Push(gupshuptest.Push{Kind: gupshuptest.PushOptedOut, App: d.Sender, Phone: d.To}); err != nil {
			return fmt.Errorf("the user of %s cannot opt out: %w", d.ID, err)
		}
	}
	return s.sim.Drain(ctx)
}

// hearStranger has Gupshup tell of a message that something else has sent from the shop's app, so that a receipt is parked.
func (s *demoStage) hearStranger(ctx context.Context) error {
	now := time.Now()
	body := fmt.Sprintf(`{"app":%q,"timestamp":%d,"version":2,"type":"message-event","payload":{"id":"wamid.stranger","gsId":%q,`+
		`"type":"delivered","destination":%q,"payload":{"ts":%d}}}`, demoSenders()[0].name, now.UnixMilli(), rand.Text(), demoStranger, now.Unix())
	err := s.sim.Push(gupshuptest.Push{Kind: gupshuptest.PushRaw, App: demoSenders()[0].name, Body: []byte(body)})
	if err != nil {
		return fmt.Errorf("the receipt of a stranger cannot be told: %w", err)
	}
	return s.sim.Drain(ctx)
}
