// Package gupshuptest is a Gupshup to test against: the self-serve send
// endpoints with their documented validation and answers, which can be told to
// misbehave in every way that a provider and the network before it can.
//
// A test starts one with NewServer and sends to its URL; a program serves the
// http.Handler that New returns, and calls Close in the server's
// RegisterOnShutdown.
//
// # What it serves
//
//	POST /wa/api/v1/msg            session messages      200
//	POST /wa/api/v1/template/msg   template messages     202
//	POST /wa/api/v1/raw/msg        catalogue templates   200
//	POST /sm/api/v1/msg, /sm/api/v1/template/msg         the retired paths, see Config.LegacySM
//
// The answer is {"status":"submitted","messageId":"<uuid>"} as text/html, which
// is what Gupshup documents. Requests are validated by the types of package
// gupshup, in this order; what fails is counted in Stats.Refused under the name
// at the left:
//
//	path         404: not one of the addresses above
//	method       405: not POST
//	legacy       401 in plain text: /sm with LegacySM "401"
//	auth         401 Authentication Failed: no or a wrong header "apikey" ("api_key" is not it)
//	form, size   415, 400, 413: not application/x-www-form-urlencoded, not a form, above 1 MiB
//	channel      400: a channel other than whatsapp
//	app          400 Invalid App Details: src.name and source are not an app of this key
//	destination  400 Invalid Destination: not 7 to 15 digits
//	message      400: no message, not JSON, an unknown type or field, a limit broken
//	template     400 likewise; 401 in plain text if the id is not a UUID, as Gupshup does
//	postback     400: postbackTexts are not [{"index":0,"text":"…"}]
//	rate         429: the app is above Config.RatePerSecond
//
// A message is recorded as accepted before any byte of its answer leaves, so a
// test can prove that it was sent exactly once whatever the client got to see.
// What becomes of it later is told by callback, if Config.Callbacks says where.
//
// # Callbacks
//
// The outcome of a message is decided when it is accepted, by the Outcome of
// its fault or by chance, and is found in Accepted. One goroutine then posts
//
//	enqueued, sent, delivered, read     at least 5 s after the acceptance, as Gupshup does
//	failed                              for Gupshup's own codes, with the messageId as "id"
//	enqueued, perhaps sent, failed      for WhatsApp's codes, with the messageId as "gsId"
//
// to the URL, divided by Speed, and again until the answer is a 2xx: after max(10
// s/Speed, 1 s) without an answer it counts as failed; the next attempt comes
// after 5 s, 10 s, 20 s and so on up to 5 minutes, all divided by Speed, but at
// least 100 ms and up to 2 s. On top come, if wanted, duplicates, another order,
// a read without delivered, callbacks without gsId, codes as strings, billing
// events, and Meta's format of version 3. The "timestamp" of a callback is when
// Gupshup learned of it, its "ts", in whole seconds, when it happened. A message
// that was accepted has its callbacks whether or not the client got an answer.
//
//	sim := gupshuptest.NewServer(t, gupshuptest.Config{Callbacks: gupshuptest.Callbacks{
//		URL: receiver.URL + "/callbacks/gupshup/demo", Speed: 100, Duplicates: 0.1, Reorder: 0.1,
//		Failures: []gupshuptest.Failure{{Code: "131000", Probability: 0.05}}, FailOnce: true,
//	}})
//	// … send, then:
//	err := sim.Drain(ctx)              // all of them are told
//	m := sim.Accepted(gupshuptest.Filter{})[0] // and m.Outcome is what was told
//
// # Rules
//
// Rules make valid requests fail. They are set by Config.Rules, SetRules and
// AddRule, or over HTTP:
//
//	PUT /_sim/rules
//	[
//	  {"destination": "919876543210", "times": 1, "fault": {"kind": "reset_after"}},
//	  {"destination": "9198*", "probability": 0.1, "fault": {"kind": "429", "retry_after": "2s"}},
//	  {"match": "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b", "after": 100, "fault": {"kind": "code", "code": 4005}},
//	  {"destination": "*77", "fault": {"kind": "http", "status": 503, "body": "html", "delay": "250ms"}}
//	]
//
// The kinds of faults are the constants of type Kind. They come in pairs that a
// client cannot tell apart, one that accepts the message and one that does not:
// reset_after and reset_before, 504_after and 504, slow with a long delay and
// hang, truncated and html_2xx. Those that accept may have an outcome, which
// callbacks tell: {"kind": "reset_after", "outcome": "delivered"}. The kind
// callback has nothing but that: {"kind": "callback", "outcome": "131026"}
// answers as usual, and the message fails with 131026 by callback.
//
// # Magic numbers
//
// With Config.MagicNumbers a destination ending as follows misbehaves; GET
// /_sim/magic lists all of them:
//
//	…1001 to …1012, …4001 to …4005      400 with that code of Gupshup
//	…130429, …131026, …131049, and so on 400 with that code of WhatsApp
//	…0400 …0401 …0403 …0404 …0408 …0422  that HTTP status
//	…0411 …0421                          401 with a nested message, in plain text
//	…0429 …0430                          429, and 429 with Retry-After
//	…0440 …0441                          400 with a reason, 400 Invalid App Details
//	…0500 …0502 …0503                    that HTTP status
//	…0504 …0505                          504 after accepting, 504 without
//	…0600 …0601                          slow, hang
//	…0602 …0603                          reset before and after accepting
//	…0604 …0605 …0606 …0607              no_message_id, 2xx_error, html_2xx, truncated
//	…0608 …0609                          redirect, garbage
//	…71002, …7131026, and so on          accepted, fails with the code behind the 7 by callback
//	…0700                                accepted, no callback ever comes
//	…0701 …0702 …0703 …0704              accepted; enqueued, sent, delivered, read is the end
//	…0705 …0706                          reset after accepting; delivered by callback, no callback ever
//
// # Admin endpoints
//
//	GET    /_sim/messages    accepted messages; ?destination= &message_id= &app= &limit=100 &after=<seq>
//	GET    /_sim/duplicates  contents accepted more than once for a destination
//	GET    /_sim/stats       counts, see Stats
//	GET    /_sim/rules       the rules and how often they matched and fired
//	PUT    /_sim/rules       replaces the rules by a JSON array
//	POST   /_sim/rules       adds one rule behind the others
//	DELETE /_sim/rules       removes all rules
//	POST   /_sim/reset       forgets messages and counts, and restores the first rules
//	GET    /_sim/magic       the magic numbers
//	GET    /_sim/callbacks   where and how callbacks are told, without the token, and what became of them
//	PUT    /_sim/callbacks   replaces that, see Callbacks
//	DELETE /_sim/callbacks   tells nothing any more
//	POST   /_sim/drain       answers once no callback is pending
//	POST   /_sim/callback    sends one at once, see Push: {"kind": "opted-out", "phone": "919876543210"}
//
// An answer of GET /_sim/messages, whose next is the after of the next page, or
// 0 on the last:
//
//	{"messages": [{"seq": 1, "message_id": "6f1c…", "app": "DemoApp", "source": "917834811114",
//	  "destination": "919876543210", "path": "/wa/api/v1/msg", "type": "text",
//	  "at": "2026-01-02T03:04:05Z", "outcome": "failed", "code": "131000", "form": {"message": ["{\"type\":\"text\",…}"], …}}], "next": 0}
//
// The admin endpoints know no login and show full numbers and texts: serve a
// simulator to people you trust only.
package gupshuptest
