package config

import (
	"iter"
	"maps"
	"regexp"
	"slices"
	"strings"

	"session-api/internal/spelling"
)

// Typo is a variable that is no setting, and the setting that it may be meant
// to be.
type Typo struct{ Name, Meant string }

// Typos finds the variables that look like settings and are none. They are
// never a reason to refuse: an environment is full of what belongs to others,
// and Kubernetes alone sets a dozen variables for a service of this name.
func Typos(environ map[string]string) []Typo {
	var found []Typo
	for _, name := range slices.Sorted(maps.Keys(environ)) {
		if foreign.MatchString(name) {
			continue
		}
		if meant := nearest(name); meant != "" && meant != name {
			found = append(found, Typo{name, meant})
		}
	}
	return found
}

// foreign are variables that others set for purposes of their own: Kubernetes
// and Docker links for each service, OpenTelemetry's SDK, desktops.
var foreign = regexp.MustCompile(`^(SESSION_API_.*|.*_(SERVICE_HOST|SERVICE_PORT|PORT)(_.*)?|OTEL_.*|SESSION_MANAGER|XDG_.*|DBUS_.*)$`)

// nearest returns the setting of that name, or the one setting that it is most
// likely meant to be, or nothing.
func nearest(name string) string {
	const far = 4
	return spelling.Nearest(settingNames(), func(known string) (distance int, near bool) {
		d := slip(name, known)
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

// slip returns how far a name is from a setting's, as a number of letters, or a
// large number where a slip does not explain the difference.
func slip(name, setting string) int {
	const far = 100
	if name == setting {
		return 0
	}
	plain, want := squeeze(name), squeeze(setting)
	parts := strings.Count(name, "_") + 1
	switch {
	case plain == want:
		return 1 // another case, or separators left out
	case name+"_MS" == setting:
		return 1 // the unit is what people forget
	case parts > 1 && strings.HasSuffix(setting, "_"+strings.ToUpper(name)):
		return 2 // the first word is left out
	}
	// Of short names nearly all are near to each other, and those of one word
	// belong to everybody.
	d := spelling.Distance(plain, want)
	sameStart := firstWord(name) == firstWord(setting)
	switch {
	case len(want) >= 8 && parts > 1 && d <= max(1, len(plain)/6):
		return d
	case sameStart && d <= 3 && d <= len(plain)/4:
		return d
	case sameStart && parts > 1 && len(plain) >= 8 && strings.HasPrefix(want, plain) && d <= 4:
		return 3 // the end is left out, as of REDIS_PASS
	}
	return far
}

// squeeze returns a name without case and separators.
func squeeze(name string) string {
	return strings.ToUpper(strings.NewReplacer("_", "", "-", "", ".", "").Replace(name))
}

func firstWord(name string) string {
	word, _, _ := strings.Cut(name, "_")
	return strings.ToUpper(word)
}
