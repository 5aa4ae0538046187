package schema_test

import (
	"html"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	nethtml "golang.org/x/net/html"

	"session-api/internal/schema"
)

// fuzzRules are tighter than the service's, so that the limits are reached.
func fuzzRules() *schema.Rules {
	r := defaultRules()
	r.MaxBytes = 4096
	r.ForbiddenKeys = []string{"apiKey"}
	return r
}

// requireSound requires that sections which a change made are what a document
// may hold, whatever the body was.
func requireSound(t *testing.T, r *schema.Rules, sec schema.Sections) {
	t.Helper()
	s, err := r.Build(schema.Session{ID: schema.NewID(), CreatedAt: created, UpdatedAt: created, ExpiresAt: created, Revision: 1}, sec)
	if err != nil {
		requireError(t, err, schema.CodeTooLarge)
		return
	}
	require.LessOrEqual(t, len(s.Doc), r.MaxBytes)
	require.True(t, jsontext.Value(s.Doc).IsValid())
	compact := jsontext.Value(s.Doc).Clone()
	require.NoError(t, compact.Compact())
	require.Equal(t, string(compact), string(s.Doc))
	requireAllowed(t, s.Doc)

	got, err := s.Sections()
	require.NoError(t, err)
	require.True(t, sec.Equal(got))
	in, err := r.DecodeInput(s.Doc)
	require.NoError(t, err, "%s", s.Doc)
	again, err := in.Apply(schema.EmptySections())
	require.NoError(t, err)
	require.True(t, sec.Equal(again), "%s", s.Doc)
}

// requireAllowed requires that a document nests no deeper and holds no other
// names and characters than it may.
func requireAllowed(t *testing.T, doc []byte) {
	t.Helper()
	d := jsontext.NewDecoder(strings.NewReader(string(doc)))
	for d.PeekKind() != 0 {
		token, err := d.ReadToken()
		require.NoError(t, err)
		require.LessOrEqual(t, d.StackDepth(), 64)
		if token.Kind() != jsontext.KindString {
			continue
		}
		if kind, count := d.StackIndex(d.StackDepth()); kind == jsontext.KindBeginObject && count%2 == 1 {
			require.NotContains(t, []string{"__proto__", "prototype", "constructor"}, token.String())
			require.False(t, strings.EqualFold("apiKey", token.String()))
		}
		if ptr := d.StackPointer(); strings.HasPrefix(string(ptr), "/inputs/") {
			require.False(t, strings.ContainsFunc(token.String(), isControl))
		}
	}
}

// fuzzBodies are seeds that lead into every corner of a decoder.
var fuzzBodies = []string{
	`{}`, `null`, `[]`, ``, "\ufeff{}", `{"inputs":{"a":1e400,"b":[null,true,"\ud83d\ude00\u0000"]}}`,
	`{"user":{"id":"u","email":"e","roles":["r"]},"ttlMs":5000}`, `{"user":null,"inputs":null,"meta":null}`,
	`{"user":{"id":null,"roles":null}}`, `{"inputs":{"a":{"b":null,"c":{"d":[1,2.0,-0]}},"x":null}}`,
	`{"inputs":{"__proto__":1},"USER":1,"ttlMs":1.5,"meta":[]}`, `{"inputs":{"a":1,"\u0061":2}}`,
	`{"inputs":{"a\u0000":1,"a":2,"__pro\u0001to__":3,"APIKEY":4}}`, " {\"results\" :\t{ \"analysis\":{\"files\":[\"f\"]}}\r\n}",
	`{"id":"x","revision":1,"meta":{"\"\\\/":"\"\\\/\b\f\n\r\t"}}`, `{"inputs":` + nestedObject(63) + `}`,
	`{"inputs":` + nestedObject(64) + `}`, "{\"inputs\":{\"\xff\":\"\xed\xa0\x80\"}}", `{"inputs":{"a":"\ud800"}}`, `{} {}`,
}

func FuzzDecodeInput(f *testing.F) {
	for _, body := range fuzzBodies {
		f.Add([]byte(body))
	}
	r := fuzzRules()
	f.Fuzz(func(t *testing.T, body []byte) {
		before := string(body)
		in, err := r.DecodeInput(body)
		require.Equal(t, before, string(body), "the body is only read")
		if err != nil {
			var e *schema.Error
			require.ErrorAs(t, err, &e)
			require.True(t, utf8.ValidString(err.Error()))
			return
		}
		sec, err := in.Apply(schema.EmptySections())
		require.NoError(t, err)
		requireSound(t, r, sec)
	})
}

func FuzzMergePatch(f *testing.F) {
	for i, body := range fuzzBodies {
		f.Add([]byte(body), []byte(fuzzBodies[(i+9)%len(fuzzBodies)]))
	}
	r := fuzzRules()
	f.Fuzz(func(t *testing.T, stored, body []byte) {
		cur := schema.EmptySections()
		if in, err := r.DecodeInput(stored); err == nil {
			cur, _ = in.Apply(cur)
		}
		patch, err := r.DecodeMergePatch(body)
		if err != nil {
			var e *schema.Error
			require.ErrorAs(t, err, &e)
			return
		}
		next, err := patch.Apply(cur)
		if err != nil {
			requireError(t, err, schema.CodeValidationFailed)
			require.Equal(t, schema.Sections{}, next)
			return
		}
		requireSound(t, r, next)
		again, err := patch.Apply(next)
		require.NoError(t, err)
		require.True(t, next.Equal(again), "a merge patch is idempotent")
		if sent, ok := model(string(body)).(map[string]any); ok && sent["inputs"] != nil && !strings.Contains(string(body), `\`) {
			require.Equal(t, mergeModel(model(string(cur.Inputs)), sent["inputs"]), model(string(next.Inputs)))
		}
	})
}

func FuzzOperations(f *testing.F) {
	const stored = `{"user":{"id":"u"},"inputs":{"a":[1,{"b":null}],"":"x"},"results":{"c\u0000":"\u0000"}}`
	for _, body := range []string{
		`[]`, `{}`, `[{"op":"add","path":"/inputs/a/-","value":1e400},{"op":"remove","path":"/inputs/a/0"}]`,
		`[{"op":"test","path":"/inputs/a/0","value":1.0},{"op":"test","path":"/inputs","value":{"":"\u0078","a":[1,{"b":null}]}}]`,
		`[{"op":"move","from":"/inputs/a/1","path":"/results/x"},{"op":"copy","from":"/results","path":"/inputs/r"}]`,
		`[{"op":"replace","path":"/user/roles","value":["r"]},{"op":"add","path":"/user/roles/0","value":"s"},{"op":"remove","path":"/user/email"}]`,
		`[{"op":"remove","path":"/inputs"},{"op":"add","path":"/inputs","value":null}]`,
		`[{"op":"add","path":"/inputs/~01~1\u0000","value":{"z":[]}},{"op":"move","from":"/inputs/","path":"/meta/"}]`,
		`[{"op":"copy","from":"/inputs","path":"/inputs/a/1/b"},{"op":"copy","from":"/inputs","path":"/inputs/a/1/b"}]`,
		`[{"op":"add","path":"/inputs/__proto__","value":1},{"op":"x"},7]`, `[{"op":"move","from":"/inputs/a","path":"/inputs/a/0"}]`,
		`[{"op":"add","path":"/inputs/__pro\u0000to__","value":1}]`, `[{"op":"add","path":"/inputs/APIKEY","value":{"apikey":1}}]`,
	} {
		f.Add([]byte(stored), []byte(body))
	}
	r := fuzzRules()
	f.Fuzz(func(t *testing.T, stored, body []byte) {
		cur := schema.EmptySections()
		if in, err := r.DecodeInput(stored); err == nil {
			cur, _ = in.Apply(cur)
		}
		before := cur
		before.Inputs = cur.Inputs.Clone()
		ops, err := r.DecodeOperations(body)
		if err != nil {
			var e *schema.Error
			require.ErrorAs(t, err, &e)
			return
		}
		next, err := ops.Apply(cur)
		require.True(t, before.Equal(cur), "the present sections stay as they are")
		again, errAgain := ops.Apply(cur)
		require.Equal(t, err, errAgain)
		require.True(t, next.Equal(again))
		if err != nil {
			var e *schema.Error
			require.ErrorAs(t, err, &e)
			require.NotEmpty(t, e.Fields)
			require.Equal(t, schema.Sections{}, next)
			return
		}
		requireSound(t, r, next)
	})
}

// FuzzStoredDocument reads what a store may hand out after somebody has been at
// its data: whatever comes of it, it comes without a panic and soon.
func FuzzStoredDocument(f *testing.F) {
	for _, tail := range []string{
		`1,"user":null,"inputs":{"a":[1,{"b":"c"}]},"apiConfig":{},"results":{},"meta":{}}`,
		`1,"user":{"id":"u"},"inputs":{"a":[}],"apiConfig":{"a"1},"results":{"a":},"meta":{,}}`,
		`1,"user":null,"inputs":{"a":x"y,"z":{"},"apiConfig":{],"results":{"analysis":{"files":[,]}},"meta":{"a":1,}}`,
		``, `1`, `1,"user":nul`, `1,"user":{"id":"u","roles":["}`,
	} {
		f.Add(tail)
	}
	r := fuzzRules()
	patch, err := r.DecodeMergePatch([]byte(`{"inputs":{"a":{"z":1},"z":{"y":null}},"apiConfig":{"a":null}}`))
	require.NoError(f, err)
	var all []*schema.Operations
	for _, body := range []string{
		`[{"op":"add","path":"/inputs/a/0","value":1},{"op":"test","path":"/inputs/a/1","value":{"b":"c"}}]`,
		`[{"op":"test","path":"/inputs","value":{"a":[1,{"b":"c"}]}},{"op":"copy","from":"/inputs","path":"/meta/a"}]`,
		`[{"op":"move","from":"/apiConfig/a","path":"/inputs/z/b"}]`, `[{"op":"add","path":"/inputs/new","value":1}]`,
	} {
		ops, err := r.DecodeOperations([]byte(body))
		require.NoError(f, err)
		all = append(all, ops)
	}
	id := strings.Repeat("0", 64)
	f.Fuzz(func(t *testing.T, tail string) {
		s, err := r.Build(schema.Session{ID: id, CreatedAt: created, UpdatedAt: created, ExpiresAt: created}, schema.EmptySections())
		require.NoError(t, err)
		head, _, _ := strings.Cut(string(s.Doc), `0,"user"`)
		s.Doc = []byte(head + tail)
		_, _ = s.User()
		cur, err := s.Sections()
		if err != nil {
			return
		}
		_ = schema.FileRefs(cur.Results)
		_, _ = patch.Apply(cur)
		for _, ops := range all {
			_, _ = ops.Apply(cur)
		}
		if again, err := r.Build(s, cur); err == nil {
			back, err := again.Sections()
			require.NoError(t, err)
			require.True(t, cur.Equal(back))
		}
	})
}

func FuzzSanitizeHTML(f *testing.F) {
	for _, text := range []string{
		"plain", "AT&T", "a < b", "<b>x</b>", "&lt;b&gt;x", "&amp;lt;b", "<script>a</script>b", "<<b>b>", "&#60;b>", "<\x00b>",
		"<&#1;b>", "a\r\n<b>", "<title><b>", "<!-- -->", "<![CDATA[x]]>", "<?x?>", "&", "&#;", "<textarea>&lt;b>", "</b", "&copy=1",
		"&" + strings.Repeat("amp;", 8) + "lt;b>", "<plaintext><b>", "<svg><style><b>", "&NotEqualTilde;<b>", "\u0000\u0080",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text[:min(len(text), 1<<16)], "\uFFFD")
		got := sanitized(t, schema.SanitizeHTML, text)
		require.True(t, utf8.ValidString(got))
		require.False(t, strings.ContainsFunc(got, isControl), "%q", got)
		if !strings.ContainsAny(text, "<&") {
			require.Equal(t, strings.Map(func(r rune) rune {
				if isControl(r) {
					return -1
				}
				return r
			}, text), got, "text without markup stays")
		}
		// However often somebody decodes it, there is no element in it.
		for decoded, layer := got, 0; layer < 4; layer++ {
			z := nethtml.NewTokenizer(strings.NewReader(decoded))
			for z.Next() != nethtml.ErrorToken {
				assert.Equal(t, nethtml.TextToken, z.Token().Type, "%q in %q", decoded, got)
			}
			decoded = html.UnescapeString(decoded)
		}
		require.Equal(t, got, sanitized(t, schema.SanitizeHTML, got), "what is sanitised stays")
	})
}

// FuzzSmallBodies reads bodies of touches, regenerations and requests for JWTs.
func FuzzSmallBodies(f *testing.F) {
	for _, body := range append([]string{
		`{"ttlMs":5000}`, `{"ttlMs":-1}`, `{"ttlMs":1e300}`, `{"ttlMs":null,"graceMs":0}`, `{"graceMs":6e4,"remember":true}`,
		`{"user":{"id":"u"},"graceMs":1}`, `{"user":{"id":""}}`, `{"user":{"id":"u","auth":{"methods":["pwd"]}},"auth":{}}`,
		`{"audience":"https://orders.example","ttlMs":60000}`, `{"audience":"","ttlMs":999}`, `{"audience":["a"]}`,
		`{"auth":{"time":"2026-11-21T17:04:05.123Z","methods":["pwd","otp"],"level":"2"},"remember":null}`,
	}, fuzzBodies...) {
		f.Add([]byte(body))
	}
	r := fuzzRules()
	f.Fuzz(func(t *testing.T, body []byte) {
		before := string(body)
		requireRefusal := func(err error) {
			var e *schema.Error
			require.ErrorAs(t, err, &e)
			require.True(t, utf8.ValidString(err.Error()))
		}
		ttl, ok, err := r.DecodeTTL(body)
		require.Equal(t, before, string(body), "the body is only read")
		switch {
		case err != nil:
			requireRefusal(err)
			require.Zero(t, ttl)
		case ok:
			require.Positive(t, ttl)
		}

		asked, err := schema.DecodeTokenRequest(body, time.Hour)
		require.Equal(t, before, string(body), "the body is only read")
		if err != nil {
			requireRefusal(err)
			require.Zero(t, asked)
		}
		require.LessOrEqual(t, len(asked.Audience), 256)
		require.LessOrEqual(t, asked.TTL, time.Hour)

		renewal, err := r.DecodeRenewal(body)
		require.Equal(t, before, string(body), "the body is only read")
		if err != nil {
			requireRefusal(err)
			require.Equal(t, schema.Renewal{}, renewal)
			return
		}
		require.GreaterOrEqual(t, renewal.Grace, time.Duration(0))
		if renewal.User == nil {
			return
		}
		sec, err := renewal.User.Apply(schema.EmptySections())
		if err != nil { // how nobody signed in
			requireRefusal(err)
			return
		}
		requireSound(t, r, sec)
	})
}
