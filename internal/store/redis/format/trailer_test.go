package format

import (
	"strings"
	"testing"
	"time"

	"session-api/internal/schema"

	"github.com/stretchr/testify/assert"
)

func TestTrailerIsNeverLongerThanWhatIsRead(t *testing.T) {
	end := End(&schema.Session{TTL: maxTTL, OwnTTL: maxTTL, Facts: schema.StoredFacts(strings.Repeat("A", schema.MaxFacts))})
	versions := trailerIndex + strings.Repeat("A", versionText) + `"` + trailerLife + strings.Repeat("A", versionText) + `"`
	usual := trailerStart + trailerBytes + "999999999999999," + versions + end
	assert.Less(t, len(usual), TrailerUsual)
	longest := trailerStart + trailerBytes + "999999999999999," + trailerFiles + strings.Repeat("A", fileVersionsText) + `",` + versions + end
	assert.Less(t, len(longest), TrailerMax)
	for _, text := range []string{usual, longest} {
		_, ok := parseTrailer(text)
		assert.True(t, ok, text)
	}
}

// Values of earlier versions have no file versions, and some no life: all members
// in the index by file are under the one version then.
func TestTrailersOfEarlierVersions(t *testing.T) {
	index, life := NewVersion(time.Now(), "ada", nil), schema.NewLife()
	files := new(FileVersions)
	for shard := range files {
		files[shard] = NewVersion(time.Now(), "", nil)
	}
	for name, tc := range map[string]struct {
		text  string
		files *FileVersions
		life  schema.Life
	}{
		"index alone":    {trailerIndex + index.String() + `"`, nil, schema.Life(index)},
		"without files":  {trailerIndex + index.String() + `"` + trailerLife + life.String() + `"`, nil, life},
		"with files":     {trailerFiles + files.String() + `",` + trailerIndex + index.String() + `"` + trailerLife + life.String() + `"`, files, life},
		"files, no life": {trailerFiles + files.String() + `",` + trailerIndex + index.String() + `"`, files, schema.Life(index)},
	} {
		value := `{"id":"x"` + trailerStart + tc.text + End(&schema.Session{TTL: time.Hour})
		got, found, ok := ParseTrailer(value)
		assert.True(t, found, name)
		assert.True(t, ok, name)
		assert.Equal(t, Trailer{Index: index, Life: tc.life, Files: tc.files, TTL: time.Hour}, got, name)
	}
	for name, text := range map[string]string{
		"half of them": files.String()[:fileVersionsText/2], "none": "", "no versions": strings.Repeat("*", fileVersionsText),
	} {
		_, ok := parseTrailer(trailerStart + trailerFiles + text + `",` + trailerIndex + index.String() + `"` + End(&schema.Session{TTL: time.Hour}))
		assert.False(t, ok, name)
	}
}
