package config

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	nameRule = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
	codeRule = regexp.MustCompile(`^([0-9]{1,9}|http_[1-5][0-9]{2})$`)
)

// classes are the names that codes may be given: the rows of the error table in the README.
var classes = []string{
	"recipient", "consent", "content", "media", "template", "template_gone", "account", "spam", "throttled", "pair_throttled",
	"maintenance", "transient", "not_sent", "wait_day", "in_doubt", "unknown",
}

// Validate reports, as Problems, everything that is wrong with the values; nil means that the configuration can be used. Load calls it.
func (c *Config) Validate() error {
	var p Problems
	p.redis(c.Redis)
	p.http(c.HTTP)
	p.workers(c.Workers, c.Gupshup)
	p.messages(c)
	for _, code := range slices.Sorted(maps.Keys(c.Codes)) {
		if !codeRule.MatchString(code) {
			p.add(join("codes", code), `write Gupshup's number, or a status such as "http_429"`, "is not a code")
		}
		p.oneOf(join("codes", code), c.Codes[code], classes...)
	}
	a := c.Alerts
	p.webhook(webhook{"alerts.url", a.URL, "alerts.secret_env", a.SecretEnv, a.Secret, a.AllowInsecure})
	p.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	p.oneOf("log.format", c.Log.Format, "json", "console")
	p.tracing(c.Tracing)
	p.senders(c.Senders)
	return p.err()
}

func (p *Problems) tracing(t Tracing) {
	if !(t.Sample >= 0 && t.Sample <= 1) { // also refuses NaN
		p.add("tracing.sample", "write a part from 0 to 1, such as 0.01", "%v is out of range", t.Sample)
	}
	if t.HeadersEnv != "" {
		p.variable("tracing.headers_env", t.HeadersEnv, "the variable that holds the headers")
	}
	if t.Endpoint == "" {
		return
	}
	if what, fix := traceURL(t.Endpoint, t.Insecure); what != "" {
		p.add("tracing.endpoint", fix, "%s", what)
	}
}

func (p *Problems) redis(r Redis) {
	if what, fix := redisURL(r.URL.Reveal()); what != "" {
		p.add("redis.url", fix, "%s", what)
	}
	p.topology(r)
	p.redisTLS(r)
	p.positive("redis.dial_timeout", r.DialTimeout)
	p.positive("redis.read_timeout", r.ReadTimeout)
	p.positive("redis.write_timeout", r.WriteTimeout)
	if r.PoolSize < 0 {
		p.add("redis.pool_size", "write a number of connections, or 0 to let the client choose", "%d is negative", r.PoolSize)
	}
	p.oneOf("redis.durability", r.Durability, "standard", "strict")
	if r.Strict() && r.Embedded() {
		p.add("redis.durability", "write standard, or set redis.url", "strict needs replicas, which an embedded Redis has not")
	}
}

// topology checks that there is one way to Redis.
func (p *Problems) topology(r Redis) {
	elsewhere := r.URL.Reveal() != Default().Redis.URL.Reveal()
	switch s := r.Sentinel; {
	case len(s.Addrs) == 0 && (s.Master != "" || s.Username != "" || s.PasswordEnv != ""):
		p.add("redis.sentinel.addrs", "name the Sentinels, such as [10.0.0.1:26379, 10.0.0.2:26379, 10.0.0.3:26379]", "is missing")
	case len(s.Addrs) > 0 && s.Master == "":
		p.add("redis.sentinel.master", "write the name that the Sentinels know the master by, such as mymaster", "is missing")
	case len(s.Addrs) > 0 && len(r.Cluster.Addrs) > 0:
		p.add("redis.cluster", "remove one of the two", "redis.sentinel is set, too")
	case len(s.Addrs) > 0 && elsewhere:
		p.add("redis.url", "remove one of the two", "redis.sentinel is set, too")
	case len(r.Cluster.Addrs) > 0 && elsewhere:
		p.add("redis.url", "remove one of the two", "redis.cluster is set, too")
	}
	if r.PasswordEnv != "" {
		p.variable("redis.password_env", r.PasswordEnv, "the variable that holds Redis's password")
	} else if r.Username != "" {
		p.add("redis.password_env", "name the variable that holds this user's password", "is missing, and redis.username is set")
	}
	if r.Sentinel.PasswordEnv != "" {
		p.variable("redis.sentinel.password_env", r.Sentinel.PasswordEnv, "the variable that holds the Sentinels' password")
	}
}

func (p *Problems) redisTLS(r Redis) {
	t := r.TLS
	if (t.Cert == "") != (t.Key == "") {
		p.add("redis.tls.cert", "name both files, or neither", "cert and key belong together")
	}
	if t != (RedisTLS{}) && !r.UsesTLS() {
		p.add("redis.tls.enabled", "write true, or a URL that begins with rediss://", "is false, and the other keys beside it would do nothing")
	}
}

func (p *Problems) http(h HTTP) {
	p.listen("http.listen", h.Listen)
	p.between("http.api_rate", h.APIRate, 0, 100_000)
	if (h.TLSCert == "") != (h.TLSKey == "") {
		p.add("http.tls_cert", "name both files, or neither", "tls_cert and tls_key belong together")
	}
	var keys, users []string
	for i, k := range h.APIKeys {
		at := p.name("http.api_keys", i, k.Name, keys)
		keys = append(keys, k.Name)
		p.variable(at+".key_env", k.KeyEnv, "the variable that holds this bearer token")
	}
	if h.SessionKeyEnv != "" {
		p.variable("http.session_key_env", h.SessionKeyEnv, "the variable that holds the key")
	}
	for i, u := range h.UIUsers {
		at := p.name("http.ui_users", i, u.Name, users)
		users = append(users, u.Name)
		p.variable(at+".password_env", u.PasswordEnv, "the variable that holds this user's password")
		p.oneOf(at+".role", u.Role, "admin", "viewer")
	}
}

func (p *Problems) workers(w Workers, g Gupshup) {
	if w.Listen != "" {
		p.listen("workers.listen", w.Listen)
	}
	eachPriority(w.Concurrency, func(priority string, n int) {
		p.between("workers.concurrency."+priority, n, 1, 500) // beyond 500, asynq's scans of its active list cost more than they give
	})
	p.between("workers.pumps", int(w.Pumps), 0, maxPumps)
	if w.SweepInterval < 10*time.Millisecond || w.SweepInterval > 2*time.Second {
		p.add("workers.sweep_interval", "write 10ms to 2s: a message that went astray is promised to be found within 5s", "%v is out of range", w.SweepInterval)
	}
	p.positive("gupshup.timeout", g.Timeout)
	// A request that was begun must be answered and recorded before asynq takes the task back, and that before the container is killed.
	if w.ShutdownTimeout <= g.Timeout {
		p.add("workers.shutdown_timeout", "raise it, or lower gupshup.timeout", "%v is not longer than gupshup.timeout (%v)", w.ShutdownTimeout, g.Timeout)
	}
	if w.StopGrace <= w.ShutdownTimeout {
		p.add("workers.stop_grace", "raise it together with the container's own grace, or lower workers.shutdown_timeout",
			"%v is not longer than workers.shutdown_timeout (%v)", w.StopGrace, w.ShutdownTimeout)
	}
}

func (p *Problems) messages(c *Config) {
	eachPriority(c.Retry.ByPriority, func(priority string, b RetryBudget) {
		p.between("retry."+priority+".attempts", b.Attempts, 1, 100)
		p.positive("retry."+priority+".max_age", b.MaxAge)
	})
	p.positive("retry.backoff.base", c.Retry.Backoff.Base)
	if c.Retry.Backoff.Cap < c.Retry.Backoff.Base {
		p.add("retry.backoff.cap", "raise it, or lower the base", "%v is shorter than retry.backoff.base (%v)", c.Retry.Backoff.Cap, c.Retry.Backoff.Base)
	}
	p.positive("retry.retry_after_cap", c.Retry.RetryAfterCap)
	eachPriority(c.Expiry, func(priority string, d time.Duration) {
		if d < 0 {
			p.add("expiry."+priority, "write a duration, or 0 for messages that wait for ever", "%v is negative", d)
		}
	})
	p.positive("in_doubt.window", c.InDoubt.Window)
	eachPriority(c.InDoubt.ByPriority, func(priority, policy string) {
		p.oneOf("in_doubt."+priority, policy, "resend", "hold")
	})
	p.positive("ledger.retention", c.Ledger.Retention)
	p.positive("ledger.dead_retention", c.Ledger.DeadRetention)
	p.between("campaign.window", c.Campaign.Window, 1, 1_000_000)
}

func eachPriority[T any](b ByPriority[T], check func(priority string, value T)) {
	check("critical", b.Critical)
	check("default", b.Default)
	check("bulk", b.Bulk)
}

func (p *Problems) positive(key string, d time.Duration) {
	if d <= 0 {
		p.add(key, "write a duration such as 10s", "%v is not above 0", d)
	}
}

func (p *Problems) between(key string, n, low, high int) {
	if n < low || n > high {
		p.add(key, "write a number from "+strconv.Itoa(low)+" to "+strconv.Itoa(high), "%d is out of range", n)
	}
}

func (p *Problems) oneOf(key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		p.add(key, "write "+strings.Join(allowed, " or "), "%s is unknown", show(value))
	}
}

// listen checks an address to listen on, such as 127.0.0.1:8080 or :8080; port 0 takes any free one.
func (p *Problems) listen(key, address string) {
	_, port, err := net.SplitHostPort(address)
	if n, e := strconv.Atoi(port); err != nil || e != nil || n < 0 || n > 65535 {
		p.add(key, "write host:port, such as 127.0.0.1:8080", "%s is not an address to listen on", show(address))
	}
}

// name checks the name of a list's element and returns the element's path.
func (p *Problems) name(list string, i int, name string, earlier []string) (path string) {
	if !nameRule.MatchString(name) {
		path = list + "[" + strconv.Itoa(i) + "]"
		p.add(path+".name", "write 1 to 32 of a-z, 0-9 and -, not beginning with -", "%s is not a name", show(name))
		return path
	}
	path = list + "[" + name + "]"
	if slices.Contains(earlier, name) {
		p.add(path+".name", "give each its own", "the name is used twice")
	}
	return path
}

// variable checks the name of an environment variable without repeating it: it may be the secret itself, put into the wrong place.
func (p *Problems) variable(key, name, purpose string) {
	switch {
	case name == "":
		p.add(key, "name "+purpose, "is missing")
	case !variableRule.MatchString(name):
		p.add(key, "name "+purpose+", in upper case, and never write the secret itself here", "is not the name of an environment variable")
	}
}

// redisURL returns what is wrong with an address of Redis, without repeating it: it may hold a password.
func redisURL(address string) (what, fix string) {
	const example = "write redis://host:6379/0, rediss:// for TLS, unix:///path/to/socket, or embedded"
	if address == "embedded" {
		return "", ""
	}
	u, err := url.Parse(address)
	if err != nil {
		return "is not a URL", example + "; encode special characters of a password, @ as %40"
	}
	db := strings.TrimPrefix(u.Path, "/")
	switch u.Scheme {
	case "redis", "rediss":
		if u.Hostname() == "" {
			return "names no host", example
		}
		if n, err := strconv.Atoi(db); db != "" && (err != nil || n < 0) {
			return "does not end in the number of a database", example
		}
		return "", ""
	case "unix":
		if db == "" {
			return "names no socket", example
		}
		return "", ""
	}
	return "does not begin with redis://, rediss:// or unix://", example
}

// Embedded tells whether Redis is the one within this process, which forgets everything when it ends.
func (r Redis) Embedded() bool { return r.URL.Reveal() == "embedded" }

// Strict tells whether nothing counts as written before a replica has it, too.
func (r Redis) Strict() bool { return r.Durability == "strict" }

// UsesTLS tells whether Redis is spoken to through TLS.
func (r Redis) UsesTLS() bool {
	return r.TLS.Enabled || strings.HasPrefix(strings.ToLower(r.URL.Reveal()), "rediss:")
}

// Address says for people to read where Redis is, without its password.
func (r Redis) Address() string {
	switch {
	case len(r.Sentinel.Addrs) > 0:
		return fmt.Sprintf("%s (Sentinels %s)", r.Sentinel.Master, r.Sentinel.Addrs)
	case len(r.Cluster.Addrs) > 0:
		return fmt.Sprintf("%s (cluster)", r.Cluster.Addrs)
	}
	u, err := url.Parse(r.URL.Reveal())
	if err != nil {
		return redacted
	}
	return u.Redacted()
}
