package schema_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"

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
		`{"report":["a"]}`:                    nil,
		`{"report":{"url":"x"}}`:              nil,
		`{"analysis":{"files":["a","b/c"]}}`:  {"a", "b/c"},
		`{"analysis":{"files":[]}}`:           nil,
		`{"analysis":{"files":"a"}}`:          nil,
		`{"analysis":{"files":{"path":"a"}}}`: nil,
		`{"analysis":["a"]}`:                  nil,
		`{"analysis":"a"}`:                    nil,
		`{"files":["a"]}`:                     nil,
		`{"x":{"analysis":{"files":["a"]}}}`:  nil,
		`{"analysis":{"files":[{"path":"p"},{"filePath":"fp"},{"file":"f"},{"filename":"fn"},{"name":"n"}]}}`: {"p", "fp", "f", "fn", "n"},
		`{"analysis":{"files":[{"name":"n","filename":"fn","file":"f","filePath":"fp","path":"p"}]}}`:         {"p"},
		`{"analysis":{"files":[{"path":"","filePath":null,"file":3,"filename":{},"name":"n"}]}}`:              {"n"},
		`{"analysis":{"files":[{"Path":"a"},{},null,1,true,["x"],"ok"]}}`:                                     {"ok"},
		`{"analysis":{"files":["a","a",{"path":"a"},"b"]},"report":"b"}`:                                      {"a", "b"},
		`{"report":"r","analysis":{"files":["f"]}}`:                                                           {"f", "r"},
		`{"analysis":{"files":["../x","/etc/passwd","a\u0000b","ä \"q\"","a\\b"]}}`:                           {"../x", "/etc/passwd", "a\x00b", `ä "q"`, `a\b`},
		`{"analysis":{"files":["./a","a//b","x/../a","/d/./e/","a/b"]}}`:                                      {"a", "a/b", "/d/e"},
	} {
		assert.Equal(t, want, schema.FileRefs(jsontext.Value(results)), results)
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
