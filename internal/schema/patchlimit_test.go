package schema_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
)

// many is count values that f makes, separated by commas.
func many(count int, f func(i int) string) string {
	values := make([]string, count)
	for i := range values {
		values[i] = f(i)
	}
	return strings.Join(values, ",")
}

func always(text string) func(int) string { return func(int) string { return text } }

// A small patch of a large document is refused where it would keep a processor
// busy, and goes through where it would not.
func TestOperations_workIsBounded(t *testing.T) {
	rules := &schema.Rules{MaxBytes: 1 << 20}
	elements := `{"a":[` + many(500_000, always("1")) + `]}`
	members := `{"a":{` + many(80_000, func(i int) string { return fmt.Sprintf(`"k%06d":1`, i) }) + `}}`
	nested := func(depth int, inside string) string {
		return strings.Repeat("[", depth) + inside + strings.Repeat("]", depth)
	}
	for name, tc := range map[string]struct {
		inputs, patch string
		code          schema.Code // none where it goes through
	}{
		"a thousand inserts at the front":   {elements, many(1000, always(`{"op":"add","path":"/inputs/a/0","value":1}`)), schema.CodePatchFailed},
		"a thousand removals at the front":  {elements, many(1000, always(`{"op":"remove","path":"/inputs/a/0"}`)), schema.CodePatchFailed},
		"a thousand looks at the last name": {members, many(1000, always(`{"op":"replace","path":"/inputs/a/k079999","value":1}`)), schema.CodePatchFailed},
		"a hundred inserts at the front":    {elements, many(100, always(`{"op":"add","path":"/inputs/a/0","value":1}`)), ""},
		"a thousand appends":                {elements, many(1000, always(`{"op":"add","path":"/inputs/a/-","value":1}`)), ""},
		"a hundred looks at the last name":  {members, many(100, always(`{"op":"replace","path":"/inputs/a/k079999","value":1}`)), ""},
		"a test of a whole document":        {elements, `{"op":"test","path":"/inputs","value":` + strings.Replace(elements, "1]", "1e0]", 1) + `}`, ""},
		"a test of what is nested": {
			`{"a":` + nested(60, many(500_000, always("0"))) + `}`,
			`{"op":"test","path":"/inputs/a","value":` + nested(60, "1") + `}`, schema.CodePatchTestFailed,
		},
	} {
		t.Run(name, func(t *testing.T) {
			in, err := rules.DecodeInput([]byte(`{"inputs":` + tc.inputs + `}`))
			require.NoError(t, err)
			cur, err := in.Apply(schema.EmptySections())
			require.NoError(t, err)
			ops, err := rules.DecodeOperations([]byte("[" + tc.patch + "]"))
			require.NoError(t, err)
			_, err = ops.Apply(cur)
			if tc.code == "" {
				require.NoError(t, err)
				return
			}
			var e *schema.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, tc.code, e.Code)
		})
	}
}
