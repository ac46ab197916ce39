package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"
)

// minSessionKey is the shortest SessionKey that is accepted, in bytes: the
// output size of SHA-256, below which an HMAC key is weaker than its hash.
const minSessionKey = 32

// Options is everything a Server needs. Listen, Redis and Registry are
// required; what is left out has the default its field names.
type Options struct {
	// Listen is the TCP address to bind, such as "127.0.0.1:8080". Port 0 takes
	// a free one, which Server.Listen tells.
	Listen string

	// Redis is the client the whole process shares. It is asked for readiness
	// and by the web UI, and is never closed here.
	Redis redis.UniversalClient

	// Tracer makes a span of each request of the REST API; nil: none.
	Tracer trace.TracerProvider

	// Registry is what /metrics shows.
	Registry *prometheus.Registry

	// Ready lists what must hold, besides Redis answering, before /readyz says
	// yes. While it does not hold, the API takes in no new messages.
	Ready []Check
	// Notes are asked at each /readyz for what people should know of a process that is ready all the same; empty texts are left out.
	Notes []func(ctx context.Context) string

	// UIUsers are the people who may log in to the web UI and our own pages.
	// Without any, /ui/ says how to configure them and shows nothing else.
	UIUsers []UIUser

	// WithoutUI leaves the web UI out: /ui/ is not found. For a process that
	// only shows health and metrics.
	WithoutUI bool

	// UIReadOnly refuses every action in the web UI, whatever the role.
	UIReadOnly bool

	// KeepPaused makes the pause of an asynq queue that is paused by us a person's
	// own, so that we never end it, and says whether it was paused by us. It is
	// asked before a person's Pause goes to asynq, which refuses to pause what is
	// paused. Nil: all go to asynq.
	KeepPaused func(ctx context.Context, queue string) (bool, error)

	// SessionKey signs the web UI's session cookies; at least 32 bytes. Replicas
	// that share it accept each other's logins, also after a restart. Without
	// one a random key is made, and a restart or another replica costs a new
	// login.
	SessionKey []byte

	// Callbacks answers every path below /callbacks/; nil leaves them out. It
	// authenticates by itself: Gupshup has no login.
	Callbacks http.Handler

	// API is the REST API, on /v1/, /openapi.json and /docs; nil leaves it out, and with it our own pages on /, and acting in the web UI: they
	// stand on the same.
	API *API

	// TLSCert and TLSKey are the files of the certificate, with its chain, and of its key. They
	// are read again when they change. Empty: plain HTTP.
	TLSCert, TLSKey string

	// TrustedProxies are the reverse proxies whose X-Forwarded-For and
	// X-Forwarded-Proto are believed. Anybody else's are ignored.
	TrustedProxies []netip.Prefix

	// Log receives operational events; nil means none are written.
	Log *zap.Logger

	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// withDefaults returns o with its optional fields filled, or one error that
// names every problem there is.
func (o Options) withDefaults() (Options, error) {
	var problems []error
	if o.Redis == nil {
		problems = append(problems, errors.New("option Redis is missing: pass the process's client"))
	}
	if o.Registry == nil {
		problems = append(problems, errors.New("option Registry is missing: pass the process's Prometheus registry"))
	}
	if o.Listen == "" {
		problems = append(problems, errors.New(`option Listen is empty: give an address such as "127.0.0.1:8080"`))
	}
	if n := len(o.SessionKey); n > 0 && n < minSessionKey {
		problems = append(problems, fmt.Errorf("option SessionKey has %d bytes: at least %d are needed", n, minSessionKey))
	}
	for i, check := range o.Ready {
		if check.Name == "" || check.Run == nil {
			problems = append(problems, fmt.Errorf("option Ready[%d] needs both a Name and a Run", i))
		}
	}
	if (o.TLSCert == "") != (o.TLSKey == "") {
		problems = append(problems, errors.New("options TLSCert and TLSKey belong together: give both or none"))
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, errors.Join(problems...)
}
