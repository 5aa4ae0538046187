package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const sid = "validator_session_id"

func TestFastCookie(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		want  string
		plain bool
	}{
		"alone":                    {[]string{sid + "=s%3Aabc.d-e_f"}, "s%3Aabc.d-e_f", true},
		"with others":              {[]string{"a=1; " + sid + "=s:abc.d+/; b=2"}, "s:abc.d+/", true},
		"empty":                    {[]string{sid + "="}, "", true},
		"none":                     {[]string{"a=1"}, "", false},
		"no cookies":               {nil, "", false},
		"two lines":                {[]string{sid + "=a", "b=1"}, "", false},
		"twice":                    {[]string{sid + "=a; " + sid + "=a"}, "", false},
		"quoted":                   {[]string{sid + `="a"`}, "", false},
		"space":                    {[]string{sid + "=a b"}, "", false},
		"end of another name":      {[]string{"my_" + sid + "=a"}, "", false},
		"start of another name":    {[]string{sid + "2=a"}, "", false},
		"in another's value":       {[]string{"a=" + sid + "=b"}, "", false},
		"without a space between":  {[]string{"a=1;" + sid + "=b"}, "", false},
		"a space before the sign":  {[]string{sid + " =b"}, "", false},
		"no value and another one": {[]string{sid + "; " + "x=1"}, "", false},
	} {
		value, ok := fastCookie(http.Header{"Cookie": c.lines}, sid)
		assert.Equal(t, c.plain, ok, name)
		assert.Equal(t, c.want, value, name)
	}
}

// FuzzFastCookie checks that the fast path agrees with net/http.
func FuzzFastCookie(f *testing.F) {
	f.Add(sid+"=s%3Aabc.def", "")
	f.Add("a=1; "+sid+"=s:abc; b=2", "c=3")
	f.Add(sid+"=;"+sid, sid)
	f.Fuzz(func(t *testing.T, line, another string) {
		r := &http.Request{Header: http.Header{"Cookie": {line}}}
		if another != "" {
			r.Header["Cookie"] = append(r.Header["Cookie"], another)
		}
		value, ok := fastCookie(r.Header, sid)
		if !ok || strings.Count(line, ";") > 1000 { // of very many cookies net/http reads none
			return
		}
		cookies := r.CookiesNamed(sid)
		require.Len(t, cookies, 1)
		require.Equal(t, cookies[0].Value, value)
		require.False(t, cookies[0].Quoted)
	})
}

func TestCookieValues(t *testing.T) {
	for name, c := range map[string]struct {
		lines []string
		want  []string
	}{
		"none":               {nil, nil},
		"one":                {[]string{sid + "=a"}, []string{"a"}},
		"several":            {[]string{sid + "=a; x=1;" + sid + "=b", "y=2; " + sid + "=c"}, []string{"a", "b", "c"}},
		"quoted":             {[]string{sid + `="a/b"`}, []string{"a/b"}},
		"as Java does":       {[]string{`$Version="1"; ` + sid + `="a";$Path="/";$Domain="h"`}, []string{"a"}},
		"half a quote":       {[]string{sid + `="a; ` + sid + `=a"; ` + sid + `="`}, []string{`"a`, `a"`, `"`}},
		"empty":              {[]string{sid + "=; " + sid + `=""`}, []string{"", ""}},
		"no sign":            {[]string{sid + "; =" + sid}, nil},
		"spaces":             {[]string{" " + sid + " = a "}, []string{"a"}},
		"an equals sign":     {[]string{sid + "=a=b"}, []string{"a=b"}},
		"another name's end": {[]string{"x" + sid + "=a; " + sid + "x=b"}, nil},
	} {
		assert.Equal(t, c.want, slices.Collect(cookieValues(http.Header{"Cookie": c.lines}, sid)), name)
	}
	many := http.Header{"Cookie": {strings.Repeat(sid+"=a;", 2*maxCookieValues)}}
	assert.Len(t, slices.Collect(cookieValues(many, sid)), maxCookieValues)
}

// FuzzCookieValues: what net/http reads, in the same order, is read, and fastCookie's
// is the only one.
func FuzzCookieValues(f *testing.F) {
	f.Add(sid+"=s%3Aabc.def", "")
	f.Add(`$Version="1"; `+sid+`="s:abc";$Path="/"`, sid+"=b")
	f.Add(sid+"=;"+sid, sid+`="`)
	f.Fuzz(func(t *testing.T, line, another string) {
		r := &http.Request{Header: http.Header{"Cookie": {line}}}
		if another != "" {
			r.Header["Cookie"] = append(r.Header["Cookie"], another)
		}
		ours := slices.Collect(cookieValues(r.Header, sid))
		if value, ok := fastCookie(r.Header, sid); ok {
			require.Equal(t, []string{value}, ours)
		}
		if len(ours) == maxCookieValues || strings.Count(line+another, ";") > 1000 {
			return
		}
		for _, c := range r.CookiesNamed(sid) {
			if c.Value == "" {
				continue // of a name without a sign, which is no cookie of that name here
			}
			at := slices.IndexFunc(ours, func(v string) bool { return strings.Trim(c.Value, " \t") == strings.Trim(v, " \t") })
			require.NotEqual(t, -1, at, "%q is not among %q", c.Value, ours)
			ours = ours[at+1:]
		}
	})
}
