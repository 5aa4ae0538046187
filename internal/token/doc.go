// Package token is the one place that knows what credentials look like.
//
// A session's token is s:<id>.<signature>, the signature an HMAC-SHA256 of the id
// in standard base64 without padding, as the npm package cookie-signature makes
// it. It is read percent-encoded and plain, and each id has one spelling of its
// signature. A Keyring signs tokens with its first secret and verifies those of
// all; the secrets themselves cannot be had from it.
//
// A Service is the token of a trusted caller: a secret that is known by its hash, and
// what it allows. ServiceTokens tell them apart without a trace of them in the time
// taken. The secrets that the service makes itself begin with sat_ and end with a
// checksum; those that operators choose may look like anything.
//
// What leaves the service as logs and traces passes through Redact, which knows
// credentials by their shape, and Secrets.Hide, which knows the configured ones.
//
// In reading order: format.go, keyring.go, signer.go, cache.go, service.go,
// serviceformat.go; redact.go, plain.go, secrets.go, loghandler.go.
package token
