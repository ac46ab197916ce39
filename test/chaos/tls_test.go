//go:build linux

package chaos

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// authority signs certificates for the test.
type authority struct {
	t    testing.TB
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Authority of a test"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	a.file, _, a.key = a.issue("ca", a.cert)
	return a
}

// issue writes a certificate and its key.
func (a *authority) issue(name string, cert *x509.Certificate) (certFile, keyFile string, key *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	signer := key
	if a.key != nil {
		signer = a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, key.Public(), signer)
	require.NoError(a.t, err)
	private, err := x509.MarshalECPrivateKey(key)
	require.NoError(a.t, err)
	certFile = write(a.t, a.dir, name+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	keyFile = write(a.t, a.dir, name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private})))
	return certFile, keyFile, key
}

func (a *authority) leaf(name string, usage x509.ExtKeyUsage) (certFile, keyFile string) {
	certFile, keyFile, _ = a.issue(name, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{usage},
	})
	return certFile, keyFile
}

// The whole of it with the ACL user that is shipped, through TLS with certificates on both sides. What the user must not do it did not try.
func TestRedisTLSAndACL(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	serverCert, serverKey := ca.leaf("redis.example", x509.ExtKeyUsageServerAuth)
	clientCert, clientKey := ca.leaf("gupdispatch", x509.ExtKeyUsageClientAuth)
	shipped, err := os.ReadFile("../../deploy/users.acl")
	require.NoError(t, err)
	acl := strings.ReplaceAll(string(shipped), "REPLACE-WITH-A-LONG-PASSWORD", password)
	require.NotEqual(t, string(shipped), acl)
	acl += "user admin on >" + password + " ~* &* +@all\n" // for the test itself

	pair, err := tls.LoadX509KeyPair(clientCert, clientKey)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	text, err := os.ReadFile(ca.file)
	require.NoError(t, err)
	require.True(t, pool.AppendCertsFromPEM(text))
	secure := &tls.Config{RootCAs: pool, ServerName: "redis.example", Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}

	port := freePort(t)
	r := newServerAt(t, &redis.Options{Addr: "127.0.0.1:" + port, Username: "admin", Password: password, TLSConfig: secure},
		"--port", "0", "--tls-port", port, "--tls-cert-file", serverCert, "--tls-key-file", serverKey, "--tls-ca-cert-file", ca.file,
		"--tls-auth-clients", "yes", "--aclfile", write(t, t.TempDir(), "users.acl", acl))
	s := newSite(t, options{
		n: 300, rdb: r.rdb,
		redis: fmt.Sprintf(`{url: "rediss://127.0.0.1:%s/0", username: gupdispatch, password_env: CHAOS_REDIS_PASSWORD,
  tls: {ca: %q, cert: %q, key: %q, server_name: redis.example}}`, port, ca.file, clientCert, clientKey),
	})
	s.worker()
	s.receiver(0)
	s.receiver(1)
	var all sync.WaitGroup
	all.Go(s.handOver)
	all.Wait()
	s.settle()
	s.mustHold()
	s.commandsWork()

	log, err := r.rdb.ACLLog(context.Background(), 100).Result()
	require.NoError(t, err)
	for _, entry := range log {
		require.Contains(t, entry.Object, "config", "%+v: deploy/users.acl lacks something that the program does", entry) // asked for, and done without
	}

	// And neither without our certificate nor with another authority's.
	text, err = os.ReadFile(s.file)
	require.NoError(t, err)
	for right, wrong := range map[string]string{
		fmt.Sprintf("cert: %q, key: %q", clientCert, clientKey): `cert: "", key: ""`,
		fmt.Sprintf("ca: %q", ca.file):                          `ca: ""`,
		"server_name: redis.example":                            `server_name: ""`,
	} {
		require.Contains(t, string(text), right)
		file := write(t, t.TempDir(), "wrong.yaml", strings.Replace(string(text), right, wrong, 1))
		out, err := s.try("--config", file, "audit")
		require.Error(t, err, out)
		require.Contains(t, out, "tls: ", wrong)
	}
}
