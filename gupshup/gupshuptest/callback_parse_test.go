package gupshuptest_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

// Both sides were written from the same documentation: what one writes, the other reads.
func TestTheParserReadsEveryCallback(t *testing.T) {
	t.Parallel()
	for name, v3 := range map[string]bool{"version 2": false, "version 3": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newReceiver()
				c := callbacks(r)
				c.V3, c.Read, c.Billing, c.StringCodes = v3, 0.5, 0.3, 0.5
				c.Failures = []gupshuptest.Failure{{Code: "1002", Probability: 0.1}, {Code: "131026", Probability: 0.1}}
				sim := simulate(t, gupshuptest.Config{Callbacks: c}, numbers(100)...)

				last := map[string]gupshup.Event{} // by messageId; the order is kept
				for _, p := range r.all() {
					parsed, err := gupshup.ParseCallback([]byte(p.body))
					require.NoError(t, err)
					require.Len(t, parsed, 1)
					e := parsed[0]
					require.False(t, e.At.IsZero(), p.body)
					if e.Kind == gupshup.EventBilling {
						require.Equal(t, "service", e.Detail)
						continue
					}
					require.Equal(t, gupshup.EventReceipt, e.Kind, p.body)
					last[e.MessageID] = e
				}
				require.Len(t, last, 100)
				for _, m := range sim.Accepted(gupshuptest.Filter{}) {
					e := last[m.MessageID]
					require.Equal(t, string(m.Outcome), e.Type)
					require.Equal(t, m.Code, e.Code)
					require.Equal(t, m.Destination, e.Phone)
				}
			})
		})
	}
}

func TestTheParserReadsEveryPush(t *testing.T) {
	t.Parallel()
	type want struct {
		kind gupshup.EventKind
		typ  string
	}
	for kind, w := range map[gupshuptest.PushKind]want{
		gupshuptest.PushOptedIn:    {gupshup.EventUser, "opted-in"},
		gupshuptest.PushOptedOut:   {gupshup.EventUser, "opted-out"},
		gupshuptest.PushStop:       {gupshup.EventPreference, "stop"},
		gupshuptest.PushResume:     {gupshup.EventPreference, "resume"},
		gupshuptest.PushText:       {gupshup.EventInbound, ""},
		gupshuptest.PushButton:     {gupshup.EventInbound, ""},
		gupshuptest.PushQuickReply: {gupshup.EventInbound, ""},
		gupshuptest.PushButtonText: {gupshup.EventInbound, ""},
		gupshuptest.PushListReply:  {gupshup.EventInbound, ""},
	} {
		for _, v3 := range []bool{false, true} {
			t.Run(string(kind), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					p := pushed(t, gupshuptest.Config{Callbacks: gupshuptest.Callbacks{V3: v3}},
						gupshuptest.Push{Kind: kind, Phone: testNumber, Text: "Yes", Postback: "p", ReplyTo: "gs-1"})
					parsed, err := gupshup.ParseCallback([]byte(p.body))
					require.NoError(t, err)
					require.Len(t, parsed, 1)
					e := parsed[0]
					require.Equal(t, w.kind, e.Kind, p.body)
					require.Equal(t, testNumber, e.Phone, p.body)
					if w.typ != "" {
						require.Equal(t, w.typ, e.Type, p.body)
					} else {
						require.Equal(t, "gs-1", e.ReplyTo, p.body)
					}
					if kind == gupshuptest.PushQuickReply || kind == gupshuptest.PushButtonText {
						require.Equal(t, "Yes", e.Button, p.body)
						require.Equal(t, "p", e.Postback, p.body)
					}
				})
			})
		}
	}
}
