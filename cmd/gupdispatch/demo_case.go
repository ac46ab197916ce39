package main

import (
	"net/http"
	"time"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

// demoCase is something that happens to messages of the sample. A message names its case in metadata.case, and what must
// become of it in metadata.expect.
type demoCase struct {
	name  string
	story string // for the table of outcomes; cases with the same story share a line
	fault gupshuptest.Fault
	times int  // how many attempts meet the fault; 0: all of them
	told  bool // the message is taken in spite of the fault, and its receipts come
	lift  bool // --keep mends it after the report, so that what waits can go on
}

// The cases that are no fault of the simulator's.
const (
	caseStraight = "straight"     // nothing happens
	caseNoRoute  = "network_down" // nobody listens at the sender's address yet: see demoStage.connect
	caseOptedOut = "opted_out"    // its user has said that they want no messages: see demoStage.optOut
)

// demoCases is every case, in the order of the report. The names are what the sample's metadata says.
func demoCases() []demoCase {
	code := func(n int) gupshuptest.Fault { return gupshuptest.Fault{Kind: gupshuptest.KindCode, Code: n} }
	status := func(n int, body gupshuptest.BodyKind) gupshuptest.Fault {
		return gupshuptest.Fault{Kind: gupshuptest.KindHTTP, Status: n, Body: body}
	}
	// Taken, and failed by callback afterwards; and taken, without a word about it ever.
	failed := func(code string) gupshuptest.Fault {
		return gupshuptest.Fault{Kind: gupshuptest.KindCallback, Outcome: code}
	}
	silent := func(kind gupshuptest.Kind) gupshuptest.Fault {
		return gupshuptest.Fault{Kind: kind, Outcome: gupshuptest.OutcomeNone}
	}
	busy := status(http.StatusServiceUnavailable, gupshuptest.BodyHTML)
	later := busy
	later.RetryAfter = time.Minute
	nowhere := status(http.StatusBadRequest, gupshuptest.BodyJSON)
	nowhere.Message = "Invalid Destination"
	broken := status(http.StatusInternalServerError, gupshuptest.BodyJSON)
	broken.Message = "Internal server error. Please try again later"

	const (
		refusedForGood = "refused for good, by code below"
		failedForGood  = "taken, then failed for good, by code below"
	)
	return []demoCase{
		{name: caseStraight, story: "taken at the first try"},
		{name: "503_once", fault: busy, times: 1, story: "503 once, then taken"},
		{name: "429_once", fault: gupshuptest.Fault{Kind: gupshuptest.Kind429}, times: 1, story: "429 once, then taken"},
		{name: "429_retry_after", fault: gupshuptest.Fault{Kind: gupshuptest.Kind429, RetryAfter: 2 * time.Second}, times: 1, story: "429 with Retry-After: 2, then taken"},
		{name: "pair_limit_once", fault: code(131056), times: 1, story: "too many to one person: parked 6 s, taken"},
		{name: "media_once", fault: code(131052), times: 1, story: "picture not loaded once, then taken"},
		{name: caseNoRoute, story: "no connection at first, then taken"},
		{name: "doubt_resent_lost", fault: gupshuptest.Fault{Kind: gupshuptest.KindResetBefore}, times: 1, story: "connection reset: waited, then sent again"},
		{name: "doubt_resent_taken", fault: silent(gupshuptest.Kind504After), times: 1, story: "504 though it was taken: sent again, now twice"},
		{name: "doubt_claimed", fault: gupshuptest.Fault{Kind: gupshuptest.KindResetAfter}, times: 1, told: true, story: "reset though it was taken: a callback told"},
		{name: "failed_131000_once", fault: failed("131000"), times: 1, story: "taken, then failed with 131000: sent again"},

		{name: "1001", fault: code(1001), story: refusedForGood},
		{name: "1002", fault: code(1002), story: refusedForGood},
		{name: "1004", fault: code(1004), story: refusedForGood},
		{name: "1005", fault: code(1005), story: refusedForGood},
		{name: "1006", fault: code(1006), story: refusedForGood},
		{name: "1007", fault: code(1007), story: refusedForGood},
		{name: "1008", fault: code(1008), story: refusedForGood},
		{name: "1010", fault: code(1010), story: refusedForGood},
		{name: "1011", fault: code(1011), story: refusedForGood},
		{name: "1012", fault: code(1012), story: refusedForGood},
		{name: "131053", fault: code(131053), story: "media refused with 131053, three times"},
		{name: "invalid_destination", fault: nowhere, story: refusedForGood},
		{name: "unknown_code", fault: code(9999), story: "refused with a code nobody knows"},
		{name: "500_always", fault: broken, story: "500, five times: given up"},
		{name: "failed_1002", fault: failed("1002"), story: failedForGood},
		{name: "failed_1008", fault: failed("1008"), story: failedForGood},
		{name: "failed_131026", fault: failed("131026"), story: failedForGood},
		{name: "failed_131047", fault: failed("131047"), story: failedForGood},
		{name: "failed_131050", fault: failed("131050"), story: failedForGood},
		{name: "failed_131000", fault: failed("131000"), story: "taken, then failed with 131000, five times"},
		{name: "doubt_held_taken", fault: silent(gupshuptest.KindResetAfter), story: "reset, nobody knows: a person decides"},
		{name: "doubt_held_lost", fault: gupshuptest.Fault{Kind: gupshuptest.Kind504}, story: "504, nobody knows: a person decides"},

		{name: caseOptedOut, story: "its user wants no messages: never sent"},
		{name: "too_late", fault: later, story: "told to retry in a minute, but expires before"},
		{name: "template_paused", fault: code(4005), lift: true, story: "its template is paused: 4005"},
		{name: "wait_a_day", fault: code(131049), story: "had enough marketing today: 131049"},
		{name: "wallet_empty", fault: code(1003), lift: true, story: "the sender's wallet is empty: 1003"},
	}
}
