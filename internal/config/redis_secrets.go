package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
)

// passwordFile is a password file that may change while the service runs.
type passwordFile struct {
	path string

	mu   sync.Mutex
	last secret // the password when the file was last readable
}

// read returns the password in the file. If the file cannot be read, perhaps because it
// is being replaced, read returns the previous password.
func (f *passwordFile) read() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.path != "" {
		if password, err := readPassword(f.path); err == nil {
			f.last = password
		}
	}
	return string(f.last)
}

// redisPasswords returns a function that returns the passwords of Redis and the Sentinels
// for a new connection; nil if they are not in files.
func (c *Config) redisPasswords(password, sentinelPassword string) func() (string, string) {
	if c.Redis.PasswordFile == "" && c.Redis.SentinelPasswordFile == "" {
		return nil
	}
	ofRedis := &passwordFile{path: c.Redis.PasswordFile, last: secret(password)}
	ofSentinels := &passwordFile{path: c.Redis.SentinelPasswordFile, last: secret(sentinelPassword)}
	return func() (string, string) { return ofRedis.read(), ofSentinels.read() }
}

// redisTLS returns the TLS configuration.
func (c *Config) redisTLS() (*tls.Config, error) {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12,
		ServerName: c.Redis.TLSServerName, // empty for the address's
	}
	if c.Redis.TLSCAFile != "" {
		pool, err := readAuthorities(c.Redis.TLSCAFile)
		if err != nil {
			return nil, fmt.Errorf("REDIS_TLS_CA_FILE: %w", err)
		}
		config.RootCAs = pool
	}
	if c.Redis.TLSCertFile != "" {
		first, err := readCertificate(c.Redis.TLSCertFile, c.Redis.TLSKeyFile)
		if err != nil {
			return nil, fmt.Errorf("REDIS_TLS_CERT_FILE: %w", err)
		}
		own := &certificateFile{cert: c.Redis.TLSCertFile, key: c.Redis.TLSKeyFile, last: first}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own.read(), nil }
	}
	return config, nil
}

// certificateFile is a certificate and its key in files that may be renewed. Each
// handshake reads them again.
type certificateFile struct {
	cert, key string

	mu   sync.Mutex
	last *tls.Certificate
}

func (f *certificateFile) read() *tls.Certificate {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fresh, err := readCertificate(f.cert, f.key); err == nil {
		f.last = fresh
	}
	return f.last
}

// readCertificate reads a certificate and its key in PEM. Its errors quote neither a path
// nor content.
func readCertificate(certFile, keyFile string) (*tls.Certificate, error) {
	cert, err := readSecretFile(certFile)
	if err != nil {
		return nil, err
	}
	key, err := readSecretFile(keyFile)
	if err != nil {
		return nil, fmt.Errorf("the key of REDIS_TLS_KEY_FILE: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("certificate and key do not make a pair: %w", err)
	}
	return &pair, nil
}

// readAuthorities reads certificates in PEM.
func readAuthorities(path string) (*x509.CertPool, error) {
	content, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("the file cannot be read: %w", withoutPath(err))
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, errors.New("the file holds no certificate in PEM")
	}
	return pool, nil
}
