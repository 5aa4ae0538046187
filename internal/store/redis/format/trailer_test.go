package format

import (
	"strings"
	"testing"
	"time"

	"session-api/internal/schema"

	"github.com/stretchr/testify/assert"
)

func TestTrailerIsNeverLongerThanWhatIsRead(t *testing.T) {
	longest := trailerStart + trailerBytes + "999999999999999," + trailerFiles + strings.Repeat("A", fileVersionsText) + `",` + trailerIndex + strings.Repeat("A", versionText) + `"` +
		trailerLife + strings.Repeat("A", versionText) + `"` + End(maxTTL, maxTTL)
	assert.Less(t, len(longest), TrailerMax)
	_, ok := parseTrailer(longest)
	assert.True(t, ok)
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
		value := `{"id":"x"` + trailerStart + tc.text + End(time.Hour, 0)
		got, found, ok := ParseTrailer(value)
		assert.True(t, found, name)
		assert.True(t, ok, name)
		assert.Equal(t, Trailer{Index: index, Life: tc.life, Files: tc.files, TTL: time.Hour}, got, name)
	}
	for name, text := range map[string]string{
		"half of them": files.String()[:fileVersionsText/2], "none": "", "no versions": strings.Repeat("*", fileVersionsText),
	} {
		_, ok := parseTrailer(trailerStart + trailerFiles + text + `",` + trailerIndex + index.String() + `"` + End(time.Hour, 0))
		assert.False(t, ok, name)
	}
}
