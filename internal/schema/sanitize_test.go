package schema_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
)

// sanitized returns what becomes of a text in inputs.
func sanitized(t require.TestingT, mode schema.Sanitize, text string) string {
	quoted, err := json.Marshal(text)
	require.NoError(t, err)
	r := defaultRules()
	r.Sanitize = mode
	var got struct{ A string }
	require.NoError(t, json.Unmarshal(inputsOf(t, r, `{"a":`+string(quoted)+`}`).Inputs, &got))
	return got.A
}

func TestSanitizeControls(t *testing.T) {
	every := ""
	for c := range rune(0x20) {
		every += string(c)
	}
	for name, test := range map[string]struct{ in, want string }{
		"plain":         {"plain", "plain"},
		"every C0":      {"a" + every + "b", "a\t\n\rb"},
		"NUL alone":     {"\x00", ""},
		"DEL and C1":    {"\x7f\u0080\u009f", ""},
		"beside C1":     {"~\x7fa\u0080é\u0085\u009f\u00a0\u00c2\u0180\u2028", "~aé\u00a0\u00c2\u0180\u2028"},
		"markup":        {"<b>&amp;</b>", "<b>&amp;</b>"},
		"backslashes":   {`\u0000 \\u0000 \\\`, `\u0000 \\u0000 \\\`},
		"around escape": {"\\\x00\"\x01\\", `\"\`},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, test.want, sanitized(t, schema.SanitizeControls, test.in))
			assert.Equal(t, test.want, sanitized(t, "", test.in), "the zero value")
		})
	}
}

func TestSanitizeControlsKeepsTheSpellingOfTheRest(t *testing.T) {
	got := inputsOf(t, defaultRules(), `{"a":"\u0041\b\/\f\u001F\u000a\u0009\u000D\u00001\n"}`)
	assert.Equal(t, `{"a":"\u0041\/\u000a\u0009\u000D1\n"}`, string(got.Inputs))
}

// What was sent as it is and what was sent as an escape, in capitals or not, goes
// alike, from names too, and from bodies and patches of every kind.
func TestSanitizeRemovesDELAndC1HoweverSpelt(t *testing.T) {
	for _, mode := range []schema.Sanitize{schema.SanitizeControls, schema.SanitizeHTML} {
		r := defaultRules()
		r.Sanitize = mode
		for c := rune(0x7f); c <= 0x9f; c++ {
			for _, spelt := range []string{string(c), fmt.Sprintf(`\u%04x`, c), fmt.Sprintf(`\u%04X`, c)} {
				body := `{"a` + spelt + `é":["` + spelt + `x\n` + spelt + `",{"` + spelt + `b":"` + spelt + `"}]}`
				const want = `{"aé":["x\n",{"b":""}]}`
				assert.Equal(t, want, string(inputsOf(t, r, body).Inputs), spelt)
				patch, err := r.DecodeMergePatch([]byte(`{"inputs":` + body + `}`))
				require.NoError(t, err)
				got, err := patch.Apply(schema.EmptySections())
				require.NoError(t, err)
				assert.Equal(t, want, string(got.Inputs), spelt)
				got, err = operated(r, schema.EmptySections(), `[{"op":"add","path":"/inputs/a`+spelt+`","value":`+body+`}]`)
				require.NoError(t, err)
				assert.Equal(t, `{"a":`+want+`}`, string(got.Inputs), spelt)
			}
		}
		assert.Equal(t, `{"a":"\u00a0\u007e\u017F\u2080"}`, string(inputsOf(t, r, `{"a":"\u00a0\u007e\u017F\u2080"}`).Inputs))
		_, err := r.DecodeInput([]byte("{\"inputs\":{\"__proto__\u0085\":1}}"))
		assert.Equal(t, schema.CodeValidationFailed, requireError(t, err, schema.CodeValidationFailed).Code)
	}
}

// A body that needs no sanitising is not copied.
func TestInputsWithoutMarkupAreNotCopied(t *testing.T) {
	allocs := func(text string) float64 {
		return testing.AllocsPerRun(10, func() {
			_, err := defaultRules().DecodeInputInPlace([]byte(`{"inputs":{"a":"` + text + `"}}`))
			require.NoError(t, err)
		})
	}
	assert.InDelta(t, allocs("plain"), allocs("£5 «è» naïve"), 0)
	assert.Greater(t, allocs("5\u0085"), allocs("plain"))
}

func TestSanitizeReachesNamesAndDepth(t *testing.T) {
	got := inputsOf(t, defaultRules(), `{"a\u0000":["\u0001x",{"\u0002b\n":{"c":"\u0003"}}]}`)
	assert.Equal(t, `{"a":["x",{"b\n":{"c":""}}]}`, string(got.Inputs))
}

func TestSanitizeTouchesInputsAlone(t *testing.T) {
	for _, mode := range []schema.Sanitize{schema.SanitizeControls, schema.SanitizeHTML} {
		r := defaultRules()
		r.Sanitize = mode
		const object = `{"a\u0000":"<b>\u0000</b>"}`
		got := sectionsOf(t, r, `{"apiConfig":`+object+`,"results":`+object+`,"meta":`+object+`}`)
		for _, value := range []string{string(got.APIConfig), string(got.Results), string(got.Meta)} {
			assert.Equal(t, object, value)
		}
	}
}

func TestSanitizeOff(t *testing.T) {
	r := defaultRules()
	r.Sanitize = schema.SanitizeOff
	const object = `{"a\u0000":"<b>\u0000\b</b>"}`
	assert.Equal(t, object, string(inputsOf(t, r, object).Inputs))
}

func TestSanitizeRefusesNamesThatBecomeTheSame(t *testing.T) {
	for _, body := range []string{
		`{"inputs":{"a":1,"a\u0000":2}}`, `{"inputs":{"a\u0000":1,"a":2}}`,
		`{"inputs":{"\u0001a":1,"\u0002a":2}}`, `{"inputs":{"":1,"\u0000":2}}`,
	} {
		forEachDecoder(t, func(t *testing.T, decode func(*schema.Rules, []byte) (schema.Change, error)) {
			_, err := decode(defaultRules(), []byte(body))
			assert.Equal(t, []string{"/inputs"}, pointers(requireError(t, err, schema.CodeValidationFailed)), body)
		})
	}
}

func TestSanitizeHTMLKeepsPlainText(t *testing.T) {
	for _, text := range []string{
		"", " ", "AT&T", "AT&amp;T", "a < b", "a > b", "a<1", "1 <= 2 && 3 >= 2", "x & y; z", "\"quoted\" 'single'",
		"https://example.com/?a=1&copy=2&lt=3&amp;x", "&nbsp;&eacute;", "& &; &# &#x; &#xZ;", "<3", "a <- b << c",
		"line\r\nline & line\rend <", "日本 & ﷺ < 😀", "\\ & \\n", "50% < 60%", "&lt; is how to write <", "a && b || c <",
	} {
		assert.Equal(t, text, sanitized(t, schema.SanitizeHTML, text))
	}
}

func TestSanitizeHTMLRemovesMarkup(t *testing.T) {
	for text, want := range map[string]string{
		"<b>bold</b>":                                "bold",
		"a <b>b</b> & c":                             "a b & c",
		"AT&T <i>x</i>":                              "AT&T x",
		"<script>alert(1)</script>x":                 "x",
		"<style>a{}</style>x":                        "x",
		"x<img src=x onerror=alert(1)>y":             "xy",
		"x<!-- comment -->y":                         "xy",
		"x<!doctype html>y":                          "xy",
		"&lt;b&gt;x&lt;/b&gt;":                       "x",
		"&#60;b&#x3e;x":                              "x",
		"&amp;lt;script&amp;gt;alert(1)":             "",
		"&amp;amp;lt;b&amp;amp;gt;x":                 "x",
		"<<b>b>x":                                    "x",
		"<\x00b>x":                                   "x",
		"<&#0;b>x":                                   "<&#0;b>x", // stands for U+FFFD, which starts no tag
		"<&#1;b>x":                                   "x",
		"<b\r\n>x\r\ny":                              "x\r\ny",
		"<svg/onload=alert(1)>x":                     "x",
		"<a href=\"javascript:alert(1)\">x":          "x",
		"\u003cb\u003ex":                             "x",
		"<b" + strings.Repeat(" a", 1000) + ">x</b>": "x",
	} {
		assert.Equal(t, want, sanitized(t, schema.SanitizeHTML, text), text)
	}
}

// Beyond a few layers of encoding nothing that could become markup stays,
// whatever else is lost.
func TestSanitizeHTMLOfManyLayers(t *testing.T) {
	for layers := range 30 {
		got := sanitized(t, schema.SanitizeHTML, "x&"+strings.Repeat("amp;", layers)+"lt;b>y")
		assert.NotContains(t, got, "&")
		assert.NotContains(t, got, "<")
		assert.Contains(t, got, "x")
		assert.Contains(t, got, "y")
	}
}

func TestSanitizeHTMLIsStable(t *testing.T) {
	for _, text := range []string{
		"&&#97;mp;lt;b>", "&#&#57;7;", "&amp;#38;#60;b>", "<scr<script>ipt>", "a<b", "<b", "&lt", "&lt;b", "<b>&lt;i>",
		"<&#1;b>x", "&#1;", "&#x0d;<b>", "<title><b>x</title>", "<textarea><b>", "&#38;lt;b&#38;gt;", "<plaintext>&lt;b>",
		"&" + strings.Repeat("amp;", 100) + "lt;b>", "<noscript>&lt;b>x",
	} {
		once := sanitized(t, schema.SanitizeHTML, text)
		assert.Equal(t, once, sanitized(t, schema.SanitizeHTML, once), text)
	}
}

func TestSanitizeHTMLReachesNames(t *testing.T) {
	r := defaultRules()
	r.Sanitize = schema.SanitizeHTML
	assert.Equal(t, `{"ab":1,"a<1":{"x":2}}`, string(inputsOf(t, r, `{"a<i>b":1,"a<1":{"<b>x":2}}`).Inputs))
	_, err := r.DecodeInput([]byte(`{"inputs":{"__proto<b>__":1}}`))
	assert.Equal(t, []string{"/inputs/__proto<b>__"}, pointers(requireError(t, err, schema.CodeValidationFailed)))
}
