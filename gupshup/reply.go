package gupshup

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Reply is an HTTP reply with what could be read of its body.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// answer is what a reply's body says. Gupshup's replies differ by page and by product, so
// everything is optional and nothing depends on the Content-Type.
type answer struct {
	object    bool   // the body is one complete JSON object
	failed    bool   // its status is "error", or it has an error object
	status    string // its status, "submitted" or "success" where all is well
	messageID string // empty if it has none
	code      string // a number of at most seven digits, as text; empty if it has none
	text      string // the message for people, not cleaned yet
}

// maxMessageID bounds an id: those known have 36 characters.
const maxMessageID = 256

// byteOrderMark may stand before UTF-8 texts of some servers.
var byteOrderMark = []byte("\xef\xbb\xbf")

func parseAnswer(body []byte) answer {
	var raw struct {
		Status    json.RawMessage `json:"status"`
		MessageID json.RawMessage `json:"messageId"`
		Message   json.RawMessage `json:"message"`
		Reason    json.RawMessage `json:"reason"`
		Code      json.RawMessage `json:"code"`
		Error     json.RawMessage `json:"error"`
		Messages  json.RawMessage `json:"messages"`
	}
	body = bytes.TrimPrefix(bytes.TrimSpace(body), byteOrderMark)
	if len(body) == 0 || body[0] != '{' || json.Unmarshal(body, &raw) != nil {
		return answer{text: plainText(body)}
	}
	a := answer{object: true, messageID: messageID(raw.MessageID, raw.Messages)}
	nestedText, nestedCode := inside(raw.Message)
	errorText, errorCode := inside(raw.Error)
	a.code = firstCode(raw.Code, nestedCode, errorCode)
	a.text = firstText(raw.Message, nestedText, raw.Reason, errorText, raw.Error)
	a.status = scalar(raw.Status)
	a.failed = strings.EqualFold(a.status, "error") || (present(raw.Error) && a.messageID == "")
	return a
}

// inside is message and code of an object such as {"message":{"message":"Authentication Failed"}}.
func inside(raw json.RawMessage) (text, code json.RawMessage) {
	var object struct {
		Message json.RawMessage `json:"message"`
		Code    json.RawMessage `json:"code"`
	}
	if len(raw) == 0 || raw[0] != '{' || json.Unmarshal(raw, &object) != nil {
		return nil, nil
	}
	return object.Message, object.Code
}

// messageID is the id of the v2 form, or that of the first message of the v3 form.
func messageID(v2, v3 json.RawMessage) string {
	id := scalar(v2)
	if id == "" {
		var messages []struct {
			ID json.RawMessage `json:"id"`
		}
		if json.Unmarshal(v3, &messages) == nil && len(messages) > 0 {
			id = scalar(messages[0].ID)
		}
	}
	if len(id) > maxMessageID {
		return ""
	}
	return id
}

// scalar is a JSON string or number as trimmed text; empty for anything else.
func scalar(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	switch c := raw[0]; {
	case c == '"':
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return ""
		}
		return strings.TrimSpace(text)
	case c == '-', '0' <= c && c <= '9':
		return string(raw)
	}
	return ""
}

func firstText(candidates ...json.RawMessage) string {
	for _, raw := range candidates {
		if text := scalar(raw); text != "" {
			return text
		}
	}
	return ""
}

// firstCode takes numbers only: every documented code is one, and anything longer than seven
// digits could be a phone number.
func firstCode(candidates ...json.RawMessage) string {
	for _, raw := range candidates {
		text := scalar(raw)
		if text == "" {
			continue
		}
		if n, err := strconv.ParseUint(text, 10, 32); err == nil && n < 10_000_000 {
			return strconv.FormatUint(n, 10)
		}
	}
	return ""
}

// plainText is a body that is not JSON, such as "Portal User Not Found With APIKey". Pages of
// proxies say nothing worth keeping.
func plainText(body []byte) string {
	if bytes.ContainsAny(body, "<{") {
		return ""
	}
	return string(body)
}

// maxRetryAfter bounds what a server may ask for, so that one odd header cannot stop a sender.
const maxRetryAfter = 24 * time.Hour

// retryAfter reads the header's two forms, seconds and HTTP date; 0 if absent, odd or past.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := strings.TrimSpace(h.Get("Retry-After"))
	if value == "" {
		return 0
	}
	wait := maxRetryAfter
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		if seconds < int64(maxRetryAfter/time.Second) {
			wait = time.Duration(seconds) * time.Second
		}
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	} else {
		return 0
	}
	return min(max(wait, 0), maxRetryAfter)
}
