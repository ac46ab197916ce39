package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/auditlog"
	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// stand is a house with a sender of its own, whose messages and tasks stand in the states that a test puts them into.
type stand struct {
	*house
	books  *ledger.Ledger
	sender string
	queue  string
	in     map[string]func(*http.Request) // sessions
}

func newStand(t *testing.T, rdb *redis.Client) *stand {
	t.Helper()
	sender := redistest.Sender()
	h := newHouse(t, func(o *Options) { o.Redis, o.API = rdb, deskOf(t, rdb, sender) })
	h.client = rdb
	s := &stand{house: h, books: h.server.opts.API.Ledger, sender: sender, queue: message.Queue(sender, message.Default)}
	s.in = map[string]func(*http.Request){"ops": h.as("ops"), "desk": h.as("desk")}
	return s
}

// accept takes a message in; its task is enqueued by put.
func (s *stand) accept(id string) {
	s.Helper()
	_, errs := s.books.Accept(context.Background(), []message.Message{{
		ID: id, Sender: s.sender, To: number, Priority: message.Default, Content: gupshup.Content{Message: gupshup.Text{Text: "Hello"}},
	}})
	require.NoError(s, errs[0])
}

// attempt claims a message and writes down what came of it.
func (s *stand) attempt(id string, c ledger.Commit) {
	s.Helper()
	claim, err := s.books.Claim(context.Background(), ledger.ClaimRequest{Sender: s.sender, ID: id, Generation: 1, Token: "t-" + id, Lease: time.Minute})
	require.NoError(s, err)
	require.Equal(s, ledger.Send, claim.Verdict)
	c.Sender, c.ID, c.Attempt, c.Spends = s.sender, id, claim.Attempt, true
	_, err = s.books.Commit(context.Background(), c)
	require.NoError(s, err)
}

func died(code string) ledger.Commit {
	return ledger.Commit{Outcome: ledger.OutcomeRefused, Next: message.Dead, Code: code, Class: gupshup.ClassConsent, Reason: "no consent"}
}

// put makes the task of a message, in a state of asynq's, and brings the message to where it then stands.
func (s *stand) put(id, state string) {
	s.Helper()
	s.accept(id)
	switch state {
	case "retry":
		s.attempt(id, ledger.Commit{Outcome: ledger.OutcomeRefused, Next: message.Queued, Delay: time.Hour, Code: "http_503", Class: gupshup.ClassTransient})
	case "archived":
		s.attempt(id, died("1008"))
	case "completed":
		s.attempt(id, ledger.Commit{Outcome: ledger.OutcomeSubmitted, Next: message.Submitted, MessageID: "ee4a68a0-1203-4c85-8dc3-49d0b3226a35"})
	}
	payload, err := message.Task{Sender: s.sender, ID: id, Generation: 1, To: message.MaskNumber(number)}.Encode()
	require.NoError(s, err)
	s.task(s.queue, message.TaskType, id+":1", state, payload)
}

// task makes a task, as asynq's server would leave it in that state.
func (s *stand) task(queue, kind, id, state string, payload []byte) {
	s.Helper()
	ctx := context.Background()
	_, err := asynq.NewClientFromRedisClient(s.client).EnqueueContext(ctx, asynq.NewTask(kind, payload), asynq.Queue(queue), asynq.TaskID(id))
	require.NoError(s, err)
	if state == "pending" {
		return
	}
	key, later := "asynq:{"+queue+"}:", float64(time.Now().Add(time.Hour).Unix())
	require.NoError(s, s.client.LRem(ctx, key+"pending", 0, id).Err())
	require.NoError(s, s.client.HSet(ctx, key+"t:"+id, "state", state).Err())
	if state == "active" {
		require.NoError(s, s.client.LPush(ctx, key+"active", id).Err())
		return
	}
	require.NoError(s, s.client.ZAdd(ctx, key+state, redis.Z{Score: later, Member: id}).Err())
}

// state is the task's, "gone" if there is none.
func (s *stand) state(queue, id string) string {
	s.Helper()
	info, err := s.inspector().GetTaskInfo(queue, id)
	if errors.Is(err, asynq.ErrTaskNotFound) || errors.Is(err, asynq.ErrQueueNotFound) {
		return "gone"
	}
	require.NoError(s, err)
	return info.State.String()
}

func (s *stand) status(id string) message.Status {
	s.Helper()
	rec, err := s.books.Get(context.Background(), s.sender, id)
	require.NoError(s, err)
	return rec.Status
}

// act sends an action as asynqmon's script does. ids are for a batch.
func (s *stand) act(user, queue, verb, list string, how scope, ids ...string) answer {
	s.Helper()
	base, method := "/ui/api/queues/"+queue+"/"+list+"_tasks", http.MethodPost
	switch how {
	case oneTask:
		target := base + "/" + ids[0] + ":" + verb
		if verb == "delete" {
			method, target = http.MethodDelete, base+"/"+ids[0]
		}
		return s.do(method, target, nil, s.in[user])
	case aBatch:
		body, err := json.Marshal(map[string][]string{"task_ids": ids})
		require.NoError(s, err)
		return s.do(method, base+":batch_"+verb, strings.NewReader(string(body)), s.in[user])
	}
	if verb == "delete" {
		method = http.MethodDelete
	}
	return s.do(method, base+":"+verb+"_all", nil, s.in[user])
}

func (s *stand) balanced() {
	s.Helper()
	d, err := s.books.AuditDeep(context.Background(), s.sender)
	require.NoError(s, err)
	require.Empty(s, d.Problems)
	require.True(s, d.Balanced(), "%+v", d)
}

// noted is the last entry of the audit log about the stand's sender.
func (s *stand) noted() auditlog.Entry {
	s.Helper()
	all, err := auditlog.New(s.client).Read(context.Background(), auditlog.Filter{Limit: 1000})
	require.NoError(s, err)
	for _, e := range all {
		if strings.HasPrefix(e.Target, s.sender) {
			return e
		}
	}
	require.Fail(s, "no entry")
	return auditlog.Entry{}
}

// notice is what the web UI shows beside asynqmon's own words.
func (a answer) notice(t require.TestingT) string {
	text, err := url.PathUnescape(a.Header.Get(noticeHeader))
	require.NoError(t, err)
	return text
}

// Every action × state × how many × role: who may do it, what becomes of the task and of the message. The books balance whatever happens.
func TestNoClickBreaksTheLedger(t *testing.T) {
	t.Parallel()
	type result struct {
		code   int
		task   string
		status message.Status
	}
	const gone = "gone"
	refusedIn := func(state string, status message.Status) result { return result{403, state, status} }
	type row struct {
		verb, state string
		one         result
		some, all   result
	}
	var rows []row
	for _, state := range []string{"pending", "scheduled", "retry"} {
		refused := refusedIn(state, message.Queued)
		rows = append(rows,
			row{"delete", state, result{204, gone, message.Cancelled}, refused, refused},
			row{"archive", state, result{204, "archived", message.Cancelled}, refused, refused})
	}
	goes := func(code int, status message.Status) result { return result{code, "pending", status} }
	away := func(code int, status message.Status) result { return result{code, gone, status} }
	rows = append(rows,
		row{"run", "scheduled", goes(204, message.Queued), goes(200, message.Queued), goes(200, message.Queued)},
		row{"run", "retry", goes(204, message.Queued), goes(200, message.Queued), goes(200, message.Queued)},
		row{"run", "archived", goes(204, message.Dead), goes(200, message.Dead), goes(200, message.Dead)},
		row{"delete", "archived", away(204, message.Dead), away(200, message.Dead), away(200, message.Dead)},
		row{"delete", "completed", away(204, message.Submitted), away(200, message.Submitted), away(200, message.Submitted)},
		row{"cancel", "active", result{204, "active", message.Cancelled}, refusedIn("active", message.Queued), refusedIn("active", message.Queued)},
	)
	natural := map[string]message.Status{"archived": message.Dead, "completed": message.Submitted}
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		for _, r := range rows {
			for how, want := range map[scope]result{oneTask: r.one, aBatch: r.some, allTasks: r.all} {
				name := fmt.Sprint(r.verb, " ", r.state, " ", how)
				s := newStand(t, rdb)
				s.put("m", r.state)
				s.balanced()

				res := s.act("desk", s.queue, r.verb, r.state, how, "m:1")
				require.Equal(t, 403, res.StatusCode, name)
				require.Equal(t, r.state, s.state(s.queue, "m:1"), name)
				before := natural[r.state]
				if before == "" {
					before = message.Queued
				}
				require.Equal(t, before, s.status("m"), name)
				e := s.noted()
				require.Equal(t, []any{"desk", "viewer", auditlog.Refused, string(how) + "." + r.verb}, []any{e.User, e.Role, e.Outcome, e.Action}, name)

				res = s.act("ops", s.queue, r.verb, r.state, how, "m:1")
				require.Equal(t, want.code, res.StatusCode, "%s: %s", name, res.text)
				require.Equal(t, want.task, s.state(s.queue, "m:1"), name)
				require.Equal(t, want.status, s.status("m"), name)
				s.balanced()
				e = s.noted()
				require.Equal(t, "ops", e.User, name)
				require.Equal(t, string(how)+"."+r.verb, e.Action, name)
				require.Equal(t, want.code < 400, e.Outcome == auditlog.Done, name)
				if how == oneTask {
					require.Equal(t, s.queue+" m:1", e.Target, name)
				}
				if how == aBatch {
					require.Contains(t, e.Detail, "m:1", name)
				}
				if want.code == 403 {
					require.Contains(t, res.text, "gupdispatch ", name)
					require.Equal(t, "text/plain; charset=utf-8", res.Header.Get("Content-Type"), name)
					require.Contains(t, e.Detail, res.text, name)
				}
			}
		}
	})
}

func TestTheAddressOfATaskDoesNotSayItsState(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newStand(t, rdb)
		s.put("waits", "pending")
		s.put("done", "completed")
		require.Equal(t, 204, s.act("ops", s.queue, "delete", "completed", oneTask, "waits:1").StatusCode)
		require.Equal(t, message.Cancelled, s.status("waits"))
		s.put("also", "pending")
		require.Equal(t, 403, s.act("ops", s.queue, "delete", "archived", aBatch, "done:1", "also:1").StatusCode)
		require.Equal(t, "completed", s.state(s.queue, "done:1"), "all or none")
		require.Equal(t, message.Queued, s.status("also"))

		res := s.act("ops", s.queue, "run", "archived", oneTask, "done:1")
		require.Equal(t, 409, res.StatusCode)
		require.Equal(t, "completed", s.state(s.queue, "done:1"), "it would have run again")
		res = s.act("ops", s.queue, "run", "archived", aBatch, "done:1", "nobody:1")
		require.Equal(t, 200, res.StatusCode)
		require.JSONEq(t, `{"pending_ids":[],"error_ids":["done:1","nobody:1"]}`, res.text)
		require.Contains(t, res.notice(t), "2 not run")
		require.Equal(t, 404, s.act("ops", s.queue, "run", "archived", oneTask, "nobody:1").StatusCode)
		require.Equal(t, 409, s.act("ops", s.queue, "run", "retry", oneTask, "also:1").StatusCode, "it waits its turn already")
		s.balanced()
	})
}

func TestATaskThatStandsForNothing(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newStand(t, rdb)
		ctx := context.Background()

		// Replayed by command: the old task does nothing, and the message is the new one's.
		s.put("m", "archived")
		_, err := s.books.Replay(ctx, s.sender, "m", 1)
		require.NoError(t, err)
		res := s.act("ops", s.queue, "run", "archived", oneTask, "m:1")
		require.Equal(t, 409, res.StatusCode)
		require.Contains(t, res.text, "newer task")
		require.Equal(t, 204, s.act("ops", s.queue, "delete", "archived", oneTask, "m:1").StatusCode)
		require.Equal(t, message.Queued, s.status("m"))

		s.put("old", "pending")
		s.attempt("old", died("1008"))
		_, err = s.books.Replay(ctx, s.sender, "old", 1)
		require.NoError(t, err)
		require.Equal(t, 204, s.act("ops", s.queue, "delete", "pending", oneTask, "old:1").StatusCode)
		require.Equal(t, message.Queued, s.status("old"), "another task stands for it")

		s.put("over", "pending")
		require.NoError(t, s.books.Cancel(ctx, s.sender, "over"))
		require.Equal(t, 204, s.act("ops", s.queue, "archive", "pending", oneTask, "over:1").StatusCode)
		require.Equal(t, 409, s.act("ops", s.queue, "run", "archived", oneTask, "over:1").StatusCode)

		// On its way: neither the task nor the message is touched.
		s.put("flies", "pending")
		_, err = s.books.Claim(ctx, ledger.ClaimRequest{Sender: s.sender, ID: "flies", Generation: 1, Token: "t", Lease: time.Minute})
		require.NoError(t, err)
		res = s.act("ops", s.queue, "delete", "pending", oneTask, "flies:1")
		require.Equal(t, 409, res.StatusCode)
		require.Contains(t, res.text, "sending")
		require.Equal(t, "pending", s.state(s.queue, "flies:1"))

		s.put("busy", "active")
		require.Equal(t, 409, s.act("ops", s.queue, "delete", "active", oneTask, "busy:1").StatusCode)
		require.Equal(t, message.Queued, s.status("busy"))
		s.balanced()
	})
}

func TestRunningWhatMayHaveArrivedOrMayNotBeSent(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newStand(t, rdb)
		ctx := context.Background()
		for id, code := range map[string]string{"sure": "1008", "doubt": codeInDoubt} {
			s.put(id, "pending")
			s.attempt(id, died(code))
			require.NoError(t, s.inspector().ArchiveTask(s.queue, id+":1"))
		}
		res := s.act("ops", s.queue, "run", "archived", aBatch, "doubt:1")
		require.JSONEq(t, `{"pending_ids":[],"error_ids":["doubt:1"]}`, res.text)
		require.Contains(t, res.notice(t), "dead replay --sender "+s.sender+" --code IN_DOUBT")
		res = s.act("ops", s.queue, "run", "archived", allTasks)
		require.JSONEq(t, `{"scheduled":1}`, res.text)
		require.Contains(t, res.notice(t), "1 left alone")
		require.Equal(t, "pending", s.state(s.queue, "sure:1"))
		require.Equal(t, "archived", s.state(s.queue, "doubt:1"))
		require.Equal(t, res.notice(t), s.noted().Detail, "told once")
		require.Contains(t, s.noted().Detail, "1 sent again. 1 left alone")

		res = s.act("ops", s.queue, "run", "archived", oneTask, "doubt:1")
		require.Equal(t, 204, res.StatusCode, "one that a person looks at may be")
		require.Contains(t, res.notice(t), "twice")

		s.put("unwanted", "archived")
		require.NoError(t, s.books.Suppress(ctx, s.sender, []ledger.Suppression{{Number: number, Scope: gupshup.SuppressAll, Code: "1002", Source: "code"}}))
		res = s.act("ops", s.queue, "run", "archived", oneTask, "unwanted:1")
		require.Equal(t, 409, res.StatusCode)
		require.Contains(t, res.text, "suppress remove")
		require.NotContains(t, res.text, number)
		s.balanced()
	})
}

// A retry that is run goes at once, not at its time.
func TestRunningARetrySendsItNow(t *testing.T) {
	t.Parallel()
	s := newStand(t, redistest.Embedded(t))
	s.put("m", "retry")
	claim := func() ledger.Verdict {
		c, err := s.books.Claim(context.Background(), ledger.ClaimRequest{Sender: s.sender, ID: "m", Generation: 1, Token: "again", Lease: time.Minute})
		require.NoError(t, err)
		return c.Verdict
	}
	require.Equal(t, ledger.Wait, claim())
	require.Equal(t, 204, s.act("ops", s.queue, "run", "retry", oneTask, "m:1").StatusCode)
	require.Equal(t, ledger.Send, claim())
	s.balanced()
}

func TestQueuesOfEveryKind(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := newStand(t, rdb)
		for _, lane := range []string{"critical", "default", "bulk", "probe", "notify", "alerts"} {
			q := s.sender + "." + lane
			s.task(q, "test", "x", "completed", nil)
			res := s.do("DELETE", "/ui/api/queues/"+q, nil, s.in["ops"])
			require.Equal(t, 403, res.StatusCode, lane)
			require.Contains(t, res.text, "gupdispatch sender hold "+s.sender)
			require.Equal(t, "completed", s.state(q, "x"))
			require.Equal(t, auditlog.Refused, s.noted().Outcome)
			require.Equal(t, 204, s.do("POST", "/ui/api/queues/"+q+":pause", nil, s.in["ops"]).StatusCode, lane)
			require.Equal(t, "queue.pause", s.noted().Action)
			require.Equal(t, 204, s.do("POST", "/ui/api/queues/"+q+":resume", nil, s.in["ops"]).StatusCode, lane)
			require.Equal(t, "queue.resume", s.noted().Action)
			require.Equal(t, 403, s.do("POST", "/ui/api/queues/"+q+":resume", nil, s.in["desk"]).StatusCode, lane)
		}

		for _, lane := range []string{"notify", "alerts"} {
			q := s.sender + "." + lane
			add := func(id, state string) { s.task(q, "notify:event", id, state, []byte(`{}`)) }
			add("a", "pending")
			require.Equal(t, 204, s.act("ops", q, "delete", "pending", oneTask, "a").StatusCode)
			add("b", "retry")
			require.Equal(t, 403, s.act("ops", q, "delete", "retry", aBatch, "b").StatusCode)
			res := s.act("ops", q, "delete", "retry", allTasks)
			require.Equal(t, 403, res.StatusCode)
			require.Contains(t, res.text, "Archive them")
			require.Equal(t, 200, s.act("ops", q, "archive", "retry", allTasks).StatusCode)
			require.Equal(t, 204, s.act("ops", q, "run", "archived", oneTask, "b").StatusCode)
			require.Equal(t, "pending", s.state(q, "b"))
			require.Equal(t, 409, s.act("ops", q, "run", "archived", oneTask, "x").StatusCode, "it was told already")
			add("c", "archived")
			require.Equal(t, 200, s.act("ops", q, "run", "archived", allTasks).StatusCode)
			add("d", "archived")
			require.JSONEq(t, `{"pending_ids":["d"],"error_ids":["x"]}`, s.act("ops", q, "run", "archived", aBatch, "d", "x").text)
		}

		// Another application's on the same Redis are its own business, and its payloads are not shown.
		q := s.sender + "_theirs"
		s.task(q, "mail", "m", "pending", []byte(`{"text":"secret words"}`))
		page := s.do("GET", "/ui/api/queues/"+q+"/pending_tasks", nil, s.in["ops"]).text
		require.Contains(t, page, "23 bytes, not shown")
		require.NotContains(t, page, "secret")
		require.Equal(t, 403, s.act("desk", q, "delete", "pending", allTasks).StatusCode)
		require.Equal(t, 200, s.act("ops", q, "delete", "pending", allTasks).StatusCode)
		require.Equal(t, "all.delete", s.noted().Action)
		require.Equal(t, "1 deleted.", s.noted().Detail)
		require.Equal(t, 204, s.do("DELETE", "/ui/api/queues/"+q, nil, s.in["ops"]).StatusCode)
		s.balanced()
	})
}

// failing is a ledger that does not answer.
type failing struct{ books }

func (failing) Cancel(context.Context, string, string) error { return errors.New("away") }

func (failing) PrepareRun(context.Context, string, string, int) (string, error) {
	return "", errors.New("away")
}

func TestNothingIsDoneWithoutTheLedger(t *testing.T) {
	t.Parallel()
	s := newStand(t, redistest.Embedded(t))
	s.put("waits", "pending")
	s.put("dead", "archived")
	g := &gate{books: failing{s.books}, tasks: s.inspector()}
	for _, d := range []deed{
		{queue: s.queue, scope: oneTask, verb: "delete", list: "pending", id: "waits:1"},
		{queue: s.queue, scope: oneTask, verb: "run", list: "archived", id: "dead:1"},
		{queue: s.queue, scope: allTasks, verb: "run", list: "archived"},
	} {
		_, err := g.rule(t.Context(), d, nil)
		require.Error(t, err)
	}
	require.Equal(t, "pending", s.state(s.queue, "waits:1"))
	require.Equal(t, "archived", s.state(s.queue, "dead:1"))

	h := newHouse(t, nil)
	in := h.as("ops")
	h.redis.SetError("away")
	res := h.do("DELETE", "/ui/api/queues/demo.default/pending_tasks/m:1", nil, in)
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	line := h.log.FilterMessage("ui.action").All()[1].ContextMap()
	require.Equal(t, "failed", line["outcome"])
	require.Contains(t, line, "not_in_redis", "the line is there all the same")
}

// The log's line of a batch is no longer than its entry in the audit log.
func TestTheLineOfALargeBatchIsCut(t *testing.T) {
	t.Parallel()
	s := newStand(t, redistest.Embedded(t))
	var ids []string
	for i := range maxTasks {
		ids = append(ids, fmt.Sprint(strings.Repeat("x", 500), i))
	}
	require.Equal(t, http.StatusOK, s.act("ops", s.queue, "run", "archived", aBatch, ids...).StatusCode)
	lines := s.log.FilterMessage("ui.action").All()
	detail := lines[len(lines)-1].ContextMap()["detail"].(string)
	require.Less(t, len(detail), 2100)
	require.Equal(t, s.noted().Detail, detail)
}

// tiring is a ledger that takes all the time there is for a few questions.
type tiring struct {
	books
	left int
	up   context.CancelFunc
}

func (b *tiring) PrepareRun(ctx context.Context, sender, id string, generation int) (string, error) {
	if b.left--; b.left <= 0 {
		defer b.up()
	}
	return b.books.PrepareRun(ctx, sender, id, generation)
}

// Who presses again must know that there is more, and what was done is no failure.
func TestRunningManyEndsWithItsTime(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		for _, d := range []deed{{scope: allTasks, verb: "run", list: "archived"}, {scope: aBatch, verb: "run", list: "archived"}} {
			s := newStand(t, rdb)
			for i := range 4 {
				s.put(fmt.Sprint("m", i), "archived")
			}
			d.queue = s.queue
			ctx, cancel := context.WithCancel(t.Context())
			g := &gate{books: &tiring{books: s.books, left: 2, up: cancel}, tasks: s.inspector()}
			r, err := g.rule(ctx, d, []byte(`{"task_ids":["m0:1","m1:1","m2:1","m3:1"]}`))
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, r.status)
			require.Contains(t, r.notice, "The time was up before the rest, which was not tried: press again.")
			waiting := 0
			for i := range 4 {
				if s.state(s.queue, fmt.Sprint("m", i, ":1")) == "pending" {
					waiting++
				}
			}
			require.Equal(t, 2, waiting)
			if d.scope == allTasks {
				require.Equal(t, map[string]int{"scheduled": 2}, r.body)
				require.Contains(t, r.notice, "2 sent again.")
				require.Equal(t, "", r.detail, "the notice tells it already")
			}
		}
	})
}

func TestReadDeed(t *testing.T) {
	t.Parallel()
	const base = "/ui/api/queues/"
	good := map[string]deed{
		"DELETE a.bulk":                             {queue: "a.bulk", scope: oneQueue, verb: "delete"},
		"POST a.bulk:pause":                         {queue: "a.bulk", scope: oneQueue, verb: "pause"},
		"POST a:b:resume":                           {queue: "a:b", scope: oneQueue, verb: "resume"},
		"DELETE a.bulk/pending_tasks/m:1":           {queue: "a.bulk", scope: oneTask, verb: "delete", list: "pending", id: "m:1"},
		"POST a.bulk/archived_tasks/m:run:1:run":    {queue: "a.bulk", scope: oneTask, verb: "run", list: "archived", id: "m:run:1"},
		"POST a.bulk/active_tasks/m:1:cancel":       {queue: "a.bulk", scope: oneTask, verb: "cancel", list: "active", id: "m:1"},
		"DELETE a.bulk/retry_tasks:delete_all":      {queue: "a.bulk", scope: allTasks, verb: "delete", list: "retry"},
		"POST a.bulk/retry_tasks:batch_delete":      {queue: "a.bulk", scope: aBatch, verb: "delete", list: "retry"},
		"POST a.bulk/active_tasks:cancel_all":       {queue: "a.bulk", scope: allTasks, verb: "cancel", list: "active"},
		"POST q/groups/g/aggregating_tasks:run_all": {queue: "q", scope: allTasks, verb: "run", list: "aggregating"},
		"DELETE q/groups/g/aggregating_tasks/t":     {queue: "q", scope: oneTask, verb: "delete", list: "aggregating", id: "t"},
	}
	for line, want := range good {
		method, path, _ := strings.Cut(line, " ")
		d, ok := readDeed(method, base+path)
		require.True(t, ok, line)
		require.Equal(t, want, d, line)
	}
	for _, line := range []string{
		"POST ", "DELETE ", "POST a.bulk", "POST a.bulk:stop", "POST :pause", "PUT a.bulk:pause", "PATCH a.bulk", "OPTIONS a.bulk:pause",
		"DELETE a.bulk/", "DELETE /a.bulk", "DELETE a.bulk/../b.bulk", "DELETE ./a.bulk", "DELETE a.bulk/pending_tasks", "POST a.bulk/pending_tasks",
		"POST a.bulk/pending_tasks:delete_all", "DELETE a.bulk/pending_tasks:run_all", "DELETE a.bulk/pending_tasks:batch_delete",
		"POST a.bulk/pending_tasks/m:1", "POST a.bulk/pending_tasks/:run", "POST a.bulk/pending_tasks/m:1:delete", "DELETE a.bulk/some_tasks/m:1",
		"DELETE a.bulk/pending_tasksx/m:1", "DELETE a.bulk/pending/m:1", "DELETE a.bulk/pending_tasks/m/1", "POST a.bulk/pending_tasks:explode_all",
		"DELETE a.bulk/groups/g/h/aggregating_tasks/t", "DELETE a.bulk/pending_tasks//m:1",
	} {
		method, path, _ := strings.Cut(line, " ")
		_, ok := readDeed(method, base+path)
		require.False(t, ok, line)
	}
	_, ok := readDeed("DELETE", "/ui/api/servers")
	require.False(t, ok)
}
