package schema_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
)

// operated returns sections after a JSON Patch.
func operated(r *schema.Rules, cur schema.Sections, body string) (schema.Sections, error) {
	ops, err := r.DecodeOperations([]byte(body))
	if err != nil {
		return schema.Sections{}, err
	}
	return ops.Apply(cur)
}

// The cases of RFC 6902 appendix A, on inputs. A.13, an operation with two
// members op, is no I-JSON.
func TestOperationsRFC6902(t *testing.T) {
	for name, test := range map[string]struct {
		doc, ops, want string
		code           schema.Code // where it fails
	}{
		"A.1 adding an object member": {
			doc: `{"foo":"bar"}`, ops: `[{"op":"add","path":"/inputs/baz","value":"qux"}]`,
			want: `{"foo":"bar","baz":"qux"}`,
		},
		"A.2 adding an array element": {
			doc: `{"foo":["bar","baz"]}`, ops: `[{"op":"add","path":"/inputs/foo/1","value":"qux"}]`,
			want: `{"foo":["bar","qux","baz"]}`,
		},
		"A.3 removing an object member": {
			doc: `{"baz":"qux","foo":"bar"}`, ops: `[{"op":"remove","path":"/inputs/baz"}]`,
			want: `{"foo":"bar"}`,
		},
		"A.4 removing an array element": {
			doc: `{"foo":["bar","qux","baz"]}`, ops: `[{"op":"remove","path":"/inputs/foo/1"}]`,
			want: `{"foo":["bar","baz"]}`,
		},
		"A.5 replacing a value": {
			doc: `{"baz":"qux","foo":"bar"}`, ops: `[{"op":"replace","path":"/inputs/baz","value":"boo"}]`,
			want: `{"baz":"boo","foo":"bar"}`,
		},
		"A.6 moving a value": {
			doc:  `{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}`,
			ops:  `[{"op":"move","from":"/inputs/foo/waldo","path":"/inputs/qux/thud"}]`,
			want: `{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}`,
		},
		"A.7 moving an array element": {
			doc: `{"foo":["all","grass","cows","eat"]}`, ops: `[{"op":"move","from":"/inputs/foo/1","path":"/inputs/foo/3"}]`,
			want: `{"foo":["all","cows","eat","grass"]}`,
		},
		"A.8 testing a value: success": {
			doc:  `{"baz":"qux","foo":["a",2,"c"]}`,
			ops:  `[{"op":"test","path":"/inputs/baz","value":"qux"},{"op":"test","path":"/inputs/foo/1","value":2}]`,
			want: `{"baz":"qux","foo":["a",2,"c"]}`,
		},
		"A.9 testing a value: error": {
			doc: `{"baz":"qux"}`, ops: `[{"op":"test","path":"/inputs/baz","value":"bar"}]`,
			code: schema.CodePatchTestFailed,
		},
		"A.10 adding a nested member object": {
			doc: `{"foo":"bar"}`, ops: `[{"op":"add","path":"/inputs/child","value":{"grandchild":{}}}]`,
			want: `{"foo":"bar","child":{"grandchild":{}}}`,
		},
		"A.11 ignoring unrecognized elements": {
			doc: `{"foo":"bar"}`, ops: `[{"op":"add","path":"/inputs/baz","value":"qux","xyz":123}]`,
			want: `{"foo":"bar","baz":"qux"}`,
		},
		"A.12 adding to a nonexistent target": {
			doc: `{"foo":"bar"}`, ops: `[{"op":"add","path":"/inputs/baz/bat","value":"qux"}]`,
			code: schema.CodePatchFailed,
		},
		"A.13 invalid JSON Patch document": {
			doc: `{"foo":"bar"}`, ops: `[{"op":"add","path":"/inputs/baz","value":"qux","op":"remove"}]`,
			code: schema.CodeInvalidJSON,
		},
		"A.14 ~ escape ordering": {
			doc: `{"/":9,"~1":10}`, ops: `[{"op":"test","path":"/inputs/~01","value":10}]`,
			want: `{"/":9,"~1":10}`,
		},
		"A.15 comparing strings and numbers": {
			doc: `{"/":9,"~1":10}`, ops: `[{"op":"test","path":"/inputs/~01","value":"10"}]`,
			code: schema.CodePatchTestFailed,
		},
		"A.16 adding an array value": {
			doc: `{"foo":["bar"]}`, ops: `[{"op":"add","path":"/inputs/foo/-","value":["abc","def"]}]`,
			want: `{"foo":["bar",["abc","def"]]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := defaultRules()
			cur := inputsOf(t, r, test.doc)
			got, err := operated(r, cur, test.ops)
			assert.Equal(t, test.doc, string(cur.Inputs))
			if test.code != "" {
				requireError(t, err, test.code)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, test.want, string(got.Inputs))
		})
	}
}

func TestOperations(t *testing.T) {
	for name, test := range map[string]struct{ doc, ops, want string }{
		"none":                     {`{"a":1}`, `[]`, `{"a":1}`},
		"add replaces a member":    {`{"a":1,"b":2}`, `[{"op":"add","path":"/inputs/a","value":3}]`, `{"a":3,"b":2}`},
		"add at 0":                 {`{"a":[1]}`, `[{"op":"add","path":"/inputs/a/0","value":0}]`, `{"a":[0,1]}`},
		"add at the end":           {`{"a":[1]}`, `[{"op":"add","path":"/inputs/a/1","value":2}]`, `{"a":[1,2]}`},
		"add to an empty array":    {`{"a":[]}`, `[{"op":"add","path":"/inputs/a/0","value":1},{"op":"add","path":"/inputs/a/-","value":2}]`, `{"a":[1,2]}`},
		"add to an empty object":   {`{}`, `[{"op":"add","path":"/inputs/a","value":1},{"op":"add","path":"/inputs/b","value":2}]`, `{"a":1,"b":2}`},
		"add null":                 {`{}`, `[{"op":"add","path":"/inputs/a","value":null}]`, `{"a":null}`},
		"add the empty name":       {`{}`, `[{"op":"add","path":"/inputs/","value":1}]`, `{"":1}`},
		"into the empty name":      {`{"":{"":1}}`, `[{"op":"replace","path":"/inputs//","value":2}]`, `{"":{"":2}}`},
		"a name that needs escape": {`{}`, `[{"op":"add","path":"/inputs/a\"~1~0\\b\u00e9","value":1}]`, `{"a\"/~\\bé":1}`},
		"names like indexes":       {`{"01":1,"-":2,"-1":3,"1e0":4}`, `[{"op":"remove","path":"/inputs/01"},{"op":"replace","path":"/inputs/-","value":5},{"op":"remove","path":"/inputs/-1"}]`, `{"-":5,"1e0":4}`},
		"replace keeps the place":  {`{"a":1,"b":2,"c":3}`, `[{"op":"replace","path":"/inputs/b","value":{"x":[]}}]`, `{"a":1,"b":{"x":[]},"c":3}`},
		"replace an element":       {`{"a":[1,2]}`, `[{"op":"replace","path":"/inputs/a/1","value":9}]`, `{"a":[1,9]}`},
		"remove the last":          {`{"a":[1]}`, `[{"op":"remove","path":"/inputs/a/0"},{"op":"remove","path":"/inputs/a"}]`, `{}`},
		"numbers digit for digit":  {`{"a":1e300}`, `[{"op":"copy","from":"/inputs/a","path":"/inputs/b"},{"op":"add","path":"/inputs/c","value":9007199254740993.0}]`, `{"a":1e300,"b":1e300,"c":9007199254740993.0}`},
		"copy is a copy":           {`{"a":{"x":1}}`, `[{"op":"copy","from":"/inputs/a","path":"/inputs/b"},{"op":"replace","path":"/inputs/b/x","value":2}]`, `{"a":{"x":1},"b":{"x":2}}`},
		"copy of what was changed": {`{"a":[[1]]}`, `[{"op":"add","path":"/inputs/a/0/-","value":2},{"op":"copy","from":"/inputs/a","path":"/inputs/a/0/-"}]`, `{"a":[[1,2,[[1,2]]]]}`},
		"copy into itself":         {`{"a":{"x":1}}`, `[{"op":"copy","from":"/inputs/a","path":"/inputs/a/y"}]`, `{"a":{"x":1,"y":{"x":1}}}`},
		"copy of null":             {`{"a":[null]}`, `[{"op":"copy","from":"/inputs/a/0","path":"/inputs/b"}]`, `{"a":[null],"b":null}`},
		"move to itself":           {`{"a":1,"b":2}`, `[{"op":"move","from":"/inputs/a","path":"/inputs/a"}]`, `{"a":1,"b":2}`},
		"move up":                  {`{"a":{"b":{"c":1}}}`, `[{"op":"move","from":"/inputs/a/b","path":"/inputs/a"}]`, `{"a":{"c":1}}`},
		"move over a member":       {`{"a":1,"b":2}`, `[{"op":"move","from":"/inputs/a","path":"/inputs/b"}]`, `{"b":1}`},
		"move to a similar name":   {`{"a":{"x":1},"ab":{}}`, `[{"op":"move","from":"/inputs/a","path":"/inputs/ab/c"}]`, `{"ab":{"c":{"x":1}}}`},
		"move within an array":     {`{"a":[1,2,3]}`, `[{"op":"move","from":"/inputs/a/2","path":"/inputs/a/0"},{"op":"move","from":"/inputs/a/0","path":"/inputs/a/-"}]`, `{"a":[1,2,3]}`},
		"one after the other":      {`{"a":[]}`, `[{"op":"add","path":"/inputs/a/-","value":{}},{"op":"add","path":"/inputs/a/0/b","value":[1]},{"op":"test","path":"/inputs/a","value":[{"b":[1]}]},{"op":"remove","path":"/inputs/a/0/b/0"}]`, `{"a":[{"b":[]}]}`},
		"from ignored where none":  {`{}`, `[{"op":"add","path":"/inputs/a","value":1,"from":7}]`, `{"a":1}`},
		"value ignored where none": {`{"a":1}`, `[{"op":"remove","path":"/inputs/a","value":{}}]`, `{}`},
		"replace the section":      {`{"a":1}`, `[{"op":"replace","path":"/inputs","value":{"b":2}}]`, `{"b":2}`},
		"remove the section":       {`{"a":1}`, `[{"op":"remove","path":"/inputs"}]`, `{}`},
		"section set to null":      {`{"a":1}`, `[{"op":"replace","path":"/inputs","value":null}]`, `{}`},
		"section removed, added":   {`{"a":1}`, `[{"op":"remove","path":"/inputs"},{"op":"add","path":"/inputs","value":{}},{"op":"add","path":"/inputs/b","value":2}]`, `{"b":2}`},
		"section not valid midway": {`{"a":1}`, `[{"op":"replace","path":"/inputs","value":[{"b":2}]},{"op":"move","from":"/inputs/0","path":"/inputs"}]`, `{"b":2}`},
		"sanitised":                {`{}`, `[{"op":"add","path":"/inputs/a\u0000b","value":"x\u0000y"}]`, `{"ab":"xy"}`},
		"whitespace":               {`{}`, " [ { \"op\" : \"add\" , \"path\" : \"/inputs/a\" , \"value\" : [ 1 , { } ] } ] ", `{"a":[1,{}]}`},
		"escaped op and names":     {`{}`, `[{"\u006fp":"\u0061dd","p\u0061th":"\/inputs\/a","value":{"\u0062":1}},{"op":"test","path":"/inputs/a/b","value":1}]`, `{"a":{"b":1}}`},
	} {
		t.Run(name, func(t *testing.T) {
			r := defaultRules()
			cur := inputsOf(t, r, test.doc)
			got, err := operated(r, cur, test.ops)
			require.NoError(t, err)
			assert.Equal(t, test.want, string(got.Inputs))
			assert.Equal(t, test.doc, string(cur.Inputs))
			got.Inputs = cur.Inputs
			assert.True(t, cur.Equal(got), "the other sections")
		})
	}
}

func TestOperationsAcrossSections(t *testing.T) {
	r := defaultRules()
	cur := sectionsOf(t, r, `{"user":{"id":"u","roles":["r"]},"inputs":{"a":{"x":1}},"meta":{"m":2}}`)
	got, err := operated(r, cur, `[
		{"op":"move","from":"/inputs/a","path":"/results/a"},
		{"op":"copy","from":"/user/roles","path":"/meta/roles"},
		{"op":"add","path":"/user/roles/-","value":"s"},
		{"op":"replace","path":"/user/email","value":"e"},
		{"op":"copy","from":"/meta","path":"/apiConfig"}]`)
	require.NoError(t, err)
	want := sectionsOf(t, r, `{"user":{"id":"u","email":"e","roles":["r","s"]},"results":{"a":{"x":1}},
		"apiConfig":{"m":2,"roles":["r"]},"meta":{"m":2,"roles":["r"]}}`)
	assert.True(t, want.Equal(got), "%s", got)
	assert.Equal(t, []string{"r"}, cur.User.Roles)

	got, err = operated(r, got, `[{"op":"move","from":"/meta","path":"/inputs"},{"op":"remove","path":"/user"}]`)
	require.NoError(t, err)
	assert.JSONEq(t, `{"m":2,"roles":["r"]}`, string(got.Inputs))
	assert.Equal(t, `{}`, string(got.Meta))
	assert.Nil(t, got.User)

	got, err = operated(r, got, `[{"op":"test","path":"/user","value":null},{"op":"add","path":"/user","value":{"id":"v"}}]`)
	require.NoError(t, err)
	assert.Equal(t, &schema.User{ID: "v", Roles: []string{}}, got.User)
}

func TestOperationsTestForEquality(t *testing.T) {
	for _, test := range []struct {
		stored, value string
		want          bool
	}{
		{`1`, `1`, true},
		{`1`, `1.0`, true},
		{`1`, `1e0`, true},
		{`10`, `1E1`, true},
		{`1`, `10e-1`, true},
		{`100`, `1e2`, true},
		{`0.001`, `1e-3`, true},
		{`1`, `2`, false},
		{`1`, `-1`, false},
		{`10`, `1`, false},
		{`0`, `-0`, true},
		{`0`, `0.000`, true},
		{`0`, `0e9999999999999999999999`, true},
		{`0`, `1e-400`, false},
		{`1e300`, `10e299`, true},
		{`1e300`, `1e301`, false},
		{`9007199254740993`, `9007199254740992`, false},
		{`9007199254740993`, `9007199254740993.0`, true},
		{`0.1`, `0.10`, true},
		{`0.1`, `0.01`, false},
		{`12345678901234567890123456789`, `1.2345678901234567890123456789e28`, true},
		{`1e-99999999999999999999`, `1e-99999999999999999999`, true},
		{`1e-99999999999999999999`, `1e-99999999999999999998`, false},
		{`1`, `"1"`, false},
		{`1`, `true`, false},
		{`1`, `null`, false},
		{`"a"`, `"\u0061"`, true},
		{`"\ud83d\ude00"`, `"😀"`, true},
		{`"/"`, `"\/"`, true},
		{`"a"`, `"A"`, false},
		{`"é"`, `"e\u0301"`, false},
		{`""`, `""`, true},
		{`""`, `"x"`, false},
		{`"\n"`, `"\u000a"`, true},
		{`"a"`, `"\u0061\u0061\u0061\u0061\u0061\u0061\u0061\u0061"`, false},
		{`null`, `null`, true},
		{`null`, `false`, false},
		{`false`, `false`, true},
		{`true`, `false`, false},
		{`null`, `{}`, false},
		{`{}`, `[]`, false},
		{`[]`, `[]`, true},
		{`[null]`, `[null]`, true},
		{`[]`, `[null]`, false},
		{`[1,2]`, `[2,1]`, false},
		{`[1,2]`, `[1]`, false},
		{`[1]`, `[1,2]`, false},
		{`[1,[2.0]]`, `[1.0,[2]]`, true},
		{`{"a":1,"b":2}`, `{"b":2,"a":1}`, true},
		{`{"a":1}`, `{"a":1,"b":2}`, false},
		{`{"a":1,"b":2}`, `{"a":1}`, false},
		{`[1,2,3]`, `[1,2]`, false},
		{`[1,2]`, `{"0":1,"1":2}`, false},
		{`{"a":1}`, `[1]`, false},
		{`"` + strings.Repeat("a", 40) + `\\\""`, `"` + strings.Repeat("a", 40) + `\u005c\u0022"`, true},
		{`{"a":null}`, `{}`, false},
		{`{"a":null}`, `{"b":null}`, false},
		{`{"a":{"b":[1]}}`, `{"\u0061":{"b":[1.0]}}`, true},
		{`{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9}`, `{"i":9,"h":8,"g":7,"f":6,"e":5,"d":4,"c":3,"b":2,"a":1}`, true},
		{`{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9}`, `{"i":9,"h":8,"g":7,"f":6,"e":5,"d":4,"c":3,"b":2,"x":1}`, false},
	} {
		r := defaultRules()
		cur := inputsOf(t, r, `{"x":`+test.stored+`}`)
		op := `{"op":"test","path":"/inputs/x","value":` + test.value + `}`
		got, err := operated(r, cur, `[`+op+`]`)
		// Once something was led into the value it is no longer compared as text.
		_, err2 := operated(r, inputsOf(t, r, `{"y":[{"x":`+test.stored+`}]}`),
			`[{"op":"add","path":"/inputs/y/0/z","value":0},{"op":"remove","path":"/inputs/y/0/z"},
			{"op":"test","path":"/inputs/y","value":[{"x":`+test.value+`}]}]`)
		if test.want {
			require.NoError(t, err, op)
			require.NoError(t, err2, op)
			assert.True(t, cur.Equal(got))
		} else {
			assert.Equal(t, []string{"/0/value"}, pointers(requireError(t, err, schema.CodePatchTestFailed)), "%s %s", test.stored, op)
			requireError(t, err2, schema.CodePatchTestFailed)
		}
	}
}

// A value that an operation led into is compared in another way than text.
func TestOperationsTestWhatWasChanged(t *testing.T) {
	const change = `{"op":"add","path":"/inputs/a/0/n","value":[1]},{"op":"add","path":"/inputs/a/0/n/0","value":0}`
	for value, want := range map[string]bool{
		`[{"m":2,"n":[0,1]},3]`: true, `[{"n":[0,1.0],"m":2e0},3]`: true,
		`[{"m":2,"n":[0,1]}]`: false, `[{"m":2,"n":[0,1]},3,4]`: false, `[{"m":2,"n":[0]},3]`: false,
		`[{"m":2},3]`: false, `[{"m":2,"n":[0,1],"o":1},3]`: false, `[{"m":2,"o":[0,1]},3]`: false,
		`{"0":1}`: false, `[[0,1],3]`: false, `[null,3]`: false, `[{"m":2,"n":{}},3]`: false, `"x"`: false,
	} {
		r := defaultRules()
		_, err := operated(r, inputsOf(t, r, `{"a":[{"m":2},3]}`), `[`+change+`,{"op":"test","path":"/inputs/a","value":`+value+`}]`)
		if want {
			require.NoError(t, err, value)
		} else {
			assert.Equal(t, []string{"/2/value"}, pointers(requireError(t, err, schema.CodePatchTestFailed)), value)
		}
	}
}

func TestOperationsRefuseNumbersOutOfRange(t *testing.T) {
	for value, at := range map[string]string{
		`1e400`: "/1/value", `{"a":[0,-1e400]}`: "/1/value/a/1", strings.Repeat("9", 5000): "/1/value", `[[1e309]]`: "/1/value/0/0",
	} {
		for _, op := range []string{"add", "replace", "test"} {
			_, err := defaultRules().DecodeOperations([]byte(`[{"op":"add","path":"/inputs/a","value":1},{"op":"` + op + `","path":"/inputs/a","value":` + value + `}]`))
			assert.Equal(t, []string{at}, pointers(requireError(t, err, schema.CodeValidationFailed)), value)
		}
	}
	_, err := defaultRules().DecodeOperations([]byte(`[{"op":"remove","path":"/inputs/a","other":1e400}]`))
	assert.Equal(t, []string{"/0/other"}, pointers(requireError(t, err, schema.CodeValidationFailed)), "in what is ignored, too")
	_, err = defaultRules().DecodeOperations([]byte(`[]`))
	require.NoError(t, err, "no operations")
}

func TestOperationsTestOfAbsurdlyLongNumbers(t *testing.T) {
	r := defaultRules()
	long := "0." + strings.Repeat("0", 5000) + "1"
	cur := inputsOf(t, r, `{"x":`+long+`}`)
	_, err := operated(r, cur, `[{"op":"test","path":"/inputs/x","value":`+long+`}]`)
	require.NoError(t, err)
	_, err = operated(r, cur, `[{"op":"test","path":"/inputs/x","value":1e-5001}]`)
	requireError(t, err, schema.CodePatchTestFailed)
}

// Whatever fails, fails as a whole: Apply returns no sections.
func TestOperationsThatCannotBeApplied(t *testing.T) {
	const doc = `{"user":{"id":"u","roles":["r"]},"inputs":{"a":[1,2],"s":"text","n":null,"o":{"":{}}}}`
	first := `{"op":"add","path":"/meta/first","value":1},`
	for name, test := range map[string]struct {
		op      string
		code    schema.Code
		pointer string
	}{
		"remove nothing":             {`{"op":"remove","path":"/inputs/x"}`, schema.CodePatchFailed, "/1/path"},
		"remove past the end":        {`{"op":"remove","path":"/inputs/a/2"}`, schema.CodePatchFailed, "/1/path"},
		"remove the place after":     {`{"op":"remove","path":"/inputs/a/-"}`, schema.CodePatchFailed, "/1/path"},
		"replace nothing":            {`{"op":"replace","path":"/inputs/x","value":1}`, schema.CodePatchFailed, "/1/path"},
		"replace the empty name":     {`{"op":"replace","path":"/inputs/","value":1}`, schema.CodePatchFailed, "/1/path"},
		"replace the place after":    {`{"op":"replace","path":"/inputs/a/-","value":1}`, schema.CodePatchFailed, "/1/path"},
		"replace past the end":       {`{"op":"replace","path":"/inputs/a/2","value":1}`, schema.CodePatchFailed, "/1/path"},
		"add past the end":           {`{"op":"add","path":"/inputs/a/3","value":1}`, schema.CodePatchFailed, "/1/path"},
		"add far past the end":       {`{"op":"add","path":"/inputs/a/99999999999999999999","value":1}`, schema.CodePatchFailed, "/1/path"},
		"leading zero":               {`{"op":"replace","path":"/inputs/a/01","value":1}`, schema.CodePatchFailed, "/1/path"},
		"zero zero":                  {`{"op":"replace","path":"/inputs/a/00","value":1}`, schema.CodePatchFailed, "/1/path"},
		"plus sign":                  {`{"op":"replace","path":"/inputs/a/+1","value":1}`, schema.CodePatchFailed, "/1/path"},
		"negative index":             {`{"op":"replace","path":"/inputs/a/-1","value":1}`, schema.CodePatchFailed, "/1/path"},
		"negative zero":              {`{"op":"replace","path":"/inputs/a/-0","value":1}`, schema.CodePatchFailed, "/1/path"},
		"fraction":                   {`{"op":"replace","path":"/inputs/a/1.0","value":1}`, schema.CodePatchFailed, "/1/path"},
		"index of no digits":         {`{"op":"add","path":"/inputs/a/x","value":1}`, schema.CodePatchFailed, "/1/path"},
		"empty index":                {`{"op":"add","path":"/inputs/a/","value":1}`, schema.CodePatchFailed, "/1/path"},
		"other digits":               {`{"op":"replace","path":"/inputs/a/١","value":1}`, schema.CodePatchFailed, "/1/path"},
		"into a string":              {`{"op":"add","path":"/inputs/s/0","value":1}`, schema.CodePatchFailed, "/1/path"},
		"into null":                  {`{"op":"add","path":"/inputs/n/x","value":1}`, schema.CodePatchFailed, "/1/path"},
		"through nothing":            {`{"op":"add","path":"/inputs/x/y","value":1}`, schema.CodePatchFailed, "/1/path"},
		"through the place after":    {`{"op":"add","path":"/inputs/a/-/x","value":1}`, schema.CodePatchFailed, "/1/path"},
		"copy from nothing":          {`{"op":"copy","from":"/inputs/x","path":"/inputs/y"}`, schema.CodePatchFailed, "/1/from"},
		"copy to nowhere":            {`{"op":"copy","from":"/inputs/a","path":"/inputs/x/y"}`, schema.CodePatchFailed, "/1/path"},
		"move from nothing":          {`{"op":"move","from":"/inputs/x","path":"/inputs/y"}`, schema.CodePatchFailed, "/1/from"},
		"move nothing to itself":     {`{"op":"move","from":"/inputs/x","path":"/inputs/x"}`, schema.CodePatchFailed, "/1/from"},
		"move to what it leaves":     {`{"op":"move","from":"/inputs/a/1","path":"/inputs/a/2"}`, schema.CodePatchFailed, "/1/path"},
		"move from a bad index":      {`{"op":"move","from":"/inputs/a/01","path":"/inputs/y"}`, schema.CodePatchFailed, "/1/from"},
		"into a section taken away":  {`{"op":"remove","path":"/inputs"},{"op":"add","path":"/inputs/a","value":1}`, schema.CodePatchFailed, "/2/path"},
		"test nothing for null":      {`{"op":"test","path":"/inputs/x","value":null}`, schema.CodePatchTestFailed, "/1/path"},
		"test the empty name":        {`{"op":"test","path":"/inputs/","value":null}`, schema.CodePatchTestFailed, "/1/path"},
		"test through nothing":       {`{"op":"test","path":"/inputs/x/y","value":1}`, schema.CodePatchTestFailed, "/1/path"},
		"test past the end":          {`{"op":"test","path":"/inputs/a/2","value":1}`, schema.CodePatchTestFailed, "/1/path"},
		"test the place after":       {`{"op":"test","path":"/inputs/a/-","value":2}`, schema.CodePatchTestFailed, "/1/path"},
		"test of a bad index":        {`{"op":"test","path":"/inputs/a/01","value":2}`, schema.CodePatchFailed, "/1/path"},
		"test of another value":      {`{"op":"test","path":"/inputs/a","value":[1,3]}`, schema.CodePatchTestFailed, "/1/value"},
		"result: user without id":    {`{"op":"remove","path":"/user/id"}`, schema.CodeValidationFailed, "/1"},
		"result: user of no kind":    {`{"op":"replace","path":"/user","value":[]}`, schema.CodeValidationFailed, "/1"},
		"result: unknown user field": {`{"op":"add","path":"/user/name","value":"x"}`, schema.CodeValidationFailed, "/1"},
		"result: role no string":     {`{"op":"add","path":"/user/roles/0","value":1}`, schema.CodeValidationFailed, "/1"},
		"result: section an array":   {`{"op":"replace","path":"/meta","value":[]}`, schema.CodeValidationFailed, "/1"},
		"result: section a string":   {`{"op":"move","from":"/inputs/s","path":"/results"}`, schema.CodeValidationFailed, "/1"},
		"result: names the same":     {`{"op":"add","path":"/inputs/s\u0000","value":1}`, schema.CodeValidationFailed, "/1"},
		"result: hidden __proto__":   {`{"op":"add","path":"/inputs/__pro\u0000to__","value":1}`, schema.CodeValidationFailed, "/1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := defaultRules()
			cur := sectionsOf(t, r, doc)
			got, err := operated(r, cur, `[`+first+test.op+`]`)
			assert.Equal(t, []string{test.pointer}, pointers(requireError(t, err, test.code)))
			assert.Equal(t, schema.Sections{}, got)
			assert.True(t, cur.Equal(sectionsOf(t, r, doc)), "what is there stays as it is")
		})
	}
}

func TestDecodeOperationsRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		code schema.Code
		want []string
	}{
		"empty":                {``, schema.CodeInvalidJSON, nil},
		"null":                 {`null`, schema.CodeInvalidJSON, nil},
		"object":               {`{"op":"remove","path":"/inputs/a"}`, schema.CodeInvalidJSON, nil},
		"string":               {`"[]"`, schema.CodeInvalidJSON, nil},
		"trailing":             {`[] []`, schema.CodeInvalidJSON, nil},
		"duplicate":            {`[{"op":"test","path":"/inputs/a","value":{"a":1,"\u0061":2}}]`, schema.CodeInvalidJSON, []string{"/0/value/a"}},
		"too deep":             {`[{"op":"add","path":"/inputs/a","value":` + nested(63) + `}]`, schema.CodeInvalidJSON, nil},
		"too deep, ignored":    {`[{"op":"remove","path":"/inputs/a","x":` + nested(63) + `}]`, schema.CodeInvalidJSON, nil},
		"too deep, no object":  {`[` + nested(64) + `]`, schema.CodeInvalidJSON, nil},
		"elements no objects":  {`[1,[],null,"x"]`, schema.CodePatchFailed, []string{"/0", "/1", "/2", "/3"}},
		"nothing in it":        {`[{}]`, schema.CodePatchFailed, []string{"/0/op", "/0/path"}},
		"op missing":           {`[{"path":"/inputs/a"}]`, schema.CodePatchFailed, []string{"/0/op"}},
		"op unknown":           {`[{"op":"merge","path":"/inputs/a"}]`, schema.CodePatchFailed, []string{"/0/op"}},
		"op wrong case":        {`[{"op":"Add","path":"/inputs/a","value":1}]`, schema.CodePatchFailed, []string{"/0/op"}},
		"op empty":             {`[{"op":"","path":"/inputs/a"}]`, schema.CodePatchFailed, []string{"/0/op"}},
		"op no string":         {`[{"op":1,"path":"/inputs/a"}]`, schema.CodePatchFailed, []string{"/0/op"}},
		"path missing":         {`[{"op":"remove"}]`, schema.CodePatchFailed, []string{"/0/path"}},
		"path no string":       {`[{"op":"remove","path":["inputs"]}]`, schema.CodePatchFailed, []string{"/0/path"}},
		"path null":            {`[{"op":"remove","path":null}]`, schema.CodePatchFailed, []string{"/0/path"}},
		"from missing":         {`[{"op":"move","path":"/inputs/a"},{"op":"copy","path":"/inputs/a"}]`, schema.CodePatchFailed, []string{"/0/from", "/1/from"}},
		"value missing":        {`[{"op":"add","path":"/inputs/a"},{"op":"replace","path":"/inputs/a"},{"op":"test","path":"/inputs/a"}]`, schema.CodePatchFailed, []string{"/0/value", "/1/value", "/2/value"}},
		"root":                 {`[{"op":"replace","path":"","value":{}}]`, schema.CodePatchFailed, []string{"/0/path"}},
		"test of the root":     {`[{"op":"test","path":"","value":{}}]`, schema.CodePatchFailed, []string{"/0/path"}},
		"from the root":        {`[{"op":"copy","from":"","path":"/inputs/a"}]`, schema.CodePatchFailed, []string{"/0/from"}},
		"empty name":           {`[{"op":"remove","path":"/"}]`, schema.CodePatchFailed, []string{"/0/path"}},
		"no slash":             {`[{"op":"remove","path":"inputs/a"}]`, schema.CodePatchFailed, []string{"/0/path"}},
		"URI fragment":         {`[{"op":"remove","path":"#/inputs/a"}]`, schema.CodePatchFailed, []string{"/0/path"}},
		"bad escape":           {`[{"op":"remove","path":"/inputs/~2"}]`, schema.CodePatchFailed, []string{"/0/path"}},
		"cut escape":           {`[{"op":"remove","path":"/inputs/a~"}]`, schema.CodePatchFailed, []string{"/0/path"}},
		"read-only":            {`[{"op":"replace","path":"/id","value":"x"},{"op":"test","path":"/revision","value":1},{"op":"copy","from":"/version","path":"/meta/v"}]`, schema.CodePatchFailed, []string{"/0/path", "/1/path", "/2/from"}},
		"ttlMs":                {`[{"op":"add","path":"/ttlMs","value":1}]`, schema.CodePatchFailed, []string{"/0/path"}},
		"wrong case":           {`[{"op":"remove","path":"/Inputs/a"}]`, schema.CodePatchFailed, []string{"/0/path"}},
		"unknown":              {`[{"op":"add","path":"/foo","value":1}]`, schema.CodePatchFailed, []string{"/0/path"}},
		"very long path":       {`[{"op":"remove","path":"/inputs` + strings.Repeat("/", 300_000) + `"}]`, schema.CodePatchFailed, []string{"/0/path"}},
		"move into itself":     {`[{"op":"move","from":"/inputs/a","path":"/inputs/a/b"}]`, schema.CodePatchFailed, []string{"/0/path"}},
		"move into element":    {`[{"op":"move","from":"/inputs/a/0","path":"/inputs/a/0/b/c"}]`, schema.CodePatchFailed, []string{"/0/path"}},
		"move into, escaped":   {`[{"op":"move","from":"/inputs","path":"/inp\u0075ts/b"}]`, schema.CodePatchFailed, []string{"/0/path"}},
		"long path":            {`[{"op":"add","path":"/inputs` + strings.Repeat("/a", 64) + `","value":1}]`, schema.CodePatchFailed, []string{"/0/path"}},
		"__proto__ in a path":  {`[{"op":"add","path":"/inputs/__proto__","value":1}]`, schema.CodeValidationFailed, []string{"/0/path"}},
		"__proto__ on the way": {`[{"op":"add","path":"/meta/a/__proto__/b","value":1}]`, schema.CodeValidationFailed, []string{"/0/path"}},
		"constructor in from":  {`[{"op":"copy","from":"/inputs/constructor","path":"/inputs/b"}]`, schema.CodeValidationFailed, []string{"/0/from"}},
		"__proto__ in a value": {`[{"op":"add","path":"/inputs/a","value":[{"b":{"__proto__":null}}]}]`, schema.CodeValidationFailed, []string{"/0/value/0/b/__proto__"}},
		"forbidden in a path":  {`[{"op":"add","path":"/inputs/Password","value":1}]`, schema.CodeValidationFailed, []string{"/0/path"}},
		"forbidden in a value": {`[{"op":"test","path":"/inputs/a","value":{"PASSWORD":1}}]`, schema.CodeValidationFailed, []string{"/0/value/PASSWORD"}},
		"all at once":          {`[{"op":"x","path":"/y"},{"op":"add","path":"/inputs/prototype","value":{"prototype":1}}]`, schema.CodePatchFailed, []string{"/0/op", "/0/path", "/1/path", "/1/value/prototype"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := defaultRules()
			r.ForbiddenKeys = []string{"password", "email"}
			ops, err := r.DecodeOperations([]byte(test.body))
			assert.ElementsMatch(t, test.want, pointers(requireError(t, err, test.code)))
			assert.Nil(t, ops)
		})
	}
}

// A setting can forbid what is stored already. It must not stand in the way of
// changes elsewhere, nor of taking it out.
func TestOperationsOnWhatHasBecomeForbidden(t *testing.T) {
	cur := inputsOf(t, defaultRules(), `{"password":"x","b":1}`)
	r := defaultRules()
	r.ForbiddenKeys = []string{"password"}
	got, err := operated(r, cur, `[{"op":"test","path":"/inputs/b","value":1},{"op":"copy","from":"/inputs/b","path":"/meta/b"}]`)
	require.NoError(t, err)
	assert.Equal(t, `{"b":1}`, string(got.Meta))

	_, err = operated(r, cur, `[{"op":"replace","path":"/inputs/b","value":2}]`)
	e := requireError(t, err, schema.CodeValidationFailed)
	assert.Equal(t, []schema.FieldError{{Pointer: "/0", Detail: "makes /inputs/password invalid: this member name is not allowed"}}, e.Fields)

	got, err = operated(r, cur, `[{"op":"replace","path":"/inputs","value":{}}]`)
	require.NoError(t, err)
	assert.Equal(t, `{}`, string(got.Inputs))
}

func TestOperationsMayWriteTheUsersOwnFields(t *testing.T) {
	r := defaultRules()
	r.ForbiddenKeys = []string{"email"}
	got, err := operated(r, sectionsOf(t, r, `{"user":{"id":"u"}}`), `[{"op":"replace","path":"/user/email","value":"e"}]`)
	require.NoError(t, err)
	assert.Equal(t, "e", got.User.Email)
}

func TestOperationsAskForNoTTL(t *testing.T) {
	ops, err := defaultRules().DecodeOperations([]byte(`[]`))
	require.NoError(t, err)
	_, ok := ops.TTL()
	assert.False(t, ok)
}

func TestOperationsAreAtMost1000(t *testing.T) {
	body := func(n int) string {
		return `[{"op":"add","path":"/inputs/a","value":[]}` + strings.Repeat(`,{"op":"add","path":"/inputs/a/-","value":1}`, n-1) + `]`
	}
	r := defaultRules()
	got, err := operated(r, schema.EmptySections(), body(1000))
	require.NoError(t, err)
	assert.Equal(t, 999, strings.Count(string(got.Inputs), "1"))
	_, err = operated(r, schema.EmptySections(), body(1001))
	requireError(t, err, schema.CodePatchFailed)
}

func TestOperationsCannotCopyWithoutEnd(t *testing.T) {
	double := `{"op":"copy","from":"/inputs/a","path":"/inputs/a/-"}`
	for _, r := range []*schema.Rules{{MaxBytes: 10_000}, {}} {
		_, err := operated(r, inputsOf(t, r, `{"a":["xxxxxxxxxx"]}`), `[`+double+strings.Repeat(`,`+double, 200)+`]`)
		requireError(t, err, schema.CodeTooLarge)
	}
}

func TestOperationsHoldTheResultToTheDepth(t *testing.T) {
	r := defaultRules()
	cur := inputsOf(t, r, `{"deep":`+nestedObject(40)+`}`)
	end := "/inputs/deep" + strings.Repeat("/a", 39)
	_, err := operated(r, cur, `[{"op":"copy","from":"/inputs/deep","path":"`+end+`/b"}]`)
	assert.Equal(t, []string{"/0/path"}, pointers(requireError(t, err, schema.CodePatchFailed)))

	_, err = operated(r, cur, `[{"op":"copy","from":"/inputs/deep","path":"`+end+`/b"},{"op":"remove","path":"`+end+`/b/a/a/a"}]`)
	require.NoError(t, err, "only the result counts")

	_, err = operated(r, cur, `[{"op":"add","path":"`+end+`/b","value":`+nested(22)+`}]`)
	require.NoError(t, err, "64 deep")
	_, err = operated(r, cur, `[{"op":"add","path":"`+end+`/b","value":`+nested(23)+`}]`)
	requireError(t, err, schema.CodePatchFailed)
}

func TestOperationsSanitiseWhatComesFromElsewhere(t *testing.T) {
	r := defaultRules()
	cur := sectionsOf(t, r, `{"results":{"a":{"x\u0000":"y\u0000"}}}`)
	got, err := operated(r, cur, `[{"op":"copy","from":"/results/a","path":"/inputs/a"},{"op":"test","path":"/results/a","value":{"x\u0000":"y\u0000"}}]`)
	require.NoError(t, err)
	assert.Equal(t, `{"a":{"x":"y"}}`, string(got.Inputs))
	assert.Equal(t, `{"a":{"x\u0000":"y\u0000"}}`, string(got.Results))
}

func TestOperationsBlameTheLastChangeOfASection(t *testing.T) {
	_, err := operated(defaultRules(), schema.EmptySections(), `[
		{"op":"add","path":"/user","value":{}},{"op":"add","path":"/meta","value":1},
		{"op":"add","path":"/inputs/a","value":1},{"op":"add","path":"/user/email","value":"e"}]`)
	e := requireError(t, err, schema.CodeValidationFailed)
	assert.Equal(t, []schema.FieldError{
		{Pointer: "/3", Detail: "makes /user/id invalid: is required and must not be empty"},
		{Pointer: "/1", Detail: "makes /meta invalid: must be an object or null"},
	}, e.Fields)
}

func TestOperationsCanBeAppliedAgain(t *testing.T) {
	r := defaultRules()
	ops, err := r.DecodeOperations([]byte(`[{"op":"add","path":"/inputs/a","value":{"l":[]}},{"op":"add","path":"/inputs/a/l/-","value":1},
		{"op":"copy","from":"/inputs/a","path":"/meta/a"},{"op":"remove","path":"/meta/a/l/0"}]`))
	require.NoError(t, err)
	for i := range 3 {
		got, err := ops.Apply(inputsOf(t, r, `{"n":`+strconv.Itoa(i)+`}`))
		require.NoError(t, err)
		assert.Equal(t, `{"n":`+strconv.Itoa(i)+`,"a":{"l":[1]}}`, string(got.Inputs))
		assert.Equal(t, `{"a":{"l":[]}}`, string(got.Meta))
	}
}
