package schema_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"session-api/internal/schema"
)

// patched returns sections after a merge patch.
func patched(t require.TestingT, r *schema.Rules, cur schema.Sections, body string) schema.Sections {
	patch, err := r.DecodeMergePatch([]byte(body))
	require.NoError(t, err)
	next, err := patch.Apply(cur)
	require.NoError(t, err)
	return next
}

// The cases of RFC 7396 appendix A, each as the member x of a section. Those
// whose patch is null or whose target is null say the same of a member.
func TestMergePatchRFC7396(t *testing.T) {
	for _, test := range []struct{ target, patch, want string }{
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
		// The example of section 3.
		{
			`{"title":"Goodbye!","author":{"givenName":"John","familyName":"Doe"},"tags":["example","sample"],"content":"This will be unchanged"}`,
			`{"title":"Hello!","phoneNumber":"+01-123-456-7890","author":{"familyName":null},"tags":["example"]}`,
			`{"title":"Hello!","author":{"givenName":"John"},"tags":["example"],"content":"This will be unchanged","phoneNumber":"+01-123-456-7890"}`,
		},
	} {
		t.Run(test.target+" "+test.patch, func(t *testing.T) {
			r := defaultRules()
			cur := inputsOf(t, r, `{"x":`+test.target+`}`)
			got := patched(t, r, cur, `{"inputs":{"x":`+test.patch+`}}`)
			assert.Equal(t, `{"x":`+test.want+`}`, string(got.Inputs))
			if test.target[0] == '{' && test.patch[0] == '{' { // as the section itself
				got = patched(t, r, inputsOf(t, r, test.target), `{"inputs":`+test.patch+`}`)
				assert.Equal(t, test.want, string(got.Inputs))
			}
		})
	}
	got := patched(t, defaultRules(), inputsOf(t, defaultRules(), `{"x":{"a":"foo"}}`), `{"inputs":{"x":null}}`)
	assert.Equal(t, `{}`, string(got.Inputs))
}

func TestMergePatchOrder(t *testing.T) {
	r := defaultRules()
	cur := inputsOf(t, r, `{"a":1,"b":{"c":2,"d":3},"e":4,"f":5,"g":6}`)
	for patch, want := range map[string]string{
		`{}`:                  `{"a":1,"b":{"c":2,"d":3},"e":4,"f":5,"g":6}`,
		`{"z":1,"y":2}`:       `{"a":1,"b":{"c":2,"d":3},"e":4,"f":5,"g":6,"z":1,"y":2}`,
		`{"g":9,"a":8}`:       `{"a":8,"b":{"c":2,"d":3},"e":4,"f":5,"g":9}`,
		`{"a":null}`:          `{"b":{"c":2,"d":3},"e":4,"f":5,"g":6}`,
		`{"g":null}`:          `{"a":1,"b":{"c":2,"d":3},"e":4,"f":5}`,
		`{"e":null,"f":null}`: `{"a":1,"b":{"c":2,"d":3},"g":6}`,
		`{"a":null,"b":null,"e":null,"f":null,"g":null}`:            `{}`,
		`{"a":null,"b":null,"e":null,"f":null,"g":null,"h":7}`:      `{"h":7}`,
		`{"b":{"d":null,"x":{"y":null}},"q":{"r":null,"s":[null]}}`: `{"a":1,"b":{"c":2,"x":{}},"e":4,"f":5,"g":6,"q":{"s":[null]}}`,
		`{"nothing":null}`:        `{"a":1,"b":{"c":2,"d":3},"e":4,"f":5,"g":6}`,
		`{"b":{}}`:                `{"a":1,"b":{"c":2,"d":3},"e":4,"f":5,"g":6}`,
		`{"b":7}`:                 `{"a":1,"b":7,"e":4,"f":5,"g":6}`,
		`{"\u0061":8,"\u007a":1}`: `{"a":8,"b":{"c":2,"d":3},"e":4,"f":5,"g":6,"z":1}`,
	} {
		got := patched(t, r, cur, `{"inputs":`+patch+`}`)
		assert.Equal(t, want, string(got.Inputs), patch)
	}
	assert.Equal(t, `{"a":1,"b":{"c":2,"d":3},"e":4,"f":5,"g":6}`, string(cur.Inputs))
}

func TestMergePatchKeepsEveryOtherByte(t *testing.T) {
	r := defaultRules()
	cur := inputsOf(t, r, `{"n":9007199254740993,"m":1e300,"s":"\u0041\/","x":{"k":1.0,"l":-0}}`)
	got := patched(t, r, cur, `{"inputs":{"x":{"k":1.00}}}`)
	assert.Equal(t, `{"n":9007199254740993,"m":1e300,"s":"\u0041\/","x":{"k":1.00,"l":-0}}`, string(got.Inputs))
}

func TestMergePatchOfManyMembers(t *testing.T) {
	r := defaultRules()
	var target, patch, want strings.Builder
	for i := range 100 {
		fmt.Fprintf(&target, `,"k%d":%d`, i, i)
		switch i % 3 {
		case 0:
			fmt.Fprintf(&patch, `,"k%d":null`, i)
		case 1:
			fmt.Fprintf(&patch, `,"k%d":"new"`, i)
			fmt.Fprintf(&want, `,"k%d":"new"`, i)
		default:
			fmt.Fprintf(&want, `,"k%d":%d`, i, i)
		}
	}
	got := patched(t, r, inputsOf(t, r, `{`+target.String()[1:]+`}`), `{"inputs":{"first":1`+patch.String()+`,"last":2}}`)
	assert.Equal(t, `{`+want.String()[1:]+`,"first":1,"last":2}`, string(got.Inputs))
}

func TestMergePatchOfSections(t *testing.T) {
	r := defaultRules()
	cur := sectionsOf(t, r, `{"inputs":{"a":1},"apiConfig":{"b":2},"results":{"c":3},"meta":{"d":4}}`)
	want := cur
	assert.True(t, want.Equal(patched(t, r, cur, `{}`)))

	want.Inputs, want.Meta = jsontext.Value(`{}`), jsontext.Value(`{"d":4,"e":5}`)
	assert.True(t, want.Equal(patched(t, r, cur, `{"inputs":null,"meta":{"e":5}}`)))
}

func TestMergePatchOfTheUser(t *testing.T) {
	r := defaultRules()
	ada := `{"user":{"id":"ada","email":"a@x","roles":["r","s"]}}`
	for _, test := range []struct {
		cur, patch string
		want       *schema.User
	}{
		{`{}`, `{"user":{"id":"u"}}`, &schema.User{ID: "u", Roles: []string{}}},
		{`{}`, `{"user":null}`, nil},
		{ada, `{}`, &schema.User{ID: "ada", Email: "a@x", Roles: []string{"r", "s"}}},
		{ada, `{"user":{}}`, &schema.User{ID: "ada", Email: "a@x", Roles: []string{"r", "s"}}},
		{ada, `{"user":null}`, nil},
		{ada, `{"user":{"id":"bob"}}`, &schema.User{ID: "bob", Email: "a@x", Roles: []string{"r", "s"}}},
		{ada, `{"user":{"email":null}}`, &schema.User{ID: "ada", Roles: []string{"r", "s"}}},
		{ada, `{"user":{"email":"","roles":null}}`, &schema.User{ID: "ada", Roles: []string{}}},
		{ada, `{"user":{"roles":["t"]}}`, &schema.User{ID: "ada", Email: "a@x", Roles: []string{"t"}}},
	} {
		assert.Equal(t, test.want, patched(t, r, sectionsOf(t, r, test.cur), test.patch).User, "%s %s", test.cur, test.patch)
	}
}

func TestMergePatchMayNotUnmakeTheUser(t *testing.T) {
	r := defaultRules()
	for cur, patches := range map[string][]string{
		`{}`:                  {`{"user":{}}`, `{"user":{"email":"e"}}`, `{"user":{"id":null}}`},
		`{"user":{"id":"u"}}`: {`{"user":{"id":null}}`, `{"user":{"id":null,"email":"e"}}`},
	} {
		before := sectionsOf(t, r, cur)
		for _, body := range patches {
			patch, err := r.DecodeMergePatch([]byte(body))
			require.NoError(t, err)
			_, err = patch.Apply(before)
			assert.Equal(t, []string{"/user/id"}, pointers(requireError(t, err, schema.CodeValidationFailed)), body)
		}
		assert.True(t, before.Equal(sectionsOf(t, r, cur)))
	}
}

func TestMergePatchIsSanitised(t *testing.T) {
	r := defaultRules()
	cur := inputsOf(t, r, `{"a":1,"b":2}`)
	got := patched(t, r, cur, `{"inputs":{"a\u0000":"x\u0001y","b\u0000":null}}`)
	assert.Equal(t, `{"a":"xy"}`, string(got.Inputs))
}

func TestMergePatchCanBeAppliedAgain(t *testing.T) {
	r := defaultRules()
	patch, err := r.DecodeMergePatch([]byte(`{"inputs":{"a":{"n":null,"x":1},"b":null},"user":{"id":"u"}}`))
	require.NoError(t, err)
	for _, cur := range []string{`{}`, `{"a":1,"b":2}`, `{"b":1,"a":{"n":2,"x":3,"y":4}}`, `{}`} {
		before := inputsOf(t, r, cur)
		first, err := patch.Apply(before)
		require.NoError(t, err)
		second, err := patch.Apply(first)
		require.NoError(t, err)
		assert.True(t, first.Equal(second), "a merge patch is idempotent")
		assert.Equal(t, cur, string(before.Inputs))
	}
}

func TestMergePatchAtTheDepthLimit(t *testing.T) {
	r := defaultRules()
	deep := nestedObject(63)
	patch := strings.Replace(deep, "{}", `{"z":1}`, 1)
	got := patched(t, r, inputsOf(t, r, deep), `{"inputs":`+patch+`}`)
	assert.Equal(t, patch, string(got.Inputs))
}

// However much room there is behind the body, a patch in place makes what it
// makes elsewhere, and leaves alone what is in use.
func TestMergePatchInPlace(t *testing.T) {
	r := defaultRules()
	rapid.Check(t, func(t *rapid.T) {
		cur, sent := sectionsOf(t, r, drawBody(t)), drawBody(t)
		room := rapid.IntRange(0, 2*len(sent)).Draw(t, "room")
		body := append(make([]byte, 0, len(sent)+room), sent...)
		patch, err := r.DecodeMergePatchInPlace(body)
		require.NoError(t, err)
		before := cur
		before.Inputs, before.Meta = cur.Inputs.Clone(), cur.Meta.Clone()
		for range 2 {
			got, err := patch.Apply(cur)
			require.NoError(t, err)
			want := patched(t, r, cur, sent)
			assert.True(t, want.Equal(got), "%s", sent)
		}
		assert.Equal(t, sent, string(body))
		assert.True(t, before.Equal(cur), "the present sections stay as they are")
	})
}
