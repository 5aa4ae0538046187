package schema_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
)

func TestDecodeCreation(t *testing.T) {
	r := defaultRules()
	for body, want := range map[string]*bool{
		`{}`: nil, `[]`: nil, `{"remember":true}`: new(true), `{ "inputs":{"a":"\u0041"},"remember" : false }`: new(false),
	} {
		in, err := r.DecodeCreationInPlace([]byte(body), false)
		require.NoError(t, err, body)
		assert.Equal(t, want, in.Remember, body)
		assert.Nil(t, in.Client)
	}
	in, err := r.DecodeCreationInPlace([]byte(`{"client":{"label":" curl ","userAgent":null,"ip":"192.0.2.1"},"remember":true,"inputs":{"a":1}}`), true)
	require.NoError(t, err)
	assert.Equal(t, &schema.Client{Label: "curl", IP: "192.0.2.1"}, in.Client)
	sec, err := in.Apply(schema.EmptySections())
	require.NoError(t, err)
	assert.JSONEq(t, `{"a":1}`, string(sec.Inputs))

	_, err = r.DecodeCreationInPlace([]byte(`{"client":{},"remember":1}`), false)
	e := requireError(t, err, schema.CodeValidationFailed)
	require.Len(t, e.Fields, 2)
	for _, body := range []string{`{"remember":true}`, `{"client":{}}`} {
		_, err = r.DecodeInput([]byte(body))
		requireError(t, err, schema.CodeValidationFailed)
		_, err = r.DecodeMergePatch([]byte(body))
		requireError(t, err, schema.CodeValidationFailed)
	}
}

func FuzzDecodeCreation(f *testing.F) {
	for _, body := range append(fuzzBodies, `{"remember":true,"client":{"label":"a","userAgent":"\u202e","ip":"::1"}}`, `{"client":null,"remember":null}`) {
		f.Add([]byte(body))
	}
	r := fuzzRules()
	f.Fuzz(func(t *testing.T, body []byte) {
		before := string(body)
		in, err := r.DecodeCreationInPlace(body, true)
		require.Equal(t, before, string(body), "the body is only read")
		if err != nil {
			var e *schema.Error
			require.ErrorAs(t, err, &e)
			return
		}
		sec, err := in.Apply(schema.EmptySections())
		require.NoError(t, err)
		requireSound(t, r, sec)
		if in.Client != nil {
			facts := schema.Facts{}.WithClient(*in.Client)
			require.LessOrEqual(t, len(facts.Client().UserAgent), schema.MaxUserAgent)
			require.Less(t, len(facts.String()), schema.MaxFacts)
		}
	})
}
