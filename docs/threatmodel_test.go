package docs_test

import (
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	// `dir/file_test.go`: `TestOne`, `TestTwo`
	evidence = regexp.MustCompile("`([^` ]+_test\\.go)`: ((?:`(?:Test|Fuzz)\\w+`(?:, )?)+)")
	testName = regexp.MustCompile("`((?:Test|Fuzz)\\w+)`")
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	heading  = regexp.MustCompile(`(?m)^## (.+)$`)
)

// testsIn returns the tests that a text names as evidence, as file: name.
func testsIn(text string) (tests []string) {
	for _, m := range evidence.FindAllStringSubmatch(text, -1) {
		for _, name := range testName.FindAllStringSubmatch(m[2], -1) {
			tests = append(tests, m[1]+": "+name[1])
		}
	}
	return tests
}

// allTests returns the test functions of the repository, as file: name.
func allTests(t *testing.T) map[string]bool {
	t.Helper()
	tests := make(map[string]bool)
	require.NoError(t, filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == "node_modules" {
			return filepath.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		for _, m := range testFunc.FindAllStringSubmatch(readFile(t, path), -1) {
			tests[strings.TrimPrefix(filepath.ToSlash(path), "../")+": "+m[1]] = true
		}
		return nil
	}))
	require.NotEmpty(t, tests)
	return tests
}

// assertTestsExist asserts that every test that a text names is there, and is named
// with its file.
func assertTestsExist(t *testing.T, text string) {
	t.Helper()
	known := allTests(t)
	named := testsIn(text)
	for _, test := range named {
		assert.True(t, known[test], "there is no %s", test)
	}
	assert.Len(t, testName.FindAllString(text, -1), len(named), "tests are named with their files: %s",
		testName.FindAllString(evidence.ReplaceAllString(text, ""), -1))
}

// sectionsOf returns what stands under each heading of the second level.
func sectionsOf(text string) map[string]string {
	sections := make(map[string]string)
	at := heading.FindAllStringSubmatchIndex(text, -1)
	for i, m := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		sections[text[m[2]:m[3]]] = text[m[1]:end]
	}
	return sections
}

func TestThreatModelNamesTestsThatExist(t *testing.T) {
	assertTestsExist(t, readFile(t, "threat-model.md"))
}

// Each attacker has a section of its own, which says what holds, by which test in
// each line, and what does not.
func TestEveryAttackerHasTests(t *testing.T) {
	sections := sectionsOf(readFile(t, "threat-model.md"))
	attackers := regexp.MustCompile(`(?m)^- \[(.+)\]\(#(.+)\)$`).FindAllStringSubmatch(sections["Attackers"], -1)
	assert.GreaterOrEqual(t, len(attackers), 10)
	for _, m := range attackers {
		name, anchor := m[1], m[2]
		assert.Equal(t, strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(name), " ", "-"), "'", ""), anchor)
		section := sections[name]
		rows := 0
		for line := range strings.Lines(section) {
			cells := strings.Split(strings.TrimSpace(line), " | ")
			if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| goal |") || strings.HasPrefix(line, "| slip |") {
				continue
			}
			rows++
			require.Len(t, cells, 3, line)
			assert.NotEmpty(t, testsIn(cells[2]), "%s: %s", name, cells[0])
		}
		assert.NotZero(t, rows, name)
		_, lacks, found := strings.Cut(section, "\nWhat does not hold:\n")
		assert.True(t, found && strings.Contains(lacks, "\n- "), "%s: what does not hold", name)
	}
}

func TestEveryFuzzTargetIsListed(t *testing.T) {
	var targets []string
	for test := range allTests(t) {
		if strings.Contains(test, ": Fuzz") {
			targets = append(targets, test)
		}
	}
	listed := testsIn(sectionsOf(readFile(t, "threat-model.md"))["What strangers send, and the fuzz target that reads it"])
	slices.Sort(listed)
	assert.ElementsMatch(t, targets, slices.Compact(listed))
}
