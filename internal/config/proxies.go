package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"session-api/internal/clientaddr"
)

// parsePrefixes parses addresses and networks; an address is a network of one. It refuses
// networks that no peer can be in.
func parsePrefixes(v string) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, one := range split(v, ",") {
		prefix, err := parsePrefix(one)
		if err != nil {
			return nil, err
		}
		list = append(list, prefix)
	}
	return list, nil
}

func parsePrefix(text string) (netip.Prefix, error) {
	none := func(why string) (netip.Prefix, error) {
		return netip.Prefix{}, fmt.Errorf("%s is neither an IP address nor a network such as 10.0.0.0/8%s", quoted(text), why)
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return none(suggestPrefix(text))
		}
		if addr.IsUnspecified() {
			return netip.Prefix{}, fmt.Errorf("%s is no gateway's address: name the gateways' own", quoted(text))
		}
		addr = addr.Unmap()
		prefix = netip.PrefixFrom(addr, addr.BitLen())
	}
	unmapped, err := clientaddr.UnmapPrefix(prefix)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%s matches nothing: addresses of IPv4 in IPv6 need at least 96 bits; write the network of IPv4, such as 10.0.0.0/8", quoted(text))
	}
	if unmapped.Bits() == 0 {
		return netip.Prefix{}, fmt.Errorf("%s would trust every client: name the gateways' own networks", quoted(text))
	}
	return unmapped, nil
}

// suggestPrefix suggests a correction for an invalid address or network, or returns "".
func suggestPrefix(text string) string {
	write := func(meant string) string {
		if _, err := parsePrefix(meant); err != nil {
			return ""
		}
		return "; write " + quoted(meant)
	}
	base, mask, hasMask := strings.Cut(text, "/")
	switch {
	case strings.Contains(text, "*"):
		return "; wildcards are written as networks, 10.* as 10.0.0.0/8"
	case strings.Contains(text, "%"):
		address, after, _ := strings.Cut(text, "%")
		_, bits, hasBits := strings.Cut(after, "/")
		if hasBits {
			address += "/" + bits
		}
		return write(address)
	case hasMask && strings.Contains(mask, "."):
		parsed, err := netip.ParseAddr(mask)
		if err != nil || !parsed.Is4() {
			return ""
		}
		ones, bits := net.IPMask(parsed.AsSlice()).Size()
		if bits == 0 {
			return ""
		}
		return write(base + "/" + strconv.Itoa(ones))
	}
	if host, _, err := net.SplitHostPort(text); err == nil {
		return write(host)
	}
	if strings.HasPrefix(base, "[") {
		return write(strings.NewReplacer("[", "", "]", "").Replace(text))
	}
	if hostName.MatchString(text) {
		return "; names are not looked up: write the address"
	}
	return ""
}
