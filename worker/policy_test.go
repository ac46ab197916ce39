package worker

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

var testLimits = limits{
	budget: map[message.Priority]Budget{
		message.Critical: {Attempts: 5, MaxAge: 10 * time.Minute},
		message.Default:  {Attempts: 8, MaxAge: 24 * time.Hour},
		message.Bulk:     {Attempts: 8, MaxAge: 72 * time.Hour},
	},
	base: time.Second, cap: 5 * time.Minute, retryAfterCap: 10 * time.Minute, doubtWindow: 2 * time.Minute,
}

const template = "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b"

func TestEveryClassHasARule(t *testing.T) {
	t.Parallel()
	for _, c := range gupshup.Classes() {
		r, ok := policy[c]
		require.True(t, ok, "class %s has no rule", c)
		require.NotEmpty(t, r.why, c)
		if r.action == park {
			require.Positive(t, r.wait, c)
			require.GreaterOrEqual(t, r.atMost, r.wait, c)
		}
	}
	require.Len(t, policy, len(gupshup.Classes()), "a rule for a class that does not exist")
}

// The codes that Gupshup's guide to outbound messages names, given in a reply, and what follows.
func TestCodesOfTheGuideLeadToTheirActions(t *testing.T) {
	t.Parallel()
	want := map[string]action{
		"1001": archive, "1002": archive, "1003": park, "1004": archive, "1005": archive, "1006": archive, "1007": archive,
		"1008": archive, "1010": archive, "1011": archive,
	}
	for code, action := range want {
		for _, body := range []string{`{"status":"error","code":` + code + `,"message":"x"}`, `{"status":"error","code":"` + code + `","message":"x"}`} {
			_, err := gupshup.Classify(&gupshup.Reply{Status: 400, Body: []byte(body)}, nil, nil, time.Now())
			require.NotNil(t, err)
			v := decide(failure{class: err.Class, code: err.Code, priority: message.Default, attempt: 1, spent: 1}, testLimits)
			require.Equal(t, action, v.action, code)
			require.Equal(t, code, v.code)
		}
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		f    failure
		want verdict // why is not compared
	}{
		{"terminal codes are dead letters at once", failure{class: gupshup.ClassRecipient, code: "1002", priority: message.Bulk, attempt: 1, spent: 1}, verdict{action: archive, spends: true, code: "1002", follows: ledger.Follows{Suppress: gupshup.Suppression{Scope: gupshup.SuppressAll, For: 30 * 24 * time.Hour}}}},
		{"who stopped marketing gets no more of it", failure{class: gupshup.ClassRecipient, code: "131050", priority: message.Bulk, attempt: 1, spent: 1}, verdict{action: archive, spends: true, code: "131050", follows: ledger.Follows{Suppress: gupshup.Suppression{Scope: gupshup.SuppressBulk}}}},
		{"the second transient failure waits up to two seconds", failure{class: gupshup.ClassTransient, code: "http_503", priority: message.Bulk, attempt: 2, spent: 2, jitter: 0.5}, verdict{action: retry, spends: true, delay: time.Second, code: "http_503"}},
		{"no attempt is left", failure{class: gupshup.ClassTransient, code: "http_503", priority: message.Critical, attempt: 5, spent: 5}, verdict{action: archive, spends: true, code: "http_503"}},
		{"no time is left", failure{class: gupshup.ClassThrottled, code: "http_429", priority: message.Critical, attempt: 30, age: 10 * time.Minute}, verdict{action: archive, code: "http_429"}},
		{"the last try comes in time", failure{class: gupshup.ClassThrottled, code: "http_429", priority: message.Critical, attempt: 30, age: 9*time.Minute + 50*time.Second, jitter: 0.9}, verdict{action: retry, delay: 10 * time.Second, code: "http_429"}},
		{"what was not sent spends nothing, however often", failure{class: gupshup.ClassNotSent, code: "connect", priority: message.Default, attempt: 100, spent: 1}, verdict{action: retry, code: "connect"}},
		{"Retry-After is heard", failure{class: gupshup.ClassThrottled, code: "http_429", priority: message.Bulk, attempt: 1, retryAfter: 30 * time.Second}, verdict{action: retry, delay: 30 * time.Second, code: "http_429"}},
		{"but not beyond the cap", failure{class: gupshup.ClassThrottled, code: "http_429", priority: message.Bulk, attempt: 1, retryAfter: 24 * time.Hour}, verdict{action: retry, delay: 10 * time.Minute, code: "http_429"}},
		{"media is tried three times", failure{class: gupshup.ClassMedia, code: "131053", priority: message.Bulk, attempt: 3, spent: 3}, verdict{action: archive, spends: true, code: "131053"}},
		{"a wrong key holds the sender", failure{class: gupshup.ClassAccount, code: "http_401", priority: message.Critical, attempt: 1, template: template}, verdict{action: park, delay: time.Minute, waitingFor: "account", code: "http_401", follows: ledger.Follows{Hold: &ledger.Hold{For: time.Minute, AtMost: 15 * time.Minute}}}},
		{"a paused template is held alone", failure{class: gupshup.ClassTemplate, code: "4005", priority: message.Bulk, attempt: 1, template: template}, verdict{action: park, delay: time.Minute, waitingFor: "template", code: "4005", follows: ledger.Follows{Hold: &ledger.Hold{Template: template, For: time.Minute, AtMost: time.Hour}}}},
		{"without a template there is nothing to hold", failure{class: gupshup.ClassTemplate, code: "4003", priority: message.Bulk, attempt: 1}, verdict{action: park, delay: time.Minute, waitingFor: "template", code: "4003"}},
		{"a template that is gone kills the message and holds the rest", failure{class: gupshup.ClassTemplateGone, code: "132001", priority: message.Bulk, attempt: 1, spent: 1, template: template}, verdict{action: archive, spends: true, code: "132001", follows: ledger.Follows{Hold: &ledger.Hold{Template: template, For: 10 * time.Minute, AtMost: time.Hour}}}},
		{"spam stops what can wait", failure{class: gupshup.ClassSpam, code: "471", priority: message.Default, attempt: 1}, verdict{action: park, delay: 10 * time.Minute, waitingFor: "spam", code: "471", follows: ledger.Follows{Hold: &ledger.Hold{Priorities: []message.Priority{message.Default, message.Bulk}, For: 10 * time.Minute, AtMost: 4 * time.Hour}}}},
		{"and lets critical try on", failure{class: gupshup.ClassSpam, code: "471", priority: message.Critical, attempt: 1, spent: 1}, verdict{action: retry, spends: true, code: "471", follows: ledger.Follows{Hold: &ledger.Hold{Priorities: []message.Priority{message.Default, message.Bulk}, For: 10 * time.Minute, AtMost: 4 * time.Hour}}}},
		{"enough marketing for today", failure{class: gupshup.ClassWaitDay, code: "131049", priority: message.Bulk, attempt: 1}, verdict{action: park, delay: 24 * time.Hour, waitingFor: "wait_day", code: "131049"}},
		{"and a week of it is enough", failure{class: gupshup.ClassWaitDay, code: "131049", priority: message.Bulk, attempt: 7}, verdict{action: archive, spends: true, code: "131049"}},
		{"a wallet may stay empty for ever", failure{class: gupshup.ClassAccount, code: "1003", priority: message.Bulk, attempt: 1000}, verdict{action: park, delay: 15 * time.Minute, waitingFor: "account", code: "1003", follows: ledger.Follows{Hold: &ledger.Hold{For: time.Minute, AtMost: 15 * time.Minute}}}},
		{"which a password cannot wait for", failure{class: gupshup.ClassWaitDay, code: "131049", priority: message.Critical, attempt: 1, spent: 1}, verdict{action: archive, spends: true, code: "131049"}},
		{"doubt: critical is sent again at once", failure{class: gupshup.ClassInDoubt, code: "timeout", priority: message.Critical, onInDoubt: message.Resend, attempt: 1, spent: 1}, verdict{action: retry, spends: true, code: "timeout"}},
		{"doubt: others wait for the callback first", failure{class: gupshup.ClassInDoubt, code: "timeout", priority: message.Default, onInDoubt: message.Resend, attempt: 1, spent: 1}, verdict{action: doubt, spends: true, delay: 2 * time.Minute, code: "timeout"}},
		{"and are then sent again", failure{class: gupshup.ClassInDoubt, code: "timeout", priority: message.Default, onInDoubt: message.Resend, attempt: 1, spent: 1, waited: true}, verdict{action: retry, spends: true, code: "timeout"}},
		{"hold never sends again, critical or not", failure{class: gupshup.ClassInDoubt, code: "timeout", priority: message.Critical, onInDoubt: message.Hold, attempt: 1, spent: 1}, verdict{action: doubt, spends: true, delay: 2 * time.Minute, code: "timeout"}},
		{"but asks a person", failure{class: gupshup.ClassInDoubt, code: "timeout", priority: message.Bulk, onInDoubt: message.Hold, attempt: 1, spent: 1, waited: true}, verdict{action: archive, spends: true, code: CodeInDoubt}},
		{"doubt without attempts left waits, too", failure{class: gupshup.ClassInDoubt, code: "timeout", priority: message.Critical, onInDoubt: message.Resend, attempt: 5, spent: 5}, verdict{action: doubt, spends: true, delay: 2 * time.Minute, code: "timeout"}},
		{"and then ends", failure{class: gupshup.ClassInDoubt, code: "timeout", priority: message.Critical, onInDoubt: message.Resend, attempt: 5, spent: 5, waited: true}, verdict{action: archive, spends: true, code: CodeInDoubt}},
		{"an expired password is not sent again", failure{class: gupshup.ClassInDoubt, code: "timeout", priority: message.Critical, onInDoubt: message.Resend, attempt: 1, spent: 1, expired: true, waited: true}, verdict{action: archive, spends: true, code: CodeInDoubt}},
		{"a class from the future counts as unknown", failure{class: "new", code: "9999", priority: message.Default, attempt: 1, spent: 1}, verdict{action: archive, spends: true, code: "9999"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := decide(c.f, testLimits)
			require.NotEmpty(t, got.why)
			got.why = ""
			c.want.follows.Guard, c.want.follows.Well, c.want.follows.Patient = got.follows.Guard, got.follows.Well, got.follows.Patient // see below
			require.Equal(t, c.want, got)
		})
	}
}

func TestWhatAStormHolds(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]ledger.Guard{
		"1001": ledger.GuardSender, "1004": ledger.GuardSender, "http_404": ledger.GuardSender, "http_307": ledger.GuardSender, "9999": ledger.GuardSender,
		"132000": ledger.GuardTemplate, "132001": ledger.GuardNothing, "1010": ledger.GuardTemplate, "http_400": ledger.GuardTemplate,
		"1002": ledger.GuardNothing, "1008": ledger.GuardNothing, "500": ledger.GuardNothing, "131056": ledger.GuardNothing,
	} {
		class := gupshup.ClassUnknown
		if known, ok := gupshup.LookupCode(code); ok {
			class = known.Class
		} else if code == "http_400" {
			class = gupshup.ClassContent
		}
		got := decide(failure{class: class, code: code, priority: message.Bulk, attempt: 1, spent: 1, template: template}, testLimits)
		require.Equal(t, want, got.follows.Guard, code)
	}
}

func TestOnlyWhatConcernsOneMessageShowsThatItsSenderIsWell(t *testing.T) {
	t.Parallel()
	for class, want := range map[gupshup.Class]bool{
		gupshup.ClassRecipient: true, gupshup.ClassContent: true, gupshup.ClassTemplate: true, gupshup.ClassPairThrottled: true,
		gupshup.ClassAccount: false, gupshup.ClassTransient: false, gupshup.ClassInDoubt: false, gupshup.ClassNotSent: false, gupshup.ClassUnknown: false,
		gupshup.ClassThrottled: false, gupshup.ClassSpam: false, gupshup.ClassMaintenance: false,
	} {
		require.Equal(t, want, decide(failure{class: class, priority: message.Bulk, attempt: 1, spent: 1}, testLimits).follows.Well, class)
	}
}

func TestWhoCannotPayWaits(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{"1003": true, "131042": true, "402": true, "http_401": false, "1002": false} {
		require.Equal(t, want, decide(failure{class: gupshup.ClassAccount, code: code, priority: message.Bulk, attempt: 1}, testLimits).follows.Patient, code)
	}
}

func TestDelaysStayWithinTheirBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		f := failure{
			class:      rapid.SampledFrom(gupshup.Classes()).Draw(rt, "class"),
			priority:   rapid.SampledFrom(message.Priorities).Draw(rt, "priority"),
			onInDoubt:  rapid.SampledFrom([]message.OnInDoubt{message.Resend, message.Hold}).Draw(rt, "doubt"),
			attempt:    rapid.IntRange(1, 1_000_000).Draw(rt, "attempt"),
			retryAfter: time.Duration(rapid.Int64Range(0, int64(1000*time.Hour)).Draw(rt, "retry after")),
			age:        time.Duration(rapid.Int64Range(0, int64(100*time.Hour)).Draw(rt, "age")),
			jitter:     rapid.Float64Range(0, 0.999).Draw(rt, "jitter"),
			waited:     rapid.Bool().Draw(rt, "waited"),
		}
		f.spent = rapid.IntRange(0, f.attempt).Draw(rt, "spent")
		v := decide(f, testLimits)
		require.GreaterOrEqual(rt, v.delay, time.Duration(0))
		require.LessOrEqual(rt, v.delay, 24*time.Hour)
		b := testLimits.budget[f.priority]
		if v.action == retry {
			require.LessOrEqual(rt, v.delay, max(testLimits.cap, testLimits.retryAfterCap))
			require.Less(rt, f.age, b.MaxAge)
			if v.spends {
				require.Less(rt, f.spent, b.Attempts)
			}
		}
		if f.class == gupshup.ClassInDoubt && f.onInDoubt == message.Hold {
			require.NotEqual(rt, retry, v.action, "hold means never twice")
		}
	})
}

func TestDeadTextIsRecognisedByItsAttemptOnly(t *testing.T) {
	t.Parallel()
	for _, code := range []string{"1002", CodeInDoubt} {
		full := archived(deadText(code, "a reason · attempt 2", "ee4a68a0", 3)).Error()
		require.True(t, isDeadText(full, 3), full)
		require.False(t, isDeadText(full, 2))
		require.False(t, isDeadText(full, 33))
	}
	require.False(t, isDeadText("asynq: task lease expired", 1))
	require.False(t, isDeadText("", 0))
	require.False(t, isDeadText("dead letter: something else", 0))
}

func TestWaitingTasksAreGivenPatience(t *testing.T) {
	t.Parallel()
	idle, wait := patience(map[message.Priority]queueState{
		message.Critical: {}, message.Default: {pending: 1, active: 64}, message.Bulk: {active: 64, paused: true},
	}, 2)
	require.Equal(t, map[message.Priority]bool{message.Critical: true, message.Default: false, message.Bulk: false}, idle)
	require.Equal(t, map[message.Priority]time.Duration{message.Critical: 3 * time.Second, message.Default: 96 * time.Second, message.Bulk: 192 * time.Second}, wait)
}

func TestPumps(t *testing.T) {
	t.Parallel()
	require.Equal(t, []int{16}, pumps(message.Critical, 16, 8, 1000, time.Millisecond), "critical has one server")
	require.Equal(t, []int{64}, pumps(message.Bulk, 64, 0, 80, time.Millisecond))
	require.Equal(t, []int{13, 13, 13, 13, 12}, pumps(message.Bulk, 64, 0, 3000, time.Millisecond))
	require.Equal(t, []int{8, 8, 8, 8, 8, 8, 8, 8}, pumps(message.Default, 64, 0, 10000, 50*time.Millisecond))
	require.Equal(t, []int{1, 1}, pumps(message.Default, 2, 8, 10000, 50*time.Millisecond), "not more pumps than handlers")
}
