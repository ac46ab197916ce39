package gupshuptest

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// reply is one HTTP answer. An empty contentType means the one the simulator
// uses for JSON.
type reply struct {
	status      int
	contentType string
	body        string
	retryAfter  string
	location    string
	allow       string
}

const (
	contentHTML = "text/html"
	contentText = "text/plain"
	contentJSON = "application/json"

	tooManyRequests = "Too Many Requests"
)

// portalUserNotFound is what production code has seen from Gupshup for a wrong
// key on /sm, for accounts without /sm, and for a template id that is not a UUID.
var portalUserNotFound = reply{
	status: http.StatusUnauthorized, contentType: contentText, body: "Portal User Not Found With APIKey",
}

// jsonError is Gupshup's documented error.
func jsonError(status int, message string) reply {
	return reply{status: status, body: `{"message":` + quote(message) + `,"status":"error"}`}
}

// codeError is an error with a code, as some clients expect it; Gupshup does
// not document it.
func codeError(status, code int, quoted bool, message string) reply {
	number := strconv.Itoa(code)
	if quoted {
		number = `"` + number + `"`
	}
	return reply{status: status, body: `{"status":"error","code":` + number + `,"message":` + quote(message) + `}`}
}

// htmlError is a page as the load balancer in front of Gupshup writes it.
func htmlError(status int) reply {
	title := strconv.Itoa(status) + " " + statusText(status)
	return reply{
		status: status, contentType: contentHTML,
		body: "<html>\r\n<head><title>" + title + "</title></head>\r\n<body>\r\n<center><h1>" + title + "</h1></center>\r\n</body>\r\n</html>\r\n",
	}
}

// statusText is never empty.
func statusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "Status " + strconv.Itoa(status)
}

// quote writes a JSON string.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil { // a string always marshals
		return `""`
	}
	return string(b)
}

// accepted is the answer to an accepted message.
func (s *Simulator) accepted(ep endpoint, messageID string) reply {
	return reply{status: ep.okStatus, body: s.okPrefix + messageID + `"}`}
}

// write sends the reply and counts it.
func (s *Simulator) write(w http.ResponseWriter, r reply) {
	s.counts.statuses[r.status].Add(1)
	h := w.Header()
	switch {
	case r.contentType != "":
		h["Content-Type"] = []string{r.contentType}
	case r.body != "":
		h["Content-Type"] = s.jsonType
	}
	if r.retryAfter != "" {
		h.Set("Retry-After", r.retryAfter)
	}
	if r.location != "" {
		h.Set("Location", r.location)
	}
	if r.allow != "" {
		h.Set("Allow", r.allow)
	}
	w.WriteHeader(r.status)
	if r.body != "" && r.status != http.StatusNoContent && r.status != http.StatusNotModified {
		// A client that has left cannot be told; what was accepted is recorded.
		_, _ = w.Write([]byte(r.body))
	}
}
