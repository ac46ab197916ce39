package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/message"
)

// Alerts is where the operators are told of holds that begin and end.
type Alerts struct {
	URL     string   // absolute, http or https; empty: nowhere
	Secret  string   // shared with the receiver, as that of a Sender
	Senders []string // whose alerts are posted
}

// String tells neither the URL nor the secret.
func (a Alerts) String() string { return fmt.Sprintf("notify.Alerts(%d senders)", len(a.Senders)) }

// GoString is String: %#v must not show the secret, either.
func (a Alerts) GoString() string { return a.String() }

func (a Alerts) queues() []string {
	if a.URL == "" {
		return nil
	}
	queues := make([]string, len(a.Senders))
	for i, s := range a.Senders {
		queues[i] = AlertQueue(s)
	}
	return queues
}

// AlertType is the type of the asynq task that posts one alert.
const AlertType = "notify:hold"

// AlertQueue is the name of the asynq queue of a sender's alerts. They do not stand in line with its events: thousands of those may wait
// for an application that does not keep up.
func AlertQueue(sender string) string { return sender + ".alerts" }

// What an Alert tells.
const (
	HoldBegan = "hold.began"
	HoldEnded = "hold.ended"
)

// Alert tells that something is held from now on, or no longer, as it is posted: see docs/events.md. Receivers may decode a body into it.
type Alert struct {
	Event      string             `json:"event"`    // HoldBegan or HoldEnded
	EventID    string             `json:"event_id"` // the same whenever it is posted again
	Sender     string             `json:"sender"`
	Held       string             `json:"held"`                 // what is held of it, for people: "sender", "default, bulk", or "template" and its id
	Template   string             `json:"template,omitempty"`   // the template's id; empty: it is the sender
	Priorities []message.Priority `json:"priorities,omitempty"` // none: all
	Reason     string             `json:"reason"`
	Code       string             `json:"code,omitempty"`
	Note       string             `json:"note,omitempty"`     // what the person wrote who holds it
	By         string             `json:"by,omitempty"`       // that person; empty: the policy
	SeenBy     string             `json:"seen_by,omitempty"`  // the process whose message failed
	EndedBy    string             `json:"ended_by,omitempty"` // with HoldEnded: probe, time, or the person who released it
	Since      time.Time          `json:"since"`
	Until      time.Time          `json:"until,omitzero"` // when it is tried next, or ends; zero: when somebody releases it, or it has ended
	At         time.Time          `json:"at"`             // when it began, or ended, by the clock of Redis
}

// MarshalJSON writes times in UTC with milliseconds.
func (a Alert) MarshalJSON() ([]byte, error) {
	type plain Alert
	written := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(milliseconds)
	}
	return json.Marshal(struct {
		plain
		Since string `json:"since"`
		Until string `json:"until,omitempty"`
		At    string `json:"at"`
	}{plain(a), written(a.Since), written(a.Until), written(a.At)})
}

// id names what the alert tells, so that telling it twice makes one task.
func (a Alert) id() string {
	scope := "sender"
	if a.Template != "" {
		scope = "template:" + a.Template
	} else if len(a.Priorities) > 0 {
		names := make([]string, len(a.Priorities))
		for i, p := range a.Priorities {
			names[i] = string(p)
		}
		scope = strings.Join(names, "+")
	}
	return strings.Join([]string{a.Sender, scope, strconv.FormatInt(a.Since.UnixMilli(), 10), strings.TrimPrefix(a.Event, "hold.")}, ":")
}

// Alerter makes tasks of alerts, for the Notifiers that post them.
type Alerter struct{ queue *asynq.Client }

// NewAlerter makes an Alerter over a client that may repeat commands and that the caller closes.
func NewAlerter(rdb redis.UniversalClient) *Alerter {
	return &Alerter{queue: asynq.NewClientFromRedisClient(rdb)}
}

// Enqueue gives an alert its EventID and its task. When it returns nil the alert is safe in Redis; what is enqueued twice is posted once,
// unless the first was posted more than a minute ago.
func (r *Alerter) Enqueue(ctx context.Context, a Alert) error {
	a.EventID = a.id()
	body, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("alert %s: %w", a.EventID, err)
	}
	_, err = r.queue.EnqueueContext(ctx, asynq.NewTask(AlertType, body), options(AlertQueue(a.Sender), a.EventID)...)
	if err == nil || errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil
	}
	return fmt.Errorf("alert %s: enqueue: %w", a.EventID, err)
}

// alertHandler is handler for alerts.
type alertHandler struct{ delivery }

func (n *Notifier) alertHandler() *alertHandler {
	d := n.delivery("alerts.url", n.cfg.Alerts.URL, n.cfg.Alerts.Secret, n.metrics.alerts)
	d.unheard = zap.WarnLevel // operators who hear nothing have to find out why
	return &alertHandler{d}
}

// ProcessTask implements asynq.Handler.
func (h *alertHandler) ProcessTask(ctx context.Context, t *asynq.Task) error {
	queue, _ := asynq.GetQueueName(ctx)
	sender := strings.TrimSuffix(queue, AlertQueue(""))
	var alert Alert
	if err := json.Unmarshal(t.Payload(), &alert); err != nil || t.Type() != AlertType || alert.Sender != sender {
		h.count(sender, resultMalformed)
		return fmt.Errorf("this task is no alert of sender %s: it does not belong into this queue: %w", sender, asynq.SkipRetry)
	}
	return h.deliver(ctx, t, sender, zap.String("event_id", alert.EventID))
}
