//go:build unix

// Package campaign sends a campaign as people do, with the commands of the built binary: it is taken from a file, paused and resumed, its worker
// is killed twice, and at the end every row stands in its report exactly once. One-time passwords are sent meanwhile.
//
// CAMPAIGN_ROWS says how many rows it has. It needs redis-server in PATH.
package campaign

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
)

const (
	rowsVar   = "CAMPAIGN_ROWS"
	fewRows   = 20_000
	sender    = "shop"
	id        = "spring"
	rate      = 5000 // messages per second: more than this machine sends
	urgents   = "91999"
	templates = "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b"
)

// site is everything that a campaign needs, as processes of its own.
type site struct {
	t      *testing.T
	dir    string
	binary string
	sim    string // its URL
	redis  string
	worker *exec.Cmd
	peak   int64 // kB, of any worker
}

func TestEveryRowOfACampaignIsAccountedForOnce(t *testing.T) {
	rows := fewRows
	if text := os.Getenv(rowsVar); text != "" {
		var err error
		rows, err = strconv.Atoi(text)
		require.NoError(t, err, rowsVar)
	}
	s := newSite(t)
	file := s.people(rows)

	s.work()
	began := time.Now()
	s.run("campaign", "create", "--id", id, "--template", templates, "--param", "{name}", "--param", "{code}", "--csv", file)
	t.Logf("%d rows were taken in within %s", rows, time.Since(began).Round(10*time.Millisecond))

	began = time.Now()
	urgent := s.sendUrgent()
	s.until("a tenth is sent", func(c shown) bool { return c.Done >= int64(rows/10) })
	s.run("campaign", "pause", id)
	s.stands(time.Now())
	require.Less(t, s.stats().Accepted, uint64(rows), "there must be something left to pause")
	s.run("campaign", "resume", id)
	for _, tenths := range []int64{3, 6} {
		s.until("more is sent", func(c shown) bool { return c.Done >= tenths*int64(rows)/10 })
		s.kill()
		s.work()
	}
	s.until("it is completed", func(c shown) bool { return c.Status == "completed" })
	took := time.Since(began)
	latencies := urgent()
	s.kill()

	statuses := s.report(rows)
	stats := s.stats()
	require.Zero(t, stats.Duplicates, "nobody got it twice")
	require.EqualValues(t, rows, statuses["submitted"]+statuses["dead"], "%v", statuses)
	// Of those that a worker was killed with nobody knows: on_in_doubt is hold for campaigns, so they are dead letters for a person to decide on.
	require.LessOrEqual(t, statuses["dead"], 2*64, "at most what two killed workers had in hand")
	require.GreaterOrEqual(t, int(stats.Accepted)-len(latencies), statuses["submitted"])
	require.LessOrEqual(t, int(stats.Accepted)-len(latencies), rows)
	s.run("audit", "--deep")

	t.Logf("%d rows in %s with a pause and two kills: %.0f/s; %v", rows, took.Round(time.Second), float64(rows)/took.Seconds(), statuses)
	t.Logf("critical meanwhile (%d): p50 %s, p99 %s, most %s", len(latencies), at(latencies, 0.5), at(latencies, 0.99), at(latencies, 1))
	t.Logf("most memory of a worker: %d MB; Redis at the end: %d MB", s.peak/1024, s.redisMB())
}

func newSite(t *testing.T) *site {
	server, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv(redistest.RequireVar) == "1" {
			t.Fatal("there is no redis-server in PATH")
		}
		t.Skip("SKIPPED: a campaign needs redis-server in PATH")
	}
	s := &site{t: t, dir: t.TempDir(), redis: redistest.Start(t, server)}
	s.binary = filepath.Join(s.dir, "gupdispatch")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", s.binary, "../../cmd/gupdispatch").CombinedOutput()
	require.NoError(t, err, string(out))
	port := freePort(t)
	s.sim = "http://" + port
	s.set("hash-max-listpack-value", "1024") // as deploy/redis.conf does
	config := fmt.Sprintf("redis: {url: \"redis://%s\"}\nlog: {level: error}\ngupshup: {timeout: 3s}\nin_doubt: {window: 10s}\n"+
		"senders: [{name: %s, app: ShopApp, source: \"917834811114\", api_key_env: SHOP_KEY, base_url: %q, rate: %d, burst: 50, pair_every: 0}]\n",
		s.redis, sender, s.sim, rate)
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "gupdispatch.yaml"), []byte(config), 0o600))
	sim := s.start("simulate", "--listen", port, "--magic=false", "--max-kept", "1200000")
	t.Cleanup(func() { end(sim) })
	s.wait("the simulator answers", func() bool {
		res, err := s.get("/_sim/stats")
		if err == nil {
			_ = res.Close()
		}
		return err == nil
	})
	return s
}

// people writes the file: a number, a name and a code in each row, no number twice.
func (s *site) people(rows int) string {
	name := filepath.Join(s.dir, "people.csv")
	f, err := os.Create(name) //nolint:gosec // our own directory
	require.NoError(s.t, err)
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "to,name,code")
	for i := range rows {
		fmt.Fprintf(w, "%d,Asha%d,%06d\n", 917_000_000_000+(int64(i)*1_000_003)%2_000_000_000, rand.IntN(1000), rand.IntN(1_000_000))
	}
	require.NoError(s.t, w.Flush())
	require.NoError(s.t, f.Close())
	return name
}

func (s *site) command(args ...string) *exec.Cmd {
	c := exec.Command(s.binary, args...) //nolint:gosec // the binary that we built
	c.Dir = s.dir
	c.Env = append(os.Environ(), "SHOP_KEY=any-test-key")
	return c
}

func (s *site) start(args ...string) *exec.Cmd {
	c := s.command(args...)
	c.Stderr = os.Stderr
	require.NoError(s.t, c.Start())
	return c
}

// run runs a command to its end and returns what it printed.
func (s *site) run(args ...string) string {
	s.t.Helper()
	out, err := s.command(args...).Output()
	require.NoError(s.t, err, "gupdispatch %s: %s", strings.Join(args, " "), out)
	return string(out)
}

func (s *site) work() {
	s.worker = s.start("worker")
	s.t.Cleanup(func(c *exec.Cmd) func() { return func() { end(c) } }(s.worker))
}

// kill ends the worker as the kernel does that needs its memory, and remembers how much it had taken.
func (s *site) kill() {
	s.peak = max(s.peak, peakOf(s.worker.Process.Pid))
	end(s.worker)
}

func end(c *exec.Cmd) {
	if c.ProcessState == nil {
		_ = c.Process.Signal(syscall.SIGKILL)
		_ = c.Wait()
	}
}

// peakOf reads the most memory that a process ever had, in kB; 0 where the system does not tell.
func peakOf(pid int) int64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for l := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(l, "VmHWM:"); ok {
			kb, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(v), " kB"), 10, 64)
			return kb
		}
	}
	return 0
}

// shown is what this test reads of `campaign show --json`.
type shown struct {
	Status string `json:"status"`
	Done   int64  `json:"done"`
}

func (s *site) until(what string, done func(shown) bool) {
	s.t.Helper()
	s.wait(what, func() bool {
		var c shown
		require.NoError(s.t, json.Unmarshal([]byte(s.run("campaign", "show", id, "--json")), &c))
		return done(c)
	})
}

func (s *site) wait(what string, done func() bool) {
	s.t.Helper()
	require.Eventually(s.t, done, time.Hour, 200*time.Millisecond, what)
}

// simStats is what this test reads of the simulator.
type simStats struct {
	Accepted   uint64 `json:"accepted"`
	Duplicates uint64 `json:"duplicates"`
}

func (s *site) get(path string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, s.sim+path, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

func (s *site) ask(path string, into any) {
	body, err := s.get(path)
	require.NoError(s.t, err)
	defer func() { _ = body.Close() }()
	require.NoError(s.t, json.NewDecoder(body).Decode(into))
}

func (s *site) stats() (got simStats) {
	s.ask("/_sim/stats", &got)
	return got
}

// stands insists that a second after a pause nothing of the campaign is sent any more, by watching for two more.
func (s *site) stands(paused time.Time) {
	s.t.Helper()
	from := paused.Add(time.Second)
	timer := time.NewTimer(time.Until(from.Add(2 * time.Second)))
	defer timer.Stop()
	<-timer.C
	for _, m := range s.messages(fmt.Sprintf("limit=1000&after=%d", max(int64(s.stats().Accepted)-1000, 0))) {
		require.False(s.t, m.At.After(from) && !strings.HasPrefix(m.Destination, urgents), "sent %s after the pause", m.At.Sub(paused))
	}
}

// accepted is a message as the simulator remembers it.
type accepted struct {
	Destination string    `json:"destination"`
	At          time.Time `json:"at"`
}

func (s *site) messages(query string) []accepted {
	var page struct {
		Messages []accepted `json:"messages"`
	}
	s.ask("/_sim/messages?"+query, &page)
	return page.Messages
}

// sendUrgent sends five one-time passwords a second, as an application does, until it is called; then it tells how long each took from the call
// of Send to Gupshup.
func (s *site) sendUrgent() (stop func() []time.Duration) {
	rdb := redis.NewClient(&redis.Options{Addr: s.redis})
	p, err := producer.New(producer.Config{Redis: rdb, Senders: []producer.Sender{{Name: sender}}})
	require.NoError(s.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	sent := map[string]time.Time{}
	group.Go(func() {
		for i := 0; ; i++ {
			timer := time.NewTimer(rand.N(400 * time.Millisecond))
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-timer.C:
			}
			to := fmt.Sprintf("%s%07d", urgents, i)
			began := time.Now()
			_, err := p.Send(context.Background(), message.Message{
				Sender: sender, To: to, Priority: message.Critical, Content: gupshup.Content{Message: gupshup.Text{Text: "Your code"}},
			})
			if err == nil {
				sent[to] = began
			}
		}
	})
	s.t.Cleanup(func() { cancel(); group.Wait(); _ = rdb.Close() })
	return func() []time.Duration {
		cancel()
		group.Wait()
		var took []time.Duration
		for to, began := range sent {
			var found []accepted
			s.wait("a one-time password arrives", func() bool {
				found = s.messages("destination=" + to)
				return len(found) > 0
			})
			took = append(took, found[0].At.Sub(began))
		}
		slices.Sort(took)
		return took
	}
}

func at(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))].Round(time.Millisecond)
}

// report counts the rows of the report by status, and insists that each row stands there once.
func (s *site) report(rows int) map[string]int {
	s.t.Helper()
	c := s.command("campaign", "report", id)
	out, err := c.StdoutPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, c.Start())
	r := csv.NewReader(bufio.NewReader(out))
	header, err := r.Read()
	require.NoError(s.t, err)
	idAt, statusAt := slices.Index(header, "id"), slices.Index(header, "status")
	seen, statuses := map[string]bool{}, map[string]int{}
	for {
		row, err := r.Read()
		if err == io.EOF {
			break
		}
		require.NoError(s.t, err)
		require.False(s.t, seen[row[idAt]], "%s stands there twice", row[idAt])
		seen[row[idAt]] = true
		statuses[row[statusAt]]++
	}
	require.NoError(s.t, c.Wait())
	for i := range rows {
		require.True(s.t, seen[fmt.Sprintf("%s.%d", id, i+2)], "line %d is missing", i+2) // behind the header
	}
	require.Len(s.t, seen, rows)
	return statuses
}

func (s *site) set(name, value string) {
	rdb := redis.NewClient(&redis.Options{Addr: s.redis})
	defer func() { _ = rdb.Close() }()
	require.NoError(s.t, rdb.ConfigSet(context.Background(), name, value).Err())
}

func (s *site) redisMB() int64 {
	rdb := redis.NewClient(&redis.Options{Addr: s.redis})
	defer func() { _ = rdb.Close() }()
	info, err := rdb.Info(context.Background(), "memory").Result()
	require.NoError(s.t, err)
	for l := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(l), "used_memory:"); ok {
			bytes, _ := strconv.ParseInt(v, 10, 64)
			return bytes >> 20
		}
	}
	return 0
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}
