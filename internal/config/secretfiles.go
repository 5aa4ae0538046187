package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// maxSecretFile bounds the size of a secret file: a larger one is a wrong path.
const maxSecretFile = 64 << 10

// readSecrets reads a file of secrets.
func readSecrets(path string) (secrets, error) {
	content, err := readSecretFile(path)
	if err != nil {
		return nil, err
	}
	values := parseSecrets(string(content))
	if len(values) == 0 {
		return nil, errEmptyFile
	}
	return values, nil
}

// readPassword reads a file with one password, which may contain commas. A trailing line
// break is not part of the password.
func readPassword(path string) (secret, error) {
	content, err := readSecretFile(path)
	if err != nil {
		return "", err
	}
	password := strings.TrimRight(string(content), "\r\n")
	switch {
	case strings.HasPrefix(password, byteOrderMark):
		return "", errors.New("the file begins with a byte order mark (U+FEFF): save it without one")
	case isUTF16(password):
		return "", errors.New("the file is in UTF-16: save it as UTF-8 or ASCII")
	case password == "":
		return "", errEmptyFile
	case strings.ContainsAny(password, "\r\n"):
		return "", errors.New("the file has more than one line")
	}
	return secret(password), nil
}

// ReadableSecretFiles returns the settings whose files are readable by every user
// according to their permissions.
func (c *Config) ReadableSecretFiles() (settings []string) {
	for _, s := range []struct{ name, path string }{
		{"SESSION_SECRET_FILE", c.Secrets.SessionFile},
		{"SERVICE_TOKENS_FILE", c.Secrets.ServiceTokensFile},
		{"JWT_KEYS_FILE", c.JWT.KeysFile},
		{"REDIS_PASSWORD_FILE", c.Redis.PasswordFile},
		{"REDIS_SENTINEL_PASSWORD_FILE", c.Redis.SentinelPasswordFile},
		{"REDIS_TLS_KEY_FILE", c.Redis.TLSKeyFile},
	} {
		if s.path == "" {
			continue
		}
		if info, err := os.Stat(s.path); err == nil && info.Mode().Perm()&0o004 != 0 {
			settings = append(settings, s.name)
		}
	}
	return settings
}

var errEmptyFile = errors.New("the file is empty")

// readSecretFile reads a secret file. Its errors leave out the path, which may be a secret
// that was set by mistake.
func readSecretFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("the file cannot be read: %w", withoutPath(err))
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("not a regular file")
	}
	if info.Size() > maxSecretFile {
		return nil, fmt.Errorf("the file is larger than %d bytes", maxSecretFile)
	}
	content, err := os.ReadFile(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, fmt.Errorf("the file cannot be read: %w", withoutPath(err))
	}
	return content, nil
}

func withoutPath(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}
