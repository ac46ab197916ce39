// Package receipt takes in Gupshup's callbacks: what became of the messages that it accepted, who wrote to us, and who wants no
// more messages. It authenticates, parses and records, and decides nothing: what follows from a failure is the worker's policy.
//
// A callback is answered 2xx only after its effect is in Redis, because Gupshup does not repeat what was answered so. Every other
// answer makes it try again, and recording twice changes nothing.
package receipt
