package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/config"
	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
)

const (
	demoAPIKey   = "demo-key-of-nobody" // known to the simulator only
	demoUser     = "demo"
	demoPassword = "DEMO_UI_PASSWORD" // a variable that the written configuration names
	demoToken    = "DEMO_CALLBACK_TOKEN"
	demoHTTPKey  = "DEMO_API_KEY"
	noRouteFor   = 2 * time.Second // the clinic's network is down for so long
	demoBatch    = 100             // messages handed over at a time
	demoTries    = 5               // to hand over what the embedded Redis did not confirm, on a machine that has no time for it
)

// demoStage is everything a demo needs: an embedded Redis, the simulator and a worker, wired by a configuration file as a real
// installation is. Other commands can use the file as long as the stage stands.
type demoStage struct {
	env    *env
	flags  demoFlags
	sample []demoMessage

	redis    *embeddedRedis
	sim      *gupshuptest.Simulator
	server   *http.Server
	simAddr  string
	noRoute  string // the address at which the clinic's Gupshup will listen
	dir      string
	file     string // the configuration
	password string // of the web UI
	token    string // of the callback URLs
	httpKey  string // of the API
	receiver *http.Server
	hearAddr string // where callbacks are posted to
	app      *app
	uiAddr   string

	down      context.CancelFunc // stops the worker
	ended     chan error         // what the worker came to
	closing   chan struct{}
	closeOnce sync.Once
	serving   sync.WaitGroup
}

// openStage starts everything. What it has started before an error is stopped again.
func (e *env) openStage(ctx context.Context, f demoFlags, sample []demoMessage) (_ *demoStage, err error) {
	s := &demoStage{env: e, flags: f, sample: sample, closing: make(chan struct{}), ended: make(chan error, 1), down: func() {}}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.redis, err = startEmbedded(); err != nil {
		return nil, err
	}
	if err = s.startSimulator(ctx); err != nil {
		return nil, err
	}
	if err = s.writeConfig(); err != nil {
		return nil, err
	}
	cfg, err := config.Load(s.file, []string{demoPassword + "=" + s.password, demoToken + "=" + s.token, demoHTTPKey + "=" + s.httpKey})
	if err != nil {
		return nil, err
	}
	log := zap.NewNop()
	if f.verbose {
		log = newLog(cfg.Log, e.stderr)
	}
	if s.app, err = e.build(ctx, cfg, log); err != nil {
		return nil, err
	}
	if err = s.startReceiver(ctx); err != nil {
		return nil, err
	}
	return s, s.startWorker(ctx)
}

func (s *demoStage) startSimulator(ctx context.Context) error {
	var apps []gupshuptest.App
	for _, d := range demoSenders() {
		apps = append(apps, gupshuptest.App{Name: d.name, Source: d.source, APIKey: demoAPIKey})
	}
	s.sim = gupshuptest.New(gupshuptest.Config{
		Apps: apps, Rules: demoRules(s.sample, false), MagicNumbers: true, Seed: s.flags.seed,
		Latency: 20 * time.Millisecond, LatencyJitter: 60 * time.Millisecond, MaxKept: 3 * maxDemoMessages,
	})
	s.server = newSimulatorServer(s.sim)
	listener, err := listenLocal(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.simAddr = listener.Addr().String()
	s.serve(listener)

	// A port that was free a moment ago refuses connections until connect opens it.
	if listener, err = listenLocal(ctx, "127.0.0.1:0"); err != nil {
		return err
	}
	s.noRoute = listener.Addr().String()
	return listener.Close()
}

func listenLocal(ctx context.Context, address string) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("the demo cannot listen: %w", err)
	}
	return listener, nil
}

func (s *demoStage) serve(listener net.Listener) {
	s.serving.Go(func() { _ = s.server.Serve(listener) }) // ends by Shutdown
}

// connect brings up the network of the sender that has none at first. Should another program have taken the port meanwhile,
// it is tried again until the stage closes.
func (s *demoStage) connect() {
	s.serving.Go(func() {
		wait := time.NewTimer(noRouteFor)
		defer wait.Stop()
		for {
			select {
			case <-s.closing:
				return
			case <-wait.C:
			}
			listener, err := listenLocal(context.Background(), s.noRoute)
			if err == nil {
				_ = s.server.Serve(listener)
				return
			}
			wait.Reset(100 * time.Millisecond)
		}
	})
}

// writeConfig writes the configuration and the API key into a directory that close removes.
func (s *demoStage) writeConfig() error {
	dir, err := os.MkdirTemp("", "gupdispatch-demo-")
	if err != nil {
		return fmt.Errorf("the demo's configuration cannot be written: %w", err)
	}
	s.dir, s.file, s.password = dir, filepath.Join(dir, "gupdispatch.yaml"), rand.Text()[:12]
	s.token, s.httpKey = rand.Text(), rand.Text()
	key := filepath.Join(dir, "api-key")
	return errors.Join(
		os.WriteFile(key, []byte(demoAPIKey+"\n"), 0o600),
		os.WriteFile(s.file, []byte(s.yaml(key)), 0o600),
	)
}

// yaml is the demo's configuration. Backoff and doubt are shorter than anybody's should be, so that nobody has to wait for the end;
// requests may take longer, so that a busy machine adds no doubts of its own. A doubt lasts many times longer than the
// first callback takes to come, so that a busy machine does not bring that too late, either.
func (s *demoStage) yaml(keyFile string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Of a running `+"`gupdispatch demo`"+`; it is gone when the demo ends.
redis:
  url: redis://%s/0
  read_timeout: 15s
http:
  listen: 127.0.0.1:0
  ui_users: [{name: %s, password_env: %s, role: admin}]
  api_keys: [{name: demo, key_env: %s}]
workers: {shutdown_timeout: 25s, stop_grace: 35s}
gupshup: {timeout: 20s}
retry:
  backoff: {base: 300ms, cap: 2s}
in_doubt: {window: 10s}
senders:
`, s.redis.addr(), demoUser, demoPassword, demoHTTPKey)
	for _, d := range demoSenders() {
		base, rate := s.simAddr, d.rate
		if d.name == demoSenders()[0].name {
			rate = s.flags.rate
		}
		if d.noRoute {
			base = s.noRoute
		}
		fmt.Fprintf(&b, "  - {name: %s, app: %s, source: %q, rate: %g, api_key_file: %q, base_url: %q, callback_token_env: %s}\n",
			d.name, d.name, d.source, rate, keyFile, "http://"+base, demoToken)
	}
	return b.String()
}

// startWorker starts sending, and with --keep opens the web UI.
func (s *demoStage) startWorker(ctx context.Context) error {
	opened := make(chan string, 1)
	d := door{}
	if s.flags.keep {
		d = door{listen: s.flags.listen, ui: true, opened: func(address string) { opened <- address }}
	} else {
		opened <- ""
	}
	ctx, s.down = context.WithCancel(ctx)
	go func() { s.ended <- s.app.run(ctx, d) }()
	select {
	case s.uiAddr = <-opened:
		return nil
	case err := <-s.ended:
		s.ended <- err // for stop
		return err
	}
}

// accept hands over the sample, as an application server would. Its error names the first message that was not taken.
func (s *demoStage) accept(ctx context.Context) error {
	p, err := s.app.producer()
	if err != nil {
		return err
	}
	if err := s.optOut(ctx); err != nil {
		return err
	}
	for rest := s.sample; len(rest) > 0; {
		n := min(demoBatch, len(rest))
		batch := make([]message.Message, n)
		for i, d := range rest[:n] {
			batch[i] = d.Message
			if d.ExpiresIn > 0 {
				batch[i].ExpiresAt = time.Now().Add(d.ExpiresIn)
			}
		}
		if err := handOver(ctx, p, batch); err != nil {
			return err
		}
		if len(rest) == len(s.sample) {
			s.connect()
		}
		rest = rest[n:]
	}
	return nil
}

// handOver does what producer.Send asks for: what was not confirmed is sent again with the same id. Wrong messages are not.
func handOver(ctx context.Context, p *producer.Producer, batch []message.Message) error {
	var err error
	for range demoTries {
		var again []message.Message
		for i, r := range p.SendBatch(ctx, batch) {
			if r.Err == nil {
				continue
			}
			// Not wrapped: the report of fields that are wrong would leave out which message it is.
			err = errors.New("message " + r.ID + " of the sample: " + r.Err.Error())
			var wrong gupshup.FieldErrors
			var taken *producer.ConflictError
			if ctx.Err() != nil || errors.As(r.Err, &wrong) || errors.As(r.Err, &taken) {
				return err
			}
			again = append(again, batch[i])
		}
		if len(again) == 0 {
			return nil
		}
		batch = again
	}
	return err
}

// stop ends the worker in order and returns what it came to.
func (s *demoStage) stop() error {
	s.down()
	if s.app == nil {
		return nil
	}
	err := <-s.ended
	s.ended <- nil // may be called again
	return err
}

// close stops and removes everything that is left. It may be called twice.
func (s *demoStage) close() {
	s.closeOnce.Do(func() {
		close(s.closing)
		_ = s.stop()
		if s.server != nil {
			_ = stopServer(context.Background(), s.server)
		}
		if s.sim != nil {
			s.sim.Close() // waits for its callbacks
		}
		if s.receiver != nil {
			_ = stopServer(context.Background(), s.receiver)
		}
		s.serving.Wait()
		if s.app != nil {
			s.app.close()
		}
		if s.redis != nil {
			s.redis.close()
		}
		if s.dir != "" {
			_ = os.RemoveAll(s.dir)
		}
	})
}
