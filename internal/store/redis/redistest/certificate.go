package redistest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority is a certificate authority, and the files of the one certificate
// that it gave out.
type authority struct {
	pool                      *x509.CertPool
	caFile, certFile, keyFile string
	own                       tls.Certificate
}

// newAuthority makes an authority, and a certificate for servers on loopback.
func newAuthority(tb testing.TB) *authority {
	tb.Helper()
	dir := tb.TempDir()
	a := &authority{
		pool:     x509.NewCertPool(),
		caFile:   filepath.Join(dir, "ca.crt"),
		certFile: filepath.Join(dir, "server.crt"),
		keyFile:  filepath.Join(dir, "server.key"),
	}
	// Valid whatever the clock says: dates are not what is tested.
	from, to := time.Unix(0, 0), time.Date(2999, time.December, 31, 0, 0, 0, 0, time.UTC)
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "redistest authority"},
		NotBefore:    from, NotAfter: to,
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "redistest server"},
		NotBefore:    from, NotAfter: to,
		KeyUsage: x509.KeyUsageDigitalSignature,
		// Servers of a group call each other, as clients.
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		DNSNames:    []string{"localhost"},
	}
	rootKey, leafKey := newKey(tb), newKey(tb)
	rootDER := sign(tb, root, root, rootKey.Public(), rootKey)
	leafDER := sign(tb, leaf, root, leafKey.Public(), rootKey)
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		tb.Fatalf("encoding a key: %v", err)
	}
	writePEM(tb, a.caFile, "CERTIFICATE", rootDER)
	writePEM(tb, a.certFile, "CERTIFICATE", leafDER)
	writePEM(tb, a.keyFile, "PRIVATE KEY", keyDER)
	parsed, err := x509.ParseCertificate(rootDER)
	if err != nil {
		tb.Fatalf("reading a certificate back: %v", err)
	}
	a.pool.AddCert(parsed)
	if a.own, err = tls.LoadX509KeyPair(a.certFile, a.keyFile); err != nil {
		tb.Fatalf("reading a certificate back: %v", err)
	}
	return a
}

// directives lets a server use the certificate. Clients need none of their own.
func (a *authority) directives() [][]string {
	return [][]string{
		{"tls-ca-cert-file", a.caFile},
		{"tls-cert-file", a.certFile},
		{"tls-key-file", a.keyFile},
		{"tls-auth-clients", "optional"},
	}
}

// client returns the configuration of a client that trusts the authority, and no
// other, and that shows a certificate of it where it is asked. Without an authority it is nil.
func (a *authority) client() *tls.Config {
	if a == nil {
		return nil
	}
	return &tls.Config{RootCAs: a.pool, Certificates: []tls.Certificate{a.own}, MinVersion: tls.VersionTLS12}
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatalf("making a key: %v", err)
	}
	return key
}

func sign(tb testing.TB, cert, parent *x509.Certificate, public crypto.PublicKey, parentKey *ecdsa.PrivateKey) []byte {
	tb.Helper()
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, public, parentKey)
	if err != nil {
		tb.Fatalf("signing a certificate: %v", err)
	}
	return der
}

func writePEM(tb testing.TB, path, kind string, der []byte) {
	tb.Helper()
	content := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(path, content, 0o600); err != nil {
		tb.Fatalf("writing a certificate: %v", err)
	}
}
