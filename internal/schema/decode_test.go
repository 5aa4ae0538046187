package schema_test

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/schema"
)

func TestDecodeRefusesWhatIsNotJSON(t *testing.T) {
	bodies := map[string]string{
		"empty":                       "",
		"blank":                       " \n",
		"null":                        "null",
		"array":                       "[1]",
		"array of an array":           "[[]]",
		"empty array and garbage":     "[]x",
		"empty array, comma":          "[,]",
		"two empty arrays":            "[][]",
		"half an empty array":         "[",
		"string":                      `"{}"`,
		"number":                      "1",
		"two values":                  "{}{}",
		"value and garbage":           "{} x",
		"value and comma":             "{},",
		"trailing NUL":                "{}\x00",
		"byte order mark":             "\ufeff{}",
		"UTF-16":                      "{\x00}\x00",
		"cut":                         `{"inputs":{"a":1}`,
		"cut string":                  `{"inputs":{"a":"`,
		"missing value":               `{"inputs":}`,
		"missing colon":               `{"inputs" {}}`,
		"trailing comma":              `{"inputs":{},}`,
		"single quotes":               `{'inputs':{}}`,
		"bare name":                   `{inputs:{}}`,
		"comment":                     `{/**/}`,
		"name is a number":            `{1:{}}`,
		"NaN":                         `{"inputs":{"a":NaN}}`,
		"Infinity":                    `{"inputs":{"a":-Infinity}}`,
		"leading zero":                `{"inputs":{"a":01}}`,
		"plus sign":                   `{"inputs":{"a":+1}}`,
		"hex":                         `{"inputs":{"a":0x1}}`,
		"bare fraction":               `{"inputs":{"a":.5}}`,
		"capital literal":             `{"inputs":{"a":True}}`,
		"raw newline":                 "{\"inputs\":{\"a\":\"\n\"}}",
		"raw NUL":                     "{\"inputs\":{\"a\":\"\x00\"}}",
		"bad escape":                  `{"inputs":{"a":"\x41"}}`,
		"short escape":                `{"inputs":{"a":"\u12"}}`,
		"invalid UTF-8":               "{\"inputs\":{\"a\":\"\xff\"}}",
		"invalid UTF-8 in a name":     "{\"inputs\":{\"\xc0\xae\":1}}",
		"UTF-8 surrogate":             "{\"inputs\":{\"a\":\"\xed\xa0\x80\"}}",
		"overlong UTF-8":              "{\"inputs\":{\"a\":\"\xc0\x80\"}}",
		"lone high surrogate":         `{"inputs":{"a":"\ud800"}}`,
		"lone low surrogate":          `{"inputs":{"a":"\udc00x"}}`,
		"swapped surrogates":          `{"inputs":{"a":"\udc00\ud800"}}`,
		"lone surrogate in a name":    `{"inputs":{"\ud800":1}}`,
		"duplicate section":           `{"inputs":{},"inputs":{}}`,
		"duplicate ignored member":    `{"id":1,"id":1}`,
		"duplicate, escaped":          `{"inputs":{"a":1,"\u0061":1}}`,
		"duplicate, deep":             `{"meta":{"x":[{"y":{"z":1,"z":1}}]}}`,
		"duplicate beside unknown":    `{"unknown":1,"inputs":{"a":1,"a":1}}`,
		"duplicate in a user":         `{"user":{"id":"a","id":"b"}}`,
		"65 deep":                     `{"inputs":` + nestedObject(64) + `}`,
		"65 deep in arrays":           `{"inputs":{"a":` + nested(63) + `}}`,
		"65 deep in a user":           `{"user":` + nested(64) + `}`,
		"65 deep in ignored member":   `{"id":` + nested(64) + `}`,
		"65 deep in unknown member":   `{"unknown":` + nested(64) + `}`,
		"65 deep in a ttlMs":          `{"ttlMs":` + nested(64) + `}`,
		"20000 deep":                  `{"inputs":{"a":` + nested(20_000) + `}}`,
		"200000 deep and never ended": `{"inputs":` + strings.Repeat("[", 200_000),
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			forEachDecoder(t, func(t *testing.T, decode func(*schema.Rules, []byte) (schema.Change, error)) {
				got, err := decode(defaultRules(), []byte(body))
				requireError(t, err, schema.CodeInvalidJSON)
				assert.Nil(t, got)
			})
		})
	}
}

func TestDecodePointsAtDuplicates(t *testing.T) {
	forEachDecoder(t, func(t *testing.T, decode func(*schema.Rules, []byte) (schema.Change, error)) {
		_, err := decode(defaultRules(), []byte(`{"inputs":{"a/b":[0,{"~":1,"\u007e":2}]}}`))
		assert.Equal(t, []string{"/inputs/a~1b/1/~0"}, pointers(requireError(t, err, schema.CodeInvalidJSON)))
	})
}

func TestDecodeRefusesWhatIsNoSession(t *testing.T) {
	long := strings.Repeat("x", 300)
	manyRoles := `["r"` + strings.Repeat(`,"r"`, 64) + `]`
	bodies := map[string]struct {
		body string
		want []string
	}{
		"unknown member":         {`{"foo":1}`, []string{"/foo"}},
		"unknown, escaped":       {`{"a/b~c":1}`, []string{"/a~1b~0c"}},
		"unknown, empty name":    {`{"":1}`, []string{"/"}},
		"wrong case":             {`{"USER":{"id":"a"},"Inputs":{},"apiconfig":{}}`, []string{"/USER", "/Inputs", "/apiconfig"}},
		"all of them at once":    {`{"foo":1,"inputs":[1],"ttlMs":0,"user":{"id":1}}`, []string{"/foo", "/inputs", "/ttlMs", "/user/id"}},
		"inputs an array":        {`{"inputs":[{}]}`, []string{"/inputs"}},
		"inputs a nested array":  {`{"inputs":[[]]}`, []string{"/inputs"}},
		"user an empty array":    {`{"user":[]}`, []string{"/user/id"}},
		"1e400":                  {`{"inputs":{"n":[0,1e400]}}`, []string{"/inputs/n/1"}},
		"-1e400":                 {`{"meta":{"a/b":{"c~":-1E+400}}}`, []string{"/meta/a~1b/c~0"}},
		"just out of range":      {`{"meta":{"n":1.7976931348623159e308}}`, []string{"/meta/n"}},
		"no exponent":            {`{"results":{"n":1` + strings.Repeat("0", 309) + `}}`, []string{"/results/n"}},
		"5,000 digits":           {`{"inputs":{"n":` + strings.Repeat("9", 5000) + `,"m":-` + strings.Repeat("9", 5000) + `.5}}`, []string{"/inputs/n", "/inputs/m"}},
		"absurd exponent":        {`{"inputs":{"n":1e99999999999999999999}}`, []string{"/inputs/n"}},
		"a user of 1e400":        {`{"user":{"id":1e400}}`, []string{"/user/id"}},
		"1e400, ignored member":  {`{"revision":1e400}`, []string{"/revision"}},
		"1e400 for a section":    {`{"inputs":1e400}`, []string{"/inputs"}},
		"ttlMs 1e400":            {`{"ttlMs":1e400}`, []string{"/ttlMs"}},
		"ttlMs 1e-400":           {`{"ttlMs":1e-400}`, []string{"/ttlMs"}},
		"ttlMs -6e4":             {`{"ttlMs":-6e4}`, []string{"/ttlMs"}},
		"ttlMs 0e5":              {`{"ttlMs":0e5}`, []string{"/ttlMs"}},
		"apiConfig a string":     {`{"apiConfig":"{}"}`, []string{"/apiConfig"}},
		"results a number":       {`{"results":1}`, []string{"/results"}},
		"meta a boolean":         {`{"meta":true}`, []string{"/meta"}},
		"user an array":          {`{"user":["id"]}`, []string{"/user"}},
		"user a string":          {`{"user":"u"}`, []string{"/user"}},
		"user id a number":       {`{"user":{"id":5}}`, []string{"/user/id"}},
		"user id empty":          {`{"user":{"id":""}}`, []string{"/user/id"}},
		"user id long":           {`{"user":{"id":"` + long + `"}}`, []string{"/user/id"}},
		"user id 257 bytes":      {`{"user":{"id":"` + strings.Repeat("é", 128) + `x"}}`, []string{"/user/id"}},
		"user id, NUL":           {`{"user":{"id":"a\u0000"}}`, []string{"/user/id"}},
		"user id, newline":       {`{"user":{"id":"a\r\nX: y"}}`, []string{"/user/id"}},
		"user id, DEL":           {"{\"user\":{\"id\":\"a\x7f\"}}", []string{"/user/id"}},
		"user email an object":   {`{"user":{"id":"a","email":{}}}`, []string{"/user/email"}},
		"user email, control":    {`{"user":{"id":"a","email":"a\tb"}}`, []string{"/user/email"}},
		"user email long":        {`{"user":{"id":"a","email":"` + long + long + `"}}`, []string{"/user/email"}},
		"roles a string":         {`{"user":{"id":"a","roles":"admin"}}`, []string{"/user/roles"}},
		"roles an object":        {`{"user":{"id":"a","roles":{"0":"admin"}}}`, []string{"/user/roles"}},
		"roles not strings":      {`{"user":{"id":"a","roles":["a",1,null,["b"]]}}`, []string{"/user/roles/1", "/user/roles/2", "/user/roles/3"}},
		"roles, control":         {`{"user":{"id":"a","roles":["a\u001f"]}}`, []string{"/user/roles/0"}},
		"roles, long":            {`{"user":{"id":"a","roles":["` + long + `"]}}`, []string{"/user/roles/0"}},
		"roles, too many":        {`{"user":{"id":"a","roles":` + manyRoles + `}}`, []string{"/user/roles"}},
		"user unknown field":     {`{"user":{"id":"a","Email":"x","name":"y"}}`, []string{"/user/Email", "/user/name"}},
		"user forbidden name":    {`{"user":{"id":"a","__proto__":{}}}`, []string{"/user/__proto__"}},
		"__proto__":              {`{"inputs":{"__proto__":{}}}`, []string{"/inputs/__proto__"}},
		"__proto__, escaped":     {`{"inputs":{"\u005f_proto__":{}}}`, []string{"/inputs/__proto__"}},
		"__proto__, null":        {`{"inputs":{"__proto__":null}}`, []string{"/inputs/__proto__"}},
		"__proto__, deep":        {`{"meta":{"a":[1,{"b":{"__proto__":1}}]}}`, []string{"/meta/a/1/b/__proto__"}},
		"__proto__ at the root":  {`{"__proto__":{}}`, []string{"/__proto__"}},
		"__proto__, hidden":      {`{"inputs":{"__pro\u0000to__":1}}`, []string{"/inputs/__pro\x00to__"}},
		"prototype":              {`{"results":{"prototype":1}}`, []string{"/results/prototype"}},
		"constructor":            {`{"apiConfig":{"constructor":1}}`, []string{"/apiConfig/constructor"}},
		"in an ignored member":   {`{"version":{"__proto__":1}}`, []string{"/version/__proto__"}},
		"in an unknown member":   {`{"x":{"__proto__":1}}`, []string{"/x/__proto__", "/x"}},
		"several forbidden":      {`{"inputs":{"constructor":{"prototype":1}}}`, []string{"/inputs/constructor", "/inputs/constructor/prototype"}},
		"names that become same": {`{"inputs":{"x":{"a":1,"a\u0001":2}}}`, []string{"/inputs/x"}},
		"ttlMs zero":             {`{"ttlMs":0}`, []string{"/ttlMs"}},
		"ttlMs negative":         {`{"ttlMs":-1}`, []string{"/ttlMs"}},
		"ttlMs negative zero":    {`{"ttlMs":-0}`, []string{"/ttlMs"}},
		"ttlMs fractional":       {`{"ttlMs":1.5}`, []string{"/ttlMs"}},
		"ttlMs 1e-1":             {`{"ttlMs":1e-1}`, []string{"/ttlMs"}},
		"ttlMs 25e-1":            {`{"ttlMs":25e-1}`, []string{"/ttlMs"}},
		"ttlMs a string":         {`{"ttlMs":"5000"}`, []string{"/ttlMs"}},
		"ttlMs null":             {`{"ttlMs":null}`, []string{"/ttlMs"}},
		"ttlMs an object":        {`{"ttlMs":{}}`, []string{"/ttlMs"}},
		"ttlMs true":             {`{"ttlMs":true}`, []string{"/ttlMs"}},
		"ttlMs over the limit":   {`{"ttlMs":2592000001}`, []string{"/ttlMs"}},
		"ttlMs 2^63":             {`{"ttlMs":9223372036854775808}`, []string{"/ttlMs"}},
		"ttlMs, 100 digits":      {`{"ttlMs":` + strings.Repeat("9", 100) + `}`, []string{"/ttlMs"}},
		"ttlMs, wrong case":      {`{"ttlms":5}`, []string{"/ttlms"}},
	}
	for name, test := range bodies {
		t.Run(name, func(t *testing.T) {
			forEachDecoder(t, func(t *testing.T, decode func(*schema.Rules, []byte) (schema.Change, error)) {
				change, err := decode(defaultRules(), []byte(test.body))
				if err == nil { // a merge patch may name part of a user
					_, err = change.Apply(schema.EmptySections())
				}
				assert.ElementsMatch(t, test.want, pointers(requireError(t, err, schema.CodeValidationFailed)))
			})
		})
	}
}

func TestDecodeRefusesForbiddenKeys(t *testing.T) {
	r := defaultRules()
	r.ForbiddenKeys = []string{"apiKey", "password", "email", "meta"}
	forEachDecoder(t, func(t *testing.T, decode func(*schema.Rules, []byte) (schema.Change, error)) {
		_, err := decode(r, []byte(`{"inputs":{"a":[{"PassWord":null}]},"apiConfig":{"apikey":"k","apiKeys":1},"meta":{"\u0061piKey":1}}`))
		assert.Equal(t, []string{"/inputs/a/0/PassWord", "/apiConfig/apikey", "/meta/apiKey"},
			pointers(requireError(t, err, schema.CodeValidationFailed)))

		_, err = decode(r, []byte(`{"user":{"id":"u","email":"e"},"meta":{},"inputs":{"passwords":1}}`))
		require.NoError(t, err, "the schema's own names are not meant")
	})
}

// A name is forbidden in every spelling that a reader takes for the same.
func TestForbiddenKeysAreFolded(t *testing.T) {
	for key, names := range map[string][]string{
		"apiKey": {
			"APIKEY", " apiKey", "apikey\u00a0", "\u3000apiKey ", `\tapiKey\n`, "ａｐｉＫｅｙ", "ＡＰＩＫＥＹ", "api\u212aey",
			"api\u200bKey", "\ufeffapiKey", "api\u00adKey", `api\u0000Key`, "\U0001d41apiKey",
		},
		" ÉTÉ ":  {"été", "e\u0301te\u0301", "ÉTE\u0301"},
		"straße": {"STRASSE", "strasse", "STRAẞE", "\u017ftraße"},
		"ﬁle":    {"file", "FILE", "ﬁLE"},
		"σας":    {"ΣΑΣ", "σασ"},
	} {
		r := defaultRules()
		r.Sanitize = schema.SanitizeOff
		r.ForbiddenKeys = []string{"another", key}
		for _, name := range names {
			for _, section := range []string{"inputs", "apiConfig", "results", "meta"} {
				object := `{"a":[{"` + name + `":1}]}`
				forEachDecoder(t, func(t *testing.T, decode func(*schema.Rules, []byte) (schema.Change, error)) {
					_, err := decode(r, []byte(`{"`+section+`":`+object+`}`))
					requireError(t, err, schema.CodeValidationFailed)
				})
				for _, patch := range []string{
					`[{"op":"add","path":"/` + section + `/` + name + `","value":1}]`,
					`[{"op":"add","path":"/` + section + `/b","value":` + object + `}]`,
					`[{"op":"copy","from":"/` + section + `/` + name + `/x","path":"/meta/x"}]`,
				} {
					_, err := r.DecodeOperations([]byte(patch))
					requireError(t, err, schema.CodeValidationFailed)
				}
			}
		}
	}
	r := defaultRules()
	r.ForbiddenKeys = []string{"apiKey"}
	for _, name := range []string{"apiKeys", "api Key", "api-key", "äpiKey", "", " ", "ключ"} {
		_, err := r.DecodeInput([]byte(`{"inputs":{"` + name + `":1},"meta":{"` + name + `":1}}`))
		require.NoError(t, err, name)
	}
}

func TestDecodeReportsAtMost50Mistakes(t *testing.T) {
	var body strings.Builder
	body.WriteString(`{"inputs":{}`)
	for i := range 80 {
		body.WriteString(`,"unknown` + strconv.Itoa(i) + `":1`)
	}
	body.WriteString("}")
	_, err := defaultRules().DecodeInput([]byte(body.String()))
	assert.Len(t, requireError(t, err, schema.CodeValidationFailed).Fields, 50)
}

func TestDecodeKeepsWhatWasSent(t *testing.T) {
	hundred := strings.Repeat("1234567890", 10)
	for name, object := range map[string]string{
		"2^53+1":              `{"n":9007199254740993}`,
		"the largest":         `{"n":1.7976931348623157e308,"m":-17976931348623157E+292}`,
		"1e99":                `{"n":1` + strings.Repeat("0", 99) + `,"m":1e99}`,
		"too small":           `{"n":1e-400,"m":-0.` + strings.Repeat("0", 400) + `1,"o":0e999}`,
		"5,000 decimals":      `{"n":0.` + strings.Repeat("123456789", 600) + `}`,
		"zeros before e":      `{"n":0.` + strings.Repeat("0", 400) + `1e400}`,
		"100 digits":          `{"n":` + hundred + `,"m":-0.` + hundred + `E-5}`,
		"number spellings":    `{"a":1.0,"b":1.00,"c":-0,"d":0e0,"e":1E+2,"f":0.1e-7}`,
		"key order":           `{"b":1,"a":2,"10":3,"9":4,"":5}`,
		"Unicode":             `{"日本":"\ud83d\ude00 😀 e\u0301 é ﷺ"}`,
		"escapes in strings":  `{"a":"\u0041\/\"\\\t\n\r\u2028"}`,
		"HTML characters":     `{"a<b>&":"<b>&amp;</b>"}`,
		"U+2028 and NBSP":     "{\"a\":\"\u2028\u2029\u00a0\"}",
		"noncharacters":       "{\"a\":\"\ufffe\uffff\ufffd\"}",
		"null and empty":      `{"a":null,"b":"","c":[],"d":{},"e":[null],"f":{"g":{}}}`,
		"structure in text":   `{"a":"{\"b\":[1,2]}","}":"]","\"":"\\"}`,
		"64 deep":             nestedObject(63),
		"64 deep in arrays":   `{"a":` + nested(62) + `}`,
		"similar names":       `{"__proto":1,"Prototype":2,"constructors":3,"__PROTO__":4}`,
		"forbidden as values": `{"a":"__proto__","b":["constructor"]}`,
	} {
		t.Run(name, func(t *testing.T) {
			for _, section := range []string{"inputs", "apiConfig", "results", "meta"} {
				body := []byte(`{"` + section + `":` + object + `}`)
				in, err := defaultRules().DecodeInput(body)
				require.NoError(t, err)
				sec, err := in.Apply(schema.EmptySections())
				require.NoError(t, err)
				got := map[string]jsontext.Value{
					"inputs": sec.Inputs, "apiConfig": sec.APIConfig, "results": sec.Results, "meta": sec.Meta,
				}
				for name, value := range got {
					if name == section {
						assert.Equal(t, object, string(value))
					} else {
						assert.Equal(t, "{}", string(value))
					}
				}
			}
		})
	}
}

func TestDecodeDropsWhitespaceAndSpellsNamesShort(t *testing.T) {
	sec := inputsOf(t, defaultRules(), " {\t\"\\u0061\\/b\\\"\" :\r\n[ 1 , { } , \" x \" ,[ ] ] , \"c\":true } ")
	assert.Equal(t, `{"a/b\"":[1,{}," x ",[]],"c":true}`, string(sec.Inputs))
}

func TestDecodeDoesNotHoldOnToTheBody(t *testing.T) {
	body := []byte(`{"user":{"id":"u","roles":["r"]},"inputs":{"a":"b"}}`)
	in, err := defaultRules().DecodeInput(body)
	require.NoError(t, err)
	patch, err := defaultRules().DecodeMergePatch(body)
	require.NoError(t, err)
	clear(body)
	for _, change := range []schema.Change{in, patch} {
		sec, err := change.Apply(schema.EmptySections())
		require.NoError(t, err)
		assert.Equal(t, `{"a":"b"}`, string(sec.Inputs))
		assert.Equal(t, &schema.User{ID: "u", Roles: []string{"r"}}, sec.User)
	}
}

func TestDecodeIgnoresReadOnlyMembers(t *testing.T) {
	forEachDecoder(t, func(t *testing.T, decode func(*schema.Rules, []byte) (schema.Change, error)) {
		change, err := decode(defaultRules(), []byte(
			`{"id":[{}],"createdAt":null,"updatedAt":"x","expiresAt":1e99,"version":{"a":1},"revision":-1,"token":[],"meta":{"a":1}}`))
		require.NoError(t, err)
		got, err := change.Apply(schema.EmptySections())
		require.NoError(t, err)
		want := schema.EmptySections()
		want.Meta = jsontext.Value(`{"a":1}`)
		assert.True(t, want.Equal(got))
	})
}

func TestADocumentCanBeSentBack(t *testing.T) {
	s := newSession(t, `{"user":{"id":"u","roles":["r"]},"inputs":{"a":1e300},"meta":{"m":[{}]}}`)
	want, err := s.Sections()
	require.NoError(t, err)
	forEachDecoder(t, func(t *testing.T, decode func(*schema.Rules, []byte) (schema.Change, error)) {
		change, err := decode(defaultRules(), s.AppendJSON(nil))
		require.NoError(t, err)
		for _, cur := range []schema.Sections{want, schema.EmptySections()} {
			got, err := change.Apply(cur)
			require.NoError(t, err)
			assert.True(t, want.Equal(got))
		}

		withToken := strings.TrimSuffix(string(s.AppendJSON(nil)), "}") + `,"token":"s:id.signature"}`
		_, err = decode(defaultRules(), []byte(withToken))
		require.NoError(t, err, "the answer to a bearer client")
	})
}

func TestInputReplacesWhatItNames(t *testing.T) {
	r := defaultRules()
	cur := sectionsOf(t, r, `{"user":{"id":"u","email":"e","roles":["r"]},"inputs":{"a":1},"apiConfig":{"b":2},"results":{"c":3},"meta":{"d":4}}`)
	for name, test := range map[string]struct{ body, inputs, meta string }{
		"nothing":  {`{}`, `{"a":1}`, `{"d":4}`},
		"one":      {`{"inputs":{"x":9}}`, `{"x":9}`, `{"d":4}`},
		"reset":    {`{"meta":null}`, `{"a":1}`, `{}`},
		"to empty": {`{"inputs":{},"meta":{"y":null}}`, `{}`, `{"y":null}`},
	} {
		t.Run(name, func(t *testing.T) {
			in, err := r.DecodeInput([]byte(test.body))
			require.NoError(t, err)
			got, err := in.Apply(cur)
			require.NoError(t, err)
			want := cur
			want.Inputs, want.Meta = jsontext.Value(test.inputs), jsontext.Value(test.meta)
			assert.True(t, want.Equal(got), "%s", got)
		})
	}
	assert.Equal(t, `{"a":1}`, string(cur.Inputs), "the present sections stay as they are")
}

func TestInputReplacesTheWholeUser(t *testing.T) {
	r := defaultRules()
	cur := sectionsOf(t, r, `{"user":{"id":"u","email":"e","roles":["r"]}}`)
	for body, want := range map[string]*schema.User{
		`{}`:                                  {ID: "u", Email: "e", Roles: []string{"r"}},
		`{"user":null}`:                       nil,
		`{"user":{"id":"v"}}`:                 {ID: "v", Roles: []string{}},
		`{"user":{"roles":[],"id":"\u00e9"}}`: {ID: "é", Roles: []string{}},
		`{"user":{"id":"v","email":null}}`:    {ID: "v", Roles: []string{}},
		`{"user":{"id":"v","roles":null,"email":"x"}}`:                  {ID: "v", Email: "x", Roles: []string{}},
		`{"user":{"id":"v","roles":null,"email":null}}`:                 {ID: "v", Roles: []string{}},
		`{"user":{"id":"` + strings.Repeat("v", 256) + `","email":""}}`: {ID: strings.Repeat("v", 256), Roles: []string{}},
	} {
		in, err := r.DecodeInput([]byte(body))
		require.NoError(t, err)
		got, err := in.Apply(cur)
		require.NoError(t, err)
		assert.Equal(t, want, got.User)
	}
	for body, want := range map[string][]string{
		`{"user":{"email":"x"}}`:              {"/user/id"},
		`{"user":{"id":null}}`:                {"/user/id"},
		`{"user":{"email":null}}`:             {"/user/id"},
		`{"user":{"email":null,"roles":[1]}}`: {"/user/roles/0", "/user/id"},
	} {
		_, err := r.DecodeInput([]byte(body))
		assert.ElementsMatch(t, want, pointers(requireError(t, err, schema.CodeValidationFailed)), body)
	}
}

func TestZeroInputChangesNothing(t *testing.T) {
	cur := sectionsOf(t, defaultRules(), `{"user":{"id":"u"},"inputs":{"a":1}}`)
	got, err := (&schema.Input{}).Apply(cur)
	require.NoError(t, err)
	assert.True(t, cur.Equal(got))
	_, ok := (&schema.Input{}).TTL()
	assert.False(t, ok)
}

func TestTTLOfABody(t *testing.T) {
	forEachDecoder(t, func(t *testing.T, decode func(*schema.Rules, []byte) (schema.Change, error)) {
		for body, want := range map[string]time.Duration{
			`{}`:                               0,
			`{"ttlMs":1}`:                      time.Millisecond,
			`{"ttlMs":60000,"inputs":{}}`:      time.Minute,
			`{"ttlMs":60000.0}`:                time.Minute,
			`{"ttlMs":6e4}`:                    time.Minute,
			`{"ttlMs":6E+4}`:                   time.Minute,
			`{"ttlMs":600000e-1}`:              time.Minute,
			`{"ttlMs":0.6e5}`:                  time.Minute,
			`{"ttlMs":60000.000e00}`:           time.Minute,
			`[]`:                               0,
			" [ \n] ":                          0,
			`{"inputs":[],"meta":[ ]}`:         0,
			`{"inputs":{},"ttlMs":2592000000}`: 30 * 24 * time.Hour,
		} {
			change, err := decode(defaultRules(), []byte(body))
			require.NoError(t, err)
			got, ok := change.TTL()
			assert.Equal(t, want, got)
			assert.Equal(t, want > 0, ok)
		}
	})
}

func TestDecodeTTL(t *testing.T) {
	r := defaultRules()
	for body, want := range map[string]time.Duration{
		"": 0, "{}": 0, "[]": 0, " [\t] ": 0, `{"ttlMs":6.0e4}`: time.Minute, ` { "ttlMs" : 5 } `: 5 * time.Millisecond, `{"ttlMs":2592000000}`: 30 * 24 * time.Hour,
	} {
		ttl, ok, err := r.DecodeTTL([]byte(body))
		require.NoError(t, err, body)
		assert.Equal(t, want, ttl)
		assert.Equal(t, want > 0, ok)
	}
	for body, want := range map[string]string{
		`{"ttlMs":0}`: "/ttlMs", `{"ttlMs":null}`: "/ttlMs", `{"ttlMs":"5"}`: "/ttlMs", `{"ttlMs":1.5}`: "/ttlMs", `{"ttlMs":1e400}`: "/ttlMs",
		`{"ttlMs":2592000001}`: "/ttlMs", `{"inputs":{}}`: "/inputs", `{"TTLMS":5}`: "/TTLMS", `{"id":1}`: "/id",
	} {
		_, ok, err := r.DecodeTTL([]byte(body))
		assert.Equal(t, []string{want}, pointers(requireError(t, err, schema.CodeValidationFailed)), body)
		assert.False(t, ok)
	}
	for _, body := range []string{" ", "null", "[1]", "5", `{"ttlMs":5}{}`, `{"ttlMs":5,"ttlMs":5}`, `{"ttlMs":` + nested(64) + `}`} {
		_, _, err := r.DecodeTTL([]byte(body))
		requireError(t, err, schema.CodeInvalidJSON)
	}
}

func TestDecodeTTLWithoutALimit(t *testing.T) {
	r := &schema.Rules{}
	ttl, ok, err := r.DecodeTTL([]byte(`{"ttlMs":9223372036854}`))
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Equal(t, 9223372036854*time.Millisecond, ttl)
	for _, ms := range []string{"9223372036855", "9223372036854775807", "18446744073709551617", strings.Repeat("9", 1000)} {
		_, _, err := r.DecodeTTL([]byte(`{"ttlMs":` + ms + `}`))
		requireError(t, err, schema.CodeValidationFailed)
	}
}

func TestDecodeRenewal(t *testing.T) {
	r := defaultRules()
	for body, want := range map[string]time.Duration{
		"": 0, "{}": 0, "[]": 0, `{"graceMs":0}`: 0, `{"graceMs":-0.0}`: 0, `{"graceMs":1.5e3}`: 1500 * time.Millisecond, `{"graceMs":1500}`: 1500 * time.Millisecond,
		`{"graceMs":` + strings.Repeat("9", 100) + `}`: math.MaxInt64,
	} {
		renewal, err := r.DecodeRenewal([]byte(body))
		require.NoError(t, err, body)
		assert.Equal(t, schema.Renewal{Grace: want}, renewal)
	}
	for body, want := range map[string]string{
		`{"graceMs":-1}`: "/graceMs", `{"graceMs":null}`: "/graceMs", `{"graceMs":"1"}`: "/graceMs",
		`{"graceMs":1.5}`: "/graceMs", `{"graceMs":1e-3}`: "/graceMs", `{"graceMs":1e400}`: "/graceMs", `{"ttlMs":5}`: "/ttlMs", `{"grace":5}`: "/grace",
		`{"user":[]}`: "/user", `{"user":"ada"}`: "/user", `{"user":{}}`: "/user/id", `{"user":{"id":""}}`: "/user/id",
		`{"user":{"id":"ada","name":"Ada"}}`: "/user/name", `{"user":{"id":"ada","roles":[1]}}`: "/user/roles/0", `{"User":{"id":"ada"}}`: "/User",
	} {
		_, err := r.DecodeRenewal([]byte(body))
		assert.Equal(t, []string{want}, pointers(requireError(t, err, schema.CodeValidationFailed)), body)
	}
	for _, body := range []string{" ", "null", "[0]", `{"graceMs":5`, `{"user":{"id":"a","id":"b"}}`} {
		_, err := r.DecodeRenewal([]byte(body))
		requireError(t, err, schema.CodeInvalidJSON)
	}
	for body, want := range map[string]*schema.User{
		`{"user":null}`:         nil,
		`{"user":{"id":"ada"}}`: {ID: "ada", Roles: []string{}},
		` {"graceMs":5,"user":{"roles":["admin"],"email":"a@b","id":"ada"}}`: {ID: "ada", Email: "a@b", Roles: []string{"admin"}},
	} {
		renewal, err := r.DecodeRenewal([]byte(body))
		require.NoError(t, err, body)
		require.NotNil(t, renewal.User, body)
		before := schema.EmptySections()
		before.User, before.Inputs = &schema.User{ID: "bob"}, []byte(`{"a":1}`)
		after, err := renewal.User.Apply(before)
		require.NoError(t, err)
		assert.Equal(t, want, after.User)
		assert.Equal(t, before.Inputs, after.Inputs)
		_, asked := renewal.User.TTL()
		assert.False(t, asked)
	}
}
