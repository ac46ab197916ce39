package gupshup_test

import (
	"fmt"

	"github.com/gupdispatch/gupdispatch/gupshup"
)

// A failure that comes by callback, long after the 2xx.
func ExampleParseCallback() {
	events, err := gupshup.ParseCallback([]byte(`{"app":"DemoAPI","timestamp":1663138637856,"version":2,"type":"message-event","payload":{
		"id":"9163a016-710e-41ee-978b-79a1adbd734e","gsId":"72f61f22-5aa4-4615-a970-943edf6da01c","type":"failed",
		"destination":"919876543210","payload":{"code":"1002","reason":"Number Not Exist On WhatsApp"}}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, e := range events {
		fmt.Println(e.Kind, e.Type, e.MessageID, e.At.Format("2006-01-02 15:04:05"))
		fmt.Println(e.Code, gupshup.EventClass(e.Code), e.Reason)
	}
	// Output:
	// receipt failed 72f61f22-5aa4-4615-a970-943edf6da01c 2022-09-14 06:57:17
	// 1002 recipient Number Not Exist On WhatsApp
}
