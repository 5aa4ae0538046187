package memory_test

import (
	"testing"

	"session-api/internal/store"
	"session-api/internal/store/memory"
	"session-api/internal/store/storetest"
)

func TestIdentity(t *testing.T) {
	storetest.RunIdentity(t, true, func(testing.TB, string) store.Store { return memory.New(memory.Options{}) })
}
