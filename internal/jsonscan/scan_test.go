package jsonscan_test

import (
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/jsonscan"
)

func TestLookUp(t *testing.T) {
	object := []byte(`{"a":1,"b\u0000":[{"a":"}"},2],"c\"":{"a":null},"long":"0123456789\\\"0123456789"}`)
	for name, want := range map[string]string{
		"a": "1", "b\x00": `[{"a":"}"},2]`, `c"`: `{"a":null}`, "long": `"0123456789\\\"0123456789"`, "d": "",
	} {
		assert.Equal(t, want, string(jsonscan.LookUp(object, name)), name)
	}
	assert.Nil(t, jsonscan.LookUp([]byte(`["a"]`), "a"))
	assert.Equal(t, 3, jsonscan.Depth(object))
	assert.False(t, jsonscan.HasDuplicateNames(object))
	assert.True(t, jsonscan.HasDuplicateNames([]byte(`{"a":1,"b":{},"a":2}`)))
}

// What the functions find in a text is what a decoder finds. On what is no JSON
// they end.
func FuzzScan(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[]`, `0`, `"\\"`, `{"a":{"b":[1,"]",{"c":null}]},"d":"\"}"}`, `[[],{},[{"a":[]}],"\\\\\""]`, `{"a"`, `["`, `[,]`, `{"a":}`, `{"":""}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		value := jsontext.Value(text)
		valid := value.IsValid() && value.Compact() == nil
		text = value
		switch jsonscan.KindOf(text) {
		case jsontext.KindBeginObject:
			found := map[string]string{}
			at := 1
			for m, ok := jsonscan.NextMember(text, at); ok; m, ok = jsonscan.NextMember(text, at) {
				require.Greater(t, m.End, at)
				at = m.End
				found[string(jsonscan.Unquote(m.Name(text)))] = string(m.Value(text))
			}
			if !valid {
				return
			}
			want := map[string]jsontext.Value{}
			require.NoError(t, json.Unmarshal(text, &want))
			require.Len(t, found, len(want))
			for name, value := range want {
				assert.Equal(t, string(value), found[name])
				assert.Equal(t, string(value), string(jsonscan.LookUp(text, name)))
			}
			assert.False(t, jsonscan.HasDuplicateNames(text))
		case jsontext.KindBeginArray:
			var found []string
			at := 1
			for start, end, ok := jsonscan.NextElement(text, at); ok; start, end, ok = jsonscan.NextElement(text, at) {
				require.Greater(t, end, at)
				found, at = append(found, string(text[start:end])), end
			}
			if !valid {
				return
			}
			var want []jsontext.Value
			require.NoError(t, json.Unmarshal(text, &want))
			require.Len(t, found, len(want))
			for i, value := range want {
				assert.Equal(t, string(value), found[i])
			}
		default:
			_ = jsonscan.ValueEnd(text, 0)
			_ = jsonscan.Unquote(text)
		}
		assert.GreaterOrEqual(t, jsonscan.Depth(text), 0)
	})
}
