package notify_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/notify"
)

var began = time.UnixMilli(1700000000120).UTC()

// alerted is a site whose operators are told, and nobody of events.
func alerted(t *testing.T, rdb *redis.Client) *site {
	s := newSite(t, rdb)
	s.cfg.Alerts = notify.Alerts{URL: s.cfg.Senders[0].URL, Secret: secret, Senders: []string{s.sender}}
	s.cfg.Senders = nil
	return s
}

func (s *site) alert(a notify.Alert) {
	s.t.Helper()
	require.NoError(s.t, notify.NewAlerter(s.rdb).Enqueue(s.t.Context(), a))
}

// told waits until no task is left, and returns the bodies of the posts.
func (s *site) told() []string {
	s.t.Helper()
	s.eventually("told", func() bool {
		q, err := s.inspect.GetQueueInfo(notify.AlertQueue(s.sender))
		return err == nil && q.Pending+q.Active+q.Retry == 0
	})
	s.app.mu.Lock()
	defer s.app.mu.Unlock()
	return s.app.bodies
}

// What began before the start and what is told twice is posted once, signed, by one of two processes.
func TestEachAlertIsPostedOnce(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := alerted(t, rdb)
		hold := notify.Alert{
			Event: notify.HoldBegan, Sender: s.sender, Held: "sender", Reason: "account", Code: "http_401", Since: began, Until: began.Add(time.Minute), At: began,
		}
		s.alert(hold)
		s.start()
		s.cfg.Registry = nil
		s.start()
		s.alert(hold)
		bodies := s.told()
		require.JSONEq(t, fmt.Sprintf(`{"event":"hold.began","event_id":"%[1]s:sender:1700000000120:began","sender":"%[1]s","held":"sender","reason":"account",`+
			`"code":"http_401","since":"2023-11-14T22:13:20.120Z","until":"2023-11-14T22:14:20.120Z","at":"2023-11-14T22:13:20.120Z"}`, s.sender), bodies[0])

		s.alert(notify.Alert{Event: notify.HoldEnded, Sender: s.sender, Held: "sender", Reason: "account", Since: began, At: began.Add(time.Second)})
		s.alert(notify.Alert{
			Event: notify.HoldBegan, Sender: s.sender, Held: "default, bulk", Priorities: []message.Priority{message.Default, message.Bulk},
			Reason: "by_hand", Note: "stock is wrong", By: "ops", Since: began, At: began,
		})
		s.alert(notify.Alert{Event: notify.HoldBegan, Sender: s.sender, Held: "template t1", Template: "t1", Reason: "template", Since: began, At: began})
		s.told()
		require.Empty(t, s.app.bad, "all are signed")
		require.Equal(t, once([]string{
			s.sender + ":sender:1700000000120:began", s.sender + ":sender:1700000000120:ended",
			s.sender + ":default+bulk:1700000000120:began", s.sender + ":template:t1:1700000000120:began",
		}), s.app.posts())
	})
}

func TestAlertsAreRetriedWhileTheReceiverIsAway(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		s := alerted(t, rdb)
		s.app.answer = func(n int, _ notify.Event) int {
			if n <= 3 {
				return http.StatusServiceUnavailable
			}
			return http.StatusNoContent
		}
		n := s.start()
		s.alert(notify.Alert{Event: notify.HoldBegan, Sender: s.sender, Held: "sender", Reason: "outage", Since: began, At: began})
		s.eventually("failed", func() bool { return s.count("gupdispatch_alerts_total", "retried") >= 1 })
		n.Shutdown() // another process goes on with it
		before := s.count("gupdispatch_alerts_total", "retried")
		s.metrics = prometheus.NewRegistry()
		s.cfg.Registry = s.metrics
		s.start()
		s.told()
		require.Equal(t, 3, before+s.count("gupdispatch_alerts_total", "retried"))
		require.Equal(t, map[string]int{s.sender + ":sender:1700000000120:began": 4}, s.app.posts())
	})
}

func TestARefusedAlertIsArchivedAndSaysWhere(t *testing.T) {
	t.Parallel()
	s := alerted(t, redistest.Embedded(t))
	s.app.answer = func(int, notify.Event) int { return http.StatusGone }
	s.start()
	s.alert(notify.Alert{Event: notify.HoldBegan, Sender: s.sender, Held: "sender", Since: began, At: began})
	s.eventually("archived", func() bool { return s.count("gupdispatch_alerts_total", "archived") == 1 })
	var info *asynq.TaskInfo
	s.eventually("in the archive", func() bool {
		var err error
		info, err = s.inspect.GetTaskInfo(notify.AlertQueue(s.sender), s.sender+":sender:1700000000120:began")
		return err == nil && info.State == asynq.TaskStateArchived
	})
	require.Contains(t, info.LastErr, "take alerts.url out")
	require.NotContains(t, info.LastErr, "tok")
}

// A process that has no alerts.url leaves what others are to post where it is.
func TestAlertsWithoutAReceiverWait(t *testing.T) {
	t.Parallel()
	s := newSite(t, redistest.Embedded(t))
	s.alert(notify.Alert{Event: notify.HoldBegan, Sender: s.sender, Held: "sender", Since: began, At: began})
	ids := s.write(1)
	s.start()
	s.settled()
	require.Equal(t, once(ids), s.app.posts())
	q, err := s.inspect.GetQueueInfo(notify.AlertQueue(s.sender))
	require.NoError(t, err)
	require.Equal(t, 1, q.Pending)
}

func TestAlertIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	for _, until := range []time.Time{{}, began.Add(time.Hour)} {
		a := notify.Alert{
			Event: notify.HoldBegan, EventID: "x", Sender: "shop", Held: "bulk", Priorities: []message.Priority{message.Bulk}, Reason: "spam", Code: "471",
			Since: began, Until: until, At: began,
		}
		body, err := json.Marshal(a)
		require.NoError(t, err)
		var back notify.Alert
		require.NoError(t, json.Unmarshal(body, &back))
		require.Equal(t, a, back)
	}
	alerts := notify.Alerts{URL: "https://h.test/tok", Secret: "s3cret", Senders: []string{"shop"}}
	require.Equal(t, "notify.Alerts(1 senders) notify.Alerts(1 senders)", fmt.Sprintf("%v %#v", alerts, alerts))
}
