package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/message"
)

func TestSendPrintsIDAndStatus(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "")
		send := []string{"send", "--to", "+91 98765 43210", "--text", "Hello a", "--id", "a", "--json"}
		require.JSONEq(t, `{"id":"a","status":"queued"}`, s.ok(send...).out)
		require.JSONEq(t, `{"id":"a","status":"queued"}`, s.ok(send...).out, "the same again is the same message")

		got := s.run("send", "--to", testNumber, "--text", "Hello b", "--id", "a")
		require.Equal(t, exitFailed, got.code)
		require.Contains(t, got.errs, `message id "a" belongs to a message with other content (it is queued): use another id`)

		got = s.run("send", "--to", "12", "--template", "welcome", "--priority", "high")
		require.Equal(t, exitFailed, got.code)
		require.Empty(t, got.out)
		for _, field := range []string{"3 fields are wrong", "\n  to: ", "\n  priority: ", "\n  template.id: "} {
			require.Contains(t, got.errs, field)
		}

		made := decode[map[string]any](t, s.ok("send", "--to", testNumber, "--text", "Hello").out)
		require.Equal(t, []string{"id", "status"}, keys(made))
		require.Len(t, made["id"], 26)
	})
}

// The application hears of its message from the beginning, whichever process takes it in.
func TestSendIsAnEvent(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "")
		file, err := os.ReadFile(s.file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(s.file, bytes.Replace(file, []byte("burst: 10}"), []byte("burst: 10, events_max: 10}"), 1), 0o600))
		s.ok("send", "--to", testNumber, "--text", "Hello", "--id", "a")
		entries, err := rdb.XRange(t.Context(), "gupdispatch:{"+s.sender+"}:events", "-", "+").Result()
		require.NoError(t, err)
		require.Len(t, entries, 1)
		require.Equal(t, "queued", entries[0].Values["status"])
	})
}

func TestSendForPeople(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	send := []string{"send", "--to", testNumber, "--text", "Hello", "--id", "a"}
	require.Equal(t, "accepted a (queued)\n", s.asTerminal("", send...).out)
	require.Equal(t, "known already: a (queued)\n", s.asTerminal("", send...).out)
	require.JSONEq(t, `{"id":"a","status":"queued"}`, s.asTerminal("", append(send, "--json")...).out)
}

func TestFlagsMakeTheMessage(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	m, err := sendFlags{
		sender: "shop", to: testNumber, template: testTemplate, params: []string{"Asha, with a comma", "4711"},
		media: `{"type":"image","image":{"link":"https://example.com/a.png"}}`, postbacks: []string{"yes", "no"},
		id: "a", priority: "bulk", sendAt: "30m", expiresAt: "2026-01-03T00:00:00+05:30", onInDoubt: "hold", metadata: []string{"order=a=b"},
	}.build(now)
	require.NoError(t, err)
	require.NoError(t, m.Normalise("", now))
	require.Equal(t, message.Message{
		ID: "a", Sender: "shop", To: testNumber, Priority: message.Bulk, SendAt: now.Add(30 * time.Minute),
		ExpiresAt: time.Date(2026, 1, 2, 18, 30, 0, 0, time.UTC), OnInDoubt: message.Hold, Metadata: map[string]string{"order": "a=b"},
		Content: gupshup.Content{
			Template:      &gupshup.Template{ID: testTemplate, Params: []string{"Asha, with a comma", "4711"}},
			Media:         gupshup.MediaImage{Link: "https://example.com/a.png"},
			PostbackTexts: []gupshup.PostbackText{{Index: 0, Text: "yes"}, {Index: 1, Text: "no"}},
		},
	}, m)
}

func TestFlagsMakeTheFallback(t *testing.T) {
	t.Parallel()
	m, err := sendFlags{text: "Hello", fallback: testTemplate, fallbackParam: []string{"Asha", "4711"}}.build(time.Now())
	require.NoError(t, err)
	require.Equal(t, gupshup.Content{Template: &gupshup.Template{ID: testTemplate, Params: []string{"Asha", "4711"}}}, m.Fallback)

	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	got := s.run("send", "--to", testNumber, "--text", "Hello", "--fallback-template", "welcome")
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.errs, "fallback.template.id: must be the template's UUID")
	for want, args := range map[string][]string{
		"a template needs no session":             {"--template", testTemplate, "--fallback-template", testTemplate},
		"belongs to --fallback-template":          {"--text", "x", "--fallback-param", "x"},
		"--fallback-template cannot be used with": {"--file", "-", "--fallback-template", testTemplate},
	} {
		args = append([]string{"send"}, args...)
		if args[1] != "--file" {
			args = append(args, "--to", testNumber)
		}
		got := s.run(args...)
		require.Equal(t, exitUsage, got.code)
		require.Contains(t, got.errs, want)
	}
	s.ok("send", "--to", testNumber, "--text", "Hello", "--fallback-template", testTemplate, "--fallback-param", "Asha")
}

func TestAFileGoesOnAfterWrongLines(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "")
		ndjson := strings.Join([]string{
			"\ufeff" + `{"id":"a","to":"` + testNumber + `","message":{"type":"text","text":"Hello a"}}`,
			"",
			`{"id":"b","to":`,
			`{"id":"c","to":"12","message":{"type":"text"}}`,
			`{"id":"d","to":"` + testNumber + `","colour":"red"}`,
			`{"id":"a","to":"` + testNumber + `","message":{"type":"text","text":"Hello other"}}`,
			`{"id":"` + strings.Repeat("x", maxLine) + `"}`,
			`{"id":"e","sender":"other","to":"` + testNumber + `","message":{"type":"text","text":"Hello"}}`,
			`{"id":"f","to":"` + testNumber + `","template":{"id":"` + testTemplate + `","params":["1"]}}`, // no line break at the end
		}, "\n")
		got := s.runWith(ndjson, "send", "--file", "-")
		require.Equal(t, exitFailed, got.code)
		require.Equal(t, []sent{{ID: "a", Status: "queued"}, {ID: "f", Status: "queued"}}, decodeLines[sent](t, got.out))
		for _, want := range []string{
			"line 3: ", "line 4: the message is not valid, 2 fields are wrong:\n  to: ", "line 5: the message is not valid: colour: is not a known field",
			"line 6: message id \"a\" belongs to", "line 7: is longer than 512 KiB", "line 8: the message is not valid: sender: \"other\"",
			"6 of 8 messages were not accepted",
		} {
			require.Contains(t, got.errs, want)
		}
		require.Equal(t, message.Queued, s.status(s.sender, "f"))
	})
}

func TestALongFileIsHandedOverWhole(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	var b strings.Builder
	const n = 3*fileBatch + 7
	for i := range n {
		fmt.Fprintf(&b, `{"id":"m%d","to":"%s","priority":"bulk","message":{"type":"text","text":"Hello"}}`+"\n", i, testNumber)
	}
	got := s.runWith(b.String(), "send", "--file", "-")
	require.Equal(t, exitOK, got.code, got.errs)
	lines := decodeLines[sent](t, got.out)
	require.Len(t, lines, n)
	for i, l := range lines {
		require.Equal(t, fmt.Sprintf("m%d", i), l.ID, "in order")
	}
	require.EqualValues(t, n, decode[auditView](t, s.ok("audit", "--json").out).Accepted)
}

// A slow pipe's lines are handed over as they come, and an interruption ends the command although its input goes on.
func TestAFileThatNeverEnds(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	in, feed := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	out, errs, done := &screen{}, &screen{}, make(chan int, 1)
	go func() { done <- run(ctx, s.args([]string{"send", "--file", "-"}), s.environ, in, out, errs) }()
	_, err := fmt.Fprintf(feed, `{"id":"a","to":%q,"message":{"type":"text","text":"Hello"}}`+"\n", testNumber)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return strings.Contains(out.String(), `"id":"a"`) }, 10*time.Second, 5*time.Millisecond)
	cancel()
	require.Equal(t, exitFailed, <-done)
	require.Contains(t, errs.String(), "interrupted after line 1, 1 messages accepted")
	require.NoError(t, feed.Close())
}

func TestReadLines(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is gone")
	long := strings.Repeat("x", maxLine+1)
	for name, tt := range map[string]struct {
		in   io.Reader
		want []fileLine
	}{
		"empty":        {strings.NewReader(""), nil},
		"blank":        {strings.NewReader("\n \r\n\t\n"), nil},
		"numbers":      {strings.NewReader("a\n\nb\r\nc"), []fileLine{{1, []byte("a"), nil}, {3, []byte("b"), nil}, {4, []byte("c"), nil}}},
		"byte by byte": {iotest.OneByteReader(strings.NewReader("a\nb\n")), []fileLine{{1, []byte("a"), nil}, {2, []byte("b"), nil}}},
		"long":         {strings.NewReader("a\n" + long + "\nb"), []fileLine{{1, []byte("a"), nil}, {2, nil, errLongLine}, {3, []byte("b"), nil}}},
		"long at end":  {strings.NewReader(long), []fileLine{{1, nil, errLongLine}}},
		"longest":      {strings.NewReader(long[2:] + "\n"), []fileLine{{1, []byte(long[2:]), nil}}},
		"broken":       {io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)), []fileLine{{1, []byte("a"), nil}, {2, []byte("b"), broken}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []fileLine
			for l := range readLines(t.Context(), tt.in) {
				got = append(got, l)
			}
			require.Equal(t, len(tt.want), len(got))
			for i, want := range tt.want {
				require.Equal(t, want.number, got[i].number)
				require.Equal(t, string(want.text), string(got[i].text))
				require.ErrorIs(t, got[i].err, want.err)
			}
		})
	}
}

func TestRedisAwayWhileSending(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	in, feed := io.Pipe()
	out, errs, done := &screen{}, &screen{}, make(chan int, 1)
	m, environ := s.awayRedis()
	go func() { done <- run(t.Context(), s.args([]string{"send", "--file", "-"}), environ, in, out, errs) }()
	line := `{"to":"` + testNumber + `","message":{"type":"text","text":"Hello"}}` + "\n"
	_, err := io.WriteString(feed, line)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return strings.Contains(out.String(), `"status":"queued"`) }, 10*time.Second, 5*time.Millisecond)
	m.Close()
	_, err = io.WriteString(feed, line)
	require.NoError(t, err)
	require.Equal(t, exitFailed, <-done)
	require.Contains(t, errs.String(), "line 2: unknown whether it was accepted; if you send it again, then with the id ")
	require.Contains(t, errs.String(), "stopped after line 2, 1 messages accepted: Redis does not answer")
	require.NoError(t, feed.Close())
}

func TestSendSaysWhenThereIsNoRoom(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "")
		file, err := os.ReadFile(s.file)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(s.file, bytes.Replace(file, []byte("burst: 10}"), []byte("burst: 10, max_queued: 2}"), 1), 0o600))
		line := func(id, to string) string {
			return fmt.Sprintf(`{"id":%q,"to":%q,"message":{"type":"text","text":"Hello"}}`+"\n", id, to)
		}
		s.ok("send", "--to", testNumber, "--text", "Hello", "--id", "a")
		got := s.runWith(line("a", testNumber)+line("b", testNumber)+line("c", testNumber), "send", "--file", "-")
		require.Equal(t, exitFailed, got.code)
		require.Len(t, decodeLines[sent](t, got.out), 2)
		require.Contains(t, got.errs, "line 3: not accepted: sender "+s.sender+" has its most messages queued (max_queued 2)")
		require.Contains(t, got.errs, "1 of 3 messages were not accepted for want of room: send the lines named above again later")

		got = s.runWith(line("b", testNumber)+line("c", testNumber)+line("d", "12"), "send", "--file", "-")
		require.Equal(t, exitFailed, got.code)
		require.Contains(t, got.errs, "2 of 3 messages were not accepted, 1 of them for want of room")

		got = s.run("send", "--to", testNumber, "--text", "Hello", "--id", "c")
		require.Equal(t, exitFailed, got.code)
		require.Empty(t, got.out)
		require.Contains(t, got.errs, "gupdispatch: not accepted: sender "+s.sender+" has its most messages queued (max_queued 2): wait until some are sent, or raise max_queued; send it again in 5s")
		require.Equal(t, message.Queued, s.status(s.sender, "b"))
	})
}
