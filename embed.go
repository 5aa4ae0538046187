// Package contract holds the description of the HTTP interface, so that the
// service can serve the very document that its tests hold it against, and the
// README.
package contract

import _ "embed"

// OpenAPI is openapi.yaml: the routes, bodies, headers and errors of the
// service in OpenAPI 3.1. It must not be changed.
//
//go:embed openapi.yaml
var OpenAPI []byte

// Readme is README.md. It must not be changed.
//
//go:embed README.md
var Readme []byte
