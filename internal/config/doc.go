// Package config turns the environment into the settings of the service: one
// struct a feature, with values of the types that the feature takes.
//
// A setting is one field with its tags: variable, default, limits and meaning.
// All else about it follows from them: how it is parsed and checked, how config
// prints it, its row in docs/configuration.md, and the names that a misspelt
// variable is compared with.
//
// The files in reading order:
//
//   - config.go: Config, Load, and the problems that it returns
//   - server.go, clients.go, http.go, secrets.go, sessions.go, jwt.go, store.go, redis.go,
//     cookie.go, files.go, log.go, audit.go, tracing.go: the features
//   - tags.go: what the tags of a setting say
//   - values.go, proxies.go: the parsers of values
//   - validate.go, validate_bolt.go, validate_redis.go, origins.go, entropy.go: the
//     rules that hold one setting against others and against the machine
//   - memorydefaults.go: defaults that depend on the memory there is
//   - secretfiles.go, redis_secrets.go: secrets in files, read again
//   - print.go: the settings in force, and the documentation
//   - typos.go: variables that were meant to be settings
//   - api.go: the options of the API
package config
