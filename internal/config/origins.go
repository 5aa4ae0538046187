package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// checkOrigin describes what is wrong with an origin of ALLOWED_ORIGINS, and suggests a
// correction if it can. Origins are compared byte by byte with what browsers send
// (RFC 6454 section 6.2), so another spelling would never match.
func checkOrigin(origin string) string {
	const form = "%s is not an origin of the form https://host or https://host:port"
	switch {
	case strings.Contains(origin, "*"):
		return quoted(origin) + ": wildcards are not allowed, each origin is named in full"
	case strings.EqualFold(origin, "null"):
		return "null stands for every sandboxed page and is not allowed"
	}
	scheme, rest, ok := strings.Cut(origin, "://")
	if !ok {
		guess := "https://" + origin
		if isLocal(origin) {
			guess = "http://" + origin
		}
		return fmt.Sprintf(form, quoted(origin)) + suggestion(guess)
	}
	if !schemeName.MatchString(scheme) {
		return fmt.Sprintf(form, quoted(origin))
	}
	scheme = strings.ToLower(scheme)
	if web, ok := nonOriginSchemes[scheme]; ok {
		text := quoted(origin) + ": browsers send no such origin. The scheme is http or https, or an application's own such as capacitor"
		if web == "" {
			return text
		}
		return text + suggestion(web+"://"+rest)
	}
	end := strings.IndexAny(rest, "/?#\\")
	host := rest
	if end >= 0 {
		host = rest[:end]
	}
	sent, why := originHost(scheme, host)
	switch {
	case why != "":
		return quoted(origin) + ": " + why
	case end >= 0 && rest[end] != '/':
		return fmt.Sprintf(form, quoted(origin)) + suggestion(scheme+"://"+sent)
	}
	if sent = scheme + "://" + sent; sent != origin {
		return fmt.Sprintf("%s: browsers send this origin as %s", quoted(origin), quoted(sent))
	}
	if _, err := url.Parse(origin); err != nil {
		return fmt.Sprintf(form, quoted(origin))
	}
	return ""
}

var schemeName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*$`)

// nonOriginSchemes are schemes whose pages have an opaque origin (browsers send null), or
// that pages do not have. The value is the scheme to suggest instead, if there is one.
var nonOriginSchemes = map[string]string{
	"ws": "http", "wss": "https", "ftp": "", "file": "", "data": "", "blob": "", "about": "", "javascript": "", "mailto": "",
}

// suggestion returns the corrected origin as a part of a message, if there is one.
func suggestion(origin string) string {
	if fixed := correctOrigin(origin); fixed != "" {
		return "; write " + quoted(fixed)
	}
	return ""
}

// correctOrigin returns the origin as browsers send it, or "".
func correctOrigin(origin string) string {
	if strings.ContainsAny(origin, "*@ ") {
		return ""
	}
	text := checkOrigin(origin)
	if text == "" {
		return origin
	}
	_, after, ok := strings.Cut(text, ": browsers send this origin as ")
	if !ok {
		return ""
	}
	fixed, err := strconv.Unquote(after)
	if err != nil || checkOrigin(fixed) != "" {
		return ""
	}
	return fixed
}

func isLocal(host string) bool {
	name, _, _ := strings.Cut(host, ":")
	return name == "localhost" || name == "127.0.0.1" || strings.HasPrefix(host, "[::1]")
}

// originHost returns host and port as browsers serialise them
// (https://url.spec.whatwg.org/#host-serializing), or what is wrong with them.
func originHost(scheme, hostport string) (sent, why string) {
	if strings.Contains(hostport, "@") {
		return "", "it is not an origin: no user goes in front of the host"
	}
	host, port := hostport, ""
	if at := strings.LastIndexByte(hostport, ':'); at > strings.LastIndexByte(hostport, ']') {
		host, port = hostport[:at], hostport[at+1:]
		if port != "" {
			n, err := strconv.ParseUint(port, 10, 16)
			if err != nil || n == 0 {
				return "", quoted(port) + " is no port"
			}
			port = strconv.FormatUint(n, 10)
		}
	}
	if host == "" {
		return "", "it is not an origin: it names no host"
	}
	web := scheme == "http" || scheme == "https"
	switch {
	case strings.HasPrefix(host, "["):
		host, why = ipv6Host(host)
	case web:
		host, why = webHost(host)
	case appHost.MatchString(host): // sent as it is
	default:
		why = quoted(host) + " is no host"
	}
	if why != "" {
		return "", why
	}
	if port == "" || scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		return host, ""
	}
	return host + ":" + port, ""
}

var (
	// domain matches the host of a web origin.
	domain = regexp.MustCompile(`^[a-z0-9_-][a-z0-9._-]*$`)
	// appHost matches the host of an application's own scheme: a name, or the id of an
	// extension.
	appHost = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._~-]*$`)
	// ipv4Like matches what browsers parse as an IPv4 address, valid or not: a name
	// whose last label is a number.
	ipv4Like = regexp.MustCompile(`(^|\.)([0-9]+|0x[0-9a-f]*)\.?$`)
)

// webHost returns a host of an http or https origin as browsers serialise it.
func webHost(host string) (sent, why string) {
	if strings.Contains(host, "%") {
		return "", quoted(host) + " is percent-encoded, which origins never are"
	}
	name := strings.ToLower(host)
	if slices.ContainsFunc([]byte(name), func(c byte) bool { return c >= 0x80 }) {
		ascii, err := idna.Lookup.ToASCII(name)
		if err != nil {
			return "", quoted(host) + " is no international domain name"
		}
		name = ascii
	}
	if ipv4Like.MatchString(name) {
		if addr, err := netip.ParseAddr(name); err != nil || !addr.Is4() {
			return "", quoted(host) + " is no IPv4 address as browsers send it: four numbers from 0 to 255"
		}
		return name, ""
	}
	if !domain.MatchString(name) {
		return "", quoted(host) + " is no host name"
	}
	return name, ""
}

// ipv6Host returns an address in brackets as browsers write it: without zone,
// compressed, and never with the dots of IPv4.
func ipv6Host(host string) (sent, why string) {
	inner, ok := strings.CutSuffix(strings.TrimPrefix(host, "["), "]")
	addr, err := netip.ParseAddr(inner)
	switch {
	case !ok || err != nil || !addr.Is6():
		return "", quoted(host) + " is no IPv6 address in brackets, such as [2001:db8::1]"
	case addr.Zone() != "":
		return "", quoted(host) + ": origins have no zones"
	case addr.Is4In6():
		b := addr.As16()
		return fmt.Sprintf("[::ffff:%x:%x]", uint16(b[12])<<8|uint16(b[13]), uint16(b[14])<<8|uint16(b[15])), ""
	}
	return "[" + addr.String() + "]", ""
}
