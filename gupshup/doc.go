// Package gupshup sends WhatsApp messages through Gupshup's self-serve API: the shapes of
// what can be sent with their documented limits, a client that makes exactly one HTTP attempt
// per call, and the classification of everything that can come back.
//
// Gupshup has no idempotency key. A request that may have reached it and got no trustworthy
// answer is therefore neither sent nor failed but in doubt, and this package never repeats it:
// it makes one attempt, follows no redirect and reports a Class. What to do about a class is
// the caller's decision.
//
// Limits of texts are counted in runes: the documentation says "characters" and nothing more.
//
// A 2xx says only that Gupshup accepted the message for processing; whether it reached a
// person comes later, by callback.
package gupshup
