package config

import "time"

const day = 24 * time.Hour

// Default returns the configuration without a file and without an environment. It is valid, and has no senders.
func Default() Config {
	return Config{
		Redis: Redis{
			URL:          NewSecret("redis://127.0.0.1:6379/0"),
			DialTimeout:  5 * time.Second,
			ReadTimeout:  3 * time.Second,
			WriteTimeout: 3 * time.Second,
			Durability:   "standard",
		},
		HTTP: HTTP{Listen: "127.0.0.1:8080", APIRate: 100},
		Workers: Workers{
			Concurrency:     ByPriority[int]{Critical: 16, Default: 64, Bulk: 64},
			ShutdownTimeout: 20 * time.Second,
			StopGrace:       30 * time.Second,
			SweepInterval:   200 * time.Millisecond,
		},
		Gupshup: Gupshup{Timeout: 10 * time.Second},
		Retry: Retry{
			ByPriority: ByPriority[RetryBudget]{
				Critical: RetryBudget{Attempts: 5, MaxAge: 10 * time.Minute},
				Default:  RetryBudget{Attempts: 8, MaxAge: day},
				Bulk:     RetryBudget{Attempts: 8, MaxAge: 3 * day},
			},
			Backoff:       Backoff{Base: time.Second, Cap: 5 * time.Minute},
			RetryAfterCap: 10 * time.Minute,
		},
		// A one-time password that comes after ten minutes only confuses.
		Expiry: ByPriority[time.Duration]{Critical: 10 * time.Minute},
		InDoubt: InDoubt{
			Window: 2 * time.Minute,
			// A missing password locks somebody out, a doubled advertisement annoys thousands.
			ByPriority: ByPriority[string]{Critical: "resend", Default: "resend", Bulk: "hold"},
		},
		Ledger: Ledger{Retention: 7 * day, DeadRetention: 90 * day},
		// A tenth of a megabyte and some seconds of the fastest senders.
		Campaign: Campaign{Window: 2000},
		Log:      Log{Level: "info", Format: "json"},
		Tracing:  Tracing{Sample: 0.01},
	}
}

// NewSender returns a sender with every default filled in; app, source and an API key are still missing.
func NewSender(name string) Sender {
	return Sender{
		Name:         name,
		BaseURL:      "https://api.gupshup.io",
		SessionPath:  "/wa/api/v1/msg",
		TemplatePath: "/wa/api/v1/template/msg",
		CatalogPath:  "/wa/api/v1/raw/msg", // the one template page of Gupshup's reference with a path of its own
		Rate:         20,
		Burst:        1,
		// What WhatsApp lets one number have in the long run. It lends up to 45 at once, and then wants a rest as long as they would
		// have taken; ten are a lively chat, and a rest of a minute.
		PairEvery: 6 * time.Second,
		PairBurst: 10,
	}
}

// setDefaults is how the decoder starts an element of senders.
func (s *Sender) setDefaults() { *s = NewSender("") }

// setDefaults gives a user who was granted nothing more the right to look.
func (u *UIUser) setDefaults() { u.Role = "viewer" }
