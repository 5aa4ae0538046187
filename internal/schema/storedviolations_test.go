package schema_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
)

// applyStored decodes a body as those of changes are decoded, and applies it to
// sections that were stored under other rules.
func applyStored(t *testing.T, r *schema.Rules, kind, body string, cur schema.Sections) (schema.Sections, error) {
	t.Helper()
	var change schema.Change
	var err error
	switch kind {
	case "PUT":
		change, err = r.DecodeInputInPlace([]byte(body))
	case "PATCH":
		change, err = r.DecodeMergePatchInPlace([]byte(body))
	default:
		change, err = r.DecodeOperations([]byte(body))
	}
	if standing, ok := schema.IfStored(err); ok {
		require.Error(t, err)
		change, err = standing, nil
	}
	if err != nil {
		return schema.Sections{}, err
	}
	return change.Apply(cur)
}

// storedBefore returns inputs and meta as they may have been stored under rules
// that were less strict.
func storedBefore(inputs, meta string) schema.Sections {
	sec := schema.EmptySections()
	sec.Inputs, sec.Meta = []byte(inputs), []byte(meta)
	return sec
}

func TestWhatHasBecomeForbiddenCanGo(t *testing.T) {
	const inputs = `{"a":1,"Password":"x","list":[{"password":"y"},{"n":1e400}],"o":{"__proto__":{"p":1},"b":2}}`
	cur := storedBefore(inputs, `{"big":1e400}`)
	r := defaultRules()
	r.ForbiddenKeys = []string{"password"}
	for name, c := range map[string]struct{ kind, body, inputs, meta string }{
		"null": {"PATCH", `{"inputs":{"Password":null}}`, strings.Replace(inputs, `"Password":"x",`, ``, 1), ``},
		"null within": {
			"PATCH", `{"inputs":{"o":{"__proto__":null}}}`, strings.Replace(inputs, `"__proto__":{"p":1},`, ``, 1), ``,
		},
		"null of all around it":    {"PATCH", `{"inputs":null}`, `{}`, ``},
		"null of a number":         {"PATCH", `{"meta":{"big":null}}`, ``, `{}`},
		"another member":           {"PATCH", `{"inputs":{"a":2}}`, strings.Replace(inputs, `"a":1`, `"a":2`, 1), ``},
		"another section":          {"PATCH", `{"meta":{"c":1}}`, ``, `{"big":1e400,"c":1}`},
		"the same value":           {"PATCH", `{"inputs":{"Password":"x","a":2}}`, strings.Replace(inputs, `"a":1`, `"a":2`, 1), ``},
		"PUT without":              {"PUT", `{"inputs":{"a":1}}`, `{"a":1}`, ``},
		"PUT of another section":   {"PUT", `{"meta":{"c":1}}`, ``, `{"c":1}`},
		"PUT with some of it":      {"PUT", `{"inputs":{"b":{"Password":"x"}}}`, `{"b":{"Password":"x"}}`, ``},
		"PUT of the whole":         {"PUT", `{"inputs":` + inputs + `,"meta":{"big": 1e400}}`, inputs, `{"big":1e400}`},
		"remove":                   {"ops", `[{"op":"remove","path":"/inputs/Password"}]`, strings.Replace(inputs, `"Password":"x",`, ``, 1), ``},
		"remove within it":         {"ops", `[{"op":"test","path":"/inputs/o/__proto__/p","value":1},{"op":"remove","path":"/inputs/o/__proto__"}]`, strings.Replace(inputs, `"__proto__":{"p":1},`, ``, 1), ``},
		"remove around it":         {"ops", `[{"op":"remove","path":"/inputs/list/0"}]`, strings.Replace(inputs, `{"password":"y"},`, ``, 1), ``},
		"move it to a lawful name": {"ops", `[{"op":"move","from":"/inputs/Password","path":"/inputs/a"}]`, strings.Replace(strings.Replace(inputs, `"Password":"x",`, ``, 1), `"a":1`, `"a":"x"`, 1), ``},
		"operations elsewhere":     {"ops", `[{"op":"add","path":"/meta/c","value":1}]`, ``, `{"big":1e400,"c":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			want := cur
			if c.inputs != "" {
				want.Inputs = []byte(c.inputs)
			}
			if c.meta != "" {
				want.Meta = []byte(c.meta)
			}
			got, err := applyStored(t, r, c.kind, c.body, cur)
			require.NoError(t, err)
			assert.Equal(t, string(want.Inputs), string(got.Inputs))
			assert.Equal(t, string(want.Meta), string(got.Meta))
			assert.Equal(t, inputs, string(cur.Inputs), "what was stays as it is")
		})
	}
}

// manyForbidden returns that many members that hold one and the same offence.
func manyForbidden(n int) string {
	members := make([]string, n)
	for i := range members {
		members[i] = `"m` + strconv.Itoa(i) + `":{"password":"x"}`
	}
	return strings.Join(members, ",")
}

func TestWhatIsForbiddenDoesNotBecomeMore(t *testing.T) {
	cur := storedBefore(`{"a":1,"password":"x","o":{"__proto__":{"p":1}}}`, `{"big":1e400}`)
	r := defaultRules()
	r.ForbiddenKeys = []string{"password"}
	for name, c := range map[string]struct{ kind, body string }{
		"another value":               {"PATCH", `{"inputs":{"password":"y"}}`},
		"elsewhere":                   {"PATCH", `{"inputs":{"o":{"password":"x"}}}`},
		"in another section":          {"PATCH", `{"meta":{"password":"x"}}`},
		"another name":                {"PATCH", `{"inputs":{"constructor":1}}`},
		"within what is there":        {"PATCH", `{"inputs":{"o":{"__proto__":{"q":1}}}}`},
		"null of nothing":             {"PATCH", `{"inputs":{"constructor":null}}`},
		"null of nothing, beside one": {"PATCH", `{"inputs":{"password":null,"b":{"password":null}}}`},
		"null in an array":            {"PATCH", `{"inputs":{"password":null,"l":[{"password":null}]}}`},
		"another number":              {"PATCH", `{"meta":{"big":2e400}}`},
		"PUT of another value":        {"PUT", `{"inputs":{"password":"y"}}`},
		"PUT of it twice":             {"PUT", `{"inputs":{"b":{"password":"x"},"password":"x"}}`},
		"PUT into another section":    {"PUT", `{"meta":{"password":"x"}}`},
		"PUT of a number elsewhere":   {"PUT", `{"inputs":{"big":1e400}}`},
		"add":                         {"ops", `[{"op":"add","path":"/inputs/b","value":{"password":"x"}}]`},
		"add in place of another":     {"ops", `[{"op":"remove","path":"/inputs/password"},{"op":"add","path":"/inputs/constructor","value":1}]`},
		"copy":                        {"ops", `[{"op":"copy","from":"/inputs/password","path":"/inputs/o/password"}]`},
		"replace":                     {"ops", `[{"op":"replace","path":"/inputs/password","value":"y"}]`},
		"move to another section":     {"ops", `[{"op":"move","from":"/inputs/password","path":"/meta/password"}]`},
		"remove of nothing":           {"ops", `[{"op":"remove","path":"/inputs/constructor"}]`},
		"beside a name that is none":  {"PATCH", `{"inputs":{"password":null},"nosuch":1}`},
		"beside a bad section":        {"PATCH", `{"inputs":{"password":null},"meta":[1]}`},
		"beside a bad ttl":            {"PATCH", `{"inputs":{"password":null},"ttlMs":0}`},
		"beside a bad user":           {"PATCH", `{"inputs":{"password":null},"user":{"id":7}}`},
		"a number that is no section": {"PUT", `{"meta":1e400}`},
		"a collision beneath it":      {"PUT", `{"inputs":{"password":{"a":1,"a\u0000":2}}}`},
		"too much of it":              {"PUT", `{"inputs":{` + manyForbidden(60) + `}}`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := applyStored(t, r, c.kind, c.body, cur)
			e := requireError(t, err, schema.CodeValidationFailed)
			assert.NotEmpty(t, e.Fields)
		})
	}
	for _, kind := range []string{"PUT", "PATCH"} {
		_, err := applyStored(t, r, kind, `{"inputs":{"password":"x"}}`, schema.EmptySections())
		requireError(t, err, schema.CodeValidationFailed)
	}
}

// Strings that were stored before they would have been cleaned stay as they are
// where an operation does not touch them.
func TestOperationsLeaveStringsThatWereNotCleaned(t *testing.T) {
	cur := storedBefore(`{"k\u0000":"a\u0001","k":"<b>bold</b>","list":[]}`, `{}`)
	r := defaultRules()
	r.Sanitize = schema.SanitizeHTML
	got, err := applyStored(t, r, "ops", `[{"op":"add","path":"/inputs/list/-","value":"<i>new\u0002</i>"}]`, cur)
	require.NoError(t, err)
	assert.Equal(t, `{"k\u0000":"a\u0001","k":"<b>bold</b>","list":["new"]}`, string(got.Inputs))
	got, err = applyStored(t, r, "ops", `[{"op":"remove","path":"/inputs/k\u0000"}]`, cur)
	require.NoError(t, err)
	assert.Equal(t, `{"k":"<b>bold</b>","list":[]}`, string(got.Inputs))
}

func TestOperationsOnWhatNestsTooDeep(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 80) + `1` + strings.Repeat(`}`, 80)
	cur := storedBefore(`{"deep":`+deep+`,"b":1}`, `{}`)
	r := defaultRules()
	got, err := applyStored(t, r, "ops", `[{"op":"replace","path":"/inputs/b","value":2}]`, cur)
	require.NoError(t, err)
	assert.Equal(t, `{"deep":`+deep+`,"b":2}`, string(got.Inputs))
	got, err = applyStored(t, r, "ops", `[{"op":"remove","path":"/inputs/deep"}]`, cur)
	require.NoError(t, err)
	assert.Equal(t, `{"b":1}`, string(got.Inputs))
	_, err = applyStored(t, r, "ops", `[{"op":"move","from":"/inputs/deep","path":"/meta/deep"}]`, cur)
	requireError(t, err, schema.CodePatchFailed)
	_, err = applyStored(t, r, "ops", `[{"op":"add","path":"/inputs/b","value":{}},{"op":"move","from":"/inputs/deep","path":"/inputs/b/deep"}]`, cur)
	requireError(t, err, schema.CodePatchFailed)
}

func TestSizeDoesNotGrowWithTheRevision(t *testing.T) {
	r := defaultRules()
	s := newSession(t, `{"inputs":{"a":"x"}}`)
	r.MaxBytes = len(s.Doc)
	sec, err := s.Sections()
	require.NoError(t, err)
	for _, revision := range []int64{9, 10, 100, 1e15 - 1} {
		s.Revision = revision
		_, err := r.Build(s, sec)
		require.NoError(t, err, revision)
		_, err = r.Rebuild(s, sec, sec)
		require.NoError(t, err, revision)
	}
	more := sec
	more.Inputs = []byte(`{"a":"xy"}`)
	_, err = r.Build(s, more)
	requireError(t, err, schema.CodeTooLarge)
}

func TestDocumentsOverTheLimitMayShrink(t *testing.T) {
	r := defaultRules()
	s := newSession(t, `{"user":{"id":"u"},"inputs":{"a":"xyz"}}`)
	r.MaxBytes = len(s.Doc) - 20
	sec, err := s.Sections()
	require.NoError(t, err)
	_, err = r.Rebuild(s, sec, sec)
	require.NoError(t, err, "as it is")
	for inputs, fits := range map[string]bool{`{"a":"xy"}`: true, `{"b":"xyz"}`: true, `{"a":"xyzz"}`: false} {
		after := sec
		after.Inputs = []byte(inputs)
		_, err = r.Rebuild(s, sec, after)
		assert.Equal(t, fits, err == nil, inputs)
	}
	after := sec
	after.User, after.Inputs = nil, []byte(`{"a":"xyzz"}`)
	_, err = r.Rebuild(s, sec, after)
	require.NoError(t, err, "smaller altogether")
}

// What a user's fields may be is asked of bodies. One that was stored can be
// read, whatever it is.
func TestUsersOfOtherLimitsCanBeRead(t *testing.T) {
	long := strings.Repeat("u", 1000)
	s := newSession(t, `{"user":{"id":"u"}}`)
	s.Doc = []byte(strings.Replace(string(s.Doc), `{"id":"u","email":"","roles":[]}`, `{"id":"`+long+`","email":"a\u0001","roles":["`+long+`"`+strings.Repeat(`,"r"`, 100)+`]}`, 1))
	user, err := s.User()
	require.NoError(t, err)
	assert.Equal(t, long, user.ID)
	assert.Len(t, user.Roles, 101)
	sec, err := s.Sections()
	require.NoError(t, err)
	got, err := applyStored(t, defaultRules(), "PATCH", `{"user":{"email":"e"},"meta":{"a":1}}`, sec)
	require.NoError(t, err)
	assert.Equal(t, long, got.User.ID)
	var roles []string
	s.EachRole(func(role []byte) { roles = append(roles, string(role)) })
	assert.Equal(t, user.Roles, roles)
}

func TestEachRole(t *testing.T) {
	for body, want := range map[string][]string{
		`{}`:                  nil,
		`{"user":{"id":"u"}}`: nil,
		`{"user":{"id":"a\",\"roles\":[\"no\"]","email":",\"roles\":[\"no\"]","roles":["a\"b","ü"]},"meta":{"x":{"roles":["no"]}}}`: {`a"b`, "ü"},
	} {
		s := newSession(t, body)
		var roles []string
		s.EachRole(func(role []byte) { roles = append(roles, string(role)) })
		assert.Equal(t, want, roles, body)
	}
}

func TestBlank(t *testing.T) {
	for body, want := range map[string]bool{
		`{}`: true, `{"inputs":{},"user":null}`: true,
		`{"user":{"id":"u"}}`: false, `{"meta":{"a":1}}`: false, `{"inputs":{"a":{}}}`: false,
		`{"meta":{"user":null,"inputs":{},"apiConfig":{},"results":{},"meta":{}}}`: false,
	} {
		s := newSession(t, body)
		assert.Equal(t, want, s.Blank(), body)
	}
}
