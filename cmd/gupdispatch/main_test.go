package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/worker"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silence{}) // as main does
	goleak.VerifyTestMain(m)
}

// What must never be printed, and the number that is printed only where it was asked for.
const (
	testKey      = "key-of-gupshup-0123456789"
	testPassword = "password-of-ops-0123456789"
	testNumber   = "919876543210"
	testTemplate = "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b"
)

// site is a configuration file, a Redis and a Gupshup to run command lines against.
type site struct {
	t       *testing.T
	rdb     *redis.Client
	sim     *gupshuptest.Server
	sender  string
	second  string // another sender, if the site has one
	file    string // the configuration
	environ []string
	ledger  *ledger.Ledger
}

// newSite makes a site with one sender. more is added to the configuration's top level; a second sender is made if two is set.
func newSite(t *testing.T, rdb *redis.Client, sim gupshuptest.Config, more string, two ...bool) *site {
	t.Helper()
	s := &site{
		t: t, rdb: rdb, sim: gupshuptest.NewServer(t, sim), sender: redistest.Sender(), file: filepath.Join(t.TempDir(), "gupdispatch.yaml"),
		environ: []string{"TEST_KEY=" + testKey, "TEST_PASSWORD=" + testPassword}, ledger: ledger.New(rdb, ledger.Config{}),
	}
	text := fmt.Sprintf("redis: {url: \"redis://%s/0\"}\n%s\nsenders:\n%s", rdb.Options().Addr, more, s.senderYAML(s.sender))
	if len(two) > 0 {
		s.second = redistest.Sender()
		text += s.senderYAML(s.second)
	}
	require.NoError(t, os.WriteFile(s.file, []byte(text), 0o600))
	return s
}

// configure replaces a part of the configuration.
func (s *site) configure(old, with string) {
	s.t.Helper()
	text, err := os.ReadFile(s.file)
	require.NoError(s.t, err)
	require.Contains(s.t, string(text), old)
	require.NoError(s.t, os.WriteFile(s.file, []byte(strings.ReplaceAll(string(text), old, with)), 0o600))
}

func (s *site) senderYAML(name string) string {
	return fmt.Sprintf("  - {name: %s, app: DemoApp, source: \"917834811114\", api_key_env: TEST_KEY, base_url: %q, rate: 1000, burst: 10}\n", name, s.sim.URL)
}

// result is what a command line came to.
type result struct {
	code      int
	out, errs string
}

// run executes a command line; every result is searched for secrets.
func (s *site) run(args ...string) result { return s.runWith("", args...) }

func (s *site) runWith(stdin string, args ...string) result {
	s.t.Helper()
	var out, errs bytes.Buffer
	code := run(s.t.Context(), s.args(args), s.environ, strings.NewReader(stdin), &out, &errs)
	r := result{code, out.String(), errs.String()}
	s.searched(r, args)
	return r
}

func (s *site) args(args []string) []string {
	return append([]string{"--config", s.file, "--redis-wait", "200ms"}, args...)
}

// searched fails if an output holds a secret, or a whole number that nobody asked for.
func (s *site) searched(r result, args []string) {
	s.t.Helper()
	forbidden := []string{testKey, testPassword}
	if !slices.Contains(args, "--reveal") {
		forbidden = append(forbidden, testNumber, "Hello ")
	}
	for _, f := range forbidden {
		require.NotContains(s.t, r.out+r.errs, f, "%v", args)
	}
}

// ok is run for command lines that must succeed.
func (s *site) ok(args ...string) result {
	s.t.Helper()
	r := s.run(args...)
	require.Equal(s.t, exitOK, r.code, "%v: %s", args, r.errs)
	return r
}

// asTerminal runs a command line for a person who types the answer.
func (s *site) asTerminal(answer string, args ...string) result {
	s.t.Helper()
	var out, errs bytes.Buffer
	e := newEnv(s.environ, strings.NewReader(answer), &out, &errs)
	e.isTerminal = func(any) bool { return true }
	code := e.execute(s.t.Context(), s.args(args))
	r := result{code, out.String(), errs.String()}
	s.searched(r, args)
	return r
}

// running is a command that runs until it is stopped.
type running struct {
	s         *site
	out, errs *screen
	cancel    context.CancelFunc
	done      chan int
	args      []string
}

// begin starts a long-running command; the end of the test stops it.
func (s *site) begin(args ...string) *running {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{s: s, out: &screen{}, errs: &screen{}, cancel: cancel, done: make(chan int, 1), args: args}
	go func() { r.done <- run(ctx, s.args(args), s.environ, strings.NewReader(""), r.out, r.errs) }()
	s.t.Cleanup(func() { r.stop() })
	return r
}

// stop is SIGTERM: it waits for the end.
func (r *running) stop() result {
	r.s.t.Helper()
	r.cancel()
	select {
	case code := <-r.done:
		r.done <- code
		res := result{code, r.out.String(), r.errs.String()}
		r.s.searched(res, r.args)
		return res
	case <-time.After(30 * time.Second):
		r.s.t.Fatalf("%v does not stop: %s", r.args, r.errs)
		return result{}
	}
}

// screen gathers what several goroutines write.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// decode reads one JSON value.
func decode[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	require.NoError(t, json.Unmarshal([]byte(text), &v), "%s", text)
	return v
}

// decodeLines reads NDJSON.
func decodeLines[T any](t *testing.T, text string) []T {
	t.Helper()
	var all []T
	for dec := json.NewDecoder(strings.NewReader(text)); ; {
		var v T
		err := dec.Decode(&v)
		if err == io.EOF { //nolint:errorlint // as documented
			return all
		}
		require.NoError(t, err, "%s", text)
		all = append(all, v)
	}
}

// keys lists the keys of a JSON object, sorted.
func keys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

// claimed accepts a message and claims it, as a worker would.
func (s *site) claimed(sender, id string) ledger.Claim {
	s.t.Helper()
	m := message.Message{ID: id, Sender: sender, To: testNumber, Content: gupshup.Content{Message: gupshup.Text{Text: "Hello " + id}}}
	require.NoError(s.t, m.Normalise("", time.Now()))
	_, errs := s.ledger.Accept(s.t.Context(), []message.Message{m})
	require.NoError(s.t, errs[0])
	c, err := s.ledger.Claim(s.t.Context(), ledger.ClaimRequest{Sender: sender, ID: id, Generation: 1, Token: message.NewID(), Lease: time.Minute})
	require.NoError(s.t, err)
	require.Equal(s.t, ledger.Send, c.Verdict)
	return c
}

// dies makes a dead letter without a worker. A code of IN_DOUBT makes one that may have arrived.
func (s *site) dies(sender, id, code string) {
	s.t.Helper()
	c := s.claimed(sender, id)
	commit := ledger.Commit{
		Sender: sender, ID: id, Attempt: c.Attempt, Outcome: ledger.OutcomeRefused, Next: message.Dead, Spends: true,
		Code: code, Class: gupshup.ClassRecipient, Reason: "Number Does Not Exist On WhatsApp",
	}
	if code == worker.CodeInDoubt {
		commit.Outcome, commit.Class, commit.Reason = ledger.OutcomeInDoubt, gupshup.ClassInDoubt, "the connection broke"
	}
	_, err := s.ledger.Commit(s.t.Context(), commit)
	require.NoError(s.t, err)
}

// status is what the ledger says of a message.
func (s *site) status(sender, id string) message.Status {
	s.t.Helper()
	rec, err := s.ledger.Get(s.t.Context(), sender, id)
	require.NoError(s.t, err)
	return rec.Status
}

// awayRedis is another Redis, which the test may close, and an environment that leads to it.
func (s *site) awayRedis() (*miniredis.Miniredis, []string) {
	m := miniredis.RunT(s.t)
	return m, append(slices.Clone(s.environ), "GUPDISPATCH_REDIS_URL=redis://"+m.Addr()+"/0", "GUPDISPATCH_REDIS_DIAL_TIMEOUT=200ms")
}
