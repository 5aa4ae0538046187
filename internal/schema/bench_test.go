package schema_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
)

// documentOf returns a session whose document has about the size.
func documentOf(b *testing.B, r *schema.Rules, size int) schema.Session {
	b.Helper()
	var inputs strings.Builder
	for i := 0; inputs.Len() < size-450; i++ {
		fmt.Fprintf(&inputs, `,"field%d":{"label":"Größe %d","value":%d.50}`, i, i, i)
	}
	in, err := r.DecodeInput([]byte(`{"user":{"id":"u-1","email":"ada@example.com","roles":["editor","admin"]},` +
		`"apiConfig":{"model":"m-1","temperature":0.2},"results":{"analysis":{"files":["a.txt"]}},` +
		`"inputs":{` + inputs.String()[1:] + `}}`))
	require.NoError(b, err)
	sec, err := in.Apply(schema.EmptySections())
	require.NoError(b, err)
	now := time.Date(2026, 11, 21, 17, 4, 5, 0, time.UTC)
	s, err := r.Build(schema.Session{ID: schema.NewID(), CreatedAt: now, UpdatedAt: now, ExpiresAt: now, Revision: 7}, sec)
	require.NoError(b, err)
	return s
}

var benchSizes = []struct {
	name  string
	bytes int
}{{"1KB", 1 << 10}, {"64KB", 64 << 10}, {"1MB", 1000 << 10}}

// BenchmarkMergePatchOneKey is the work of one PATCH of one key: the copy of
// the document is the yardstick beside it.
func BenchmarkMergePatchOneKey(b *testing.B) {
	r := &schema.Rules{MaxBytes: 1 << 20, MaxTTL: time.Hour}
	body := []byte(`{"inputs":{"field3":{"value":17}}}`)
	for _, size := range benchSizes {
		s := documentOf(b, r, size.bytes)
		b.Run(size.name+"/patch", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(s.Doc)))
			for b.Loop() {
				patch, err := r.DecodeMergePatch(body)
				if err != nil {
					b.Fatal(err)
				}
				cur, err := s.Sections()
				if err != nil {
					b.Fatal(err)
				}
				next, err := patch.Apply(cur)
				if err != nil {
					b.Fatal(err)
				}
				if _, err = r.Build(s, next); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(size.name+"/copy", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(s.Doc)))
			var doc []byte
			for b.Loop() {
				doc = append([]byte(nil), s.Doc...)
			}
			_ = doc
		})
	}
}

func BenchmarkDecodeInput(b *testing.B) {
	for _, mode := range []schema.Sanitize{schema.SanitizeControls, schema.SanitizeHTML} {
		r := &schema.Rules{MaxBytes: 1 << 20, MaxTTL: time.Hour, Sanitize: mode}
		for _, size := range benchSizes {
			body := documentOf(b, r, size.bytes).Doc
			b.Run(string(mode)+"/"+size.name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(body)))
				for b.Loop() {
					if _, err := r.DecodeInput(body); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkSections(b *testing.B) {
	r := &schema.Rules{MaxBytes: 1 << 20}
	for _, size := range benchSizes {
		s := documentOf(b, r, size.bytes)
		b.Run(size.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(s.Doc)))
			for b.Loop() {
				if _, err := s.Sections(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAppendJSON(b *testing.B) {
	r := &schema.Rules{MaxBytes: 1 << 20}
	for _, size := range benchSizes {
		s := documentOf(b, r, size.bytes)
		b.Run(size.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(s.Doc)))
			buf := make([]byte, 0, len(s.Doc))
			for b.Loop() {
				buf = s.AppendJSON(buf[:0])
			}
		})
	}
}

// BenchmarkOperationsHostile is the worst that one JSON Patch can ask for: as
// many operations as are allowed, each at the far end of the largest document.
func BenchmarkOperationsHostile(b *testing.B) {
	r := &schema.Rules{MaxBytes: 1 << 20}
	s := documentOf(b, r, 1000<<10)
	cur, err := s.Sections()
	require.NoError(b, err)
	ops := map[string]string{
		"test": `{"op":"test","path":"/meta","value":{}}`,
		"add":  `{"op":"add","path":"/inputs/field1/value","value":1}`,
		"copy": `{"op":"copy","from":"/inputs/field9999/value","path":"/inputs/field0/value"}`,
	}
	for name, op := range ops {
		patch, err := r.DecodeOperations([]byte("[" + strings.TrimSuffix(strings.Repeat(op+",", 1000), ",") + "]"))
		require.NoError(b, err)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := patch.Apply(cur); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSummary makes the summary of a session of 1 KB, and its JSON.
func BenchmarkSummary(b *testing.B) {
	sections := schema.EmptySections()
	sections.User = &schema.User{ID: "u-1042", Email: "ada@example.org", Roles: []string{"editor"}}
	sections.Inputs = []byte(`{"text":"` + strings.Repeat("x", 700) + `"}`)
	sess, err := new(schema.Rules).Build(schema.Session{
		Namespace: schema.DefaultNamespace, ID: schema.NewID(), CreatedAt: created, UpdatedAt: created, ExpiresAt: created.Add(time.Hour), TTL: time.Hour, Revision: 1,
	}, sections)
	if err != nil {
		b.Fatal(err)
	}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		sum, err := sess.Summary()
		if err != nil {
			b.Fatal(err)
		}
		dst = sum.AppendJSON(dst[:0], created, false)
	}
}
