// Package httpapi is the door of gupdispatch for programs and people: the REST
// API, liveness and readiness, Prometheus metrics, and asynq's web UI behind a
// login. It lends its port to Gupshup's callbacks, which are somebody else's
// handler.
//
// New takes plain values and small interfaces, so that the package knows
// neither the configuration nor the workers. Every area (API, health, metrics,
// web UI) is a handler of its own, and the table of paths is Server.routes: a new
// area is a new handler and a line there.
package httpapi
