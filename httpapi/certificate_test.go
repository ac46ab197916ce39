package httpapi

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// writePair makes a certificate for 127.0.0.1 and writes it and its key.
func writePair(t *testing.T, certFile, keyFile string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	cert, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, &x509.Certificate{SerialNumber: big.NewInt(serial)}, key.Public(), key)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: der}} {
		require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
		later := time.Now().Add(time.Duration(serial) * time.Second) // file systems round
		require.NoError(t, os.Chtimes(file, later, later))
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePair(t, cert, key, 1)
	h := newHouse(t, func(o *Options) { o.TLSCert, o.TLSKey = cert, key })
	addr, err := h.server.Listen(t.Context())
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.server.Serve(ctx) }()

	serial := func() int64 {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		res, err := client.Get("https://" + addr.String() + "/healthz")
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		return res.TLS.PeerCertificates[0].SerialNumber.Int64()
	}
	require.EqualValues(t, 1, serial())
	writePair(t, cert, key, 2)
	require.EqualValues(t, 2, serial(), "renewed without a restart")
	require.NoError(t, os.WriteFile(cert, []byte("half"), 0o600))
	require.EqualValues(t, 2, serial(), "in the middle of a renewal")
	stop()
	require.NoError(t, <-ended)

	opts := h.server.opts
	_, err = New(opts)
	require.ErrorContains(t, err, "http.tls_cert")
}
