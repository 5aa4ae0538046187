package jsonpatch_test

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/jsonpatch"
)

func pointer(t *testing.T, text string) jsonpatch.Pointer {
	t.Helper()
	p, ok := jsonpatch.ParsePointer(text)
	require.True(t, ok, text)
	return p
}

// The examples of RFC 6902, appendix A, on the member "d" of a document.
func TestExamplesOfRFC6902(t *testing.T) {
	for name, tt := range map[string]struct {
		doc, op, path, from, value string
		want, member               string // one of the two
		reason                     jsonpatch.Reason
	}{
		"A.1 adding a member":              {doc: `{"foo":"bar"}`, op: "add", path: "/baz", value: `"qux"`, want: `{"foo":"bar","baz":"qux"}`},
		"A.2 adding an element":            {doc: `{"foo":["bar","baz"]}`, op: "add", path: "/foo/1", value: `"qux"`, want: `{"foo":["bar","qux","baz"]}`},
		"A.3 removing a member":            {doc: `{"baz":"qux","foo":"bar"}`, op: "remove", path: "/baz", want: `{"foo":"bar"}`},
		"A.4 removing an element":          {doc: `{"foo":["bar","qux","baz"]}`, op: "remove", path: "/foo/1", want: `{"foo":["bar","baz"]}`},
		"A.5 replacing a value":            {doc: `{"baz":"qux","foo":"bar"}`, op: "replace", path: "/baz", value: `"boo"`, want: `{"baz":"boo","foo":"bar"}`},
		"A.6 moving a value":               {doc: `{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}`, op: "move", from: "/foo/waldo", path: "/qux/thud", want: `{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}`},
		"A.7 moving an element":            {doc: `{"foo":["all","grass","cows","eat"]}`, op: "move", from: "/foo/1", path: "/foo/3", want: `{"foo":["all","cows","eat","grass"]}`},
		"A.8 a test that holds":            {doc: `{"baz":"qux","foo":["a",2,"c"]}`, op: "test", path: "/foo/1", value: `2`, want: `{"baz":"qux","foo":["a",2,"c"]}`},
		"A.9 a test that does not":         {doc: `{"baz":"qux"}`, op: "test", path: "/baz", value: `"bar"`, member: "value", reason: jsonpatch.TestFailed},
		"A.10 adding an object":            {doc: `{"foo":"bar"}`, op: "add", path: "/child", value: `{"grandchild":{}}`, want: `{"foo":"bar","child":{"grandchild":{}}}`},
		"A.12 adding to what is not there": {doc: `{"foo":"bar"}`, op: "add", path: "/baz/bat", value: `"qux"`, member: "path"},
		"A.14 escapes":                     {doc: `{"/":9,"~1":10}`, op: "test", path: "/~01", value: `10`, want: `{"/":9,"~1":10}`},
		"A.15 a string is no number":       {doc: `{"/":9,"~1":10}`, op: "test", path: "/~01", value: `"10"`, member: "value", reason: jsonpatch.TestFailed},
		"A.16 adding an array":             {doc: `{"foo":["bar"]}`, op: "add", path: "/foo/-", value: `["abc","def"]`, want: `{"foo":["bar",["abc","def"]]}`},
		"from nowhere":                     {doc: `{}`, op: "copy", from: "/a", path: "/b", member: "from"},
		"an index with a zero before it":   {doc: `{"a":[1,2]}`, op: "remove", path: "/a/01", member: "path"},
		"an index beyond the end":          {doc: `{"a":[1,2]}`, op: "add", path: "/a/3", value: `3`, member: "path"},
		"equal numbers":                    {doc: `{"a":[1.50,{"b":0}]}`, op: "test", path: "/a", value: `[15e-1,{"b":-0.0}]`, want: `{"a":[1.50,{"b":0}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			d := jsonpatch.NewDocument(1 << 10)
			d.Set("d", []byte(tt.doc))
			o := jsonpatch.Operation{Op: tt.op, Path: pointer(t, "/d"+tt.path)}
			if tt.from != "" {
				o.From = pointer(t, "/d"+tt.from)
			}
			if tt.value != "" {
				o.Value = jsontext.Value(tt.value)
			}
			err := d.Apply(&o)
			if tt.want != "" {
				require.NoError(t, err)
				assert.Equal(t, tt.want, string(d.Get("d")))
				return
			}
			var failed *jsonpatch.Error
			require.ErrorAs(t, err, &failed)
			assert.Equal(t, tt.member, failed.Member)
			assert.Equal(t, tt.reason, failed.Reason)
		})
	}
}

// Copies cannot grow a document beyond their limit, however they are nested.
func TestCopiesHaveALimit(t *testing.T) {
	d := jsonpatch.NewDocument(1 << 20)
	d.Set("a", []byte(`[`+strings.Repeat(`0,`, 500)+`0]`))
	o := jsonpatch.Operation{Op: jsonpatch.Copy, From: pointer(t, "/a"), Path: pointer(t, "/a/-")}
	for range 100 {
		if err := d.Apply(&o); err != nil {
			var failed *jsonpatch.Error
			require.ErrorAs(t, err, &failed)
			assert.Equal(t, jsonpatch.TooLarge, failed.Reason)
			return
		}
	}
	t.Fatal("a hundred copies of a document into itself passed")
}

func TestPointers(t *testing.T) {
	for _, text := range []string{"a", "/~", "/~2", "/a~", "~0"} {
		_, ok := jsonpatch.ParsePointer(text)
		assert.False(t, ok, text)
	}
	assert.Empty(t, pointer(t, ""))
	assert.Equal(t, "a/b~", pointer(t, "/a~1b~0")[0].Text)
	assert.True(t, pointer(t, "/a/b").Within(pointer(t, "/a")))
	assert.False(t, pointer(t, "/a").Within(pointer(t, "/a")))
	assert.False(t, pointer(t, "/ab/c").Within(pointer(t, "/a")))
}
