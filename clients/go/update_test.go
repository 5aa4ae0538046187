package sessionapi_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	sessionapi "session-api/clients/go"
)

type wizard struct {
	Inputs struct {
		Step  int               `json:"step"`
		Big   int64             `json:"big,omitempty"`
		Draft *string           `json:"draft"`
		Tags  map[string]string `json:"tags,omitempty"`
	} `json:"inputs"`
}

func TestUpdate(t *testing.T) {
	client := byBearer(t)
	ctx := t.Context()
	_, err := client.PatchSessionWithResponse(ctx, nil, sessionapi.SessionPatch{
		Inputs: sessionapi.Value(map[string]any{"other": true, "tags": map[string]any{"a": "1", "b": "2"}}), Meta: sessionapi.Value(map[string]any{"m": 1}),
	})
	require.NoError(t, err)

	session, err := sessionapi.Update(ctx, client, func(w *wizard) error {
		assert.Equal(t, map[string]string{"a": "1", "b": "2"}, w.Inputs.Tags)
		w.Inputs.Step, w.Inputs.Big, w.Inputs.Draft = 2, 1<<53+1, new("text")
		delete(w.Inputs.Tags, "a")
		w.Inputs.Tags["c"] = "3"
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, map[string]any{"other": true, "step": 2.0, "big": float64(1<<53 + 1), "draft": "text", "tags": map[string]any{"b": "2", "c": "3"}}, session.Inputs)
	assert.Equal(t, map[string]any{"m": 1.0}, session.Meta)
	revision := session.Revision

	session, err = sessionapi.Update(ctx, client, func(w *wizard) error {
		assert.Equal(t, int64(1<<53+1), w.Inputs.Big, "every digit")
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, revision, session.Revision, "nothing changed, so nothing is sent")

	session, err = sessionapi.Update(ctx, client, func(w *wizard) error {
		w.Inputs.Draft, w.Inputs.Tags = nil, nil
		return nil
	})
	require.NoError(t, err)
	assert.NotContains(t, session.Inputs, "draft")
	assert.NotContains(t, session.Inputs, "tags")

	failure := errors.New("the caller's own")
	_, err = sessionapi.Update(ctx, client, func(*wizard) error { return failure })
	require.Equal(t, failure, err)
}

// Of concurrent changes none is lost.
func TestUpdate_concurrent(t *testing.T) {
	client := byBearer(t)
	const writers = 4
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for done := 0; done < 5; {
				_, err := sessionapi.Update(t.Context(), client, func(w *wizard) error { w.Inputs.Step++; return nil })
				var why *sessionapi.Problem
				if errors.As(err, &why) && why.Code == sessionapi.ProblemCodePreconditionFailed {
					continue // others were faster every time
				}
				if !assert.NoError(t, err) {
					return
				}
				done++
			}
		})
	}
	wg.Wait()
	session, err := sessionapi.Update(t.Context(), client, func(*wizard) error { return nil })
	require.NoError(t, err)
	assert.InDelta(t, writers*5, session.Inputs["step"], 0)
}

func TestUpdate_fails(t *testing.T) {
	_, err := sessionapi.Update(t.Context(), newClient(t), func(*wizard) error { return nil })
	var why *sessionapi.Problem
	require.ErrorAs(t, err, &why)
	assert.Equal(t, sessionapi.ProblemCodeNoCredential, why.Code)

	client := byBearer(t)
	_, err = sessionapi.Update(t.Context(), client, func(s *struct {
		User map[string]string `json:"user"`
	},
	) error {
		s.User = map[string]string{"id": "eve"}
		return nil
	})
	require.ErrorAs(t, err, &why)
	assert.Contains(t, []sessionapi.ProblemCode{sessionapi.ProblemCodeUserForbidden, sessionapi.ProblemCodeValidationFailed}, why.Code)

	_, err = sessionapi.Update(t.Context(), client, func(*[]string) error { return nil })
	require.ErrorContains(t, err, "is no []string")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = sessionapi.Update(ctx, client, func(*wizard) error { return nil })
	require.ErrorIs(t, err, context.Canceled)
}
