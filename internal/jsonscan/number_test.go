package jsonscan_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"session-api/internal/jsonscan"
)

func TestWholeNumber(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "-0": 0, "0.0": 0, "0e99": 0, "-0.00e-5": 0, "0e99999999999999999999": 0,
		"7": 7, "7.0": 7, "70e-1": 7, "0.7e1": 7, "7E0": 7, "7e+0": 7, "60000.0": 60000, "6e4": 60000, "6E+4": 60000, "600000e-1": 60000,
		"1.50e2": 150, "9223372036854775807": math.MaxInt64, "9223372036854775806.0": math.MaxInt64 - 1, "922337203685477580.6e1": math.MaxInt64 - 1,
		"9223372036854775808": math.MaxInt64, "1e19": math.MaxInt64, "1e99": math.MaxInt64, "1e99999999999999999999": math.MaxInt64,
		strings.Repeat("9", 500): math.MaxInt64,
	} {
		got, ok := jsonscan.WholeNumber(text)
		assert.True(t, ok, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{
		"", " ", "-1", "-6e4", "1.5", "1e-1", "15e-1", "1e-400", "1e-99999999999999999999", "-1e99999999999999999999",
		"+1", "01", "1.", ".5", "1e", "0x10", "1_000", " 1", "1 ", "1\n", "Infinity", "NaN", "null", `"1"`, "[1]", "1,2", "1 2", "\u0661",
	} {
		_, ok := jsonscan.WholeNumber(text)
		assert.False(t, ok, "%q", text)
	}
}
