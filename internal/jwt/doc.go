// Package jwt issues short-lived JSON Web Tokens (RFC 7519) that say whose a session
// is, so that services can tell it without asking, and publishes the keys that verify
// them as a JWK Set (RFC 7517).
//
// An Issuer signs with ES256 or EdDSA. Its keys come from a file, or it makes them and
// replaces them in time: then all instances that share the sessions share the keys, in a
// state of the store that is sealed with the session secrets. The next key is published
// before it signs, and the last one until every token that it signed has expired. All
// times are arguments.
//
// In reading order: issuer.go, claims.go, mapping.go, verify.go; key.go, schedule.go,
// seal.go, shared.go, keyfile.go; cache.go.
package jwt
