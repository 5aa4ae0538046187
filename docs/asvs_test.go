package docs_test

import (
	"encoding/json"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// asvsSections are the sections of ASVS 5.0.0 with their numbers of requirements, of
// the chapters that docs/asvs.md assesses.
var asvsSections = map[string]int{
	"3.1": 1, "3.2": 3, "3.3": 5, "3.4": 8, "3.5": 8, "3.6": 1, "3.7": 5,
	"4.1": 5, "4.2": 5, "4.3": 2, "4.4": 4,
	"6.1": 3, "6.2": 12, "6.3": 8, "6.4": 6, "6.5": 8, "6.6": 4, "6.7": 2, "6.8": 4,
	"7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5, "7.5": 3, "7.6": 2,
	"8.1": 4, "8.2": 4, "8.3": 3, "8.4": 2,
	"9.1": 3, "9.2": 4,
	"10.1": 2, "10.2": 3, "10.3": 5, "10.4": 16, "10.5": 5, "10.6": 2, "10.7": 3,
	"11.1": 4, "11.2": 5, "11.3": 5, "11.4": 4, "11.5": 2, "11.6": 2, "11.7": 2,
	"14.1": 2, "14.2": 8, "14.3": 3,
	"16.1": 1, "16.2": 5, "16.3": 4, "16.4": 3, "16.5": 4,
}

// passedOver are the sections that the text under a chapter's heading dismisses whole.
var passedOver = []string{
	"4.3", "4.4", // neither GraphQL nor WebSocket
	"6.1", "6.2", "6.3", "6.4", "6.5", "6.6", "6.7", // the login service's; 6.3 but for what is left
	"10.2", "10.4", "10.5", "10.6", "10.7", // no OAuth
}

// requirement is a row of docs/asvs.md.
type requirement struct{ id, asks, status, by string }

// requirementsIn returns the rows of the tables with a status.
func requirementsIn(text string) (rows []requirement) {
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), " | ")
		if len(cells) < 3 || !regexp.MustCompile(`^ \d`).MatchString(cells[0]) {
			continue
		}
		cells = append(cells, "") // an empty last cell
		rows = append(rows, requirement{strings.TrimSpace(cells[0]), cells[1], strings.TrimSpace(cells[2]), strings.TrimSpace(cells[3])})
	}
	return rows
}

// Every requirement of the assessed sections has its row, once and in order, and no
// row has a number that the standard does not have.
func TestASVSHasEveryRequirement(t *testing.T) {
	text, _, found := strings.Cut(readFile(t, "asvs.md"), "\n## NIST ")
	require.True(t, found)
	seen := make(map[string]int)
	for _, row := range requirementsIn(text) {
		at := strings.LastIndexByte(row.id, '.')
		section := row.id[:at]
		number, err := strconv.Atoi(row.id[at+1:])
		require.NoError(t, err, row.id)
		require.Contains(t, asvsSections, section, row.id)
		assert.LessOrEqual(t, number, asvsSections[section], "%s: there is no such requirement", row.id)
		if slices.Contains(passedOver, section) {
			assert.Greater(t, number, seen[section], row.id)
		} else {
			assert.Equal(t, seen[section]+1, number, "%s: one is missing before it", row.id)
		}
		seen[section] = number
	}
	for section, count := range asvsSections {
		if !slices.Contains(passedOver, section) {
			assert.Equal(t, count, seen[section], "requirements of %s", section)
		}
	}
}

// What is met has a test that shows it, what a setting meets names it, and all that is
// named exists.
func TestRequirementsHaveTheirEvidence(t *testing.T) {
	text, settings := readFile(t, "asvs.md"), readFile(t, "configuration.md")
	rows := requirementsIn(text)
	assert.Greater(t, len(rows), 150)
	setting := regexp.MustCompile("`([A-Z][A-Z0-9]+_[A-Z0-9_]+|HTTP2)(?:=[a-z0-9]+)?`")
	for _, row := range rows {
		assert.NotEmpty(t, row.asks, row.id)
		switch row.status {
		case "met":
			assert.NotEmpty(t, testsIn(row.by), "%s %s: the test that shows it", row.id, row.asks)
		case "by setting":
			assert.Regexp(t, setting, row.by, "%s %s", row.id, row.asks)
			assert.NotEmpty(t, testsIn(row.by), "%s %s: the test that shows it", row.id, row.asks)
		case "in part", "elsewhere":
			assert.NotEmpty(t, row.by, "%s %s", row.id, row.asks)
		case "not":
		default:
			assert.Fail(t, "unknown status", "%s: %q", row.id, row.status)
		}
		for _, m := range setting.FindAllStringSubmatch(row.by, -1) {
			assert.Contains(t, settings, "\n| `"+m[1]+"` |", "%s: there is no such setting", row.id)
		}
	}
	assertTestsExist(t, text)
}

// The inventory of cryptography (ASVS V11) has every package that the service's own
// packages import for it, and no other.
func TestCryptographyIsInTheInventory(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=Module,Imports", "session-api/cmd/session-api").Output()
	require.NoError(t, err)
	var imported []string
	for decoder := json.NewDecoder(strings.NewReader(string(out))); decoder.More(); {
		var p struct {
			Module  *struct{ Main bool }
			Imports []string
		}
		require.NoError(t, decoder.Decode(&p))
		if p.Module == nil || !p.Module.Main {
			continue
		}
		for _, path := range p.Imports {
			first, _, _ := strings.Cut(path, "/")
			if first == "crypto" || first == "hash" || strings.Contains(path, "/crypto") {
				imported = append(imported, path)
			}
		}
	}
	slices.Sort(imported)

	var listed []string
	for line := range strings.Lines(sectionsOf(readFile(t, "asvs.md"))["V11 Cryptography"]) {
		if cells := strings.Split(line, " | "); len(cells) == 2 {
			listed = append(listed, quotedIn(cells[0])...)
		}
	}
	assert.ElementsMatch(t, slices.Compact(imported), listed)
}
