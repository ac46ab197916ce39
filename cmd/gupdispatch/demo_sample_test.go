package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/message"
)

var updateSample = flag.Bool("update-sample", false, "write sample/messages.ndjson anew")

const samplePath = "sample/messages.ndjson"

// The shipped sample is made by this file, so that it can be changed and reviewed here.
func TestSampleIsWhatItsGeneratorMakes(t *testing.T) {
	t.Parallel()
	made := makeSample(t)
	if *updateSample {
		require.NoError(t, os.WriteFile(samplePath, made, 0o644))
	}
	kept, err := os.ReadFile(samplePath)
	require.NoError(t, err)
	require.True(t, bytes.Equal(made, kept), "run: go test ./cmd/gupdispatch -run TestSample -update-sample")
	require.Equal(t, string(kept), string(shippedSample))
}

func TestSampleIsRealisticAndFictitious(t *testing.T) {
	t.Parallel()
	sample, err := readDemoSample(shippedSample)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(sample), 1000)

	ids, numbers, seen := map[string]bool{}, map[string]bool{}, map[string]map[string]int{}
	count := func(what, value string) {
		if seen[what] == nil {
			seen[what] = map[string]int{}
		}
		seen[what][value]++
	}
	for _, d := range sample {
		m := d.Message
		require.NoError(t, m.Normalise("", time.Now()), m.ID)
		require.False(t, ids[m.Sender+m.ID], "id %s comes twice", m.ID)
		require.False(t, numbers[m.To], "number of %s comes twice", m.ID)
		ids[m.Sender+m.ID], numbers[m.To] = true, true
		require.Regexp(t, "^1555", m.To, "the area code 555 does not exist")
		require.False(t, slices.ContainsFunc(gupshuptest.Magic(), func(magic gupshuptest.MagicNumber) bool {
			return strings.HasSuffix(m.To, magic.Suffix)
		}), "the number of %s is a magic one by accident", m.ID)
		count("priority", string(m.Priority))
		count("case", d.Case)
		count("sender", m.Sender)
		if m.Content.Template != nil {
			count("template", m.Content.Template.ID)
		} else {
			count("type", m.Content.Message.Type())
		}
	}
	require.Len(t, seen["priority"], 3)
	require.Len(t, seen["sender"], len(demoSenders()))
	require.GreaterOrEqual(t, len(seen["template"]), 6)
	require.GreaterOrEqual(t, len(seen["type"]), 4)
	for _, c := range demoCases() {
		require.Positive(t, seen["case"][c.name], "no message of the sample is of the case %s", c.name)
	}
}

// made is so many messages of one case.
type made struct {
	count    int
	of       string // the case
	kind     string
	expect   string // empty: what its callbacks tell in the end, see receiptOf
	attempts int    // exactly so many; 0: any number
}

// receiptOf is what is told in the end of the i-th message of a plan that is taken: some are read, some delivered, and of a few
// comes no more than sent, or nothing. A plan of up to 14 has none of the latter.
func receiptOf(i int) (receipt, expect string) {
	switch i = i * 7 % 20; {
	case i < 11:
		return gupshup.ReceiptRead, "read"
	case i < 18:
		return gupshup.ReceiptDelivered, "delivered"
	case i == 18:
		return gupshup.ReceiptSent, "sent"
	}
	return gupshuptest.OutcomeNone, "submitted"
}

// slow are the cases that take seconds until they are settled. Their messages stand near the beginning of the sample.
var slow = []string{
	"doubt_resent_lost", "doubt_claimed", "doubt_held_taken", "doubt_held_lost", "failed_131000", "pair_limit_once", "too_late",
}

// The templates' ids are UUIDs, as Gupshup's are, and nobody's.
func templateID(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", n) }

// makeSample is a day of a shop: passwords, orders and a campaign, and the senders beside it.
func makeSample(t *testing.T) []byte {
	t.Helper()
	plan := []made{
		{count: 186, of: caseStraight, kind: "otp", attempts: 1},
		{count: 6, of: "503_once", kind: "otp", attempts: 2},
		{count: 3, of: "doubt_resent_taken", kind: "otp", attempts: 2},
		{count: 3, of: "doubt_claimed", kind: "otp", attempts: 1},
		{count: 4, of: "1002", kind: "otp", expect: "dead 1002", attempts: 1},
		{count: 4, of: "failed_1002", kind: "otp", expect: "dead 1002", attempts: 1},
		{count: 5, of: "failed_131000_once", kind: "otp", attempts: 2},
		{count: 2, of: "failed_131000", kind: "otp", expect: "dead 131000", attempts: 5},
		{count: 2, of: "invalid_destination", kind: "otp", expect: "dead http_400", attempts: 1},
		{count: 2, of: "500_always", kind: "otp", expect: "dead http_500", attempts: 5},

		{count: 150, of: caseStraight, kind: "confirmed", attempts: 1},
		{count: 104, of: caseStraight, kind: "shipped", attempts: 1},
		{count: 50, of: caseStraight, kind: "invoice", attempts: 1},
		{count: 30, of: caseStraight, kind: "slot", attempts: 1},
		{count: 24, of: caseStraight, kind: "pickup", attempts: 1},
		{count: 24, of: caseStraight, kind: "answer", attempts: 1},
		{count: 12, of: caseStraight, kind: "photo", attempts: 1},
		{count: 16, of: "503_once", kind: "confirmed", attempts: 2},
		{count: 4, of: "pair_limit_once", kind: "answer", attempts: 2},
		{count: 4, of: "media_once", kind: "photo", attempts: 2},
		{count: 4, of: "doubt_resent_lost", kind: "confirmed", attempts: 2},
		{count: 6, of: "doubt_claimed", kind: "confirmed", attempts: 1},
		{count: 8, of: "failed_131000_once", kind: "shipped", attempts: 2},
		{count: 5, of: "failed_131026", kind: "shipped", expect: "dead 131026", attempts: 1},
		{count: 4, of: "failed_1008", kind: "answer", expect: "dead 1008", attempts: 1},
		{count: 4, of: "failed_131047", kind: "answer", expect: "dead 131047", attempts: 1},
		{count: 2, of: "1001", kind: "answer", expect: "dead 1001", attempts: 1},
		{count: 3, of: "1005", kind: "slot", expect: "dead 1005", attempts: 1},
		{count: 3, of: "1008", kind: "answer", expect: "dead 1008", attempts: 1},
		{count: 3, of: "1010", kind: "invoice", expect: "dead 1010", attempts: 1},
		{count: 2, of: "1011", kind: "invoice", expect: "dead 1011", attempts: 1},
		{count: 3, of: "131053", kind: "invoice", expect: "dead 131053", attempts: 3},
		{count: 2, of: "invalid_destination", kind: "confirmed", expect: "dead http_400", attempts: 1},
		{count: 4, of: "too_late", kind: "slot", expect: "expired"},

		{count: 229, of: caseStraight, kind: "spring", attempts: 1},
		{count: 86, of: caseStraight, kind: "restock", attempts: 1},
		{count: 14, of: "503_once", kind: "spring", attempts: 2},
		{count: 6, of: "doubt_claimed", kind: "spring", attempts: 1},
		{count: 7, of: "failed_131000_once", kind: "spring", attempts: 2},
		{count: 12, of: "failed_1002", kind: "spring", expect: "dead 1002", attempts: 1},
		{count: 6, of: "failed_131026", kind: "spring", expect: "dead 131026", attempts: 1},
		{count: 4, of: "failed_131050", kind: "restock", expect: "dead 131050", attempts: 1},
		{count: 6, of: caseOptedOut, kind: "restock", expect: "suppressed"},
		{count: 10, of: "1002", kind: "spring", expect: "dead 1002", attempts: 1},
		{count: 3, of: "1004", kind: "spring", expect: "dead 1004", attempts: 1},
		{count: 3, of: "1006", kind: "spring", expect: "dead 1006", attempts: 1},
		{count: 2, of: "1007", kind: "restock", expect: "dead 1007", attempts: 1},
		{count: 5, of: "1008", kind: "spring", expect: "dead 1008", attempts: 1},
		{count: 3, of: "1012", kind: "restock", expect: "dead 1012", attempts: 1},
		{count: 3, of: "unknown_code", kind: "restock", expect: "dead 9999", attempts: 1},
		{count: 3, of: "doubt_held_taken", kind: "spring", expect: "dead IN_DOUBT", attempts: 1},
		{count: 3, of: "doubt_held_lost", kind: "spring", expect: "dead IN_DOUBT", attempts: 1},
		{count: 5, of: "wait_a_day", kind: "restock", expect: "waiting wait_day", attempts: 1},
		{count: 24, of: "template_paused", kind: "flash", expect: "waiting template"},

		{count: 24, of: "wallet_empty", kind: "boutique", expect: "waiting account"},
		{count: 32, of: caseNoRoute, kind: "clinic"},
		{count: 14, of: caseStraight, kind: "florist", attempts: 1},
		{count: 6, of: "429_once", kind: "florist", attempts: 2},
		{count: 2, of: "429_retry_after", kind: "florist", attempts: 2},
	}
	var all []message.Message
	for _, p := range plan {
		for i := range p.count {
			m := message.Message{Metadata: map[string]string{"case": p.of, "expect": p.expect}}
			if p.expect == "" {
				m.Metadata["receipt"], m.Metadata["expect"] = receiptOf(i)
			}
			if p.attempts > 0 {
				m.Metadata["attempts"] = strconv.Itoa(p.attempts)
			}
			if p.of == "too_late" {
				m.Metadata["expires_in"] = "8s"
			}
			m.ID = p.kind
			all = append(all, m)
		}
	}
	rng := rand.New(rand.NewPCG(1555, 2026))
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var late, rest []message.Message
	for _, m := range all {
		if slices.Contains(slow, m.Metadata["case"]) {
			late = append(late, m)
		} else {
			rest = append(rest, m)
		}
	}
	for i, m := range late {
		rest = slices.Insert(rest, 3*i+1, m)
	}
	all = rest

	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	seq := map[string]int{}
	for i := range all {
		m := &all[i]
		kind := m.ID
		seq[kind]++
		m.To = strconv.Itoa(15550005000 + i)
		fill(m, kind, seq[kind], rng)
		require.NoError(t, enc.Encode(m))
	}
	return out.Bytes()
}

var firstNames = []string{
	"Aarav", "Amelie", "Bruno", "Chiara", "Daniel", "Esra", "Fatima", "Gabriel", "Hana", "Ines", "Jonas", "Kavya",
	"Leonie", "Mateo", "Nisha", "Olga", "Priya", "Rafael", "Sofia", "Tariq", "Uma", "Vikram", "Wren", "Yuki",
}

// fill writes what a message of a kind says.
func fill(m *message.Message, kind string, n int, rng *rand.Rand) {
	name := firstNames[rng.IntN(len(firstNames))]
	order := fmt.Sprintf("A-%d", 10000+rng.IntN(90000))
	price := fmt.Sprintf("$%d.%02d", 9+rng.IntN(140), 5*rng.IntN(20))
	day := []string{"Monday", "Tuesday", "Wednesday", "Thursday", "Friday"}[rng.IntN(5)]
	hour := fmt.Sprintf("%d:00", 9+rng.IntN(9))
	template := func(id int, params ...string) *gupshup.Template {
		return &gupshup.Template{ID: templateID(id), Params: params}
	}
	m.ID = fmt.Sprintf("%s-%03d", kind, n)
	m.Sender, m.Priority = "shop", message.Default
	switch c := &m.Content; kind {
	case "otp":
		m.Priority = message.Critical
		c.Template = template(1, fmt.Sprintf("%06d", rng.IntN(1_000_000)))
	case "confirmed":
		c.Template = template(2, name, order, price)
	case "shipped":
		c.Template = template(3, name, order, day+" "+hour)
	case "invoice":
		c.Template = template(4, name, order)
		c.Media = gupshup.MediaDocument{Link: "https://shop.example/invoice/" + order + ".pdf", Filename: order + ".pdf"}
	case "slot":
		c.Message = gupshup.QuickReply{
			Content: gupshup.QuickReplyContent{Type: "text", Text: "When shall we bring order " + order + "?"},
			Options: []gupshup.QuickReplyOption{{Type: "text", Title: day + " morning"}, {Type: "text", Title: day + " evening"}},
		}
	case "pickup":
		c.Message = gupshup.Location{Longitude: "-0.1276", Latitude: "51.5072", Name: "The shop", Address: "1 Example Street"}
	case "answer":
		c.Message = gupshup.Text{Text: "Hello " + name + ", your order " + order + " comes on " + day + " at about " + hour + "."}
	case "photo":
		c.Message = gupshup.Image{OriginalURL: "https://shop.example/parcel/" + order + ".jpg", Caption: "Your parcel " + order + " is at the door."}
	case "spring":
		m.Priority = message.Bulk
		c.Template = template(5, name, fmt.Sprintf("SPRING%02d", 5+rng.IntN(20)))
		c.Media = gupshup.MediaImage{Link: "https://shop.example/spring.jpg"}
		c.PostbackTexts = []gupshup.PostbackText{{Index: 0, Text: "stop"}}
	case "restock":
		m.Priority = message.Bulk
		c.Template = template(6, name, []string{"green kettle", "oak stool", "wool blanket"}[rng.IntN(3)])
	case "flash":
		m.Priority = message.Bulk
		c.Template = template(7, name, price)
	case "boutique":
		m.Sender = "boutique"
		c.Template = template(8, name, order)
	case "clinic":
		m.Sender = "clinic"
		c.Template = template(9, name, day, hour)
	case "florist":
		m.Sender = "florist"
		c.Template = template(10, name, day)
	}
	if slices.Contains([]string{"doubt_held_taken", "doubt_held_lost"}, m.Metadata["case"]) || m.Metadata["case"] == "doubt_claimed" && kind == "otp" {
		m.OnInDoubt = message.Hold
	}
}
