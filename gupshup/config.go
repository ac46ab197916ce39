package gupshup

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The paths below Config.BaseURL. The older /sm paths do not exist for apps made since August 2025.
const (
	DefaultSessionPath  = "/wa/api/v1/msg"
	DefaultTemplatePath = "/wa/api/v1/template/msg"
	DefaultCatalogPath  = "/wa/api/v1/raw/msg"
)

// DefaultTimeout is the time one attempt may take.
const DefaultTimeout = 10 * time.Second

// Config is what a Client needs. BaseURL and APIKey are required.
type Config struct {
	// BaseURL is where the API lives, such as https://api.gupshup.io.
	BaseURL string
	// SessionPath, TemplatePath and CatalogPath are below BaseURL; empty means the defaults.
	SessionPath, TemplatePath, CatalogPath string
	// APIKey is asked for every request, so that a key can change while the program runs.
	// White space around it is removed.
	APIKey func() (string, error)
	// HTTPClient is copied and never changed; nil means one with Transport. Redirects are never
	// followed, whatever its CheckRedirect says.
	HTTPClient *http.Client
	// Timeout bounds one attempt from connecting to the end of the reply; 0 means DefaultTimeout.
	Timeout time.Duration
	// Codes overrides the class of single codes, such as "131026" or "http_404".
	Codes map[string]Class
	// Now is the clock for Retry-After dates; nil means time.Now.
	Now func() time.Time
}

// StaticKey is an APIKey that is always the same.
func StaticKey(key string) func() (string, error) {
	return func() (string, error) { return key, nil }
}

func (cfg Config) check() error {
	var errs []error
	u, err := url.Parse(cfg.BaseURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
		errs = append(errs, errors.New("gupshup: BaseURL must be an http or https URL without query, such as https://api.gupshup.io"))
	}
	for _, path := range []string{cfg.SessionPath, cfg.TemplatePath, cfg.CatalogPath} {
		if path != "" && !strings.HasPrefix(path, "/") {
			errs = append(errs, fmt.Errorf("gupshup: path %q must begin with a slash", path))
		}
	}
	if cfg.APIKey == nil {
		errs = append(errs, errors.New("gupshup: APIKey is required; use StaticKey for a fixed one"))
	}
	if cfg.Timeout < 0 {
		errs = append(errs, errors.New("gupshup: Timeout must not be negative"))
	}
	for code, class := range cfg.Codes {
		if !class.Valid() {
			errs = append(errs, fmt.Errorf("gupshup: Codes: code %s has the unknown class %q", code, class))
		}
	}
	return errors.Join(errs...)
}

func orDefault(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
