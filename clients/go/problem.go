package sessionapi

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// Answer is what the ...WithResponse methods of the client return.
type Answer interface {
	StatusCode() int
	Bytes() []byte
}

// ProblemOf returns what went wrong according to an answer, as a *Problem, or
// nil for an answer of success and for 304. Decide by its Code. An answer
// without a problem document (to HEAD, or from a gateway in between) makes a
// Problem whose Code is empty; its Status is always there.
func ProblemOf(answer Answer) error {
	status := answer.StatusCode()
	if status < http.StatusBadRequest {
		return nil
	}
	var problem Problem
	if json.Unmarshal(answer.Bytes(), &problem) != nil || problem.Code == "" {
		problem = Problem{Title: http.StatusText(status), Detail: "The answer holds no problem document."}
	}
	problem.Status = status
	return &problem
}

// Error says what went wrong, for people.
func (p *Problem) Error() string {
	return fmt.Sprintf("session-api: %s (%d %s, request %s)", p.Detail, p.Status, p.Code, p.RequestID)
}
