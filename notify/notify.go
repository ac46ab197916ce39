// Package notify tells an application what becomes of its messages: it posts every change of a message's state to the
// application's URL, signed, at least once, in no promised order. In the same way it tells the operators of holds.
//
// The ledger writes the changes of a sender into a Redis stream. relay.go makes an asynq task of each entry, so that retries,
// backoff and failures are where ops look for them: in the queue <sender>.notify of the web UI. server.go takes the tasks,
// post.go makes the one HTTP attempt of each and judges the answer. event.go is what is posted, signature.go how it is signed
// and, for those who receive it, how to verify that. alert.go is what operators are told, and how it comes to the tasks. Any number
// of processes may run a Notifier for the same senders.
package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/internal/asynqlog"
)

// Sender is a sender whose events are posted.
type Sender struct {
	Name   string
	URL    string // absolute, http or https; may carry a query, which no error and no log shows
	Secret string // shared with the receiver, who verifies signatures with it
}

// String names the sender, and neither its URL nor its secret.
func (s Sender) String() string { return "notify.Sender(" + s.Name + ")" }

// GoString is String: %#v must not show the secret, either.
func (s Sender) GoString() string { return s.String() }

// Config is what a Notifier needs. Clients and logger stay the caller's.
type Config struct {
	Redis      redis.UniversalClient // for the stream and for enqueuing; may repeat commands
	QueueRedis redis.UniversalClient // for asynq's servers; must not repeat commands: a repeated dequeue strands a task
	Senders    []Sender              // whose events are posted
	Alerts     Alerts                // where the operators are told of holds

	// HTTPClient is copied, and its redirects are not followed. Nil: one of our own, with Go's defaults for proxies and TLS.
	HTTPClient *http.Client

	Concurrency     int           // posts under way at once, for each sender and process; 0: DefaultConcurrency
	Timeout         time.Duration // of one post; 0: DefaultTimeout
	ShutdownTimeout time.Duration // posts under way get this long to finish; longer than Timeout; 0: Timeout and 2 s

	Log      *zap.Logger           // nil: no log
	Registry prometheus.Registerer // nil: no metrics
}

// What a Config that says nothing gets.
const (
	DefaultConcurrency = 10
	DefaultTimeout     = 10 * time.Second
)

// Notifier posts events. Make it with New, start it once with Start, end it with Shutdown.
type Notifier struct {
	cfg     Config
	pace    pace
	metrics *metrics
	http    *http.Client
	own     bool // http is ours, so its idle connections are ours to close

	asynqLog *asynqlog.Logger // of all servers

	mu      sync.Mutex // guards what follows
	started bool
	stop    context.CancelFunc
	relays  sync.WaitGroup
	servers []*asynq.Server
}

// New checks the configuration and makes a Notifier. It connects to nothing. Its error names every problem at once, and no
// URL or secret.
func New(cfg Config) (*Notifier, error) {
	if cfg.Concurrency == 0 {
		cfg.Concurrency = DefaultConcurrency
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.ShutdownTimeout == 0 {
		cfg.ShutdownTimeout = cfg.Timeout + 2*time.Second
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	n := &Notifier{cfg: cfg, pace: usualPace(), own: cfg.HTTPClient == nil, http: withoutRedirects(cfg.HTTPClient, cfg.Concurrency), asynqLog: asynqlog.New(cfg.Log)}
	var err error
	if n.metrics, err = newMetrics(cfg.Registry, cfg.Senders, cfg.Alerts); err != nil {
		return nil, fmt.Errorf("notify: metrics: %w", err)
	}
	return n, nil
}

func (c Config) check() error {
	var problems []error
	if c.Redis == nil || c.QueueRedis == nil {
		problems = append(problems, errors.New("notify: Redis and QueueRedis must be given"))
	}
	if c.Concurrency < 0 || c.Timeout < 0 || c.Timeout >= taskTimeout || c.ShutdownTimeout <= c.Timeout {
		problems = append(problems, fmt.Errorf("notify: concurrency %d must be positive, timeout %s positive and below %s, and the shutdown timeout %s longer than it",
			c.Concurrency, c.Timeout, taskTimeout, c.ShutdownTimeout))
	}
	seen := map[string]bool{}
	for _, s := range c.Senders {
		switch {
		case s.Name == "":
			problems = append(problems, errors.New("notify: a sender has no name"))
		case seen[s.Name]:
			problems = append(problems, fmt.Errorf("notify: sender %s is given twice", s.Name))
		}
		seen[s.Name] = true
		if !absolute(s.URL) {
			problems = append(problems, fmt.Errorf("notify: sender %s: notify_url must be an absolute http or https URL", s.Name))
		}
		if s.Secret == "" {
			problems = append(problems, fmt.Errorf("notify: sender %s: the secret is empty; receivers could not tell our events from anybody's", s.Name))
		}
	}
	if c.Alerts.URL != "" && !absolute(c.Alerts.URL) {
		problems = append(problems, errors.New("notify: alerts.url must be an absolute http or https URL"))
	}
	if c.Alerts.URL != "" && c.Alerts.Secret == "" {
		problems = append(problems, errors.New("notify: the secret of alerts is empty; receivers could not tell our alerts from anybody's"))
	}
	return errors.Join(problems...)
}

// absolute says whether something can be posted there. url.Parse's own error is not for anybody: it shows the URL, and with it what may
// be secret.
func absolute(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// Start begins to relay and to post, and returns. What it started ends with Shutdown; when ctx ends, no more events are
// taken from the streams, but those taken are still posted until Shutdown. Redis may be away at the start: the relays wait.
func (n *Notifier) Start(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.started {
		return errors.New("notify: a Notifier is started only once")
	}
	n.started = true
	for _, s := range n.cfg.Senders {
		if err := n.serve(n.handler(s), Queue(s.Name)); err != nil {
			return err
		}
	}
	if queues := n.cfg.Alerts.queues(); len(queues) > 0 {
		if err := n.serve(n.alertHandler(), queues...); err != nil {
			return err
		}
	}
	ctx, n.stop = context.WithCancel(ctx)
	for _, s := range n.cfg.Senders {
		n.relays.Go(func() { n.relay(s.Name).run(ctx) })
	}
	if len(n.servers) > 0 {
		n.cfg.Log.Info("notify.started", zap.Int("senders", len(n.cfg.Senders)), zap.Bool("alerts", n.cfg.Alerts.URL != ""))
	}
	return nil
}

// serve starts a server of queues. If it cannot, it ends those that run already.
func (n *Notifier) serve(h asynq.Handler, queues ...string) error {
	server := n.server(queues)
	if err := server.Start(asynqlog.Guard(n.cfg.Log, h)); err != nil {
		n.shutdownServers()
		return fmt.Errorf("notify: queue %s: %w", strings.Join(queues, ", "), err)
	}
	n.servers = append(n.servers, server)
	return nil
}

// Shutdown ends what Start started: first the relays, then no new tasks, then it waits for the posts under way, all within
// about ShutdownTimeout. What could not finish stays in Redis for the next process. It may be called more than once.
func (n *Notifier) Shutdown() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stop != nil {
		n.stop()
		n.relays.Wait()
		n.stop = nil
	}
	n.shutdownServers()
	if n.own {
		n.http.CloseIdleConnections()
	}
}

// shutdownServers ends all servers at the same time.
func (n *Notifier) shutdownServers() {
	var group sync.WaitGroup
	for _, s := range n.servers {
		group.Go(func() {
			s.Stop()
			s.Shutdown()
		})
	}
	group.Wait()
	n.servers = nil
}
