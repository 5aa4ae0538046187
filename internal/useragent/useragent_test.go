package useragent_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/useragent"
)

// headers are what browsers, bots, and libraries send today, and what each is to be
// called.
var headers = []struct{ header, want string }{
	// Browsers.
	{"Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Windows"},
	{"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"},
	{"Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on Linux"},
	{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox on macOS"},
	{"Mozilla/5.0 (Android 15; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0", "Firefox on Android"},
	{"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/145.0 Mobile/15E148 Safari/605.1.15", "Firefox on iOS"},
	{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36", "Chrome on Windows"},
	{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36", "Chrome on macOS"},
	{"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36", "Chrome on Linux"},
	{"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36", "Chrome on ChromeOS"},
	{"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36", "Chrome on Android"},
	{"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0.7444.46 Mobile/15E148 Safari/604.1", "Chrome on iOS"},
	{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0", "Edge on Windows"},
	{"Mozilla/5.0 (Linux; Android 10; HD1913) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36 EdgA/142.0.0.0", "Edge on Android"},
	{"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 EdgiOS/142.0.0.0 Mobile/15E148 Safari/604.1", "Edge on iOS"},
	{"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15", "Safari on macOS"},
	{"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1", "Safari on iOS"},
	{"Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.7 Mobile/15E148 Safari/604.1", "Safari on iPadOS"},
	{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 OPR/125.0.0.0", "Opera on Windows"},
	{"Mozilla/5.0 (Linux; Android 14; SAMSUNG SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36", "Samsung Internet on Android"},
	{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Vivaldi/7.6", "Vivaldi on Windows"},
	{"Mozilla/5.0 (Linux; Android 13; M2101K6G) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/127.0.0.0 YaBrowser/24.7.0.0 Mobile Safari/537.36", "Yandex Browser on Android"},
	{"Mozilla/5.0 (Linux; U; Android 12; en-US; RMX3085) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/100.0.4896.58 UCBrowser/13.7.0 Mobile Safari/537.36", "UC Browser on Android"},
	{"Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/130.0.0.0 Mobile DuckDuckGo/5 Safari/537.36", "DuckDuckGo on Android"},
	{"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.0 Safari/605.1.15 Epiphany/605.1.15", "GNOME Web on Linux"},
	{"Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko", "Internet Explorer on Windows"},
	{"Lynx/2.9.0dev.12 libwww-FM/2.14", "Lynx"},
	// Bots.
	{"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/142.0.0.0 Safari/537.36", "Headless Chrome on Windows"},
	{"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot"},
	{"Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot on Android"},
	{"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm) Chrome/116.0.1938.76 Safari/537.36", "Bingbot"},
	{"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)", "GPTBot"},
	{"Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)", "YandexBot"},
	{"Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)", "AhrefsBot"},
	{"facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "facebookexternalhit"},
	{"Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "Slackbot"},
	// Programs and libraries.
	{"curl/8.11.1", "curl"},
	{"Wget/1.24.5", "Wget"},
	{"HTTPie/3.2.4", "HTTPie"},
	{"PostmanRuntime/7.43.0", "Postman"},
	{"insomnia/10.1.1", "Insomnia"},
	{"python-requests/2.32.3", "Python Requests"},
	{"Python-urllib/3.12", "Python urllib"},
	{"python-httpx/0.27.2", "Python HTTPX"},
	{"Python/3.12 aiohttp/3.10.5", "Python aiohttp"},
	{"Go-http-client/1.1", "Go HTTP client"},
	{"Go-http-client/2.0", "Go HTTP client"},
	{"okhttp/4.12.0", "OkHttp"},
	{"axios/1.7.9", "axios"},
	{"node", "Node.js"},
	{"undici", "Node.js"},
	{"node-fetch/1.0 (+https://github.com/bitinn/node-fetch)", "node-fetch"},
	{"Deno/2.1.4", "Deno"},
	{"Bun/1.1.38", "Bun"},
	{"Java-http-client/21.0.2", "Java HTTP client"},
	{"Apache-HttpClient/5.3 (Java/17.0.10)", "Apache HttpClient"},
	{"GuzzleHttp/7", "Guzzle"},
	{"Dart/3.5 (dart:io)", "Dart"},
	{"libwww-perl/6.77", "Perl LWP"},
	{"reqwest/0.12", "reqwest"},
	{"Ruby", "Ruby"},
	{"MyApp/1.0 CFNetwork/1490.0.4 Darwin/23.2.0", "MyApp"},
	{"Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.22621.4391", "PowerShell on Windows"},
	// Others.
	{"", ""},
	{"   ", ""},
	{"日本", "Unknown client"},
	{"Mozilla/5.0 (X11; Linux x86_64)", "Unknown client on Linux"},
	{"<script>alert(1)</script>/1", "Unknown client"},
	{"Telescope on the roof/1", "Telescope the roof"},
	{strings.Repeat("long", 5000), strings.Repeat("long", 10)},
}

func TestLabel(t *testing.T) {
	for _, tc := range headers {
		assert.Equal(t, tc.want, useragent.Label(tc.header), "%.200s", tc.header)
	}
}

func FuzzLabel(f *testing.F) {
	for _, tc := range headers {
		f.Add(tc.header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		label := useragent.Label(header)
		require.LessOrEqual(t, len(label), 100)
		require.True(t, utf8.ValidString(label))
		require.False(t, strings.ContainsAny(label, "<>&\"'`\\\x00\n"), label)
		require.LessOrEqual(t, strings.Count(label, " on "), 1, label)
		require.Equal(t, strings.TrimSpace(header[:min(len(header), 512)]) == "", label == "")
	})
}

func BenchmarkLabel(b *testing.B) {
	for b.Loop() {
		useragent.Label(headers[6].header)
	}
}
