package config

import (
	"regexp"
	"slices"
	"strings"
)

// variableRule is upper case only, although systems allow more: so a key pasted in place of its variable's name is noticed.
var variableRule = regexp.MustCompile(`^[A-Z_][A-Z0-9_]*$`)

// secret is one place of the configuration that names a variable.
type secret struct {
	key      string
	variable string
	value    *Secret
}

func (c *Config) httpSecrets() []secret {
	all := []secret{{"http.session_key_env", c.HTTP.SessionKeyEnv, &c.HTTP.SessionKey}}
	for i := range c.HTTP.APIKeys {
		k := &c.HTTP.APIKeys[i]
		all = append(all, secret{"http.api_keys[" + k.Name + "].key_env", k.KeyEnv, &k.Key})
	}
	for i := range c.HTTP.UIUsers {
		u := &c.HTTP.UIUsers[i]
		all = append(all, secret{"http.ui_users[" + u.Name + "].password_env", u.PasswordEnv, &u.Password})
	}
	for i := range c.Senders {
		s := &c.Senders[i]
		all = append(all, secret{"senders[" + s.Name + "].callback_token_env", s.CallbackTokenEnv, &s.CallbackToken})
	}
	return all
}

func (c *Config) senderKeys() []secret {
	var all []secret
	for i := range c.Senders {
		s := &c.Senders[i]
		all = append(all, secret{"senders[" + s.Name + "].api_key_env", s.APIKeyEnv, &s.Key})
	}
	return all
}

func (c *Config) notifySecrets() []secret {
	all := []secret{{"alerts.secret_env", c.Alerts.SecretEnv, &c.Alerts.Secret}}
	for i := range c.Senders {
		s := &c.Senders[i]
		all = append(all, secret{"senders[" + s.Name + "].notify_secret_env", s.NotifySecretEnv, &s.NotifySecret})
	}
	return all
}

func (r *Redis) secrets() []secret {
	return []secret{
		{"redis.password_env", r.PasswordEnv, &r.Password},
		{"redis.sentinel.password_env", r.Sentinel.PasswordEnv, &r.Sentinel.Password},
	}
}

// tracingSecrets are those of the collector of spans.
func (c *Config) tracingSecrets() []secret {
	return []secret{{"tracing.headers_env", c.Tracing.HeadersEnv, &c.Tracing.Headers}}
}

func (c *Config) secrets() []secret {
	return slices.Concat(c.Redis.secrets(), c.httpSecrets(), c.senderKeys(), c.notifySecrets(), c.tracingSecrets())
}

// secretVariables lists the variables that cfg names; they may carry our prefix without setting a key.
func secretVariables(cfg *Config) []string {
	var named []string
	for _, s := range cfg.secrets() {
		named = append(named, s.variable)
	}
	return named
}

// resolve reads the named variables. Space around a value is dropped: it comes from a file's last line far more often than from a key.
func (c *Config) resolve(environ []string) {
	values := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		values[name] = strings.TrimSpace(value)
	}
	for _, s := range c.secrets() {
		if s.variable != "" {
			*s.value = NewSecret(values[s.variable])
		}
	}
}

// CheckSenderKeys reports every sender whose API key cannot be read now. Commands that call Gupshup need it; a machine that only
// accepts messages has no business with these keys, so Load does not ask for them.
func (c *Config) CheckSenderKeys() error {
	var problems Problems
	for _, s := range c.Senders {
		if _, err := s.APIKey()(); err != nil {
			problems.add("senders["+s.Name+"]", "give the key to this process", "%v", err)
		}
	}
	return problems.err()
}

// CheckHTTPSecrets reports every API key, password, callback token and session key whose variable is not set, and a session key that is
// too short. Commands that open the HTTP API need it.
func (c *Config) CheckHTTPSecrets() error {
	problems := checkSet(c.httpSecrets())
	if n := len(c.HTTP.SessionKey.Reveal()); n > 0 && n < MinSessionKey {
		problems.add("http.session_key_env", "make one with: openssl rand -hex 32", "the key has %d bytes, and needs at least %d", n, MinSessionKey)
	}
	return problems.err()
}

// CheckSecrets reports the passwords of Redis and its Sentinels whose variables are not set. Whoever connects needs them.
func (r Redis) CheckSecrets() error { return checkSet(r.secrets()).err() }

// CheckNotifySecrets reports every secret of notify_url and alerts.url whose variable is not set. Commands that notify need it.
func (c *Config) CheckNotifySecrets() error { return checkSet(c.notifySecrets()).err() }

// CheckTracingSecrets reports the variable of tracing.headers_env if it is not set.
func (c *Config) CheckTracingSecrets() error { return checkSet(c.tracingSecrets()).err() }

func checkSet(secrets []secret) (problems Problems) {
	for _, s := range secrets {
		if s.variable != "" && !s.value.IsSet() {
			problems.add(s.key, "set that variable for this process", "the environment variable %s is not set", show(s.variable))
		}
	}
	return problems
}
