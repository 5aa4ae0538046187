package contract_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	contract "session-api"
)

const (
	problemMediaType = "application/problem+json"
	problemSchema    = "#/components/schemas/Problem"
)

func load(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(contract.OpenAPI)
	require.NoError(t, err)
	return doc
}

// operations are the document's operations by method and path.
func operations(t *testing.T, doc *openapi3.T) map[string]*openapi3.Operation {
	t.Helper()
	all := map[string]*openapi3.Operation{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			all[method+" "+path] = op
		}
	}
	require.NotEmpty(t, all)
	return all
}

func TestDocumentIsValid(t *testing.T) {
	doc := load(t)
	require.True(t, doc.IsOpenAPI31OrLater())
	require.NoError(t, doc.Validate(t.Context(), openapi3.EnableExamplesValidation(), openapi3.EnableMultiError()))
}

func TestOperationsAreNamedAndDescribed(t *testing.T) {
	doc := load(t)
	ids := map[string]bool{}
	for name, op := range operations(t, doc) {
		t.Run(name, func(t *testing.T) {
			assert.Regexp(t, `^[a-z][A-Za-z]+$`, op.OperationID)
			assert.False(t, ids[op.OperationID], "%s names another operation as well", op.OperationID)
			ids[op.OperationID] = true

			assert.NotEmpty(t, op.Summary)
			assert.NotEmpty(t, op.Description)
			assert.NotNil(t, op.Security, "says who may call it")
			assert.Len(t, op.Tags, 1)
			for _, tag := range op.Tags {
				assert.NotNil(t, doc.Tags.Get(tag), "tag %s is not declared", tag)
			}
			if op.RequestBody != nil {
				assert.Len(t, op.RequestBody.Value.Content, 1, "client generators want one body type for an operation")
			}
		})
	}
}

func TestErrorsAreProblems(t *testing.T) {
	titles := map[any]any{}
	for name, op := range operations(t, load(t)) {
		t.Run(name, func(t *testing.T) {
			failures := 0
			for status, response := range op.Responses.Map() {
				code, err := strconv.Atoi(status)
				require.NoError(t, err, "a response is for one status")
				if code < http.StatusBadRequest {
					continue
				}
				failures++
				content := response.Value.Content
				if strings.HasPrefix(name, http.MethodHead) {
					assert.Empty(t, content, "%s: an answer to HEAD has no body", status)
					continue
				}
				require.Equal(t, []string{problemMediaType}, slices.Collect(maps.Keys(content)), status)
				assert.Equal(t, problemSchema, content[problemMediaType].Schema.Ref, status)
				for _, problem := range examples(content[problemMediaType]) {
					checkProblem(t, code, problem, titles)
				}
			}
			assert.Positive(t, failures)
		})
	}
}

// checkProblem checks that an example of a problem agrees with its status, with
// itself and with the titles that other examples give its code.
func checkProblem(t *testing.T, status int, example any, titles map[any]any) {
	t.Helper()
	problem, ok := example.(map[string]any)
	require.True(t, ok)
	assert.EqualValues(t, status, problem["status"])
	assert.Equal(t, fmt.Sprint("urn:session-api:problem:", problem["code"]), problem["type"])

	if title, known := titles[problem["code"]]; known {
		assert.Equal(t, title, problem["title"], "%s has one title", problem["code"])
	}
	titles[problem["code"]] = problem["title"]
}

func TestResponsesHaveTheCommonHeaders(t *testing.T) {
	for name, op := range operations(t, load(t)) {
		t.Run(name, func(t *testing.T) {
			for status, response := range op.Responses.Map() {
				for _, header := range []string{"X-Request-Id", "Cache-Control"} {
					require.Contains(t, response.Value.Headers, header, status)
					assert.True(t, response.Value.Headers[header].Value.Required, "%s %s", status, header)
				}
			}
		})
	}
}

func TestBodiesHaveExamples(t *testing.T) {
	for name, op := range operations(t, load(t)) {
		t.Run(name, func(t *testing.T) {
			if op.RequestBody != nil {
				requireExamples(t, op.RequestBody.Value.Content, openapi3.VisitAsRequest())
			}
			for _, response := range op.Responses.Map() {
				requireExamples(t, response.Value.Content, openapi3.VisitAsResponse())
			}
		})
	}
}

// requireExamples checks that each media type has an example, and that each
// example is what a client or the service could really send.
func requireExamples(t *testing.T, content openapi3.Content, direction openapi3.SchemaValidationOption) {
	t.Helper()
	for mediaType, media := range content {
		values := examples(media)
		require.NotEmpty(t, values, mediaType)
		if media.Schema == nil {
			continue
		}
		for name, value := range values {
			assert.NoError(t, media.Schema.Value.VisitJSON(value, direction, openapi3.EnableJSONSchema2020()), "%s %s", mediaType, name)
		}
	}
}

// examples are the examples of a media type by name.
func examples(media *openapi3.MediaType) map[string]any {
	values := map[string]any{}
	if media.Example != nil {
		values["example"] = media.Example
	}
	for name, example := range media.Examples {
		values[name] = example.Value.Value
	}
	return values
}

func TestEveryProblemCodeIsExplained(t *testing.T) {
	doc := load(t)
	codes := doc.Components.Schemas["ProblemCode"].Value.Enum
	require.NotEmpty(t, codes)
	for _, code := range codes {
		assert.Equal(t, 1, strings.Count(doc.Info.Description, "\n| `"+code.(string)+"` |"), "%s in the table of codes", code)
	}
	assert.Equal(t, len(codes), strings.Count(doc.Info.Description, "\n| `"), "the table has no other codes")
}
