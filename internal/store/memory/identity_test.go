package memory_test

import (
	"testing"

	"session-api/internal/store/backend"
	"session-api/internal/store/memory"
	"session-api/internal/store/storetest"
)

func TestIdentity(t *testing.T) {
	storetest.RunIdentity(t, true, func(testing.TB, string) backend.Store { return memory.New(memory.Options{}) })
}
