package sessionapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// updateAttempts is how often Update tries, if others change the session meanwhile.
const updateAttempts = 8

// Update changes the caller's session. It reads the session into a T, which has the
// sections that the caller works with as members of JSON, calls change with it, and sends
// what change made different, and nothing else, as a merge patch that applies only to the
// session that was read. If somebody else was faster, it begins again, a few times: change
// must have no effect but that on its argument.
//
//	type state struct {
//		Inputs struct {
//			Step  int    `json:"step"`
//			Draft string `json:"draft,omitempty"`
//		} `json:"inputs"`
//	}
//	session, err := sessionapi.Update(ctx, client, func(s *state) error {
//		s.Inputs.Step++
//		return nil
//	})
//
// Members that T does not know stay as they are. A member that becomes null is removed,
// since a merge patch (RFC 7396) cannot set one to null.
//
// Update returns the session as it is now. The error is change's as it is, or wraps a
// *[Problem] if the service refused; with [ProblemCodePreconditionFailed], others were
// faster every time.
func Update[T any](ctx context.Context, client *ClientWithResponses, change func(*T) error, editors ...RequestEditorFn) (*Session, error) {
	for attempt := 1; ; attempt++ {
		session, err := tryUpdate(ctx, client, change, editors)
		var why *Problem
		if attempt == updateAttempts || !errors.As(err, &why) || why.Code != ProblemCodePreconditionFailed {
			return session, err
		}
		if err := pause(ctx, attempt); err != nil {
			return nil, err
		}
	}
}

// pause waits before the next attempt, for longer each time and never for the same.
func pause(ctx context.Context, attempt int) error {
	return sleep(ctx, rand.N(time.Duration(attempt)*20*time.Millisecond)) //nolint:gosec // nothing is secret about it
}

func tryUpdate[T any](ctx context.Context, client *ClientWithResponses, change func(*T) error, editors []RequestEditorFn) (*Session, error) {
	read, err := client.GetSessionWithResponse(ctx, nil, editors...)
	if err != nil {
		return nil, err
	}
	if err := ProblemOf(read); err != nil {
		return nil, err
	}
	if read.JSON200 == nil || read.Headers200 == nil {
		return nil, errors.New("session-api: the answer holds no session")
	}
	patch, err := changes(read.Bytes(), change)
	if err != nil {
		return nil, err
	}
	if patch == nil {
		return read.JSON200, nil
	}
	patched, err := client.PatchSessionWithBodyWithResponse(ctx, &PatchSessionParams{IfMatch: &read.Headers200.ETag},
		"application/merge-patch+json", bytes.NewReader(patch), editors...)
	if err != nil {
		return nil, err
	}
	if err := ProblemOf(patched); err != nil {
		return nil, err
	}
	if patched.JSON200 == nil {
		return nil, fmt.Errorf("session-api: the answer holds no session: %s", http.StatusText(patched.StatusCode()))
	}
	return patched.JSON200, nil
}

// changes returns the merge patch that turns the document, as far as T knows it, into what
// change makes of it; nil if that is the same.
func changes[T any](document []byte, change func(*T) error) ([]byte, error) {
	var state T
	if err := json.Unmarshal(document, &state); err != nil {
		return nil, fmt.Errorf("session-api: the session is no %T: %w", state, err)
	}
	before, err := asObject(state)
	if err != nil {
		return nil, err
	}
	if err := change(&state); err != nil {
		return nil, err
	}
	after, err := asObject(state)
	if err != nil {
		return nil, err
	}
	patch := mergePatch(before, after)
	if len(patch) == 0 {
		return nil, nil
	}
	return json.Marshal(patch)
}

// asObject returns the members of a value's JSON, numbers as they are written.
func asObject(value any) (map[string]any, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("session-api: %T cannot be written as JSON: %w", value, err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil || object == nil {
		return nil, fmt.Errorf("session-api: %T is not an object in JSON", value)
	}
	return object, nil
}

// mergePatch returns the merge patch that turns before into after.
func mergePatch(before, after map[string]any) map[string]any {
	patch := map[string]any{}
	for name, now := range after {
		was, had := before[name]
		if now == nil {
			if had && was != nil {
				patch[name] = nil
			}
			continue
		}
		wasObject, isObject := was.(map[string]any)
		nowObject, staysObject := now.(map[string]any)
		if isObject && staysObject {
			if within := mergePatch(wasObject, nowObject); len(within) > 0 {
				patch[name] = within
			}
			continue
		}
		if !had || !same(was, now) {
			patch[name] = now
		}
	}
	for name := range before {
		if _, has := after[name]; !has {
			patch[name] = nil
		}
	}
	return patch
}

// same reports whether two values are written the same.
func same(was, now any) bool {
	wasText, wasErr := json.Marshal(was)
	nowText, nowErr := json.Marshal(now)
	return wasErr == nil && nowErr == nil && bytes.Equal(wasText, nowText)
}
