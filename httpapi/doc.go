// Package httpapi is the door of gupdispatch for programs and people: the REST
// API, liveness and readiness, Prometheus metrics, and, behind a login, our own
// pages and asynq's web UI. It lends its port to Gupshup's callbacks, which are
// somebody else's handler.
//
// New takes plain values and small interfaces, so that the package knows
// neither the configuration nor the workers. Every area (API, health, metrics,
// pages, web UI) is a handler of its own, and the table of paths is
// Server.routes: a new area is a new handler and a line there. The pages are a
// second way to what the REST API does, by the same functions.
package httpapi
