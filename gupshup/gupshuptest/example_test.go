package gupshuptest_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
)

// A message whose answer is lost was sent all the same: the client cannot know,
// the simulator does.
func Example() {
	sim := gupshuptest.New(gupshuptest.Config{
		Rules: []gupshuptest.Rule{{
			Destination: "919876543210", Times: 1,
			Fault: gupshuptest.Fault{Kind: gupshuptest.Kind504After},
		}},
	})
	gupshup := httptest.NewServer(sim) // in a test: gupshuptest.NewServer(t, …)
	defer gupshup.Close()
	defer sim.Close()

	form := url.Values{
		"source":      {"917834811114"},
		"src.name":    {"DemoApp"},
		"destination": {"919876543210"},
		"message":     {`{"type":"text","text":"Your parcel has arrived"}`},
	}
	for range 2 { // the second is the blind resend that gupdispatch never does
		got, err := post(context.Background(), gupshup.Client(), gupshup.URL+"/wa/api/v1/msg", form)
		if err != nil {
			panic(err)
		}
		fmt.Println(got.status)
	}
	fmt.Println("accepted:", sim.Stats().Accepted, "duplicates:", sim.Stats().Duplicates)
	// Output:
	// 504
	// 200
	// accepted: 2 duplicates: 1
}
