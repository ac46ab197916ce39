package notify_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/notify"
)

// A receiver verifies the body as it came, before it believes anything in it, and answers 2xx only when the event is safe:
// what it does not confirm is posted again.
func ExampleVerify() {
	secret := "the value of the variable that notify_secret_env names"
	receive := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10))
		if err != nil {
			http.Error(w, "unreadable", http.StatusBadRequest)
			return
		}
		if err := notify.Verify(secret, r.Header.Get(notify.SignatureHeader), body, 5*time.Minute, time.Now()); err != nil {
			http.Error(w, "not from gupdispatch", http.StatusForbidden)
			return
		}
		var event notify.Event
		if err := json.Unmarshal(body, &event); err != nil {
			http.Error(w, "no event", http.StatusBadRequest)
			return
		}
		if event.Status == message.Dead {
			fmt.Printf("message %s failed for good: %s %s\n", event.ID, event.Code, event.Reason)
		}
		w.WriteHeader(http.StatusNoContent)
	}

	body := `{"event_id":"1700000000000-0","sender":"shop","id":"01HF","from":"failed","status":"dead","attempt":1,` +
		`"at":"2023-11-14T22:13:20.000Z","code":"1002","class":"recipient","reason":"no WhatsApp account"}`
	r := httptest.NewRequest(http.MethodPost, "/events", strings.NewReader(body))
	r.Header.Set(notify.SignatureHeader, notify.Sign(secret, []byte(body), time.Now()))
	w := httptest.NewRecorder()
	receive(w, r)
	fmt.Println(w.Code)
	// Output:
	// message 01HF failed for good: 1002 no WhatsApp account
	// 204
}
