package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"session-api/internal/token"
)

// Secrets are the session secrets and the service tokens.
type Secrets struct {
	Session           secrets `env:"SESSION_SECRET" shown:"random in development, required in production" values:"list" doc:"Secret that signs session tokens. In a list, the first secret signs and all of them verify. In production, each has at least 32 bytes."`
	SessionFile       string  `env:"SESSION_SECRET_FILE" values:"path" doc:"File with the value of SESSION_SECRET, one secret per line or separated by commas. Read again on SIGHUP."`
	ServiceTokens     secrets `env:"SERVICE_TOKENS" shown:"none in development, required in production" values:"list" doc:"Tokens of trusted callers that allow everything. In production, each has at least 32 bytes, and this or SERVICE_TOKENS_FILE has one. Without any, which is possible only in development, the service routes are open to everybody."`
	ServiceTokensFile string  `env:"SERVICE_TOKENS_FILE" values:"path" doc:"File with service tokens, beside those of SERVICE_TOKENS: one per line with a name, what it allows, and the SHA-256 of its secret, as session-api token new prints it (see security.md, Service tokens); or secrets alone, which allow everything, one per line or separated by commas. Read again on SIGHUP."`

	// isRandom reports that EnsureSecret generated Session.
	isRandom bool
	// services are the tokens of both settings. They are behind a pointer because fmt
	// shows what is in a field such as this without asking it.
	services *serviceTokens
}

// MinSecretBytes is the least length of a secret in production: the size of an
// HMAC-SHA256 key (RFC 2104 section 3).
const MinSecretBytes = 32

// secrets are values that must not be shown in messages, logs or the printed settings:
// all ways of formatting them mask them.
type secrets []string

// String returns one group of stars for each secret.
func (s secrets) String() string {
	return strings.Join(slices.Repeat([]string{"***"}, len(s)), ",")
}

// Format covers all verbs of fmt, %#v and %x too.
func (s secrets) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue keeps them out of the log.
func (s secrets) LogValue() slog.Value { return slog.StringValue(s.String()) }

func (s secrets) bytes() [][]byte {
	list := make([][]byte, len(s))
	for i, v := range s {
		list[i] = []byte(v)
	}
	return list
}

// parseSecrets reads secrets separated by commas or line ends.
func parseSecrets(v string) secrets { return split(v, ",\r\n") }

// secret is a single value that must not be shown.
type secret string

// String returns stars, or nothing where there is no secret.
func (s secret) String() string {
	if s == "" {
		return ""
	}
	return "***"
}

// Format covers all verbs of fmt, %#v and %x too.
func (s secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue keeps it out of the log.
func (s secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// readSecretFiles reads the secrets that are in files, and validates all secrets.
func (c *Config) readSecretFiles() Problems {
	found := c.readSessionSecrets()
	return append(found, c.readServiceTokens()...)
}

func (c *Config) readSessionSecrets() Problems {
	if c.Secrets.SessionFile != "" {
		if len(c.Secrets.Session) > 0 {
			return Problems{{"SESSION_SECRET_FILE", "set either this or SESSION_SECRET, not both"}}
		}
		values, err := readSecrets(c.Secrets.SessionFile)
		if err != nil {
			return Problems{{"SESSION_SECRET_FILE", err.Error()}}
		}
		c.Secrets.Session = values
	}
	text := checkWrapping(c.Secrets.Session)
	if text == "" {
		text = c.checkStrength(c.Secrets.Session)
	}
	if text != "" {
		return Problems{{"SESSION_SECRET", text}}
	}
	return nil
}

// RereadSecrets returns the settings with the present content of the secret files, and
// the names of their settings.
func (c Config) RereadSecrets() (fresh Config, read []string, err error) {
	if c.Secrets.SessionFile != "" {
		c.Secrets.Session, read = nil, append(read, "SESSION_SECRET_FILE")
	}
	if c.Secrets.ServiceTokensFile != "" {
		read = append(read, "SERVICE_TOKENS_FILE")
	}
	passwords, found := c.reloadPasswords()
	if c.JWT.KeysFile != "" {
		found, read = append(found, c.readJWTKeys()...), append(read, "JWT_KEYS_FILE")
	}
	read = append(read, passwords...)
	if found = append(found, c.readSecretFiles()...); len(found) > 0 {
		return Config{}, read, found
	}
	return c, read, nil
}

// checkWrapping refuses secrets enclosed in quotes or the like, which an editor or a tool
// has added: other programs that share the secret would use another value.
func checkWrapping(values secrets) string {
	for i, v := range values {
		switch {
		case strings.HasPrefix(v, byteOrderMark):
			return fmt.Sprintf("number %d of %d begins with a byte order mark (U+FEFF): save the file without one", i+1, len(values))
		case isUTF16(v):
			return fmt.Sprintf("number %d of %d is in UTF-16, as some shells write files: save the file as UTF-8 or ASCII", i+1, len(values))
		case len(v) > 1 && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0]:
			return fmt.Sprintf("number %d of %d is in quotes, which belong to it as it stands: leave them out; "+
				"Docker's env files take values as they are", i+1, len(values))
		}
	}
	return ""
}

const byteOrderMark = "\uFEFF"

// isUTF16 reports whether a text begins with the byte order mark of UTF-16, in
// either order, or is half of zeros, as ASCII is there.
func isUTF16(text string) bool {
	return strings.HasPrefix(text, "\xFF\xFE") || strings.HasPrefix(text, "\xFE\xFF") || strings.Count(text, "\x00")*3 > len(text)
}

// checkStrength checks secrets against the requirements of production.
func (c *Config) checkStrength(values secrets) string {
	if !c.Production() {
		return ""
	}
	if len(values) == 0 {
		return fmt.Sprintf("required in production: at least %d bytes, such as `openssl rand -base64 48` prints", MinSecretBytes)
	}
	for i, v := range values {
		switch {
		case len(v) < MinSecretBytes:
			return fmt.Sprintf("number %d of %d has %d bytes; production asks for at least %d", i+1, len(values), len(v), MinSecretBytes)
		case entropyBits(v) < minSecretEntropy:
			return fmt.Sprintf("number %d of %d is not random enough for production: take what `openssl rand -base64 48` prints", i+1, len(values))
		}
	}
	return ""
}

// WeakSecret reports whether production would refuse a session secret.
func (c *Config) WeakSecret() bool {
	return slices.ContainsFunc(c.Secrets.Session, func(v string) bool { return len(v) < MinSecretBytes })
}

// checkTokens refuses service tokens that cannot be sent.
func checkTokens(values secrets) string {
	for i, v := range values {
		switch {
		case strings.ContainsFunc(v, func(r rune) bool { return r <= ' ' || r > '~' }):
			return fmt.Sprintf("number %d of %d has a character that an Authorization header cannot carry: use printable ASCII without spaces", i+1, len(values))
		case token.HasPrefix(v):
			return fmt.Sprintf("number %d of %d begins like a session token (s:)", i+1, len(values))
		case errors.Is(token.CheckServiceSecret(v), token.ErrServiceChecksum):
			return fmt.Sprintf("number %d of %d looks like one that session-api token new has printed, but its checksum is wrong: a character was changed", i+1, len(values))
		}
	}
	return ""
}
