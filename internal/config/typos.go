package config

import (
	"iter"
	"maps"
	"regexp"
	"slices"
	"strings"

	"session-api/internal/spelling"
)

// Typo is an unknown variable, and the setting that it probably stands for.
type Typo struct{ Name, Meant string }

// Typos returns the variables whose names resemble a setting's. They are warnings only:
// an environment holds variables of other programs, and Kubernetes alone sets a dozen for
// a service of this name.
func Typos(environ map[string]string) []Typo {
	var found []Typo
	for _, name := range slices.Sorted(maps.Keys(environ)) {
		if unrelated.MatchString(name) {
			continue
		}
		if meant := nearestSetting(name); meant != "" && meant != name {
			found = append(found, Typo{name, meant})
		}
	}
	return found
}

// unrelated matches variables of other systems: Kubernetes and Docker links for each
// service, OpenTelemetry's SDK, desktops.
var unrelated = regexp.MustCompile(`^(SESSION_API_.*|.*_(SERVICE_HOST|SERVICE_PORT|PORT)(_.*)?|OTEL_.*|SESSION_MANAGER|XDG_.*|DBUS_.*)$`)

// nearestSetting returns the setting that the name probably stands for, or "".
func nearestSetting(name string) string {
	const far = 4
	return spelling.Nearest(settingNames(), func(known string) (distance int, near bool) {
		d := typoDistance(name, known)
		return d, d < far
	})
}

func settingNames() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, s := range settings() {
			if !yield(s.name) {
				return
			}
		}
	}
}

// typoDistance returns the edit distance of a name to a setting's, or a large number if
// no usual typo explains the difference.
func typoDistance(name, setting string) int {
	const far = 100
	if name == setting {
		return 0
	}
	plain, want := normalizeName(name), normalizeName(setting)
	parts := strings.Count(name, "_") + 1
	switch {
	case plain == want:
		return 1 // another case, or separators left out
	case name+"_MS" == setting:
		return 1 // the unit is what people forget
	case parts > 1 && strings.HasSuffix(setting, "_"+strings.ToUpper(name)):
		return 2 // the first word is left out
	}
	// Short names are close to each other, and single words are common variables.
	d := spelling.Distance(plain, want)
	sameStart := firstWord(name) == firstWord(setting)
	switch {
	case len(want) >= 8 && parts > 1 && d <= max(1, len(plain)/6):
		return d
	case sameStart && d <= 3 && d <= len(plain)/4:
		return d
	case sameStart && parts > 1 && len(plain) >= 8 && strings.HasPrefix(want, plain) && d <= 4:
		return 3 // the end is missing, as in REDIS_PASS
	}
	return far
}

// separators removes what separates words in names of variables.
var separators = strings.NewReplacer("_", "", "-", "", ".", "")

// normalizeName returns a name without case and separators.
func normalizeName(name string) string {
	return strings.ToUpper(separators.Replace(name))
}

func firstWord(name string) string {
	word, _, _ := strings.Cut(name, "_")
	return strings.ToUpper(word)
}
