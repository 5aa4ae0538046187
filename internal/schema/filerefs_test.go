package schema_test

import (
	"encoding/json"
	"fmt"
	gopath "path"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"

	"session-api/internal/schema"
)

func TestFileRefs(t *testing.T) {
	for results, want := range map[string][]string{
		`{}`:                                  nil,
		`{"report":"r.pdf"}`:                  {"r.pdf"},
		`{"report":{"path":"/tmp/r"}}`:        {"/tmp/r"},
		`{"report":""}`:                       nil,
		`{"report":null}`:                     nil,
		`{"report":7}`:                        nil,
		`{"report":["a"]}`:                    {"a"},
		`{"report":{"url":"x"}}`:              {"x"},
		`{"analysis":{"files":["a","b/c"]}}`:  {"a", "b/c"},
		`{"analysis":{"files":[]}}`:           nil,
		`{"analysis":{"files":"a"}}`:          {"a"},
		`{"analysis":{"files":{"path":"a"}}}`: {"a"},
		`{"analysis":["a"]}`:                  nil,
		`{"analysis":"a"}`:                    nil,
		`{"files":["a"]}`:                     {"a"},
		`{"x":{"analysis":{"files":["a"]}}}`:  {"a"},
		`{"analysis":{"files":[{"path":"p"},{"filePath":"fp"},{"file":"f"},{"filename":"fn"},{"name":"n"}]}}`: {"p", "fp", "f", "fn", "n"},
		`{"analysis":{"files":[{"name":"n","filename":"fn","path":"p"}]}}`:                                    {"n", "fn", "p"},
		`{"analysis":{"files":[{"path":"","filePath":null,"file":3,"filename":{},"name":"n"}]}}`:              {"n"},
		`{"analysis":{"files":[{"Path":"a"},{},null,1,true,["x"],"ok"]}}`:                                     {"a", "x", "ok"},
		`{"analysis":{"files":["a","a",{"path":"a"},"b"]},"report":"b"}`:                                      {"a", "b"},
		`{"report":"r","analysis":{"files":["f"]}}`:                                                           {"r", "f"},
		`{"analysis":{"files":["../x","/etc/passwd","a\u0000b","ä \"q\"","a\\b"]}}`:                           {"../x", "/etc/passwd", "a\x00b", `ä "q"`, `a\b`},
		`{"analysis":{"files":["./a","a//b","x/../a","/d/./e/","a/b"]}}`:                                      {"a", "a/b", "/d/e"},

		// what holds files, and all beneath
		`{"artifacts":{"run":{"main":"a","more":["b",{"c":"d"}]}}}`: {"run", "main", "a", "more", "b", "d"},
		`{"files":{"out.csv":{"rows":7},"path":"p"}}`:               {"out.csv", "rows", "p"},
		`{"files":[{"checked":"a","path":"p"}]}`:                    {"a", "p"},
		`{"deep":[[{"attachments":[["a"]]}]]}`:                      {"a"},
		`{"outputs":["a"],"reports":["b"],"output":"c"}`:            {"a", "b", "c"},
		`{"generatedFiles":["a"],"pdf_reports":["b"]}`:              {"a", "b"},
		`{"files":[["a"]],"rows":[["b"]]}`:                          {"a"},

		// what does not name a file
		`{"path":{"to":"a"},"rows":["b"],"text":"c","namely":"d","profile":"e"}`: nil,
		`{"url":"https://example.com/a","uri":"s3://bucket/a"}`:                  nil,
		`{"path":7,"file":true,"name":null}`:                                     nil,
		`{"paths":["a",["b"],{"c":"d"}]}`:                                        {"a", "b"},

		// URIs
		`{"uri":"file:///tmp/a%20b.csv"}`:       {"/tmp/a b.csv", "/tmp/a%20b.csv"},
		`{"path":"FILE://LocalHost/tmp/a"}`:     {"/tmp/a"},
		`{"path":"file:/tmp/a"}`:                {"/tmp/a"},
		`{"uri":"file://elsewhere/tmp/a"}`:      nil,
		`{"uri":"file:///tmp/100%.csv"}`:        {"/tmp/100%.csv"},
		`{"uri":"file:///tmp/latin1-%E9"}`:      {"/tmp/latin1-\xe9", "/tmp/latin1-%E9"},
		`{"files":["file:///tmp/a"]}`:           {"/tmp/a"},
		`{"reportUrl":"/d/a%2Fb.csv?download"}`: {"/d/a/b.csv", "/d/a%2Fb.csv?download"},
		`{"path":"a%20b?c"}`:                    {"a%20b?c"},

		// escapes, and both forms of one name
		`{"\u0066iles":["\u0061"]}`:                       {"a"},
		"{\"files\":[\"e\u0301.csv\",\"\u00e9.csv\"]}":    {"\u00e9.csv"},
		`{"path":"` + strings.Repeat("a/", 2047) + `bc"}`: nil,
		`{"path":"` + strings.Repeat("x", 766) + `"}`:     nil,
	} {
		assert.Equal(t, want, schema.FileRefs(jsontext.Value(results)), results)
	}
}

// A member says in any of the usual spellings that it names a file.
func TestFileRefNames(t *testing.T) {
	for _, name := range []string{
		"path", "file", "filename", "name", "uri", "url", "report",
		"filePath", "file_path", "file-path", "FilePath", "FILE_PATH", "fileName", "file_name", "file-name", "filepath",
		"reportUrl", "report_url", "reportURL", "downloadUri", "download_uri", "download-uri", "downloadURI", "URLs", "fileURLs",
		"outputPath", "output_path2", "result.file", "pathToCSV", "CSVPath", "sourceFileName", "imageFiles", "href", "outputDir",
	} {
		assert.Equal(t, []string{"a"}, schema.FileRefs(jsontext.Value(`{"`+name+`":"a"}`)), name)
		assert.Equal(t, []string{"a"}, schema.FileRefs(jsontext.Value(`{"x":[{"y":{"`+name+`":"a"}}]}`)), name)
	}
	for _, name := range []string{
		"", "text", "value", "profile", "filed", "username", "rename", "curl", "during", "pathological", "reporter", "x", "URLEN",
		strings.Repeat("x", 130) + "Path",
	} {
		assert.Empty(t, schema.FileRefs(jsontext.Value(`{"`+name+`":"a"}`)), name)
	}
}

func TestFileRefsOfMany(t *testing.T) {
	var want, quoted []string
	for i := range 1000 {
		want = append(want, fmt.Sprintf("file-%d", i))
		quoted = append(quoted, fmt.Sprintf(`"file-%d",{"path":"file-%d"}`, i, i/2))
	}
	got := schema.FileRefs(jsontext.Value(`{"analysis":{"files":[` + strings.Join(quoted, ",") + `]},"report":"file-7"}`))
	assert.Equal(t, want, got)
}

// naming returns results that refer to n files.
func naming(n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf(`"f%d%%.csv"`, i)
	}
	return `{"results":{"runs":[{"ok":true},{"a/b~":{"urls":[` + strings.Join(names, ",") + `]}}]}}`
}

func TestMaxFileRefs(t *testing.T) {
	limited := defaultRules()
	limited.MaxFileRefs = 100
	sections := func(body string) schema.Sections {
		in, err := defaultRules().DecodeInput([]byte(body))
		require.NoError(t, err)
		after, err := in.Apply(schema.EmptySections())
		require.NoError(t, err)
		return after
	}
	blank := schema.Session{ID: schema.NewID(), CreatedAt: created, UpdatedAt: created, ExpiresAt: created, Revision: 1}

	s, err := limited.Build(blank, sections(naming(100)))
	require.NoError(t, err)
	assert.Len(t, s.Files, 100)
	tooMany := func(err error) {
		t.Helper()
		var invalid *schema.Error
		require.ErrorAs(t, err, &invalid)
		assert.Equal(t, schema.CodeValidationFailed, invalid.Code)
		require.Len(t, invalid.Fields, 1)
		assert.Equal(t, "/results/runs/1/a~1b~0/urls/100", invalid.Fields[0].Pointer)
		assert.Contains(t, invalid.Fields[0].Detail, "at most 100")
	}
	_, err = limited.Build(blank, sections(naming(101)))
	tooMany(err)

	// What was stored when more were possible stays, and can be made less.
	stored, err := defaultRules().Build(blank, sections(naming(300)))
	require.NoError(t, err)
	for n, lawful := range map[int]bool{0: true, 100: true, 101: true, 299: true, 300: true, 301: false} {
		next, err := limited.Rebuild(stored, sections(naming(300)), sections(naming(n)))
		if lawful {
			require.NoError(t, err, n)
			assert.Len(t, next.Files, n)
			continue
		}
		tooMany(err)
	}
	_, err = limited.Rebuild(s, sections(naming(100)), sections(naming(101)))
	tooMany(err)
	same := sections(naming(300))
	same.Inputs = jsontext.Value(`{"a":1}`)
	_, err = limited.Rebuild(stored, sections(naming(300)), same)
	require.NoError(t, err, "the results stay as they are")

	// So it is in a record, which another service wrote.
	_, err = limited.DecodeRecord(stored.AppendRecord(nil))
	if err != nil {
		assert.NotContains(t, err.Error(), "refer")
	}
}

// References are in one spelling, and contain what the rules of earlier
// versions found.
func FuzzFileRefs(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"analysis":{"files":["a",{"path":"b","name":"c"}]},"report":{"file":"d"}}`, `{"files":{"a":{"b":["c"]}}}`,
		`{"uri":"file:///tmp/%41%","urls":["x?y#z","%2e%2e/"]}`, `{"reportURL":"\u0065\u0301"}`, `{"x":[[[{"outputs":[[1,"a"]]}]]]}`,
		`{"path":"\\\"","file-name":"/","FILE":"//","name":"."}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		in, err := defaultRules().DecodeInput([]byte(`{"results":` + text + `}`))
		if err != nil {
			return
		}
		sec, err := in.Apply(schema.EmptySections())
		require.NoError(t, err)
		refs := schema.FileRefs(sec.Results)
		for i, ref := range refs {
			require.NotEmpty(t, ref)
			require.Equal(t, norm.NFC.String(ref), ref)
			require.Equal(t, gopath.Clean(ref), ref)
			require.NotContains(t, refs[:i], ref)
		}
		for _, want := range formerRefs(sec.Results) {
			require.Contains(t, refs, want, "%s", sec.Results)
		}
		// The limit is exactly the number of values.
		limited := defaultRules()
		for limited.MaxFileRefs = 1; ; limited.MaxFileRefs++ {
			s, err := limited.Build(schema.Session{ID: schema.NewID(), CreatedAt: created, UpdatedAt: created, ExpiresAt: created}, sec)
			if err == nil {
				require.Equal(t, refs, s.Files)
				break
			}
			var invalid *schema.Error
			require.ErrorAs(t, err, &invalid)
			if invalid.Code == schema.CodeTooLarge {
				break
			}
			require.Less(t, limited.MaxFileRefs, len(refs))
			require.True(t, strings.HasPrefix(invalid.Fields[0].Pointer, "/results"))
		}
	})
}

// formerRefs are the references of the rules before: of analysis.files and
// report, with the first of the members that name a file.
func formerRefs(results jsontext.Value) []string {
	type object map[string]any
	var tree object
	if err := json.Unmarshal(results, &tree); err != nil {
		return nil
	}
	var refs []string
	add := func(v any) {
		name, _ := v.(string)
		if m, ok := v.(map[string]any); ok {
			for _, key := range []string{"path", "filePath", "file", "filename", "name"} {
				if name, _ = m[key].(string); name != "" {
					break
				}
			}
		}
		ref := gopath.Clean(norm.NFC.String(name))
		tooLong := slices.ContainsFunc(strings.Split(ref, "/"), func(part string) bool { return len(part) > 765 })
		if name != "" && len(ref) <= 4095 && !tooLong && !strings.Contains(name, ":") {
			refs = append(refs, ref)
		}
	}
	if analysis, ok := tree["analysis"].(map[string]any); ok {
		files, _ := analysis["files"].([]any)
		for _, file := range files {
			add(file)
		}
	}
	add(tree["report"])
	return refs
}
