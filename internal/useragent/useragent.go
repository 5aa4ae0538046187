// Package useragent names, in a few words, the program and the system that a
// User-Agent header (RFC 9110 section 10.1.5) is of. What a client says of itself is
// no proof: a label is for people who look for their own devices, and decides nothing.
package useragent

import (
	"strings"

	"github.com/mileusna/useragent"
)

const (
	// maxHeader is how much of a header is looked at, in bytes.
	maxHeader = 512
	// maxName is the longest name of a program or a system, in bytes.
	maxName = 40
)

// names are those of programs and systems that people know by another one than the
// header has.
var names = map[string]string{
	"X11":                        "", // the window system of an unknown program
	"Trident":                    "Internet Explorer",
	"Msie":                       "Internet Explorer",
	"Mobile DuckDuckGo":          "DuckDuckGo",
	"Ddg":                        "DuckDuckGo",
	"Samsung Browser":            "Samsung Internet",
	"TV Safari":                  "TV browser",
	"Go-http-client":             "Go HTTP client",
	"WindowsPowerShell":          "PowerShell",
	"PostmanRuntime":             "Postman",
	"python-requests":            "Python Requests",
	"Python-urllib":              "Python urllib",
	"python-httpx":               "Python HTTPX",
	"GuzzleHttp":                 "Guzzle",
	"Apache-HttpClient":          "Apache HttpClient",
	"Java-http-client":           "Java HTTP client",
	"libwww-perl":                "Perl LWP",
	"node":                       "Node.js",
	"undici":                     "Node.js",
	"insomnia":                   "Insomnia",
	"okhttp":                     "OkHttp",
	"CrOS":                       "ChromeOS",
	"Windows Phone OS":           "Windows Phone",
	"Slackbot-LinkExpanding 1.0": "Slackbot",
}

// products are the tokens of browsers that the library takes for the one that they are
// built from.
var products = []struct{ token, name string }{
	{"YaBrowser/", "Yandex Browser"},
	{"UCBrowser/", "UC Browser"},
	{"DuckDuckGo/", "DuckDuckGo"},
	{"Ddg/", "DuckDuckGo"},
	{"Epiphany/", "GNOME Web"},
	{"Silk/", "Amazon Silk"},
	{"Brave/", "Brave"},
	{"Electron/", "Electron"},
	{"aiohttp/", "Python aiohttp"},
}

// Label returns a name such as "Firefox on Windows" or "curl", and an empty one for an
// empty header.
func Label(header string) string {
	header = strings.TrimSpace(header[:min(len(header), maxHeader)])
	if header == "" {
		return ""
	}
	program, system := parse(header)
	switch {
	case program == "" && system == "":
		return "Unknown client"
	case program == "":
		return "Unknown client on " + system
	case system == "":
		return program
	}
	return program + " on " + system
}

// parse returns the names of the program and the system, empty where the header has
// none.
func parse(header string) (program, system string) {
	ua := useragent.Parse(header)
	program, system = ua.Name, ua.OS
	if ua.Device == "iPad" {
		system = "iPadOS"
	}
	if !ua.Bot {
		for _, p := range products {
			if strings.Contains(header, p.token) {
				program = p.name
				break
			}
		}
	}
	return known(program), known(system)
}

// known returns the name that people know, cleaned of what no name has.
func known(name string) string {
	if other, ok := names[name]; ok {
		return other
	}
	name, _, _ = strings.Cut(name, "/")
	var b strings.Builder
	for _, r := range name {
		if b.Len() >= maxName {
			break
		}
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune(" .-_+()", r):
			b.WriteRune(r)
		}
	}
	// What separates the two names of a label is in neither of them.
	return strings.Join(strings.Fields(strings.ReplaceAll(b.String(), " on ", " ")), " ")
}
