package config

import "time"

// Config is the whole configuration. Its koanf tags are the keys of the YAML file and, in upper case and joined by "_" behind
// GUPDISPATCH_, the names of the environment variables. Durations of 0 mean "none" only where a field says so.
type Config struct {
	Redis   Redis   `koanf:"redis"`
	HTTP    HTTP    `koanf:"http"`
	Workers Workers `koanf:"workers"`
	Gupshup Gupshup `koanf:"gupshup"`
	Retry   Retry   `koanf:"retry"`
	// Expiry is how long a message may wait when its caller sets no expires_at; 0 means for ever.
	Expiry  ByPriority[time.Duration] `koanf:"expiry"`
	InDoubt InDoubt                   `koanf:"in_doubt"`
	Ledger  Ledger                    `koanf:"ledger"`
	// Codes overrides the error table: Gupshup's code ("1002", "http_429") to the name of a class.
	Codes    map[string]string `koanf:"codes"`
	Campaign Campaign          `koanf:"campaign"`
	Alerts   Alerts            `koanf:"alerts"`
	Log      Log               `koanf:"log"`
	Tracing  Tracing           `koanf:"tracing"`
	Senders  []Sender          `koanf:"senders"`
}

// ByPriority holds one value for each priority of a message.
type ByPriority[T any] struct {
	Critical T `koanf:"critical"`
	Default  T `koanf:"default"`
	Bulk     T `koanf:"bulk"`
}

// Of returns the value for a priority by its name; any name but "critical" and "bulk" gets the default priority's.
func (b ByPriority[T]) Of(priority string) T {
	switch priority {
	case "critical":
		return b.Critical
	case "bulk":
		return b.Bulk
	}
	return b.Default
}

// Redis says where the engine is and how long to wait for it: one server by its URL, a master that Sentinels watch over, or a cluster.
type Redis struct {
	// URL is redis://, rediss:// (TLS) or unix://, or the word "embedded". It is a Secret because it may carry a password; see Address.
	// It stays at its default where Sentinel or Cluster is set.
	URL         Secret   `koanf:"url"`
	Sentinel    Sentinel `koanf:"sentinel"`
	Cluster     Cluster  `koanf:"cluster"`
	Username    string   `koanf:"username"`     // ACL user; "" is the one of the URL, or Redis's default user
	PasswordEnv string   `koanf:"password_env"` // "" is the one of the URL, or none
	Password    Secret   `koanf:"-"`            // the value of PasswordEnv
	TLS         RedisTLS `koanf:"tls"`

	DialTimeout  time.Duration `koanf:"dial_timeout"`
	ReadTimeout  time.Duration `koanf:"read_timeout"`
	WriteTimeout time.Duration `koanf:"write_timeout"`
	PoolSize     int           `koanf:"pool_size"` // connections per process; 0 lets the client choose
	// Durability is "standard" (what Redis answered is kept as well as its append-only file keeps it) or "strict" (nothing counts as
	// written before a replica has it, too).
	Durability string `koanf:"durability"`
	// AllowUnsafe starts processes on a Redis whose settings lose messages, such as maxmemory-policy allkeys-lru.
	AllowUnsafe bool `koanf:"allow_unsafe"`
}

// Sentinel names a master and the Sentinels that know where it is.
type Sentinel struct {
	Master      string    `koanf:"master"`
	Addrs       Addresses `koanf:"addrs"`
	Username    string    `koanf:"username"` // of the Sentinels themselves
	PasswordEnv string    `koanf:"password_env"`
	Password    Secret    `koanf:"-"` // the value of PasswordEnv
}

// Cluster names some nodes of a Redis Cluster; the others are learnt from them.
type Cluster struct {
	Addrs Addresses `koanf:"addrs"`
}

// RedisTLS is how Redis is spoken to in secret, and who each side is. rediss:// turns it on as well.
type RedisTLS struct {
	Enabled    bool   `koanf:"enabled"`
	CA         string `koanf:"ca"`          // file of the authorities that Redis's certificate may come from; "" is the system's
	Cert       string `koanf:"cert"`        // file of our own certificate, where Redis asks for one
	Key        string `koanf:"key"`         // file of its key
	ServerName string `koanf:"server_name"` // the name in Redis's certificate; "" is the host of the address
}

// HTTP is the REST API, the callback URL and the web UI.
type HTTP struct {
	Listen  string   `koanf:"listen"`
	APIKeys []APIKey `koanf:"api_keys"`
	APIRate int      `koanf:"api_rate"` // requests a second of each API key and process; 0 is any number
	Allow   Networks `koanf:"allow"`    // where requests of the REST API may come from; none means from everywhere
	UIUsers []UIUser `koanf:"ui_users"`
	// SessionKeyEnv names the variable with the key that signs logins. Replicas that share it accept each other's; "" makes a new key at
	// each start, and a login is good for one process.
	SessionKeyEnv string `koanf:"session_key_env"`
	TLSCert       string `koanf:"tls_cert"` // file of the certificate and its chain; "" speaks plain HTTP
	TLSKey        string `koanf:"tls_key"`  // file of its key
	// TrustedProxies are the reverse proxies whose X-Forwarded-For is believed: for allow and callback_allow, and for whom a login is
	// counted against.
	TrustedProxies Networks `koanf:"trusted_proxies"`
	SessionKey     Secret   `koanf:"-"` // the value of SessionKeyEnv, not set when that variable is empty
}

// MinSessionKey is how long the session key must be at least, in bytes: as long as what SHA-256, which it is used with, gives.
const MinSessionKey = 32

// APIKey is one bearer token of the REST API.
type APIKey struct {
	Name   string `koanf:"name"`
	KeyEnv string `koanf:"key_env"`
	Reveal bool   `koanf:"reveal"` // may ask for unmasked numbers with ?reveal=true
	Key    Secret `koanf:"-"`      // the value of KeyEnv, not set when that variable is empty
}

// UIUser may log in to the web UI.
type UIUser struct {
	Name        string `koanf:"name"`
	PasswordEnv string `koanf:"password_env"`
	Role        string `koanf:"role"` // "admin", or "viewer" who can change nothing
	Password    Secret `koanf:"-"`    // the value of PasswordEnv, not set when that variable is empty
}

// Workers is what the sending processes need.
type Workers struct {
	Listen      string          `koanf:"listen"`      // health and metrics of `worker`; "" opens no port
	Concurrency ByPriority[int] `koanf:"concurrency"` // handlers per process, sender and queue
	Pumps       Pumps           `koanf:"pumps"`
	// ShutdownTimeout is how long a stopping worker waits for sends in flight, and StopGrace what the container gives before SIGKILL.
	// Validate enforces gupshup.timeout < ShutdownTimeout < StopGrace, so that every request that was begun is also recorded.
	ShutdownTimeout time.Duration `koanf:"shutdown_timeout"`
	StopGrace       time.Duration `koanf:"stop_grace"`
	SweepInterval   time.Duration `koanf:"sweep_interval"`
}

// Gupshup is what concerns the provider for every sender.
type Gupshup struct {
	Timeout time.Duration `koanf:"timeout"` // of one HTTP attempt, from dialling to the last byte of the answer
}

// Retry bounds the attempts of a message.
type Retry struct {
	ByPriority[RetryBudget] `koanf:",squash"`
	Backoff                 Backoff       `koanf:"backoff"`
	RetryAfterCap           time.Duration `koanf:"retry_after_cap"` // the longest Retry-After of Gupshup's that is honoured
}

// RetryBudget ends the attempts of a message by number or by age, whichever comes first.
type RetryBudget struct {
	Attempts int           `koanf:"attempts"`
	MaxAge   time.Duration `koanf:"max_age"` // counted from the first attempt, standing still while the message is held
}

// Backoff is the wait between attempts: Base, doubled for each attempt up to Cap, with full jitter.
type Backoff struct {
	Base time.Duration `koanf:"base"`
	Cap  time.Duration `koanf:"cap"`
}

// InDoubt says what becomes of a message when nobody knows whether Gupshup took it: "resend" or "hold".
type InDoubt struct {
	Window             time.Duration `koanf:"window"` // how long a delivery callback may take to settle the doubt
	ByPriority[string] `koanf:",squash"`
}

// Ledger is how long settled records are kept.
type Ledger struct {
	Retention     time.Duration `koanf:"retention"`
	DeadRetention time.Duration `koanf:"dead_retention"`
}

// Campaign is what campaigns have in common.
type Campaign struct {
	Window int `koanf:"window"` // messages of a sender's campaigns that wait at a time; all other rows wait in their chunks
}

// Tracing is where spans of OpenTelemetry go.
type Tracing struct {
	Endpoint   string  `koanf:"endpoint"`    // of OTLP over HTTP; "" traces nothing
	Sample     float64 `koanf:"sample"`      // which part of the traces that begin here is recorded, 0 to 1
	HeadersEnv string  `koanf:"headers_env"` // the variable with further headers, name=value,name=value
	Headers    Secret  `koanf:"-"`           // the value of HeadersEnv, not set when that variable is empty
	Insecure   bool    `koanf:"allow_insecure"`
}

// Alerts is where operators are told that something of a sender is held, and that it is over.
type Alerts struct {
	URL           string `koanf:"url"` // "" tells nobody
	SecretEnv     string `koanf:"secret_env"`
	AllowInsecure bool   `koanf:"allow_insecure"` // plain http beyond this machine
	Secret        Secret `koanf:"-"`              // the value of SecretEnv
}

// Log is the format of the log on standard error.
type Log struct {
	Level  string `koanf:"level"`  // debug, info, warn or error
	Format string `koanf:"format"` // json or console
}

// Sender is one WhatsApp business number at Gupshup.
type Sender struct {
	Name             string             `koanf:"name"`
	App              string             `koanf:"app"`    // Gupshup's src.name
	Source           string             `koanf:"source"` // the number, international, digits only
	APIKeyEnv        string             `koanf:"api_key_env"`
	APIKeyFile       string             `koanf:"api_key_file"` // re-read when it changes
	BaseURL          string             `koanf:"base_url"`
	AllowInsecure    bool               `koanf:"allow_insecure"` // plain http beyond this machine
	SessionPath      string             `koanf:"session_path"`
	TemplatePath     string             `koanf:"template_path"`
	CatalogPath      string             `koanf:"catalog_path"`
	Rate             float64            `koanf:"rate"`               // messages per second, all replicas together
	Burst            int                `koanf:"burst"`              // messages that may leave at once after a pause
	DefaultRegion    string             `koanf:"default_region"`     // ISO 3166 alpha-2, to read national numbers by; "" takes international ones only
	Timezone         string             `koanf:"timezone"`           // of its campaigns' sending windows, such as Asia/Kolkata; "" is UTC
	CallbackTokenEnv string             `koanf:"callback_token_env"` // "" takes no callbacks
	CallbackAllow    Networks           `koanf:"callback_allow"`     // where callbacks may come from; none means from everywhere
	CheckSession     bool               `koanf:"check_session"`      // session messages only to who wrote within the last 24 hours
	EventsMax        int                `koanf:"events_max"`         // entries that the sender's event stream keeps; see EventsKept
	MaxQueued        int                `koanf:"max_queued"`         // messages queued at a time, beyond which more are refused; 0 is any number
	PairEvery        time.Duration      `koanf:"pair_every"`         // between two messages to one number, in the long run; 0 is no limit
	PairBurst        int                `koanf:"pair_burst"`         // of them may go at once after a rest
	DailyRecipients  int                `koanf:"daily_recipients"`   // numbers that get templates outside a session within 24 hours; 0 is no limit
	NotifyURL        string             `koanf:"notify_url"`         // told of every change of a message's state; "" tells nobody
	NotifySecretEnv  string             `koanf:"notify_secret_env"`
	OnInDoubt        ByPriority[string] `koanf:"on_in_doubt"` // "" falls back to in_doubt; see Config.OnInDoubt
	Key              Secret             `koanf:"-"`           // the value of APIKeyEnv; read it through APIKey, which knows files, too
	CallbackToken    Secret             `koanf:"-"`           // the value of CallbackTokenEnv
	NotifySecret     Secret             `koanf:"-"`           // the value of NotifySecretEnv
}

// EventsKept returns how many entries the sender's event stream keeps at least; 0 means that none is written. Notifying needs a
// stream: with notify_url it has 100,000 entries unless events_max says otherwise, about 30 MB.
func (s Sender) EventsKept() int {
	const enough = 100_000
	if s.EventsMax == 0 && s.NotifyURL != "" {
		return enough
	}
	return s.EventsMax
}

// Sender returns the sender of that name and whether there is one.
func (c *Config) Sender(name string) (Sender, bool) {
	for _, s := range c.Senders {
		if s.Name == name {
			return s, true
		}
	}
	return Sender{}, false
}

// OnInDoubt returns "resend" or "hold" for a sender's messages of a priority: the sender's own choice, or else everybody's.
func (c *Config) OnInDoubt(s Sender, priority string) string {
	if own := s.OnInDoubt.Of(priority); own != "" {
		return own
	}
	return c.InDoubt.Of(priority)
}
