package gupshuptest

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// MagicNumber is an ending of a destination that misbehaves, like the test card
// numbers of a payment provider.
type MagicNumber struct {
	Suffix string `json:"suffix"`
	Fault  Fault  `json:"fault"`
	About  string `json:"about"`
}

// Magic returns the magic numbers in the order of their suffixes. Those that
// are codes end in the code itself; 0400 to 0504 are HTTP statuses; 0600 to
// 0699 are trouble on the wire. With a 7 before it a code comes by callback,
// and 0700 to 0799 are what else callbacks tell; where no callbacks are set, these
// get the same answers and nothing comes later.
func Magic() []MagicNumber {
	all := []MagicNumber{
		{"0400", Fault{Kind: KindHTTP, Status: 400, Message: "Invalid Destination"}, "400 Invalid Destination"},
		{"0401", Fault{Kind: KindHTTP, Status: 401, Message: "Authentication Failed"}, "401 in JSON"},
		{"0403", Fault{Kind: KindHTTP, Status: 403}, "403 in JSON"},
		{"0404", Fault{Kind: KindHTTP, Status: 404, Body: BodyHTML}, "404 in HTML"},
		{"0408", Fault{Kind: KindHTTP, Status: 408, Body: BodyEmpty}, "408 without a body"},
		{"0411", Fault{Kind: Kind401Nested}, "401 whose message is an object"},
		{"0421", Fault{Kind: Kind401Text}, "401 in plain text"},
		{"0422", Fault{Kind: KindHTTP, Status: 422}, "422 in JSON"},
		{"0429", Fault{Kind: Kind429}, "429 without Retry-After"},
		{"0430", Fault{Kind: Kind429, RetryAfter: 2 * time.Second}, "429 with Retry-After: 2"},
		{"0440", Fault{Kind: KindReason}, "400 with a reason instead of a message"},
		{"0441", Fault{Kind: KindHTTP, Status: 400, Message: "Invalid App Details"}, "400 Invalid App Details"},
		{"0500", Fault{Kind: KindHTTP, Status: 500, Message: "Internal server error. Please try again later"}, "500 in JSON"},
		{"0502", Fault{Kind: KindHTTP, Status: 502, Body: BodyHTML}, "502 in HTML"},
		{"0503", Fault{Kind: KindHTTP, Status: 503, Body: BodyHTML}, "503 in HTML"},
		{"0504", Fault{Kind: Kind504After}, "accepted, then 504 in HTML"},
		{"0505", Fault{Kind: Kind504}, "504 in HTML, not accepted"},
		{"0600", Fault{Kind: KindSlow}, "accepted, the answer comes after 3 seconds"},
		{"0601", Fault{Kind: KindHang}, "no answer at all, not accepted"},
		{"0602", Fault{Kind: KindResetBefore}, "connection reset, not accepted"},
		{"0603", Fault{Kind: KindResetAfter}, "accepted, then the connection is reset"},
		{"0604", Fault{Kind: KindNoMessageID}, "accepted, answer without messageId"},
		{"0605", Fault{Kind: Kind2xxError}, "2xx with status error, not accepted"},
		{"0606", Fault{Kind: KindHTML2xx}, "2xx with an HTML page, not accepted"},
		{"0607", Fault{Kind: KindTruncated}, "accepted, the JSON is cut off"},
		{"0608", Fault{Kind: KindRedirect}, "307 to the same address, not accepted"},
		{"0609", Fault{Kind: KindGarbage}, "bytes that are not HTTP, not accepted"},
		{"0700", Fault{Kind: KindCallback, Outcome: OutcomeNone}, "accepted, no callback ever comes"},
		{"0701", Fault{Kind: KindCallback, Outcome: string(OutcomeEnqueued)}, "accepted, enqueued is the last callback"},
		{"0702", Fault{Kind: KindCallback, Outcome: string(OutcomeSent)}, "accepted, sent is the last callback"},
		{"0703", Fault{Kind: KindCallback, Outcome: string(OutcomeDelivered)}, "accepted, delivered and not read"},
		{"0704", Fault{Kind: KindCallback, Outcome: string(OutcomeRead)}, "accepted, delivered and read"},
		{"0705", Fault{Kind: KindResetAfter, Outcome: string(OutcomeDelivered)}, "accepted, then the connection is reset; delivered by callback"},
		{"0706", Fault{Kind: KindResetAfter, Outcome: OutcomeNone}, "accepted, then the connection is reset; no callback ever comes"},
	}
	for _, code := range magicCodes {
		suffix := strconv.Itoa(code)
		all = append(all,
			MagicNumber{suffix, Fault{Kind: KindCode, Code: code}, "400 with code " + suffix + ": " + codeText(code)},
			MagicNumber{callbackPrefix + suffix, Fault{Kind: KindCallback, Outcome: suffix}, "accepted, fails by callback with code " + suffix + ": " + codeText(code)})
	}
	slices.SortFunc(all, func(a, b MagicNumber) int { return strings.Compare(a.Suffix, b.Suffix) })
	return all
}

// callbackPrefix, before a code, has it come by callback.
const callbackPrefix = "7"

// magicCodes are the codes a dispatcher has to tell apart: Gupshup's own, and
// at least one of each class of WhatsApp's.
var magicCodes = []int{
	1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010, 1011, 1012,
	4001, 4002, 4003, 4004, 4005,
	130429, 130472, 131000, 131016, 131026, 131031, 131042, 131047, 131048, 131049, 131050,
	131052, 131053, 131056, 131057, 132000, 132001, 132015, 132016,
}

// magicFaults is Magic by suffix.
func magicFaults() map[string]Fault {
	bySuffix := make(map[string]Fault)
	for _, m := range Magic() {
		bySuffix[m.Suffix] = m.Fault
	}
	return bySuffix
}

// magicFault looks at the last seven digits first, then at fewer. A destination
// has at least seven.
func magicFault(bySuffix map[string]Fault, destination string) (Fault, bool) {
	for _, digits := range [...]int{7, 6, 5, 4} {
		if fault, ok := bySuffix[destination[len(destination)-digits:]]; ok {
			return fault, true
		}
	}
	return Fault{}, false
}
