package httpapi

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// certificate is a pair of files that are read again when one of them changes: certificates are renewed every few weeks.
type certificate struct {
	certFile, keyFile string

	mu      sync.Mutex
	pair    *tls.Certificate
	changed time.Time // the later of the files' times when they were read
}

// get implements tls.Config.GetCertificate. While new files cannot be read, as in the middle of a renewal, the old pair serves on.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	changed, err := latest(c.certFile, c.keyFile)
	if err == nil && c.pair != nil && changed.Equal(c.changed) {
		return c.pair, nil
	}
	if err == nil {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(c.certFile, c.keyFile); err == nil {
			c.pair, c.changed = &pair, changed
			return c.pair, nil
		}
	}
	if c.pair != nil {
		return c.pair, nil
	}
	return nil, fmt.Errorf("the certificate cannot be read: %w; see http.tls_cert and http.tls_key", err)
}

// latest is when the files were last changed.
func latest(files ...string) (at time.Time, err error) {
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return at, err
		}
		if info.ModTime().After(at) {
			at = info.ModTime()
		}
	}
	return at, nil
}
