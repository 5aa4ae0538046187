package memory_test

import (
	"testing"

	"session-api/internal/store/storetest"
)

func TestClock(t *testing.T) { storetest.RunClock(t, open) }
