package api

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const keyOfTest = "8e03978e-40d5-43dd-bc93-6894a57f9324"

func TestIdempotencyKeyGrammar(t *testing.T) {
	for _, good := range []struct{ sent, key string }{
		{keyOfTest, keyOfTest},
		{`"` + keyOfTest + `"`, keyOfTest},
		{strings.Repeat("~", minKey), strings.Repeat("~", minKey)},
		{strings.Repeat("!", maxKey), strings.Repeat("!", maxKey)},
		{`"` + strings.Repeat("x", maxKey) + `"`, strings.Repeat("x", maxKey)},
		{`"a\"quoted\\key-of-20c"`, `a"quoted\key-of-20c`},
		{`bare"with\marks,of;all=kinds`, `bare"with\marks,of;all=kinds`},
	} {
		key, err := parseIdempotencyKey([]string{good.sent})
		require.NoError(t, err, "%q", good.sent)
		assert.Equal(t, good.key, key)
	}
	for rule, bad := range map[string][]string{
		"Send one":          {keyOfTest, keyOfTest},
		"16 to 255":         {""},
		"to 255 characters": {strings.Repeat("x", maxKey+1)},
		"16 to":             {strings.Repeat("x", minKey-1)},
		"16":                {`"` + strings.Repeat("x", minKey-1) + `"`},
		"no spaces":         {keyOfTest + ", " + keyOfTest},
		"visible":           {`"a key with spaces in it"`},
		"visible ASCII":     {"a-key-with-\x01-in-it"},
		"ASCII":             {"ein-schlüssel-mit-umlaut"},
		"ends with one":     {`"` + keyOfTest},
		"nothing after it":  {`"` + keyOfTest + `";a=1`},
		"no others":         {`"` + keyOfTest + `"` + keyOfTest + `"`},
		`\"`:                {`"` + keyOfTest + `\"`},
		`\\`:                {`"` + keyOfTest + `\n"`},
	} {
		_, err := parseIdempotencyKey(bad)
		require.ErrorContains(t, err, rule, "%q", bad)
		assert.NotContains(t, err.Error(), keyOfTest[:8])
	}
}

// FuzzIdempotencyKey: what is taken for a key can be sent in quotes as well, and means the
// same then; what is refused is not shown.
func FuzzIdempotencyKey(f *testing.F) {
	for _, seed := range []string{keyOfTest, `"` + keyOfTest + `"`, `"\"\\\"\\\"\\\"\\\"\\\"\\"`, `"`, `""`, `"\`, "", "\x00", `"x" `, strings.Repeat(`\"`, 200)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sent string) {
		key, err := parseIdempotencyKey([]string{sent})
		if err != nil {
			if len(sent) >= minKey {
				require.NotContains(t, err.Error(), sent)
			}
			return
		}
		require.GreaterOrEqual(t, len(key), minKey)
		require.LessOrEqual(t, len(key), maxKey)
		for _, c := range []byte(key) {
			require.True(t, c > ' ' && c <= '~', "%q", key)
		}
		again, err := parseIdempotencyKey([]string{`"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(key) + `"`})
		require.NoError(t, err)
		require.Equal(t, key, again)
	})
}

// A key names another request for each caller, also where their parts join to the same
// text.
func TestKeysOfCallersDiffer(t *testing.T) {
	callers := []requester{
		{},
		{service: "ab"},
		{service: "a", sessions: []string{"b"}},
		{sessions: []string{"ab"}},
		{sessions: []string{"a", "b"}},
		{sessions: []string{"b", "a"}},
		{sessions: []string{"a"}},
	}
	names := map[string]bool{}
	for _, c := range callers {
		name := c.request(keyOfTest)
		names[string(name[:])] = true
	}
	name := (&requester{sessions: []string{"a"}}).request("b" + keyOfTest)
	names[string(name[:])] = true
	assert.Len(t, names, len(callers)+1)
}
