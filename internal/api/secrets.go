package api

import (
	"fmt"

	"session-api/internal/token"
)

// keys check credentials, and sign new ones. The secrets that they are made of
// cannot be had from them.
type keys struct {
	sessions *token.Keyring
	services *token.ServiceTokens
	// uses are those of the service tokens, by their names.
	uses map[string]*tokenUse
	// secrets are what no log line may hold.
	secrets *token.Secrets
	// replaced is closed when others have taken their place.
	replaced chan struct{}
}

// SetSecrets replaces the secrets for all requests that start from now on.
func (s *Server) SetSecrets(secrets Secrets) error {
	sessions, err := token.NewKeyring(secrets.Session)
	if err != nil {
		return fmt.Errorf("api: %w", err)
	}
	if s.jwt != nil {
		if err := s.jwt.SetSecrets(secrets.Session, secrets.JWT); err != nil {
			return fmt.Errorf("api: %w", err)
		}
	}
	previous := s.keys.Swap(&keys{
		sessions: sessions,
		services: token.NewServiceTokens(secrets.Service),
		uses:     s.uses.of(secrets.Service, s.Now()),
		secrets:  token.NewSecrets(secrets.Session, secrets.ServiceSecrets),
		replaced: make(chan struct{}),
	})
	if previous != nil {
		close(previous.replaced)
	}
	return nil
}

// redactSecrets replaces the present secrets in a text.
func (s *Server) redactSecrets(text string) string {
	if k := s.keys.Load(); k != nil {
		return k.secrets.Hide(text)
	}
	return text
}

// containsSecret reports whether a text holds one of the present secrets.
func (s *Server) containsSecret(text []byte) bool {
	k := s.keys.Load()
	return k != nil && k.secrets.In(text)
}
