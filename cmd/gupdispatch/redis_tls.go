package main

import (
	"crypto/tls"
	"crypto/x509"
	"os"

	"github.com/gupdispatch/gupdispatch/config"
)

// tlsConfig is how Redis is spoken to through TLS; nil without it.
func tlsConfig(c config.Redis) (*tls.Config, error) {
	if !c.UsesTLS() {
		return nil, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.TLS.ServerName}
	if c.TLS.CA != "" {
		pem, err := os.ReadFile(c.TLS.CA)
		if err != nil {
			return nil, config.Problems{{Key: "redis.tls.ca", What: "cannot be read: " + err.Error(), Fix: "correct the path or the file's permissions"}}
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, config.Problems{{Key: "redis.tls.ca", What: "holds no certificate", Fix: "write the authorities' certificates into it, as PEM"}}
		}
	}
	if c.TLS.Cert != "" {
		own := func() (*tls.Certificate, error) {
			cert, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key)
			return &cert, err
		}
		if _, err := own(); err != nil {
			return nil, config.Problems{{Key: "redis.tls.cert", What: "cannot be used: " + err.Error(), Fix: "name a certificate and its key, as PEM"}}
		}
		// Read for each connection, so that a new certificate is used without a restart.
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own() }
	}
	return t, nil
}
