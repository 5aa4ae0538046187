// Package sessionapi is the Go client of session-api, the service that keeps the
// sessions of web applications. Begin with NewClientWithResponses. An http.Client
// with a cookie jar carries a session as a browser does; WithBearer sends a token.
// ProblemOf makes an error of an answer that is none of success.
//
// Types and methods are generated from the service's contract, openapi.yaml.
package sessionapi

import (
	"context"
	"net/http"

	"github.com/oapi-codegen/nullable"
)

// WithBearer sends a token with each request: that of a session, or a service
// token.
func WithBearer(token string) ClientOption {
	return WithRequestEditorFn(Bearer(token))
}

// Bearer sends a token with one request. It is for the last argument of the
// client's methods.
func Bearer(token string) RequestEditorFn {
	return func(_ context.Context, req *http.Request) error {
		req.Header.Set("Authorization", "Bearer "+token)
		return nil
	}
}

// Value sets a member of a request that could also be null, or be left out.
func Value[T any](v T) nullable.Nullable[T] {
	return nullable.NewNullableWithValue(v)
}

// Null sets a member of a request to null: it empties a section, or removes
// what is stored there.
func Null[T any]() nullable.Nullable[T] {
	return nullable.NewNullNullable[T]()
}
