package httpapi

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/crypto/bcrypt"

	"github.com/gupdispatch/gupdispatch/campaign"
	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/producer"
	"github.com/gupdispatch/gupdispatch/view"
)

const (
	adminPassword  = "correct horse battery"
	viewerPassword = "only looking"
	queue          = "demo.critical"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a time that only a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// house is a server over miniredis with everything a test may look at.
type house struct {
	*testing.T
	server *Server
	redis  *miniredis.Miniredis
	client *redis.Client
	clock  *clock
	log    *observer.ObservedLogs
}

func newHouse(t *testing.T, change func(*Options)) *house {
	t.Helper()
	mini := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: mini.Addr(), MaxRetries: -1, DialerRetries: 1})
	t.Cleanup(func() { _ = client.Close() })
	hash, err := bcrypt.GenerateFromPassword([]byte(viewerPassword), bcrypt.MinCost)
	require.NoError(t, err)
	core, logs := observer.New(zap.DebugLevel)
	now := &clock{now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}
	opts := Options{
		Listen:   "127.0.0.1:0",
		Redis:    client,
		Registry: prometheus.NewRegistry(),
		UIUsers: []UIUser{
			{Name: "ops", Password: adminPassword, Role: RoleAdmin},
			{Name: "desk", Password: string(hash), Role: RoleViewer},
		},
		Log: zap.New(core),
		Now: now.Now,
	}
	if change != nil {
		change(&opts)
	}
	if opts.API == nil {
		opts.API = deskOf(t, opts.Redis, "demo", "other")
	}
	server, err := New(opts)
	require.NoError(t, err)
	return &house{T: t, server: server, redis: mini, client: client, clock: now, log: logs}
}

// deskOf is what the pages and the API need of these senders, over a Redis.
func deskOf(t *testing.T, rdb redis.UniversalClient, senders ...string) *API {
	t.Helper()
	books := ledger.New(rdb, ledger.Config{})
	desk := &API{
		Ledger: books,
		Sender: func(_ context.Context, name string) (view.Sender, error) { return view.Sender{Name: name}, nil },
		Replay: func(ctx context.Context, rec ledger.Record) error {
			_, err := books.Replay(ctx, rec.Sender, rec.ID, rec.Generation)
			return err
		},
	}
	var known []producer.Sender
	for _, s := range senders {
		known = append(known, producer.Sender{Name: s})
		desk.Senders = append(desk.Senders, campaign.Sender{Name: s, Rate: 20})
	}
	p, err := producer.New(producer.Config{Redis: rdb, Senders: known})
	require.NoError(t, err)
	desk.Producer = p
	return desk
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	text string
}

func (a answer) session() *http.Cookie {
	for _, c := range a.Cookies() {
		if c.Name == cookieName {
			return c
		}
	}
	return nil
}

// do sends a request; edits may change it, nil ones are skipped.
func (h *house) do(method, target string, body io.Reader, edits ...func(*http.Request)) answer {
	h.Helper()
	r := httptest.NewRequest(method, target, body)
	for _, edit := range edits {
		edit(r)
	}
	w := httptest.NewRecorder()
	h.server.Handler().ServeHTTP(w, r)
	res := w.Result()
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	require.NoError(h, err)
	return answer{res, string(text)}
}

func (h *house) logIn(name, password, next string, edits ...func(*http.Request)) answer {
	h.Helper()
	form := url.Values{"name": {name}, "password": {password}, "next": {next}}
	edits = append([]func(*http.Request){header("Content-Type", "application/x-www-form-urlencoded")}, edits...)
	return h.do(http.MethodPost, "/ui/login", strings.NewReader(form.Encode()), edits...)
}

// as logs in and returns an edit that sends the session along.
func (h *house) as(name string) func(*http.Request) {
	h.Helper()
	password := map[string]string{"ops": adminPassword, "desk": viewerPassword}[name]
	in := h.logIn(name, password, "")
	require.Equal(h, http.StatusSeeOther, in.StatusCode, in.text)
	return cookie(in.session())
}

// archiveDead puts the task of a dead letter "m-1" into the archive of the queue.
func (h *house) archiveDead() {
	h.Helper()
	books, ctx := h.server.opts.API.Ledger, context.Background()
	_, errs := books.Accept(ctx, []message.Message{{
		ID: "m-1", Sender: "demo", To: "919876543210", Priority: message.Critical, Content: gupshup.Content{Message: gupshup.Text{Text: "Hello"}},
	}})
	require.NoError(h, errs[0])
	_, err := books.Claim(ctx, ledger.ClaimRequest{Sender: "demo", ID: "m-1", Generation: 1, Token: "run", Lease: time.Minute})
	require.NoError(h, err)
	_, err = books.Commit(ctx, ledger.Commit{
		Sender: "demo", ID: "m-1", Attempt: 1, Outcome: ledger.OutcomeRefused, Next: message.Dead, Spends: true, Code: "1008", Class: gupshup.ClassConsent,
	})
	require.NoError(h, err)
	h.archive("m-1:1", `{"sender":"demo","id":"m-1","generation":1}`)
}

// archive puts one task into the archive of the queue, as a dead letter is.
func (h *house) archive(id, payload string) {
	h.Helper()
	client := asynq.NewClientFromRedisClient(h.client)
	_, err := client.EnqueueContext(context.Background(), asynq.NewTask("message:send", []byte(payload)),
		asynq.Queue(queue), asynq.TaskID(id))
	require.NoError(h, err)
	require.NoError(h, h.inspector().ArchiveTask(queue, id))
}

func (h *house) inspector() *asynq.Inspector { return asynq.NewInspectorFromRedisClient(h.client) }

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func cookie(c *http.Cookie) func(*http.Request) {
	return func(r *http.Request) { r.AddCookie(c) }
}

func from(addr string) func(*http.Request) {
	return func(r *http.Request) { r.RemoteAddr = addr }
}
