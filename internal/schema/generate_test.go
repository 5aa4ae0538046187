package schema_test

import (
	"encoding/json"
	"fmt"
	"strings"

	"pgregory.net/rapid"
)

// The functions of this file draw JSON text: any spelling that is allowed, few
// enough names that they meet, and no member name twice.

var (
	drawnNames   = []string{"a", "b", "c", "0", "1", "-", "", "d/e", "f~g", "q\"", "\\", "é", "日本 x", "toString"}
	drawnNumbers = []string{"0", "-0", "1", "1.0", "10e-1", "9007199254740993", "1e300", "-2.50E+7", "12345678901234567890123456789012345678901234567890"}
	drawnTexts   = []string{"", "x", "{\"a\":[1]}", "é😀", "\\u0041", "a<b>&amp;", "\t\n\r", "]}", "\u2028"}
)

// drawSpace draws whitespace, mostly none.
func drawSpace(t *rapid.T) string {
	return rapid.SampledFrom([]string{"", "", "", " ", "\n\t", "\r"}).Draw(t, "space")
}

// drawString draws a spelling of the text as a JSON string.
func drawString(t *rapid.T, text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range text {
		switch {
		case r < 0x10000 && rapid.IntRange(0, 9).Draw(t, "escape") == 0:
			fmt.Fprintf(&b, `\u%04x`, r)
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ':
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func drawScalar(t *rapid.T) string {
	switch rapid.IntRange(0, 4).Draw(t, "scalar") {
	case 0:
		return "null"
	case 1:
		return rapid.SampledFrom([]string{"true", "false"}).Draw(t, "literal")
	case 2:
		return rapid.SampledFrom(drawnNumbers).Draw(t, "number")
	default:
		return drawString(t, rapid.SampledFrom(drawnTexts).Draw(t, "text"))
	}
}

func drawValue(t *rapid.T, depth int) string {
	kind := 0
	if depth > 0 {
		kind = rapid.IntRange(0, 3).Draw(t, "kind")
	}
	switch kind {
	case 1:
		var items []string
		for range rapid.IntRange(0, 4).Draw(t, "length") {
			items = append(items, drawSpace(t)+drawValue(t, depth-1)+drawSpace(t))
		}
		return "[" + drawSpace(t) + strings.Join(items, ",") + "]"
	case 2, 3:
		return drawObject(t, depth)
	default:
		return drawScalar(t)
	}
}

func drawObject(t *rapid.T, depth int) string {
	return drawMembers(t, drawnNames, 5, func() string { return drawValue(t, depth-1) })
}

// drawMembers draws an object with up to that many of the names.
func drawMembers(t *rapid.T, names []string, most int, value func() string) string {
	var members []string
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, most, rapid.ID).Draw(t, "names") {
		members = append(members, drawSpace(t)+drawString(t, name)+drawSpace(t)+":"+drawSpace(t)+value()+drawSpace(t))
	}
	return "{" + drawSpace(t) + strings.Join(members, ",") + "}"
}

// drawBody draws the body of a PUT or PATCH that is valid as either.
func drawBody(t *rapid.T) string {
	var members []string
	for _, name := range []string{"inputs", "apiConfig", "results", "meta"} {
		switch rapid.IntRange(0, 3).Draw(t, name) {
		case 0:
		case 1:
			members = append(members, `"`+name+`":null`)
		default:
			members = append(members, `"`+name+`":`+drawObject(t, 4))
		}
	}
	if rapid.Bool().Draw(t, "with user") {
		user := `{"id":` + drawString(t, rapid.SampledFrom([]string{"u", "é", "a b"}).Draw(t, "id"))
		if rapid.Bool().Draw(t, "with email") {
			user += `,"email":"x"`
		}
		if rapid.Bool().Draw(t, "with roles") {
			user += `,"roles":["r","s"]`
		}
		members = append(members, `"user":`+user+"}")
	}
	if rapid.Bool().Draw(t, "with ttl") {
		members = append(members, `"ttlMs":5000`)
	}
	return drawSpace(t) + "{" + strings.Join(rapid.Permutation(members).Draw(t, "order"), ",") + "}" + drawSpace(t)
}

// model reads JSON into Go values, numbers as they are written.
func model(text string) any {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		panic(err) // the test made the text
	}
	return v
}
