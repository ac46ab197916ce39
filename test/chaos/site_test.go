//go:build linux

package chaos

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// Times of the processes under test, short so that a run is.
const (
	httpTimeout = time.Second
	stopGrace   = 8 * time.Second
	doubtWindow = 3 * time.Second
	settling    = 2 * time.Minute // how long the last messages may take without harm: a lost bulk task is missed after a minute
)

const (
	apiKey        = "a-key-for-the-api"
	callbackToken = "a-token-for-callbacks"
)

// site is Redis, a simulated Gupshup, and the processes between them.
type site struct {
	t      *testing.T
	name   string
	sender string
	file   string // the configuration
	env    []string
	n      int
	rate   float64 // messages handed over a second
	skewed bool    // Redis's clock is not Gupshup's: by its time no callback can be told to belong to a doubt, and no duplicate is seen

	rdb    redis.UniversalClient
	ledger *ledger.Ledger
	sim    *gupshuptest.Server

	began time.Time
	api   []string // host:port of the processes with the API and the receiver

	mu       sync.Mutex
	accepted map[int]time.Time // when it was handed over by the request that was answered so
	counts   map[string]int    // harm that was done
}

// options are what tests differ in.
type options struct {
	redis   string // the section of the configuration, in YAML's flow style
	rdb     redis.UniversalClient
	env     []string
	rules   []gupshuptest.Rule
	gupshup string // where workers find the simulator; "": straight
	n       int    // "0": messages()
}

// newSite writes the configuration and starts the simulator, which reports by callback.
func newSite(t *testing.T, o options) *site {
	t.Helper()
	s := &site{
		t: t, name: t.Name(), sender: redistest.Sender(), n: o.n, rate: 250, rdb: o.rdb, ledger: ledger.New(o.rdb, ledger.Config{}),
		accepted: map[int]time.Time{}, counts: map[string]int{},
		api: []string{"127.0.0.1:" + freePort(t), "127.0.0.1:" + freePort(t)},
	}
	if s.n == 0 {
		s.n = messages()
	}
	s.sim = gupshuptest.NewServer(t, gupshuptest.Config{
		Rules: o.rules, Latency: 10 * time.Millisecond, LatencyJitter: 50 * time.Millisecond, MaxKept: 10*s.n + 1000,
		Callbacks: gupshuptest.Callbacks{
			// One of the two receivers, whichever is up.
			URL: "http://" + s.api[0] + "/callbacks/gupshup/" + s.sender, Token: callbackToken, Transport: eitherOf(s.api),
			Speed: 20, Read: .5, Duplicates: .1, Reorder: .2, Attempts: 100,
		},
	})
	url := o.gupshup
	if url == "" {
		url = s.sim.URL
	}
	s.env = append([]string{
		"CHAOS_KEY=a-key-for-the-simulator", "CHAOS_API_KEY=" + apiKey, "CHAOS_CALLBACK_TOKEN=" + callbackToken, "CHAOS_REDIS_PASSWORD=" + password,
	}, o.env...)
	s.file = write(t, t.TempDir(), "gupdispatch.yaml", fmt.Sprintf(`
redis: %s
http: {api_rate: 0, api_keys: [{name: test, key_env: CHAOS_API_KEY}]}
workers: {sweep_interval: 50ms, shutdown_timeout: 4s, stop_grace: %s, pumps: 1}
gupshup: {timeout: %s}
retry:
  backoff: {base: 50ms, cap: 500ms}
  critical: {attempts: 50, max_age: 1h}
  default: {attempts: 50}
  bulk: {attempts: 50}
expiry: {critical: 3h}
in_doubt: {window: %s}
log: {level: warn}
senders:
  - {name: %s, app: DemoApp, source: "917834811114", api_key_env: CHAOS_KEY, base_url: %q, rate: 1000, burst: 10, pair_every: 0,
     callback_token_env: CHAOS_CALLBACK_TOKEN}
`, o.redis, stopGrace, httpTimeout, doubtWindow, s.sender, url))
	return s
}

// eitherOf posts a callback to one receiver or, if that does not take it, to the other, as a load balancer would.
type eitherOf []string

func (hosts eitherOf) RoundTrip(r *http.Request) (res *http.Response, err error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	for _, host := range hosts {
		again := r.Clone(r.Context())
		again.URL.Host, again.Host, again.Body = host, host, io.NopCloser(bytes.NewReader(body))
		if res, err = http.DefaultTransport.RoundTrip(again); err == nil {
			return res, nil
		}
	}
	return nil, err
}

// worker starts a worker; env is more of its environment.
func (s *site) worker(env ...string) *process { return s.start(program, env, "worker") }

// receiver starts the i-th process with the API and the receiver of callbacks.
func (s *site) receiver(i int) *process {
	return s.start(program, []string{"GUPDISPATCH_HTTP_LISTEN=" + s.api[i]}, "http")
}

func (s *site) start(program string, env []string, command string) *process {
	return start(s.t, command, append(append([]string{}, s.env...), env...), program, command, "--config", s.file)
}

// command runs a command to its end and returns what it printed.
func (s *site) command(stdin string, args ...string) string {
	s.t.Helper()
	cmd := exec.Command(program, append([]string{"--config", s.file}, args...)...)
	cmd.Env, cmd.Stdin = append(cmd.Environ(), s.env...), strings.NewReader(stdin)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	require.NoError(s.t, err, "%v: %s", args, errs.String())
	return string(out)
}

// try is command for one that may fail, because Redis is away.
func (s *site) try(args ...string) (string, error) {
	cmd := exec.Command(program, append([]string{"--config", s.file, "--redis-wait", "1s"}, args...)...)
	cmd.Env = append(cmd.Environ(), s.env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// count notes harm that was done.
func (s *site) count(what string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[what] += n
}

// onInDoubt of message i: half of them each.
func onInDoubt(i int) message.OnInDoubt {
	if i%2 == 0 {
		return message.Hold
	}
	return message.Resend
}

// priority of message i. A lost bulk task is missed after a minute only, for which a short run has no time.
func priority(i int) message.Priority {
	if thorough() {
		return message.Priorities[i/2%3]
	}
	return message.Priorities[i/2%2]
}

func messageID(i int) string { return fmt.Sprintf("m%06d", i) }
func number(i int) string    { return fmt.Sprintf("9198%08d", i) }

// handOver hands all messages over through the API, each again until it is accepted.
func (s *site) handOver() {
	const batch = 25
	s.began = time.Now()
	slots := make(chan struct{}, 16) // a batch that has to be repeated must not keep the others back
	var all sync.WaitGroup
	for i := 0; i < s.n; i += batch {
		time.Sleep(time.Until(s.began.Add(time.Duration(float64(i) / s.rate * float64(time.Second)))))
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			var todo []int
			for j := i; j < min(i+batch, s.n); j++ {
				todo = append(todo, j)
			}
			limit := time.Now().Add(2 * time.Minute)
			for try := i / batch; len(todo) > 0; try++ {
				if time.Now().After(limit) {
					s.t.Errorf("messages that nobody accepts: %v", todo)
					return
				}
				if todo = s.post(s.api[try%len(s.api)], todo); len(todo) > 0 {
					time.Sleep(50 * time.Millisecond)
				}
			}
		})
	}
	all.Wait()
}

// post hands messages over to one process and returns those that it did not accept.
func (s *site) post(addr string, indexes []int) (open []int) {
	type row struct {
		ID        string            `json:"id"`
		Sender    string            `json:"sender"`
		To        string            `json:"to"`
		Priority  message.Priority  `json:"priority"`
		OnInDoubt message.OnInDoubt `json:"on_in_doubt"`
		Message   map[string]string `json:"message"`
	}
	var in struct {
		Messages []row `json:"messages"`
	}
	for _, i := range indexes {
		in.Messages = append(in.Messages, row{
			messageID(i), s.sender, number(i), priority(i), onInDoubt(i),
			map[string]string{"type": "text", "text": fmt.Sprintf("Your order %d is on its way", i)},
		})
	}
	body, err := json.Marshal(in)
	require.NoError(s.t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/v1/messages/batch", bytes.NewReader(body))
	require.NoError(s.t, err)
	req.Header.Set("Authorization", "Bearer "+apiKey)
	req.Header.Set("Content-Type", "application/json")
	var out struct {
		Results []struct {
			HTTPStatus int `json:"http_status"`
		} `json:"results"`
	}
	handedOver := time.Now()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return indexes // unknown: the process was killed, or stands still
	}
	defer func() { _ = res.Body.Close() }()
	if json.NewDecoder(res.Body).Decode(&out) != nil || len(out.Results) != len(indexes) {
		return indexes
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, r := range out.Results {
		switch {
		case r.HTTPStatus == http.StatusAccepted || r.HTTPStatus == http.StatusOK:
			s.accepted[indexes[k]] = handedOver
		case r.HTTPStatus == http.StatusServiceUnavailable:
			open = append(open, indexes[k])
		default:
			s.t.Errorf("message %d: the API answers %d", indexes[k], r.HTTPStatus)
		}
	}
	return open
}

// passed waits until so many messages were accepted.
func (s *site) passed(part float64) {
	for {
		s.mu.Lock()
		n := len(s.accepted)
		s.mu.Unlock()
		if float64(n) >= part*float64(s.n) || s.t.Failed() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// settle waits, without further harm, until no message has anything to come and Gupshup has told everything.
func (s *site) settle() {
	require.NoError(s.t, s.sim.SetRules(nil))
	_, _ = s.try("sender", "release", s.sender)
	ctx, cancel := context.WithTimeout(context.Background(), settling)
	defer cancel()
	for unsettled := int64(-1); ; time.Sleep(100 * time.Millisecond) {
		a, err := s.ledger.Audit(ctx, s.sender)
		if err == nil {
			if unsettled = a.Unsettled(); unsettled == 0 && s.sim.Pending() == 0 {
				return
			}
		}
		if ctx.Err() != nil {
			s.t.Errorf("after %s %d messages are unsettled and %d callbacks were not taken (%v)", settling, unsettled, s.sim.Pending(), err)
			return
		}
	}
}

// awaits waits until a receiver answers.
func (s *site) awaits(i int) {
	require.Eventually(s.t, func() bool {
		res, err := http.Get("http://" + s.api[i] + "/readyz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	}, 30*time.Second, 10*time.Millisecond)
}
