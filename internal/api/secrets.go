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
	// secrets are what no log line may hold.
	secrets *token.Secrets
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
	s.keys.Store(&keys{
		sessions: sessions,
		services: token.NewServiceTokens(secrets.Service),
		secrets:  token.NewSecrets(secrets.Session, secrets.Service),
	})
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
