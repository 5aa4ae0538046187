package schema_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"session-api/internal/schema"
)

// fastScanRules returns rules for each mode that the fast scan distinguishes.
func fastScanRules() []*schema.Rules {
	var all []*schema.Rules
	for _, mode := range []schema.Sanitize{"", schema.SanitizeControls, schema.SanitizeHTML, schema.SanitizeOff} {
		r := defaultRules()
		r.Sanitize, r.ForbiddenKeys = mode, []string{"apiKey", "É", " ｎame"}
		all = append(all, r)
	}
	return all
}

// Whitespace outside the sections causes no copy of them.
func TestDecodeInPlaceCopiesNothing(t *testing.T) {
	allocs := func(body string) float64 {
		return testing.AllocsPerRun(10, func() {
			_, err := defaultRules().DecodeInputInPlace([]byte(body))
			require.NoError(t, err)
		})
	}
	compact := allocs(`{"inputs":{"a":1},"id":[1,2],"ttlMs":60000}`)
	assert.InDelta(t, compact, allocs("\n{ \"inputs\" : {\"a\":1} ,\r\n\"id\": [1, 2], \"ttlMs\" :60000 }\n"), 0)
	assert.Greater(t, allocs(`{"inputs":{"a": 1},"id":[1,2],"ttlMs":60000}`), compact)
}

// requireSameMembers requires that the fast scan, if it accepts the body, agrees with
// the strict decoder, and reports whether it accepts it.
func requireSameMembers(t require.TestingT, r *schema.Rules, body []byte) (fast bool) {
	got, ok := r.FastDecodeBody(body, true)
	copied, again := r.FastDecodeBody(body, false)
	require.Equal(t, ok, again, "%s %q", r.Sanitize, body)
	if !ok {
		return false
	}
	require.Equal(t, got, copied, "%s %q", r.Sanitize, body)
	want, err := r.StrictDecodeBody(body)
	require.NoError(t, err, "%s %q", r.Sanitize, body)
	require.Equal(t, want, got, "%s %q", r.Sanitize, body)
	return true
}

func TestFastDecodeBody(t *testing.T) {
	deep := strings.Repeat(`{"a":[`, 31) + "1" + strings.Repeat("]}", 31)
	for _, body := range []string{
		`{}`, " {\r\n\t} ", `{"inputs":{}}`, `{"inputs":null,"user":null}`, `{"ttlMs":5000,"meta":{"a":1}}`,
		`{"inputs":{"a":"as long as it takes to be more than eight","b":[true,false,null,-0,0.5,1e9,1E+9,2.50e-7]}}`,
		`{ "inputs" : { "a" : [ 1 , "b  c" , { } , [ ] ] } , "ttlMs" : 7 }`, `{"meta":{"a":"\b\f\n\r\t\"\\\/"}}`, `{"inputs":{"a":"\n\r\t\"\\\/"}}`,
		`{ "inputs" : {"a":1} , "meta":{"b" :2} }`, "\n{\"id\": \"x\",\t\"inputs\":\r{\"a\":[1, 2]}}\n",
		`{"inputs":{"é":"日本😀"}}`, `{"user":{"id":"u","email":"e","roles":["r"],"constructor":1}}`, `{"inputs":` + deep + `}`,
		`{"id":"x","createdAt":1,"updatedAt":[],"expiresAt":{},"version":1,"revision":2,"token":"t","results":{"a":{"a":{"a":{}}},"b":{"a":1}}}`,
	} {
		r := defaultRules()
		assert.True(t, requireSameMembers(t, r, []byte(body)), "%s", body)
	}
	seventeen := func(separator string) string {
		var members []string
		for i := range 17 {
			members = append(members, `"`+strings.Repeat("n", i+1)+`":`+separator)
		}
		return strings.Join(members, ",")
	}
	for name, body := range map[string]string{
		"an escape in a name": `{"inputs":{"\n":1}}`, "a character by number": `{"meta":{"a":"\u0041"}}`, "a control": "{\"meta\":{\"a\":\"\x01\"}}",
		"a control after eight": "{\"meta\":{\"a\":\"12345678901\x1f34567890\"}}", "what sanitising removes": `{"inputs":{"a":"\b"}}`,
		"a name twice": `{"meta":{"a":1,"b":2,"a":3}}`, "a section twice": `{"meta":{},"meta":{}}`, "an unknown escape": `{"meta":{"a":"\x"}}`,
		"bad UTF-8": "{\"meta\":{\"a\":\"\xff\"}}", "half a character": "{\"meta\":{\"a\":\"12345\xed\xa0\x80\"}}", "bad UTF-8 in a name": "{\"meta\":{\"\xc3\":1}}",
		"too deep": `{"inputs":` + strings.Repeat(`[`, 64) + strings.Repeat(`]`, 64) + `}`, "a forbidden name": `{"meta":{"a":{"__proto__":1}}}`,
		"a section of another type": `{"meta":[]}`, "an unknown member": `{"metas":{}}`, "a bad ttl": `{"ttlMs":1.5}`, "an array": `[]`, "a string": `"a"`,
		"nothing": ``, "space": `  `, "cut off": `{"meta":{"a":"b`, "cut off after a backslash": `{"meta":{"a":"\`, "cut off after a name": `{"meta"`,
		"cut off after a colon": `{"meta":`, "cut off in a number": `{"ttlMs":-`, "cut off after a value": `{"meta":{}`, "two values": `{}{}`, "a tail": `{}x`,
		"a comma too many": `{"meta":{"a":1,}}`, "a comma too early": `{"meta":{,"a":1}}`, "a comma after all": `{"meta":{},}`, "no comma": `{"meta":{"a":1 "b":2}}`,
		"no colon": `{"meta"{}}`, "a comma too many in an array": `{"meta":{"a":[1,]}}`, "no comma in an array": `{"meta":{"a":[1 2]}}`,
		"a zero in front": `{"meta":{"a":01}}`, "no digit": `{"meta":{"a":-}}`, "no fraction": `{"meta":{"a":1.}}`, "no exponent": `{"meta":{"a":1e}}`,
		"no whole": `{"meta":{"a":.5}}`, "a plus": `{"meta":{"a":+1}}`, "another literal": `{"meta":{"a":nil}}`, "a longer literal": `{"meta":{"a":nulls}}`,
		"a byte order mark": "\ufeff{}", "another space": "{\u00a0}", "a vertical tab": "{\v}", "many members": `{"meta":{` + seventeen("1") + `}}`,
		"many names": `{"meta":` + strings.Repeat(`{"a":`, 33) + `1` + strings.Repeat(`}`, 34),
	} {
		_, ok := defaultRules().FastDecodeBody([]byte(body), true)
		assert.False(t, ok, name)
	}
}

func TestFastDecodeBody_randomBodies(t *testing.T) {
	fast := 0
	rapid.Check(t, func(t *rapid.T) {
		body := drawBody(t)
		for _, r := range fastScanRules() {
			if requireSameMembers(t, r, []byte(body)) {
				fast++
			}
		}
		// The same, but for one byte.
		changed := []byte(body)
		at := rapid.IntRange(0, len(changed)-1).Draw(t, "at")
		other := rapid.SampledFrom([]byte("\x00\x1f \n\"\\,:{}[]-+.019eEntfu/b\x7f\x80\xc2\xc3\xff")).Draw(t, "other")
		switch rapid.IntRange(0, 2).Draw(t, "change") {
		case 0:
			changed[at] = other
		case 1:
			changed = slices.Insert(changed, at, other)
		default:
			changed = slices.Delete(changed, at, at+1)
		}
		for _, r := range fastScanRules() {
			requireSameMembers(t, r, changed)
		}
	})
	assert.Positive(t, fast, "some bodies take the fast scan")
}

// FuzzFastDecodeBody checks that the fast scan agrees with the strict decoder.
func FuzzFastDecodeBody(f *testing.F) {
	for _, body := range fuzzBodies {
		f.Add([]byte(body))
	}
	rules := fastScanRules()
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, r := range rules {
			requireSameMembers(t, r, body)
		}
	})
}
