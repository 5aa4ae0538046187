package schema_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
)

// defaultRules are rules as the service has them without any settings.
func defaultRules() *schema.Rules {
	return &schema.Rules{MaxBytes: 1 << 20, MaxTTL: 30 * 24 * time.Hour, Sanitize: schema.SanitizeControls}
}

// sectionsOf returns what the body of a PUT makes of empty sections.
func sectionsOf(t require.TestingT, r *schema.Rules, body string) schema.Sections {
	in, err := r.DecodeInput([]byte(body))
	require.NoError(t, err)
	sec, err := in.Apply(schema.EmptySections())
	require.NoError(t, err)
	return sec
}

// inputsOf returns sections with the inputs.
func inputsOf(t require.TestingT, r *schema.Rules, inputs string) schema.Sections {
	return sectionsOf(t, r, `{"inputs":`+inputs+`}`)
}

// requireError requires err to be a *schema.Error of the code and returns it.
func requireError(t require.TestingT, err error, code schema.Code) *schema.Error {
	var e *schema.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Code, "%v", err)
	require.NotEmpty(t, e.Detail)
	return e
}

// pointers returns the pointers of the field errors of an error.
func pointers(e *schema.Error) []string {
	var out []string
	for _, f := range e.Fields {
		out = append(out, f.Pointer)
	}
	return out
}

// nested returns an array that nests depth deep.
func nested(depth int) string {
	return strings.Repeat("[", depth) + strings.Repeat("]", depth)
}

// nestedObject returns an object that nests depth deep.
func nestedObject(depth int) string {
	return strings.Repeat(`{"a":`, depth-1) + "{}" + strings.Repeat("}", depth-1)
}

// decoders are all functions that read a body with sections, by name.
var decoders = map[string]func(*schema.Rules, []byte) (schema.Change, error){
	"input": func(r *schema.Rules, body []byte) (schema.Change, error) {
		return orNil(r.DecodeInput(body))
	},
	"merge patch": func(r *schema.Rules, body []byte) (schema.Change, error) {
		return orNil(r.DecodeMergePatch(body))
	},
}

// orNil turns a nil pointer into a nil Change.
func orNil[C schema.Change](c C, err error) (schema.Change, error) {
	if err != nil {
		return nil, err
	}
	return c, nil
}

// forEachDecoder runs the test once for each of the decoders.
func forEachDecoder(t *testing.T, test func(t *testing.T, decode func(*schema.Rules, []byte) (schema.Change, error))) {
	t.Helper()
	for name, decode := range decoders {
		t.Run(name, func(t *testing.T) { test(t, decode) })
	}
}

func TestErrorNamesEverythingButValues(t *testing.T) {
	err := error(&schema.Error{
		Code: schema.CodeValidationFailed, Detail: "the body is not valid",
		Fields: []schema.FieldError{{Pointer: "/a", Detail: "one"}, {Pointer: "/b", Detail: "two"}},
	})
	assert.EqualError(t, err, "validation_failed: the body is not valid; /a: one; /b: two")
}

// Whatever is wrong with a body, the answer must not repeat what was sent.
func TestErrorsNeverQuoteValues(t *testing.T) {
	r := defaultRules()
	r.ForbiddenKeys = []string{"password"}
	const secret = "hunter2"
	bodies := []string{
		`{"inputs":{"password":"hunter2"}}`, `{"inputs":"hunter2"}`, `{"user":{"id":"hunter2\u0000"}}`,
		`{"user":"hunter2"}`, `{"ttlMs":"hunter2"}`, `{"inputs":{"a":hunter2}}`, `{"inputs":"hunter2`,
		`"hunter2"`, `{"inputs":{}} hunter2`, `{"user":{"id":"a","roles":"hunter2"}}`, `["hunter2"]`,
		`{"user":{"id":"a","email":["hunter2"]}}`, "{\"inputs\":\"hunter2\xff\"}",
	}
	for _, body := range bodies {
		for name, decode := range decoders {
			_, err := decode(r, []byte(body))
			require.Error(t, err, "%s: %s", name, body)
			assert.NotContains(t, err.Error(), secret, body)
		}
	}
	operations := []string{
		`[{"op":"hunter2","path":"/inputs/a"}]`, `[{"op":"add","path":"hunter2","value":1}]`,
		`["hunter2"]`, `[{"op":"test","path":"/inputs/a","value":"hunter2"}]`,
		`[{"op":"add","path":"/inputs/a/b/hunter2","value":1}]`,
		`[{"op":"add","path":"/user","value":{"id":"hunter2","x":1}}]`,
		`[{"op":"add","path":"/inputs","value":"hunter2"}]`,
	}
	for _, body := range operations {
		ops, err := r.DecodeOperations([]byte(body))
		if err == nil {
			_, err = ops.Apply(schema.EmptySections())
		}
		require.Error(t, err, body)
		assert.NotContains(t, err.Error(), secret, body)
	}
}

func TestErrorsStaySmall(t *testing.T) {
	r := defaultRules()
	long := strings.Repeat("n", 300_000)
	many := make([]string, 200)
	for i := range many {
		many[i] = `"` + strings.Repeat("x", i+1) + `":1`
	}
	for name, body := range map[string]string{
		"long name":         `{"inputs":{"` + long + `":{"__proto__":1}}}`,
		"longish names":     `{"inputs":{"` + long[:600] + `":{"` + long[:601] + `":{"__proto__":1}}}}`,
		"long duplicate":    `{"inputs":{"` + long + `":1,"` + long + `":2}}`,
		"unknown name":      `{"` + long + `":1}`,
		"many field errors": `{` + strings.Join(many, ",") + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := r.DecodeInput([]byte(body))
			var e *schema.Error
			require.ErrorAs(t, err, &e)
			assert.NotEmpty(t, e.Fields)
			assert.Less(t, len(err.Error()), 16<<10)
		})
	}
}

func TestRulesAndChangesMayBeShared(t *testing.T) {
	r := defaultRules()
	r.Sanitize = schema.SanitizeHTML
	ops, err := r.DecodeOperations([]byte(`[{"op":"add","path":"/inputs/o/l/-","value":"<b>x"},{"op":"copy","from":"/inputs/o","path":"/meta/o"}]`))
	require.NoError(t, err)
	patch, err := r.DecodeMergePatch([]byte(`{"inputs":{"o":{"m":{"n":null}}}}`))
	require.NoError(t, err)
	cur := inputsOf(t, r, `{"o":{"l":["<i>AT&T</i>"]}}`)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				next, err := ops.Apply(cur)
				if !assert.NoError(t, err) {
					return
				}
				next, err = patch.Apply(next)
				assert.NoError(t, err)
				assert.Equal(t, `{"o":{"l":["AT&T","x"],"m":{}}}`, string(next.Inputs))
				assert.Equal(t, `{"o":{"l":["AT&T","<b>x"]}}`, string(next.Meta))
			}
		})
	}
	all.Wait()
}

func TestSectionsEqual(t *testing.T) {
	full := func() schema.Sections {
		return schema.Sections{
			User:   &schema.User{ID: "u", Email: "e", Roles: []string{"r"}},
			Inputs: jsontext.Value(`{"a":1}`), APIConfig: jsontext.Value(`{}`),
			Results: jsontext.Value(`{}`), Meta: jsontext.Value(`{}`),
		}
	}
	assert.True(t, full().Equal(full()))
	for name, change := range map[string]func(*schema.Sections){
		"no user":    func(s *schema.Sections) { s.User = nil },
		"user id":    func(s *schema.Sections) { s.User.ID = "v" },
		"user email": func(s *schema.Sections) { s.User.Email = "f" },
		"user roles": func(s *schema.Sections) { s.User.Roles = nil },
		"inputs":     func(s *schema.Sections) { s.Inputs = jsontext.Value(`{"a":2}`) },
		"apiConfig":  func(s *schema.Sections) { s.APIConfig = jsontext.Value(`{"a":2}`) },
		"results":    func(s *schema.Sections) { s.Results = jsontext.Value(`{"a":2}`) },
		"meta":       func(s *schema.Sections) { s.Meta = jsontext.Value(`{"a":2}`) },
	} {
		t.Run(name, func(t *testing.T) {
			other := full()
			change(&other)
			assert.False(t, full().Equal(other))
			assert.False(t, other.Equal(full()))
		})
	}
	assert.True(t, schema.EmptySections().Equal(schema.EmptySections()))
}

func TestSectionsRoles(t *testing.T) {
	sec := schema.EmptySections()
	assert.Empty(t, sec.Roles())
	sec.User = &schema.User{ID: "u", Roles: []string{"a", "b"}}
	assert.Equal(t, []string{"a", "b"}, sec.Roles())
}
