package schema_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"session-api/internal/schema"
)

const (
	recordID       = "0123456789abcdef"
	recordDocument = `{"id":"` + recordID + `","createdAt":"2026-11-21T17:04:05.123Z","updatedAt":"2026-11-21T17:05:05.123Z",` +
		`"expiresAt":"2026-11-21T19:04:05.123Z","version":1,"revision":7,"user":{"id":"u","email":"","roles":["r"]},` +
		`"inputs":{"n":1.50},"apiConfig":{},"results":{"report":"r.txt"},"meta":{}}`
	record = `{"namespace":"shop","idleMs":3600000,"ownMs":7200000,"session":` + recordDocument + `}`
)

func TestRecord(t *testing.T) {
	s, err := defaultRules().DecodeRecord([]byte(record))
	require.NoError(t, err)
	assert.Equal(t, schema.Session{
		Namespace: "shop", ID: recordID,
		CreatedAt: created, UpdatedAt: created.Add(time.Minute), ExpiresAt: created.Add(2 * time.Hour),
		Revision: 7, TTL: time.Hour, OwnTTL: 2 * time.Hour,
		UserID: "u", Files: []string{"r.txt"}, Doc: []byte(recordDocument),
	}, s)
	assert.Equal(t, "prefix"+record, string(s.AppendRecord([]byte("prefix"))))

	s.Life = schema.NewLife()
	withLife := string(s.AppendRecord(nil))
	assert.Contains(t, withLife, `,"life":"`+s.Life.String()+`",`)
	again, err := defaultRules().DecodeRecord([]byte(withLife))
	require.NoError(t, err)
	assert.Equal(t, s, again)
	assert.Equal(t, s.ETag(), again.ETag())

	s.Facts = s.Facts.WithClient(schema.Client{Label: "curl", UserAgent: `"curl"/8`, IP: "192.0.2.0/24"}).WithRemember(false)
	withFacts := string(s.AppendRecord(nil))
	assert.Contains(t, withFacts, `,"facts":{"label":"curl","userAgent":"\"curl\"/8","ip":"192.0.2.0/24","remember":false},"session":`)
	again, err = defaultRules().DecodeRecord([]byte(withFacts))
	require.NoError(t, err)
	assert.Equal(t, s, again)
	s.Facts = schema.Facts{}

	s.OwnTTL = 0
	s.ExpiresAt = s.ExpiresAt.Add(time.Minute) // touched, which writes no document
	touched := string(s.AppendRecord(nil))
	assert.NotContains(t, touched, "ownMs")
	assert.Contains(t, touched, `"expiresAt":"2026-11-21T19:05:05.123Z"`)
	back, err := defaultRules().DecodeRecord([]byte(touched))
	require.NoError(t, err)
	assert.Equal(t, s.ExpiresAt, back.ExpiresAt)
	assert.Zero(t, back.OwnTTL)
}

func TestRecordOfFacts(t *testing.T) {
	for facts, pointer := range map[string]string{
		`null`: "/facts", `"curl"`: "/facts", `[]`: "/facts",
		`{"name":"curl"}`: "/facts/name", `{"label":1}`: "/facts/label", `{"userAgent":"a\u0000"}`: "/facts/userAgent",
		`{"ip":"here"}`: "/facts/ip", `{"remember":"yes"}`: "/facts/remember", `{"remember":null}`: "/facts/remember",
		`{"applied":1}`: "/facts/applied", `{"applied":"short"}`: "/facts/applied", `{"applied":"0123456789abcd\u0022\u0022"}`: "/facts/applied",
		`{"applied":"` + strings.Repeat("a", 5*schema.MarkLen) + `"}`: "/facts/applied",
	} {
		_, err := defaultRules().DecodeRecord([]byte(strings.Replace(record, `"session":`, `"facts":`+facts+`,"session":`, 1)))
		e := requireError(t, err, schema.CodeValidationFailed)
		require.Len(t, e.Fields, 1, facts)
		assert.Equal(t, pointer, e.Fields[0].Pointer, facts)
	}
	s, err := defaultRules().DecodeRecord([]byte(strings.Replace(record, `"session":`, `"facts":{"remember":true,"applied":"0123456789abc-_Z","label":"curl"},"session":`, 1)))
	require.NoError(t, err)
	assert.Equal(t, `{"label":"curl","applied":"0123456789abc-_Z","remember":true}`, s.Facts.String(), "in any order")
}

// What was stored before numbers had to be in range comes back as it was.
func TestRecordKeepsNumbersOutOfRange(t *testing.T) {
	line := strings.Replace(record, `{"n":1.50}`, `{"n":1e400,"m":`+strings.Repeat("9", 5000)+`}`, 1)
	s, err := defaultRules().DecodeRecord([]byte(line))
	require.NoError(t, err)
	assert.Equal(t, line, string(s.AppendRecord(nil)))
}

func TestRecordInAnotherSpelling(t *testing.T) {
	var members struct {
		Namespace json.RawMessage
		Session   map[string]json.RawMessage
	}
	require.NoError(t, json.Unmarshal([]byte(record), &members))
	document, err := json.MarshalIndent(members.Session, "", "\t") // sorts the members
	require.NoError(t, err)
	line := " {\"session\":\t" + strings.ReplaceAll(string(document), "\n", "\r\n") + ", \"ownMs\" : 7200000, \"\\u0069dleMs\":3600000,\"namespace\":\"sh\\u006fp\"}\r\n"
	s, err := defaultRules().DecodeRecord([]byte(line))
	require.NoError(t, err)
	assert.Equal(t, record, string(s.AppendRecord(nil)))
}

// What was stored under other rules comes back as it was.
func TestRecordsAreKeptWhateverTheRules(t *testing.T) {
	strict := defaultRules()
	strict.Sanitize, strict.ForbiddenKeys, strict.MaxTTL = schema.SanitizeHTML, []string{"n", "report"}, time.Second
	line := strings.Replace(record, `"n":1.50`, `"n":"<b>\u0007"`, 1)
	s, err := strict.DecodeRecord([]byte(line))
	require.NoError(t, err)
	assert.Equal(t, line, string(s.AppendRecord(nil)))
}

func TestRecordsThatAreRefused(t *testing.T) {
	replaced := func(old, replacement string) string {
		require.Contains(t, record, old)
		return strings.Replace(record, old, replacement, 1)
	}
	for name, c := range map[string]struct {
		line     string
		pointers []string
	}{
		"namespace missing":     {replaced(`"namespace":"shop",`, ``), []string{"/namespace"}},
		"namespace empty":       {replaced(`"shop"`, `""`), []string{"/namespace"}},
		"namespace in capitals": {replaced(`"shop"`, `"Shop"`), []string{"/namespace"}},
		"namespace too long":    {replaced(`"shop"`, `"`+strings.Repeat("a", 33)+`"`), []string{"/namespace"}},
		"namespace no text":     {replaced(`"shop"`, `12`), []string{"/namespace"}},
		"idleMs missing":        {replaced(`"idleMs":3600000,`, ``), []string{"/idleMs"}},
		"idleMs zero":           {replaced(`3600000`, `0`), []string{"/idleMs"}},
		"idleMs negative":       {replaced(`3600000`, `-1`), []string{"/idleMs"}},
		"idleMs a fraction":     {replaced(`3600000`, `3600000.5`), []string{"/idleMs"}},
		"idleMs endless":        {replaced(`3600000`, `99999999999999999999`), []string{"/idleMs"}},
		"idleMs over a century": {replaced(`3600000`, `3153600000001`), []string{"/idleMs"}},
		"ownMs zero":            {replaced(`7200000`, `0`), []string{"/ownMs"}},
		"ownMs null":            {replaced(`7200000`, `null`), []string{"/ownMs"}},
		"unknown member":        {replaced(`"ownMs"`, `"secret"`), []string{"/secret"}},
		"session missing":       {`{"namespace":"shop","idleMs":1}`, []string{"/session"}},
		"session null":          {`{"namespace":"shop","idleMs":1,"session":null}`, []string{"/session"}},
		"session an array":      {`{"namespace":"shop","idleMs":1,"session":[{}]}`, []string{"/session"}},
		"id too short":          {replaced(recordID, `0123456789abcde`), []string{"/session/id"}},
		"id with a colon":       {replaced(recordID, `0123456789abcde:`), []string{"/session/id"}},
		"id missing":            {replaced(`"id":"`+recordID+`",`, ``), []string{"/session/id"}},
		"time without fraction": {replaced(`17:04:05.123Z`, `17:04:05Z`), []string{"/session/createdAt"}},
		"time with more":        {replaced(`17:04:05.123Z`, `17:04:05.1234Z`), []string{"/session/createdAt"}},
		"time with a comma":     {replaced(`17:04:05.123Z`, `17:04:05,123Z`), []string{"/session/createdAt"}},
		"time elsewhere":        {replaced(`17:05:05.123Z`, `17:05:05.123+01:00`), []string{"/session/updatedAt"}},
		"time that is none":     {replaced(`11-21T19`, `02-30T19`), []string{"/session/expiresAt"}},
		"time as a number":      {replaced(`"2026-11-21T19:04:05.123Z"`, `1795287845123`), []string{"/session/expiresAt"}},
		"another version":       {replaced(`"version":1`, `"version":2`), []string{"/session/version"}},
		"revision zero":         {replaced(`"revision":7`, `"revision":0`), []string{"/session/revision"}},
		"revision a fraction":   {replaced(`"revision":7`, `"revision":7.5`), []string{"/session/revision"}},
		"revision a text":       {replaced(`"revision":7`, `"revision":"7"`), []string{"/session/revision"}},
		"revision of 16 digits": {replaced(`"revision":7`, `"revision":1000000000000000`), []string{"/session/revision"}},
		"user without id":       {replaced(`{"id":"u",`, `{`), []string{"/session/user/id"}},
		"user with control":     {replaced(`"id":"u"`, `"id":"u\u0000"`), []string{"/session/user/id"}},
		"user of another kind":  {replaced(`{"id":"u","email":"","roles":["r"]}`, `"u"`), []string{"/session/user"}},
		"user with more":        {replaced(`"roles":["r"]`, `"roles":[1],"x":1`), []string{"/session/user/roles/0", "/session/user/x"}},
		"section missing":       {replaced(`"apiConfig":{},`, ``), []string{"/session/apiConfig"}},
		"section null":          {replaced(`"meta":{}`, `"meta":null`), []string{"/session/meta"}},
		"life too short":        {replaced(`,"session"`, `,"life":"AAAA","session"`), []string{"/life"}},
		"life null":             {replaced(`,"session"`, `,"life":null,"session"`), []string{"/life"}},
		"section an array":      {replaced(`"meta":{}`, `"meta":[]`), []string{"/session/meta"}},
		"unknown member within": {replaced(`"meta":{}`, `"meta":{},"stored":{}`), []string{"/session/stored"}},
		"a name never allowed":  {replaced(`"meta":{}`, `"meta":{"a":[{"__proto__":1}]}`), []string{"/session/meta/a/0/__proto__"}},
		"several at once":       {`{"idleMs":0,"session":{"id":"x","meta":1}}`, []string{"/namespace", "/idleMs", "/session/id", "/session/user", "/session/meta"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := defaultRules().DecodeRecord([]byte(c.line))
			e := requireError(t, err, schema.CodeValidationFailed)
			for _, pointer := range c.pointers {
				assert.Contains(t, pointers(e), pointer)
			}
			assert.NotContains(t, err.Error(), "body")
		})
	}
}

func TestRecordsThatAreNoJSON(t *testing.T) {
	nesting := func(depth int) string {
		return strings.Replace(record, `"meta":{}`, `"meta":`+nestedObject(depth), 1)
	}
	_, err := defaultRules().DecodeRecord([]byte(nesting(63)))
	require.NoError(t, err, "the document nests 64 deep, as everywhere")
	for name, line := range map[string]string{
		"nothing":           ``,
		"a blank":           ` `,
		"an array":          `[` + record + `]`,
		"cut":               record[:len(record)/2],
		"two":               record + record,
		"a name twice":      strings.Replace(record, `"idleMs"`, `"idleMs":1,"idle\u004ds"`, 1),
		"a name twice deep": strings.Replace(record, `"meta":{}`, `"meta":{"a":{"b":1,"b":1}}`, 1),
		"no UTF-8":          strings.Replace(record, `"n":1.50`, "\"n\":\"\xff\"", 1),
		"a lone surrogate":  strings.Replace(record, `"n":1.50`, `"n":"\ud800"`, 1),
		"a byte order mark": "\ufeff" + record,
		"too deep":          nesting(64),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := defaultRules().DecodeRecord([]byte(line))
			requireError(t, err, schema.CodeInvalidJSON)
			assert.NotContains(t, err.Error(), "body")
		})
	}
}

func TestRecordsThatAreTooLarge(t *testing.T) {
	exact := &schema.Rules{MaxBytes: len(recordDocument)}
	_, err := exact.DecodeRecord([]byte(record))
	require.NoError(t, err)
	tight := &schema.Rules{MaxBytes: len(recordDocument) - 1}
	_, err = tight.DecodeRecord([]byte(record))
	requireError(t, err, schema.CodeTooLarge)
}

func TestRecordErrorsNeverQuoteValues(t *testing.T) {
	for place := range strings.SplitSeq(record, ",") {
		name, _, _ := strings.Cut(place, ":")
		for _, value := range []string{`"hunter2"`, `hunter2`, `["hunter2"]`, `"hunter2`} {
			line := strings.Replace(record, place, name+":"+value, 1)
			if _, err := defaultRules().DecodeRecord([]byte(line)); err != nil {
				assert.NotContains(t, err.Error(), "hunter2", line)
			}
		}
	}
}

func TestRecordRoundTrip(t *testing.T) {
	r := defaultRules()
	r.Sanitize = schema.SanitizeOff
	millis := rapid.Int64Range(0, time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC).UnixMilli())
	life := rapid.Int64Range(1, 3_153_600_000_000)
	rapid.Check(t, func(t *rapid.T) {
		at := func(name string) time.Time { return time.UnixMilli(millis.Draw(t, name)).UTC() }
		s, err := r.Build(schema.Session{
			Namespace: rapid.StringMatching(`[a-z0-9-]{1,32}`).Draw(t, "namespace"),
			ID:        rapid.StringMatching(`[A-Za-z0-9_-]{16,128}`).Draw(t, "id"),
			CreatedAt: at("created"), UpdatedAt: at("updated"), ExpiresAt: at("expires"),
			Revision: rapid.Int64Range(1, 999_999_999_999_999).Draw(t, "revision"),
			TTL:      time.Duration(life.Draw(t, "ttl")) * time.Millisecond,
		}, sectionsOf(t, r, drawBody(t)))
		require.NoError(t, err)
		if rapid.Bool().Draw(t, "with own") {
			s.OwnTTL = time.Duration(life.Draw(t, "own")) * time.Millisecond
		}
		line := s.AppendRecord(nil)
		assert.NotContains(t, string(line), "\n")
		got, err := defaultRules().DecodeRecord(line)
		require.NoError(t, err, string(line))
		assert.Equal(t, s, got)
		assert.Equal(t, string(line), string(got.AppendRecord(nil)))
	})
}

func TestValidNamespace(t *testing.T) {
	for _, name := range []string{"a", "default", "0-9", "-", strings.Repeat("z", 32)} {
		assert.True(t, schema.ValidNamespace(name), name)
	}
	for _, name := range []string{"", "A", "a_b", "a b", "ä", "a:b", "a\n", strings.Repeat("z", 33)} {
		assert.False(t, schema.ValidNamespace(name), strconv.Quote(name))
	}
}

func FuzzDecodeRecord(f *testing.F) {
	f.Add([]byte(record))
	for _, body := range fuzzBodies {
		f.Add([]byte(body))
		f.Add([]byte(strings.Replace(record, `"inputs":{"n":1.50}`, strings.Trim(body, "{} \t\r\n"), 1)))
	}
	f.Add([]byte(strings.Replace(record, `"ownMs":7200000`, `"ownMs":1e3`, 1)))
	f.Add([]byte(strings.Replace(record, `"namespace"`, `"namespace" `, 1)))
	r := &schema.Rules{MaxBytes: 4096}
	f.Fuzz(func(t *testing.T, line []byte) {
		before := string(line)
		s, err := r.DecodeRecord(line)
		require.Equal(t, before, string(line), "the line is only read")
		if err != nil {
			var e *schema.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, schema.Session{}, s)
			return
		}
		require.True(t, schema.ValidNamespace(s.Namespace))
		require.True(t, schema.ValidForeignID(s.ID))
		require.Positive(t, s.Revision)
		require.Positive(t, s.TTL)
		require.LessOrEqual(t, len(s.Doc), r.MaxBytes)
		sec, err := s.Sections()
		require.NoError(t, err)
		rebuilt, err := r.Build(s, sec)
		require.NoError(t, err)
		require.Equal(t, rebuilt, s)

		written := s.AppendRecord(nil)
		require.NotContains(t, string(written), "\n")
		again, err := r.DecodeRecord(written)
		require.NoError(t, err, "%s", written)
		require.Equal(t, s, again)
		require.Equal(t, string(written), string(again.AppendRecord(nil)))
	})
}
