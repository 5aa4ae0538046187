package jsonpatch_test

import (
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/jsonpatch"
)

// The test cases of RFC 7396, appendix A, whose patch is not null.
func TestExamplesOfRFC7396(t *testing.T) {
	for _, tt := range []struct{ target, patch, want string }{
		{`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`},
		{`{"a":"b"}`, `{"a":null}`, `{}`},
		{`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`},
		{`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`},
		{`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`},
		{`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`},
		{`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`},
		{`["a","b"]`, `["c","d"]`, `["c","d"]`},
		{`{"a":"b"}`, `["c"]`, `["c"]`},
		{`{"a":"foo"}`, `"bar"`, `"bar"`},
		{`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`},
		{`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`},
		{`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`},
	} {
		assert.Equal(t, tt.want, string(jsonpatch.AppendMerged(nil, []byte(tt.target), []byte(tt.patch))), tt.patch)
	}
}

// merged is MergePatch as RFC 7396 section 2 writes it down.
func merged(target, patch any) any {
	changes, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	object, ok := target.(map[string]any)
	if !ok {
		object = map[string]any{}
	}
	for name, value := range changes {
		if value == nil {
			delete(object, name)
		} else {
			object[name] = merged(object[name], value)
		}
	}
	return object
}

func FuzzAppendMerged(f *testing.F) {
	f.Add([]byte(`{"a":{"b":1},"c":[1]}`), []byte(`{"a":{"b":null,"d":2},"c":{"x":null}}`))
	f.Add([]byte(`{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9}`), []byte(`{"i":null,"h":0,"g":1,"f":2,"e":3,"d":4,"c":5,"b":6,"a":null,"z":{}}`))
	f.Fuzz(func(t *testing.T, target, patch []byte) {
		for _, text := range []*[]byte{&target, &patch} {
			value := jsontext.Value(*text)
			if !value.IsValid() || value.Canonicalize() != nil || string(value) == "null" {
				return
			}
			*text = value
		}
		var a, b, got any
		require.NoError(t, json.Unmarshal(target, &a))
		require.NoError(t, json.Unmarshal(patch, &b))
		require.NoError(t, json.Unmarshal(jsonpatch.AppendMerged(nil, target, patch), &got))
		assert.Equal(t, merged(a, b), got)
	})
}
