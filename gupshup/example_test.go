package gupshup_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/gupdispatch/gupdispatch/gupshup"
)

// Sending a template with a picture. The server stands in for https://api.gupshup.io.
func ExampleClient_Send() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.URL.Path, r.PostFormValue("template"))
		w.WriteHeader(http.StatusAccepted)
		_, _ = fmt.Fprint(w, `{"status":"submitted","messageId":"ee4a68a0-1203-4c85-8dc3-49d0b3226a35"}`)
	}))
	defer server.Close()

	client, err := gupshup.New(gupshup.Config{BaseURL: server.URL, APIKey: gupshup.StaticKey("your-api-key")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseIdleConnections()

	content := gupshup.Content{
		Template: &gupshup.Template{ID: "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b", Params: []string{"Asha", "1042"}},
		Media:    gupshup.MediaImage{Link: "https://www.buildquickbots.com/whatsapp/media/sample/jpg/sample01.jpg"},
	}
	if err := content.Validate(); err != nil {
		fmt.Println(err)
		return
	}
	receipt, err := client.Send(context.Background(), gupshup.Request{
		Source: "917834811114", AppName: "DemoApp", Destination: "919876543210", Content: content,
	})
	if e := (*gupshup.Error)(nil); errors.As(err, &e) {
		fmt.Println("not accepted:", e.Class, e.Code)
		return
	}
	fmt.Println(receipt.Status, receipt.MessageID)
	// Output:
	// /wa/api/v1/template/msg {"id":"c6aecef6-bcb0-4fb1-8100-28c094e3bc6b","params":["Asha","1042"]}
	// submitted ee4a68a0-1203-4c85-8dc3-49d0b3226a35
}

// What is wrong with a message is said for every field at once, before anything is sent.
func ExampleContent_Validate() {
	content := gupshup.Content{
		Template: &gupshup.Template{ID: "order_update", Params: []string{"Asha", "line\nbreak"}},
		Media:    gupshup.MediaImage{Link: "sample01.jpg"},
	}
	var fields gupshup.FieldErrors
	if errors.As(content.Validate(), &fields) {
		for _, f := range fields {
			fmt.Println(f)
		}
	}
	// Output:
	// template.id: must be the template's UUID at Gupshup, not its name or Meta's number
	// template.params[1]: must not contain line breaks or tabs
	// media.image.link: must be an absolute http or https URL
}
