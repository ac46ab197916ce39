package httpapi

import (
	"context"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/gupdispatch/gupdispatch/auditlog"
	"github.com/gupdispatch/gupdispatch/view"
)

// auditTimeout bounds the writing of an entry: the person waits for it.
const auditTimeout = 3 * time.Second

// audit notes what people do, in the log and in Redis. If Redis does not take an entry, the line is there all the same, and says so.
type audit struct {
	store   *auditlog.Log
	proxies proxies
	log     *zap.Logger
}

func newAudit(opts Options) *audit {
	return &audit{store: auditlog.New(opts.Redis), proxies: opts.TrustedProxies, log: opts.Log}
}

// note writes an entry about a request that was answered with status. Nothing in it may be secret, or a whole phone number.
func (n *audit) note(r *http.Request, a account, action, target string, status int, detail string) {
	e := auditlog.Entry{ // bounded here, too: a batch may name a MiB of task ids
		User: a.name, Role: string(a.role), Client: n.proxies.client(r).String(), Action: action, Target: target,
		Outcome: outcomeOf(status), Detail: detail,
	}.Bounded()
	fields := []zap.Field{
		zap.String("user", e.User), zap.String("role", e.Role), zap.String("client", e.Client), zap.String("action", e.Action),
		zap.String("target", e.Target), zap.String("outcome", string(e.Outcome)), zap.Int("status", status), zap.String("detail", e.Detail),
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), auditTimeout)
	defer cancel()
	if err := n.store.Write(ctx, e); err != nil {
		fields = append(fields, zap.NamedError("not_in_redis", err))
	}
	n.log.Info("ui.action", fields...)
}

func outcomeOf(status int) auditlog.Outcome {
	switch {
	case status < http.StatusBadRequest:
		return auditlog.Done
	case status < http.StatusInternalServerError:
		return auditlog.Refused
	}
	return auditlog.Failed
}

// read gives the newest entries, for the page.
func (n *audit) read(ctx context.Context, user, action string, most int) ([]view.AuditEntry, error) {
	entries, err := n.store.Read(ctx, auditlog.Filter{User: user, Action: action, Limit: most})
	if err != nil {
		return nil, err
	}
	shown := make([]view.AuditEntry, len(entries))
	for i, e := range entries {
		shown[i] = view.AuditEntryOf(e)
	}
	return shown, nil
}
