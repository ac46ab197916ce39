package main

// demoSender is one of the demo's senders.
type demoSender struct {
	name   string // also of the app at the simulator, whose callbacks are posted to a URL for each app
	source string
	rate   float64 // messages per second; the first one's is --rate
	story  string

	noRoute bool // nobody listens at its address at first
}

// demoSenders are a shop and others, so that trouble of one sender is seen not to touch another.
func demoSenders() []demoSender {
	return []demoSender{
		{name: "shop", source: "15550000001", rate: 80, story: "passwords, orders and a campaign"},
		{name: "boutique", source: "15550000002", rate: 10, story: "its wallet is empty"},
		{name: "clinic", source: "15550000003", rate: 20, story: "its network is down for the first 2 s", noRoute: true},
		{name: "florist", source: "15550000004", rate: 20, story: "Gupshup finds it too fast: 429 slows it down"},
	}
}

func demoSenderNames() []string {
	var names []string
	for _, s := range demoSenders() {
		names = append(names, s.name)
	}
	return names
}
