package gupshup_test

import (
	"testing"

	"github.com/gupdispatch/gupdispatch/gupshup"
)

func templateRequest() gupshup.Request {
	return gupshup.Request{
		Source: "917834811114", AppName: "DemoAPI", Destination: "919876543210",
		Content: gupshup.Content{
			Template: &gupshup.Template{ID: templateID, Params: []string{"Agent", "Local Address", "Tracking code"}},
			Media:    gupshup.MediaImage{Link: "https://www.buildquickbots.com/whatsapp/media/sample/jpg/sample01.jpg"},
		},
	}
}

func BenchmarkForm(b *testing.B) {
	r := templateRequest()
	b.ReportAllocs()
	for b.Loop() {
		form, err := r.Form()
		if err != nil {
			b.Fatal(err)
		}
		_ = form.Encode()
	}
}

func BenchmarkClassify(b *testing.B) {
	reply := &gupshup.Reply{Status: 202, Body: []byte(accepted)}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := gupshup.Classify(reply, nil, nil, noon); err != nil {
			b.Fatal(err)
		}
	}
}
