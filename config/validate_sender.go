package config

import (
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"
	_ "time/tzdata" // a container may have none
)

// maxRate bounds a sender's messages per second; Meta's highest tier gives a number 1,000.
const maxRate = 10_000

// maxEvents bounds a sender's event stream, which lies in Redis's memory: ten million entries are about 3 GB.
const maxEvents = 10_000_000

// maxQueued bounds max_queued; so many messages fill some 50 GB.
const maxQueued = 100_000_000

// maxDaily bounds daily_recipients, whose numbers lie in Redis's memory. Meta's highest tier with a limit has 100,000.
const maxDaily = 10_000_000

// maxPairBurst bounds pair_burst: WhatsApp lends a number 45 messages at most.
const maxPairBurst = 1000

var (
	digits = regexp.MustCompile(`^[1-9][0-9]{6,14}$`) // E.164 has at most 15
	region = regexp.MustCompile(`^[A-Z]{2}$`)
)

func (p *Problems) senders(senders []Sender) {
	var earlier []string
	for i, s := range senders {
		at := p.name("senders", i, s.Name, earlier)
		earlier = append(earlier, s.Name)
		p.sender(at, s)
	}
}

func (p *Problems) sender(at string, s Sender) {
	if s.App == "" {
		p.add(at+".app", "write the app's name as Gupshup's dashboard shows it", "is missing")
	}
	if !digits.MatchString(s.Source) {
		p.add(at+".source", `write the number with its country code, digits only and in quotes, such as "917834811114"`, "is not an international number")
	}
	p.apiKey(at, s)
	if what, fix := baseURL(s.BaseURL, s.AllowInsecure); what != "" {
		p.add(at+".base_url", fix, "%s", what)
	}
	p.path(at+".session_path", s.SessionPath)
	p.path(at+".template_path", s.TemplatePath)
	p.path(at+".catalog_path", s.CatalogPath)
	if !(s.Rate > 0 && s.Rate <= maxRate) { // also refuses NaN
		p.add(at+".rate", "write messages per second, above 0 and up to 10000", "%v is out of range", s.Rate)
	}
	p.between(at+".burst", s.Burst, 1, maxRate)
	if s.DefaultRegion != "" && !region.MatchString(s.DefaultRegion) {
		p.add(at+".default_region", "write a country's two letters, such as IN, or nothing", "%s is not a region", show(s.DefaultRegion))
	}
	if _, err := time.LoadLocation(s.Timezone); err != nil || s.Timezone == "Local" {
		p.add(at+".timezone", "write a zone such as Asia/Kolkata, or nothing for UTC", "%s is not a time zone", show(s.Timezone))
	}
	if s.CallbackTokenEnv != "" {
		p.variable(at+".callback_token_env", s.CallbackTokenEnv, "the variable that holds the token of Gupshup's callback URL")
	}
	if s.CheckSession && s.CallbackTokenEnv == "" && !s.CallbackToken.IsSet() {
		p.add(at+".check_session", "name the token's variable in callback_token_env, or leave check_session off",
			"needs callbacks: without them no user ever has an open session, and no session message would be sent")
	}
	p.between(at+".events_max", s.EventsMax, 0, maxEvents)
	p.between(at+".max_queued", s.MaxQueued, 0, maxQueued)
	p.webhook(webhook{at + ".notify_url", s.NotifyURL, at + ".notify_secret_env", s.NotifySecretEnv, s.NotifySecret, s.AllowInsecure})
	if s.PairEvery != 0 && (s.PairEvery < time.Millisecond || s.PairEvery > day) { // below, the ledger would take it for none
		p.add(at+".pair_every", "write the time between two messages to one number, 1ms to 24h, or 0 for no limit", "%v is out of range", s.PairEvery)
	}
	p.between(at+".pair_burst", s.PairBurst, 1, maxPairBurst)
	p.between(at+".daily_recipients", s.DailyRecipients, 0, maxDaily)
	eachPriority(s.OnInDoubt, func(priority, policy string) {
		if policy != "" {
			p.oneOf(at+".on_in_doubt."+priority, policy, "resend", "hold")
		}
	})
}

// webhook is a URL that is posted to, and the secret of its signatures, with their keys.
type webhook struct {
	urlKey, url          string
	secretKey, secretEnv string
	secret               Secret
	allowInsecure        bool
}

// webhook wants a URL and its secret together. A Config built by a program may carry the secret itself.
func (p *Problems) webhook(w webhook) {
	const purpose = "the variable that holds the secret that notifications are signed with"
	if w.secretEnv != "" {
		p.variable(w.secretKey, w.secretEnv, purpose)
	}
	if w.url == "" {
		return
	}
	if w.secretEnv == "" && !w.secret.IsSet() {
		p.add(w.secretKey, "name "+purpose, "is missing")
	}
	if what, fix := notifyURL(w.url, w.allowInsecure); what != "" {
		p.add(w.urlKey, fix, "%s", what)
	}
}

// notifyURL returns what is wrong with a URL for notifications, without repeating it: its query may hold a token.
func notifyURL(address string, allowInsecure bool) (what, fix string) {
	const example = "write an address such as https://shop.example/whatsapp/events"
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "":
		return "is not a URL with a host", example
	case u.User != nil || u.Fragment != "":
		return "holds a login or a fragment", example + "; notifications prove where they come from by their signature"
	case u.Scheme == "http" && !allowInsecure && !loopback(u.Hostname()):
		return "would let the network read what is told", "write https://, or allow_insecure: true where nobody can listen"
	case u.Scheme != "http" && u.Scheme != "https":
		return "is neither http:// nor https://", example
	}
	return "", ""
}

// apiKey wants exactly one place for the key. A Config built by a program may carry the key itself.
func (p *Problems) apiKey(at string, s Sender) {
	const purpose = "the variable that holds Gupshup's API key"
	switch {
	case s.APIKeyEnv != "" && s.APIKeyFile != "":
		p.add(at+".api_key_file", "keep one of the two", "api_key_env is set as well")
	case s.APIKeyEnv != "":
		p.variable(at+".api_key_env", s.APIKeyEnv, purpose)
	case s.APIKeyFile == "" && !s.Key.IsSet():
		p.add(at+".api_key_env", "name "+purpose+", or set api_key_file", "is missing")
	}
}

func (p *Problems) path(key, path string) {
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?# ") {
		p.add(key, "write the part of the URL behind the host, beginning with /", "%s is not a path", show(path))
	}
}

// traceURL returns what is wrong with the address of a collector of spans, without repeating it.
func traceURL(address string, allowInsecure bool) (what, fix string) {
	const example = "write the collector's address for OTLP over HTTP, such as https://otel.example:4318"
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "":
		return "is not a URL with a host", example
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "holds more than scheme, host and path", example + "; what proves who we are belongs into headers_env"
	case u.Scheme == "http" && !allowInsecure && !loopback(u.Hostname()):
		return "would let the network read the spans", "write https://, or allow_insecure: true where nobody can listen"
	case u.Scheme != "http" && u.Scheme != "https":
		return "is neither http:// nor https://", example
	}
	return "", ""
}

// baseURL returns what is wrong with a sender's base URL, without repeating it.
func baseURL(base string, allowInsecure bool) (what, fix string) {
	const example = "write the address without a path, such as https://api.gupshup.io"
	u, err := url.Parse(base)
	switch {
	case err != nil || u.Hostname() == "":
		return "is not a URL with a host", example
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "holds more than scheme, host and path", example
	case u.Scheme == "http" && !allowInsecure && !loopback(u.Hostname()):
		return "would send the API key unencrypted over the network", "write https://, or allow_insecure: true where nobody can listen"
	case u.Scheme != "http" && u.Scheme != "https":
		return "is neither http:// nor https://", example
	}
	return "", ""
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
