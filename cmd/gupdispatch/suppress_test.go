package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/view"
)

const otherNumber = "447700900123"

// suppressions is the sender's list, by number, read through the command.
func (s *site) suppressions(args ...string) map[string]view.Suppression {
	s.t.Helper()
	list := map[string]view.Suppression{}
	out := s.ok(append([]string{"suppress", "list", "--json", "--reveal"}, args...)...).out
	for _, v := range decode[[]map[string]any](s.t, out) {
		require.Equal(s.t, []string{"code", "number", "scope", "sender", "since", "source", "until"}, keys(v))
		number := v["number"].(string)
		list[number] = view.Suppression{
			Sender: v["sender"].(string), Number: number, Scope: gupshup.Scope(v["scope"].(string)), Code: v["code"].(string),
			Source: v["source"].(string), Since: parseStamp(s.t, v["since"]), Until: parseStamp(s.t, v["until"]),
		}
	}
	return list
}

func parseStamp(t *testing.T, v any) stamp {
	t.Helper()
	if v == nil {
		return stamp{}
	}
	at, err := time.Parse(time.RFC3339, v.(string))
	require.NoError(t, err)
	return stamp(at)
}

func TestSuppressAddListRemove(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "")
		require.JSONEq(t, "[]", s.ok("suppress", "list", "--json").out)
		empty := s.ok("suppress", "list")
		require.Empty(t, empty.out)
		require.Contains(t, empty.errs, "no number is suppressed")

		got := s.ok("suppress", "add", "+91 98765-43210", testNumber, "--reason", "asked by e-mail")
		require.Equal(t, "1 number suppressed for "+s.sender+"\n", got.out, "one number, written in two ways")
		require.JSONEq(t, fmt.Sprintf(`{"sender":%q,"suppressed":1,"wrong":0}`, s.sender),
			s.ok("suppress", "add", otherNumber, "--bulk", "--for", "30d", "--json").out)

		list := s.suppressions()
		require.Len(t, list, 2)
		ever, bulk := list[testNumber], list[otherNumber]
		require.Equal(t, gupshup.SuppressAll, ever.Scope)
		require.Equal(t, "asked by e-mail", ever.Code)
		require.Equal(t, "hand", ever.Source)
		require.True(t, ever.Until.IsZero(), "for ever")
		require.WithinDuration(t, time.Now(), time.Time(ever.Since), time.Minute)
		require.Equal(t, gupshup.SuppressBulk, bulk.Scope)
		require.WithinDuration(t, time.Now().Add(30*24*time.Hour), time.Time(bulk.Until), time.Minute)

		table := strings.Split(s.ok("suppress", "list").out, "\n")
		require.Regexp(t, `^SENDER +NUMBER +SCOPE +SINCE +UNTIL +SOURCE +CODE$`, table[0])
		rows := table[1:3]
		slices.Sort(rows)
		require.Regexp(t, `^`+s.sender+` +4477\*{6}23 +bulk +20\S+Z +20\S+Z +hand +-$`, rows[0])
		require.Regexp(t, `^`+s.sender+` +9198\*{6}10 +all +20\S+Z +for ever +hand +asked by e-mail$`, rows[1])
		require.Equal(t, strings.Index(table[0], "SCOPE"), strings.Index(rows[1], "all"), "the columns are aligned")

		send := s.ok("send", "--to", testNumber, "--text", "Hello", "--id", "a", "--json")
		require.JSONEq(t, `{"id":"a","status":"suppressed"}`, send.out, "what was added counts")

		removed := s.ok("suppress", "remove", testNumber, "+919876543210", "14155550123")
		require.Equal(t, "1 number removed from the list of "+s.sender+"\n", removed.out)
		require.Contains(t, removed.errs, "1 number was not on the list")
		require.JSONEq(t, fmt.Sprintf(`{"sender":%q,"removed":1,"absent":1}`, s.sender),
			s.ok("suppress", "remove", otherNumber, testNumber, "--json").out)
		require.Empty(t, s.suppressions())
		require.JSONEq(t, `{"id":"b","status":"queued"}`, s.ok("send", "--to", testNumber, "--text", "Hello", "--id", "b", "--json").out)
	})
}

func TestSuppressWrongUsage(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "", true)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"suppress", "add"}, "needs at least one phone number"},
		{[]string{"suppress", "remove"}, "needs at least one phone number"},
		{[]string{"suppress", "import"}, "needs a file"},
		{[]string{"suppress", "list", "x"}, "takes no arguments"},
		{[]string{"suppress", "add", testNumber}, "--sender is missing: name one of " + s.sender + ", " + s.second},
		{[]string{"suppress", "remove", testNumber}, "--sender is missing"},
		{[]string{"suppress", "import", "-"}, "--sender is missing"},
		{[]string{"suppress", "add", testNumber, "--sender", "other"}, `--sender "other" is not configured`},
		{[]string{"suppress", "list", "--sender", "other"}, `--sender "other" is not configured`},
		{[]string{"suppress", "add", testNumber, "12", "x", "--sender", s.sender}, "number 2 is not a possible phone number"},
		{[]string{"suppress", "add", testNumber, "12", "x", "--sender", s.sender}, "number 3 is not a possible phone number"},
		{[]string{"suppress", "add", testNumber, "12", "--sender", s.sender}, "nothing was done"},
		{[]string{"suppress", "add", testNumber, "--for", "soon", "--sender", s.sender}, `--for "soon" is no duration`},
		{[]string{"suppress", "add", testNumber, "--for", "0s", "--sender", s.sender}, `--for "0s" is no duration`},
		{[]string{"suppress", "add", testNumber, "--reason", strings.Repeat("x", 201), "--sender", s.sender}, "--reason has 201 characters; at most 200"},
		{[]string{"suppress", "import", "/does/not/exist", "--sender", s.sender}, "the file cannot be read"},
	} {
		got := s.run(tt.args...)
		require.Equal(t, exitUsage, got.code, "%v: %s", tt.args, got.errs)
		require.Contains(t, got.errs, tt.want)
		require.Empty(t, got.out)
	}
	require.Empty(t, s.suppressions(), "nothing was done")
}

func TestSuppressionsAreTheSendersOwn(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "", true)
	s.ok("suppress", "add", testNumber, "--sender", s.sender)
	s.ok("suppress", "add", otherNumber, "--sender", s.second)
	require.Len(t, s.suppressions(), 2)
	require.Equal(t, s.second, s.suppressions("--sender", s.second)[otherNumber].Sender)
	require.Len(t, s.suppressions("--sender", s.second), 1)
	s.ok("suppress", "remove", testNumber, "--sender", s.second)
	require.Contains(t, s.suppressions(), testNumber, "it was on the other sender's list")
}

func TestSuppressImport(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newSite(t, rdb, gupshuptest.Config{}, "")
		until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
		file := filepath.Join(t.TempDir(), "list.csv")
		text := "\ufeffNumber, Until ,scope,REASON\r\n" +
			"+91 98765 43210,,,\"wrong number, says her son\"\r\n" +
			"\r\n" +
			"12,,,\r\n" +
			otherNumber + "," + until.Format(time.RFC3339) + ",bulk\r\n" +
			"14155550123,yesterday\r\n" +
			"14155550123,2001-01-01T00:00:00Z\r\n" +
			"14155550123,,sometimes\r\n" +
			"14155550123,,all,a,b\r\n" +
			"14155550123,,all,\"a\r\n" +
			"4915123456789"
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))

		dry := s.run("suppress", "import", file, "--dry-run")
		require.Equal(t, exitFailed, dry.code)
		require.Equal(t, "would suppress 3 numbers for "+s.sender+"\n", dry.out)
		require.Empty(t, s.suppressions())

		got := s.run("suppress", "import", file)
		require.Equal(t, exitFailed, got.code)
		require.Equal(t, "3 numbers suppressed for "+s.sender+"\n", got.out)
		for _, want := range []string{
			"line 4: number: is not a possible phone number",
			"line 6: until: must be a time such as",
			"line 7: until: has passed already",
			"line 8: scope: must be all or bulk",
			"line 9: has 5 columns, the header 4",
			"line 10: the double quotes do not match",
			"6 of 9 lines are wrong",
		} {
			require.Contains(t, got.errs, want)
		}
		require.NotContains(t, got.errs, "14155550123")
		list := s.suppressions()
		require.Len(t, list, 3)
		require.Equal(t, "wrong number, says her son", list[testNumber].Code)
		require.Equal(t, gupshup.SuppressAll, list[testNumber].Scope)
		require.Equal(t, gupshup.SuppressBulk, list[otherNumber].Scope)
		require.True(t, until.Equal(time.Time(list[otherNumber].Until)))
		require.Equal(t, gupshup.SuppressAll, list["4915123456789"].Scope)
	})
}

func TestSuppressImportOfPlainNumbers(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	const n = 2*fileBatch + 1
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "+44 7700 9%05d\n", i)
	}
	got := s.runWith(text.String(), "suppress", "import", "-", "--json")
	require.Equal(t, exitOK, got.code, got.errs)
	require.JSONEq(t, fmt.Sprintf(`{"sender":%q,"suppressed":%d,"wrong":0}`, s.sender, n), got.out)
	require.Len(t, s.suppressions(), n)
	require.Equal(t, 1+n, strings.Count(s.ok("suppress", "list").out, "\n"))

	got = s.runWith("14155550123,bulk\n14155550124\n", "suppress", "import", "-")
	require.Equal(t, exitFailed, got.code)
	require.Contains(t, got.errs, "line 1: has 2 columns: write one number on a line, or begin the file with the header number,scope,until,reason")
	require.Contains(t, got.errs, "1 of 2 lines are wrong")

	got = s.runWith("", "suppress", "import", "-")
	require.Equal(t, exitOK, got.code)
	require.Equal(t, "0 numbers suppressed for "+s.sender+"\n", got.out)
}

func TestSuppressImportRefusesAHeaderItDoesNotKnow(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	for _, header := range []string{"number,only_bulk", "number,scope,scope"} {
		got := s.runWith(header+"\n"+otherNumber+",yes\n", "suppress", "import", "-")
		require.Equal(t, exitUsage, got.code)
		require.Contains(t, got.errs, "line 1: column")
		require.Contains(t, got.errs, "the columns are number, scope, until, reason; nothing was done")
	}
	require.Empty(t, s.suppressions())
}

func TestSuppressImportReadsNationalNumbersAsTheSenderDoes(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	config, err := os.ReadFile(s.file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(s.file, []byte(strings.Replace(string(config), "app: DemoApp", "app: DemoApp, default_region: IN", 1)), 0o600))
	require.Equal(t, exitOK, s.runWith("098765 43210\n", "suppress", "import", "-").code)
	require.Contains(t, s.suppressions(), testNumber)
	s.ok("suppress", "remove", "098765-43210")
	require.Empty(t, s.suppressions())
}

func TestSuppressImportStopsWithoutRedis(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	away, environ := s.awayRedis()
	s.environ = environ
	e := newEnv(s.environ, nil, &screen{}, &screen{})
	e.stdin = iotest.OneByteReader(&dying{text: strings.NewReader(strings.Repeat(otherNumber+"\n", 3*fileBatch)), after: 14 * fileBatch, die: away.Close})
	code := e.execute(t.Context(), s.args([]string{"suppress", "import", "-"}))
	require.Equal(t, exitFailed, code)
	require.Contains(t, e.stderr.(*stream).w.(*screen).String(), "importing the whole file again is safe")
}

// dying is an input during which something else ends.
type dying struct {
	text  *strings.Reader
	after int // bytes
	die   func()
}

func (d *dying) Read(p []byte) (int, error) {
	n, err := d.text.Read(p)
	if d.after -= n; d.after < 0 && d.die != nil {
		d.die()
		d.die = nil
	}
	return n, err
}

func TestASuppressionThatRanOutIsNotListed(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t), gupshuptest.Config{}, "")
	require.NoError(t, s.ledger.Suppress(t.Context(), s.sender, []ledger.Suppression{
		{Number: testNumber, Scope: gupshup.SuppressAll, Code: "131049", Source: "code", Until: time.Now().Add(-time.Second)},
		{Number: otherNumber, Scope: gupshup.SuppressAll, Code: "1002", Source: "code"},
	}))
	require.Equal(t, []string{otherNumber}, numbers(s.suppressions()))
	require.Equal(t, message.Suppressed, s.accepted(otherNumber))
	require.Equal(t, message.Queued, s.accepted(testNumber))
}

func numbers(list map[string]view.Suppression) (all []string) {
	for number := range list {
		all = append(all, number)
	}
	slices.Sort(all)
	return all
}

// accepted hands over a message to a number, and says which status it has.
func (s *site) accepted(number string) message.Status {
	s.t.Helper()
	out := s.ok("send", "--to", number, "--text", "Hello", "--json").out
	return message.Status(decode[map[string]string](s.t, out)["status"])
}
