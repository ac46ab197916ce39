package httpapi

import "net/http"

// problem is an error as programs are told of it, in the form of RFC 9457.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
}

// writeProblem answers with an application/problem+json body. The detail says
// what to do about it, and never repeats what the client sent.
func writeProblem(w http.ResponseWriter, status int, detail string) {
	writeBody(w, status, "application/problem+json", problem{
		Title:  http.StatusText(status),
		Status: status,
		Detail: detail,
	})
}
