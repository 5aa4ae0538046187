// Package clientaddr finds the address of a request's client: the peer's, or the one
// that trusted proxies in front report in X-Forwarded-For or Forwarded (RFC 7239).
package clientaddr

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// The headers in which a gateway names its client.
const (
	// Auto takes whichever of the two comes. Where both come and name
	// different addresses, one may be the client's own, so neither counts.
	Auto = "auto"
	// XForwardedFor takes X-Forwarded-For alone.
	XForwardedFor = "x-forwarded-for"
	// Forwarded takes Forwarded (RFC 7239) alone.
	Forwarded = "forwarded"
)

// Proxies are the gateways in front, as far as they are known, and where they say who
// their client is. The zero value trusts none.
type Proxies struct {
	trusted []netip.Prefix
	header  string
}

// NewProxies returns the proxies of the given networks, which name their client in
// header: Auto, XForwardedFor, Forwarded, or "" for Auto.
func NewProxies(prefixes []netip.Prefix, header string) (p Proxies, err error) {
	switch header {
	case "":
		header = Auto
	case Auto, XForwardedFor, Forwarded:
	default:
		return p, fmt.Errorf("clientaddr: header: %q is none", header)
	}
	p.header = header
	for _, given := range prefixes {
		if !given.IsValid() {
			return p, errors.New("clientaddr: one of the trusted proxies is no network")
		}
		prefix, err := UnmapPrefix(given)
		if err != nil {
			return p, fmt.Errorf("clientaddr: trusted proxies: %w", err)
		}
		p.trusted = append(p.trusted, prefix)
	}
	return p, nil
}

// UnmapPrefix returns the network as addresses are compared with it: one of
// IPv4 written in IPv6 (::ffff:10.0.0.0/104) as the one of IPv4 that it is. It
// returns an error for one that holds such addresses and others.
func UnmapPrefix(p netip.Prefix) (netip.Prefix, error) {
	if !p.Addr().Is4In6() {
		return p.Masked(), nil
	}
	const mapped = 96 // bits of ::ffff:0:0
	if p.Bits() < mapped {
		return p, errors.New("a network of IPv4 addresses in IPv6 has at least 96 bits")
	}
	return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped).Masked(), nil
}

func (p *Proxies) trust(addr netip.Addr) bool {
	return slices.ContainsFunc(p.trusted, func(prefix netip.Prefix) bool { return prefix.Contains(addr) })
}

// Client returns the address of the client, without a port: the peer's, or the one that
// a trusted proxy names.
func (p *Proxies) Client(r *http.Request) string {
	if addr, _ := p.reported(r); addr.IsValid() {
		return addr.String()
	}
	return hostOf(r.RemoteAddr)
}

// Known is Client for what an address gives rights to. It has neither a zone nor is it
// one of IPv4 in IPv6. ok is false where a trusted proxy has passed the request on and
// does not say for whom, or not all of it can be read, or two headers contradict each
// other: who sent the request may have caused that, and Client is the proxy then.
func (p *Proxies) Known(r *http.Request) (addr netip.Addr, ok bool) {
	passedOn := len(r.Header["X-Forwarded-For"]) > 0 || len(r.Header["Forwarded"]) > 0
	if passedOn && p.IsTrustedPeer(r) {
		addr, whole := p.reported(r)
		return addr, whole && addr.IsValid()
	}
	peer, err := netip.ParseAddr(hostOf(r.RemoteAddr))
	return withoutZone(peer), err == nil
}

// Farthest is Client, and reports whether that address is itself a trusted proxy's,
// which did not say who its client is.
func (p *Proxies) Farthest(r *http.Request) (client string, isProxy bool) {
	client = p.Client(r)
	if len(p.trusted) == 0 {
		return client, false
	}
	addr, err := netip.ParseAddr(client)
	return client, err == nil && p.trust(withoutZone(addr))
}

// hostOf returns an address without its port.
func hostOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		return hostport
	}
	return host
}

// IsTrustedPeer reports whether the request's peer is a trusted proxy.
func (p *Proxies) IsTrustedPeer(r *http.Request) bool {
	if len(p.trusted) == 0 {
		return false
	}
	peer, err := netip.ParseAddr(hostOf(r.RemoteAddr))
	return err == nil && p.trust(withoutZone(peer))
}

// reported returns the address that the trusted proxies report. It is not valid if the
// peer is not one of them, or reports none. whole reports whether all could be read of
// what it follows from.
func (p *Proxies) reported(r *http.Request) (addr netip.Addr, whole bool) {
	if !p.IsTrustedPeer(r) {
		return netip.Addr{}, false
	}
	var byXFF, byForwarded netip.Addr
	var wholeXFF, wholeForwarded bool
	if lines := r.Header["X-Forwarded-For"]; p.header != Forwarded && len(lines) > 0 {
		byXFF, wholeXFF = p.walk(lines, parseNode)
	}
	if lines := r.Header["Forwarded"]; p.header != XForwardedFor && len(lines) > 0 {
		byForwarded, wholeForwarded = p.walk(lines, parseForwarded)
	}
	switch {
	case p.header == Auto && len(r.Header["X-Forwarded-For"]) > 0 && len(r.Header["Forwarded"]) > 0:
		if byXFF != byForwarded {
			return netip.Addr{}, false
		}
		return byXFF, wholeXFF && wholeForwarded
	case byXFF.IsValid():
		return byXFF, wholeXFF
	}
	return byForwarded, wholeForwarded
}

// walk goes through the elements of a header from the last, which the proxy
// next to the service has added, to the first, which anybody may have sent. It
// returns the first address that is no trusted proxy's. Where all are, it
// returns the one farthest away: a client in the proxies' own network. What is
// left of an element without an address is worth nothing: who added it is not
// known. whole is false where it has come to such an element.
func (p *Proxies) walk(lines []string, parse func(element string) (netip.Addr, bool)) (farthest netip.Addr, whole bool) {
	for _, line := range slices.Backward(lines) {
		for more := true; more; {
			var element string
			line, element, more = cutLast(line, ',')
			if element = strings.Trim(element, " \t"); element == "" {
				continue
			}
			addr, ok := parse(element)
			if !ok {
				return farthest, false
			}
			farthest = addr
			if !p.trust(addr) {
				return farthest, true
			}
		}
	}
	return farthest, true
}

// cutLast cuts a list before its last separator that is not within a quoted
// string. It reads from the end, so that a quote which a client left open does
// not swallow what the proxies have appended.
func cutLast(list string, separator byte) (before, last string, found bool) {
	quoted := false
	for i := len(list) - 1; i >= 0; i-- {
		switch c := list[i]; {
		case c == '"' && !isEscaped(list, i):
			quoted = !quoted
		case c == separator && !quoted:
			return list[:i], list[i+1:], true
		}
	}
	return "", list, false
}

// isEscaped reports whether an odd number of backslashes stands before i.
func isEscaped(text string, i int) bool {
	n := 0
	for n < i && text[i-1-n] == '\\' {
		n++
	}
	return n%2 == 1
}

// parseForwarded returns the address in the for parameter of an element of
// Forwarded (RFC 7239 section 4). There is none in an element without the
// parameter, with a malformed one or with two.
func parseForwarded(element string) (addr netip.Addr, ok bool) {
	for more := true; more; {
		var pair string
		element, pair, more = cutLast(element, ';')
		name, value, isPair := strings.Cut(strings.Trim(pair, " \t"), "=")
		switch {
		case name == "" && !isPair: // an empty element of the list
		case !isPair, name == "", strings.ContainsAny(name, "\" \t"):
			return netip.Addr{}, false
		case strings.EqualFold(name, "for"):
			if addr.IsValid() {
				return netip.Addr{}, false
			}
			if addr, ok = parseNode(value); !ok {
				return netip.Addr{}, false
			}
		}
	}
	return addr, addr.IsValid()
}

// parseNode returns the address of a node as X-Forwarded-For and the for of
// Forwarded have it (RFC 7239 section 6): an address with or without a port,
// one of IPv6 in brackets or not, all of it in quotes or not. unknown and
// obfuscated names are no addresses.
func parseNode(node string) (netip.Addr, bool) {
	if len(node) > 1 && node[0] == '"' && node[len(node)-1] == '"' {
		node = node[1 : len(node)-1] // no address needs an escape within
	}
	host, isBracketed := strings.CutPrefix(node, "[")
	port := ""
	switch {
	case isBracketed:
		var closed bool
		if host, port, closed = strings.Cut(host, "]"); !closed {
			return netip.Addr{}, false
		}
	case strings.Count(node, ":") == 1: // more are IPv6's own
		at := strings.IndexByte(node, ':')
		host, port = node[:at], node[at:]
	}
	if port != "" && !isNodePort(port) {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || isBracketed && !addr.Is6() {
		return netip.Addr{}, false
	}
	return withoutZone(addr), true
}

// isNodePort reports whether text is a colon and a port or the obfuscated name
// of one (RFC 7239 section 6.2).
func isNodePort(text string) bool {
	port, ok := strings.CutPrefix(text, ":")
	if !ok || port == "" {
		return false
	}
	if name, ok := strings.CutPrefix(port, "_"); ok {
		return obfuscated.MatchString(name)
	}
	return portNumber.MatchString(port)
}

var (
	obfuscated = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)
	portNumber = regexp.MustCompile(`^[0-9]{1,5}$`)
)

// withoutZone returns the address in the form in which addresses are compared: without
// a zone, and IPv4 in IPv6 as IPv4.
func withoutZone(addr netip.Addr) netip.Addr { return addr.WithZone("").Unmap() }
