package sessionapi_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	sessionapi "session-api/clients/go"
)

func Example() {
	ctx := context.Background()
	client, err := sessionapi.NewClientWithResponses("http://127.0.0.1:8080", sessionapi.WithBearer("the token of a session"))
	if err != nil {
		log.Fatal(err)
	}

	read, err := client.GetSessionWithResponse(ctx, nil)
	if err != nil {
		log.Fatal(err)
	}
	if err := sessionapi.ProblemOf(read); err != nil {
		log.Fatal(err)
	}
	session := read.JSON200

	// Change it, but only as it was read.
	patched, err := client.PatchSessionWithResponse(ctx,
		&sessionapi.PatchSessionParams{IfMatch: &read.Headers200.ETag},
		sessionapi.SessionPatch{
			Inputs:  sessionapi.Value(map[string]any{"step": 2, "draft": nil}),
			Results: sessionapi.Null[map[string]any](),
		})
	if err != nil {
		log.Fatal(err)
	}
	var problem *sessionapi.Problem
	if errors.As(sessionapi.ProblemOf(patched), &problem) && problem.Code == sessionapi.ProblemCodePreconditionFailed {
		fmt.Println("somebody else was faster than revision", session.Revision)
	}
}
