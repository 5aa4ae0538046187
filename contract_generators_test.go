package contract_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Client generators read openapi.yaml as it stands. What stops some of them, or
// makes them write code that nobody wants to use, is not in it.
func TestContractIsNaturalForGenerators(t *testing.T) {
	written, err := json.Marshal(load(t))
	require.NoError(t, err)
	var doc map[string]any
	require.NoError(t, json.Unmarshal(written, &doc))
	components, ok := doc["components"].(map[string]any)
	require.True(t, ok)
	schemas, ok := components["schemas"].(map[string]any)
	require.True(t, ok)
	for name := range schemas {
		assert.False(t, strings.EqualFold(name, "Data"), "schema %s: a generator has a type of that name itself", name)
	}
	found := map[string]int{}
	walk("", doc, func(place string, node map[string]any) {
		if _, has := node["const"]; has {
			assert.Fail(t, "const", "%s: ogen refuses const; an enum of one means the same", place)
		}
		if _, has := node["enum"]; has {
			found["enum"]++
		}
		if _, has := node["$ref"]; has {
			found["$ref"]++
			for _, beside := range []string{"nullable", "type", "oneOf", "anyOf"} {
				assert.NotContains(t, node, beside, "%s: a $ref stands alone", place)
			}
		}
		for _, choice := range []string{"oneOf", "anyOf"} {
			alternatives, _ := node[choice].([]any)
			refs, nulls := 0, 0
			for _, alternative := range alternatives {
				schema, _ := alternative.(map[string]any)
				if schema["type"] == "null" {
					nulls++
				}
				if _, isRef := schema["$ref"]; isRef {
					refs++
				}
			}
			assert.False(t, refs > 0 && nulls > 0, "%s: a $ref or null; let the schema itself say that it may be null", place)
		}
	})
	assert.Positive(t, found["enum"])
	assert.Positive(t, found["$ref"])
}

// walk visits every object of a document but examples, which are not read as
// schemas.
func walk(place string, node any, visit func(place string, node map[string]any)) {
	switch node := node.(type) {
	case map[string]any:
		visit(place, node)
		for name, member := range node {
			if name != "example" && name != "examples" {
				walk(place+"/"+name, member, visit)
			}
		}
	case []any:
		for i, element := range node {
			walk(fmt.Sprint(place, "/", i), element, visit)
		}
	}
}
