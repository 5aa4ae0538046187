package schema_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
)

func TestFacts(t *testing.T) {
	var none schema.Facts
	assert.Empty(t, none.String())
	assert.Equal(t, "null", string(none.AppendClient(nil)))
	_, said := none.Remember()
	assert.False(t, said)
	assert.Equal(t, none, none.WithClient(schema.Client{}), "what is not known takes no room")

	firefox := schema.Client{Label: "Firefox on Windows", UserAgent: `Mozilla/5.0 "quoted" \ and é`, IP: "192.0.2.0/24"}
	f := none.WithClient(firefox).WithRemember(true)
	assert.Equal(t, `{"label":"Firefox on Windows","userAgent":"Mozilla/5.0 \"quoted\" \\ and é","ip":"192.0.2.0/24","remember":true}`, f.String())
	assert.Equal(t, firefox, f.Client())
	remember, said := f.Remember()
	assert.True(t, remember && said)
	assert.Equal(t, f, schema.StoredFacts(f.String()))
	assert.Equal(t, f, none.WithRemember(true).WithClient(firefox), "in any order")
	assert.JSONEq(t, `[{"label":"Firefox on Windows","userAgent":"Mozilla/5.0 \"quoted\" \\ and é","ip":"192.0.2.0/24"}]`,
		string(append(f.AppendClient([]byte("[")), ']')))

	f = f.WithClient(schema.Client{UserAgent: "curl/8.11.1"}).WithRemember(false)
	assert.Equal(t, `{"userAgent":"curl/8.11.1","remember":false}`, f.String())
	remember, said = f.Remember()
	assert.True(t, said && !remember)
	assert.Equal(t, `{"remember":false}`, f.WithClient(schema.Client{IP: "example.com"}).String())
	assert.Empty(t, none.WithRemember(true).Label())
}

func TestFacts_applied(t *testing.T) {
	mark := func(n int) string { return strings.Repeat(string(rune('a'+n)), schema.MarkLen) }
	var f schema.Facts
	assert.False(t, f.Applied(mark(0)))
	assert.False(t, f.Applied(""))
	f = f.WithApplied(mark(0))
	assert.Equal(t, `{"applied":"`+mark(0)+`"}`, f.String())
	f = f.WithClient(schema.Client{Label: "curl"}).WithRemember(true)
	assert.Equal(t, `{"label":"curl","applied":"`+mark(0)+`","remember":true}`, f.String(), "others keep it")
	for n := 1; n < 4; n++ {
		f = f.WithApplied(mark(n))
	}
	for n := range 4 {
		assert.True(t, f.Applied(mark(n)), n)
	}
	assert.False(t, f.Applied(mark(0)[1:]+"b"), "of two halves")
	full := len(f.String())
	f = f.WithApplied(mark(4))
	assert.Len(t, f.String(), full)
	assert.False(t, f.Applied(mark(0)), "the oldest goes")
	assert.True(t, f.Applied(mark(1)))
	assert.True(t, f.Applied(mark(4)))
	assert.Equal(t, f, schema.StoredFacts(f.String()))
	assert.Equal(t, "curl", f.Label())
	remember, said := f.Remember()
	assert.True(t, remember && said)

	said = schema.StoredFacts(`{"userAgent":"\"applied\":\"` + mark(0) + `\""}`).Applied(mark(0))
	assert.False(t, said, "a client cannot say so")
}

func TestFacts_text(t *testing.T) {
	const limit = schema.MaxUserAgent
	for name, tc := range map[string]struct{ sent, want string }{
		"controls":        {"a\x00b\tc\r\nd\x7fe\u0085f", "abcdef"},
		"no UTF-8":        {"a\xffb\xc3", "ab"},
		"direction marks": {"abc\u202egnp.exe\u2066\u200b", "abcgnp.exe"},
		"space":           {"  a b  ", "a b"},
		"long":            {strings.Repeat("a", limit+1), strings.Repeat("a", limit)},
		"long, many bytes": {
			strings.Repeat("a", limit-1) + "é", strings.Repeat("a", limit-1),
		},
	} {
		f := schema.Facts{}.WithClient(schema.Client{UserAgent: tc.sent})
		assert.Equal(t, tc.want, f.Client().UserAgent, name)
	}
	worst := schema.Client{Label: strings.Repeat(`"`, 200), UserAgent: strings.Repeat(`\`, 2000), IP: "2001:0db8:1111:2222:3333:4444:5555:6666"}
	longest := schema.Facts{}.WithClient(worst).WithRemember(false)
	for n := range 5 {
		longest = longest.WithApplied(strings.Repeat(string(rune('a'+n)), schema.MarkLen))
	}
	assert.Less(t, len(longest.String()), schema.MaxFacts)
}

func TestFacts_family(t *testing.T) {
	of := func(label string) schema.Facts { return schema.Facts{}.WithClient(schema.Client{Label: label}) }
	for _, tc := range []struct {
		before, after string
		want          bool
	}{
		{"Firefox on Windows", "Chrome on Windows", true},
		{"curl", "Firefox on Windows", true},
		{"Chrome on Windows", "Chrome on Android", false},
		{"Chrome on Windows", "Chrome on Windows", false},
		{"", "Chrome on Windows", false},
		{"Chrome on Windows", "", false},
	} {
		assert.Equal(t, tc.want, of(tc.before).FamilyChanged(of(tc.after)), "%s, then %s", tc.before, tc.after)
	}
}

func TestCutIP(t *testing.T) {
	for sent, want := range map[string]string{
		"192.0.2.77":            "192.0.2.0/24",
		"::ffff:192.0.2.77":     "192.0.2.0/24",
		"2001:db8:1:2:3::4":     "2001:db8:1::/48",
		"fe80::1%eth0":          "fe80::/48",
		"192.0.2.77/32":         "192.0.2.0/24",
		"192.0.2.0/24":          "192.0.2.0/24",
		"192.0.0.0/16":          "192.0.0.0/16",
		"2001:db8::/32":         "2001:db8::/32",
		"@":                     "",
		"":                      "",
		"192.0.2.256":           "",
		"::ffff:192.0.2.77/120": "192.0.2.0/24",
		"::ffff:0:0/90":         "",
	} {
		got, ok := schema.CutIP(sent)
		assert.Equal(t, want, got, sent)
		assert.Equal(t, want != "", ok, sent)
	}
	for sent, want := range map[string]string{
		"192.0.2.77": "192.0.2.77", "::ffff:192.0.2.77": "192.0.2.77", "2001:DB8::1": "2001:db8::1", "fe80::1%eth0": "fe80::1",
		"192.0.2.77/24": "192.0.2.0/24", "192.0.2.77/32": "192.0.2.77", "no": "",
	} {
		got, _ := schema.WholeIP(sent)
		assert.Equal(t, want, got, sent)
	}
}

// Whatever a store holds as facts, reading it fails in no other way than that
// nothing is found.
func FuzzStoredFacts(f *testing.F) {
	for _, text := range []string{"", "{", `{"`, `{"label`, `{"label":`, `{"label":"a\`, `{"label":"a","ip":"b"}`, `{"remember":true}`, `{"remember":`} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		facts := schema.StoredFacts(text)
		_ = facts.Client()
		_ = facts.AppendClient(nil)
		_, _ = facts.Remember()
		_ = facts.FamilyChanged(schema.Facts{}.WithRemember(true))
	})
}

func FuzzFactsOfClients(f *testing.F) {
	f.Add("Firefox on Windows", "Mozilla/5.0", "192.0.2.1", true)
	f.Add("\"\\", "\x00\xff", "fe80::1%\"", false)
	f.Fuzz(func(t *testing.T, label, agent, ip string, remember bool) {
		facts := schema.Facts{}.WithClient(schema.Client{Label: label, UserAgent: agent, IP: ip}).WithRemember(remember)
		text := facts.String()
		require.True(t, json.Valid([]byte(text)), text)
		require.True(t, utf8.ValidString(text))
		require.Less(t, len(text), schema.MaxFacts)
		c := facts.Client()
		require.LessOrEqual(t, len(c.UserAgent), schema.MaxUserAgent)
		require.Equal(t, facts, schema.Facts{}.WithRemember(remember).WithClient(c))
		require.False(t, strings.ContainsFunc(c.Label+c.UserAgent, func(r rune) bool { return r < ' ' || r == 0x7f }))
		require.True(t, json.Valid(facts.AppendClient(nil)))
		got, said := facts.Remember()
		require.True(t, said)
		require.Equal(t, remember, got)
	})
}
