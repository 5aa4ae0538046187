package schema

import (
	"net/netip"
	"strings"
	"unicode/utf8"

	"session-api/internal/jsonscan"

	"github.com/go-json-experiment/json/jsontext"
)

// Facts are what the service keeps of a session beside its document: which client
// uses it, whether it is remembered when the browser is closed, and which requests with
// an Idempotency-Key changed it last. They are a small immutable value, which can be
// compared with ==. The zero value is none.
//
// Stores keep them as text (String), a JSON object of fixed order in which what is
// not known is left out:
//
//	{"label":"Firefox on Windows","userAgent":"Mozilla/5.0 …","ip":"192.0.2.0/24",
//	"applied":"0123456789abcdef","remember":true}
type Facts struct{ text string }

// Client is the device and the program that a session is used from.
type Client struct {
	// Label names both in a few words, such as "Firefox on Windows".
	Label string
	// UserAgent is the header of that name, sanitised.
	UserAgent string
	// IP is the client's address, or the network that it was cut to, with its bits.
	IP string
}

// The limits of a client's fields, in bytes.
const (
	MaxClientLabel = 100
	MaxUserAgent   = 512
)

// MaxFacts is longer than the text of any facts.
const MaxFacts = 2*(MaxClientLabel+MaxUserAgent) + maxApplied*MarkLen + 144

// The members of the text, in their order.
const (
	factLabel     = "label"
	factUserAgent = "userAgent"
	factIP        = "ip"
	factApplied   = "applied"
	factRemember  = "remember"
)

// WithClient returns f with the client in place of its own. The client's fields are
// sanitised: see SanitizeClientText. The IP has its usual form (WholeIP); what is none is left out.
func (f Facts) WithClient(c Client) Facts {
	c.Label = SanitizeClientText(c.Label, MaxClientLabel)
	c.UserAgent = SanitizeClientText(c.UserAgent, MaxUserAgent)
	c.IP, _ = WholeIP(c.IP)
	return newFacts(c, f.applied(), f.find(factRemember))
}

// WithRemember returns f with what its caller asked for: that the session is
// remembered, or that it is not.
func (f Facts) WithRemember(remember bool) Facts {
	value := "false"
	if remember {
		value = "true"
	}
	return newFacts(f.Client(), f.applied(), value)
}

// MarkLen is the length of the mark of a request, which has letters of base64url (RFC
// 4648 section 5) alone. maxApplied is how many of them the facts hold.
const (
	MarkLen    = 16
	maxApplied = 4
)

// WithApplied returns f with the mark of a request that changed the session. It holds the
// last four.
func (f Facts) WithApplied(mark string) Facts {
	applied := mark + f.applied()
	return newFacts(f.Client(), applied[:min(len(applied), maxApplied*MarkLen)], f.find(factRemember))
}

// Applied reports whether the request of that mark is one of the last that changed the
// session.
func (f Facts) Applied(mark string) bool {
	for applied := f.applied(); len(applied) >= MarkLen; applied = applied[MarkLen:] {
		if applied[:MarkLen] == mark {
			return true
		}
	}
	return false
}

// applied returns the marks, the latest first.
func (f Facts) applied() string { return unquoteFact(f.find(factApplied)) }

// newFacts returns the facts of a client whose fields are sanitised; applied are marks, and
// remember is JSON, or empty.
func newFacts(c Client, applied, remember string) Facts {
	var room [256]byte
	b := append(room[:0], '{')
	for _, m := range [...]struct{ name, value string }{{factLabel, c.Label}, {factUserAgent, c.UserAgent}, {factIP, c.IP}, {factApplied, applied}} {
		if m.value != "" {
			b = appendFactName(b, m.name)
			b = jsonscan.AppendQuoted(b, m.value)
		}
	}
	if remember != "" {
		b = appendFactName(b, factRemember)
		b = append(b, remember...)
	}
	if len(b) == len("{") {
		return Facts{}
	}
	return Facts{string(append(b, '}'))}
}

func appendFactName(b []byte, name string) []byte {
	if len(b) > len("{") {
		b = append(b, ',')
	}
	b = append(b, '"')
	b = append(b, name...)
	return append(b, '"', ':')
}

// Client returns the client, which is zero where none is known.
func (f Facts) Client() Client {
	return Client{Label: f.Label(), UserAgent: unquoteFact(f.find(factUserAgent)), IP: unquoteFact(f.find(factIP))}
}

// Label returns the client's label, empty where none is known.
func (f Facts) Label() string { return unquoteFact(f.find(factLabel)) }

// Remember returns whether the session is remembered when the browser is closed. said
// is false where nobody asked for either, and the service's settings decide.
func (f Facts) Remember() (remember, said bool) {
	// It is the last member, and no string ends as it does.
	if remember = strings.HasSuffix(f.text, `"`+factRemember+`":true}`); remember {
		return true, true
	}
	return false, strings.HasSuffix(f.text, `"`+factRemember+`":false}`)
}

// AppendClient appends the client as JSON, {"label":…,"userAgent":…,"ip":…} without
// what is not known, or null where nothing is.
func (f Facts) AppendClient(dst []byte) []byte {
	begun := len(dst)
	dst = append(dst, '{')
	for _, name := range [...]string{factLabel, factUserAgent, factIP} {
		if value := f.find(name); value != "" {
			if len(dst) > begun+1 {
				dst = append(dst, ',')
			}
			dst = append(dst, '"')
			dst = append(dst, name...)
			dst = append(dst, '"', ':')
			dst = append(dst, value...)
		}
	}
	if len(dst) == begun+1 {
		return append(dst[:begun], "null"...)
	}
	return append(dst, '}')
}

// FamilyChanged reports whether the client in to is of another family than the one in
// f, by their labels: "Chrome on Windows" and "Chrome on Android" are one family. It is
// false where either has no label.
func (f Facts) FamilyChanged(to Facts) bool {
	if f == to {
		return false
	}
	before, after := f.Label(), to.Label()
	return before != "" && after != "" && Family(before) != Family(after)
}

// Family returns the first part of a label, which names the program.
func Family(label string) string {
	family, _, _ := strings.Cut(label, LabelSeparator)
	return family
}

// LabelSeparator stands between the program and the system in a label.
const LabelSeparator = " on "

// String returns the text of the facts, empty for none.
func (f Facts) String() string { return f.text }

// StoredFacts returns the facts whose String a store kept. It must be that: nothing
// of it is checked.
func StoredFacts(text string) Facts { return Facts{text} }

// find returns the value of a member as JSON, empty if there is none.
func (f Facts) find(name string) string {
	text := f.text
	for len(text) > 3 { // the brace or comma before it, and what else a member has
		end := strings.IndexByte(text[2:], '"')
		if end < 0 || len(text) < end+4 {
			return ""
		}
		found := text[2 : 2+end]
		text = text[end+4:] // after the quote and the colon
		size := factLen(text)
		if found == name {
			return text[:size]
		}
		text = text[size:]
	}
	return ""
}

// factLen returns the length of the value that text starts with.
func factLen(text string) int {
	if text == "" || text[0] != '"' {
		if end := strings.IndexAny(text, ",}"); end >= 0 {
			return end
		}
		return len(text)
	}
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return len(text)
}

func unquoteFact(value string) string {
	switch {
	case len(value) < 2:
		return ""
	case strings.IndexByte(value, '\\') < 0:
		return value[1 : len(value)-1]
	}
	return string(jsonscan.Unquote([]byte(value)))
}

// SanitizeClientText returns a text that a client sent of itself without control
// characters, invalid UTF-8 and what changes the direction or the joining of others, and
// of limit bytes at most.
func SanitizeClientText(text string, limit int) string {
	if len(text) <= limit && isPlain(text) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if r == utf8.RuneError || r < ' ' || r >= 0x7f && r < 0xa0 || isFormat(r) {
			continue
		}
		if b.Len()+utf8.RuneLen(r) > limit {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// isPlain reports whether the text is printable ASCII, without space at its ends.
func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] >= 0x7f {
			return false
		}
	}
	return text == "" || text[0] != ' ' && text[len(text)-1] != ' '
}

// isFormat reports whether a character is invisible and changes how others are shown
// (Unicode's Cf, and the separators of lines and paragraphs).
func isFormat(r rune) bool {
	return r == 0xad || r == 0x61c || r == 0xfeff || r >= 0x200b && r <= 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2060 && r <= 0x206f ||
		r >= 0xfff9 && r <= 0xfffb || r >= 0xe0000 && r <= 0xe007f
}

// parseClientNet reads an address or a network. One of IPv4 in IPv6 is one of IPv4. ok
// is false for what is neither.
func parseClientNet(text string) (network netip.Prefix, ok bool) {
	addr, err := netip.ParseAddr(text)
	if err == nil {
		addr = addr.WithZone("").Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	network, err = netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	const mapped = 96 // bits of ::ffff:0:0
	if network.Addr().Is4In6() {
		if network.Bits() < mapped {
			return netip.Prefix{}, false
		}
		network = netip.PrefixFrom(network.Addr().Unmap(), network.Bits()-mapped)
	}
	return network.Masked(), true
}

// WholeIP returns an address, or a network, in its usual form; ok is false for what is
// neither.
func WholeIP(text string) (ip string, ok bool) {
	network, ok := parseClientNet(text)
	switch {
	case !ok:
		return "", false
	case network.IsSingleIP():
		return network.Addr().String(), true
	}
	return network.String(), true
}

// CutIP returns the network of a client's address that tells where it is, and not who: a
// /24 of IPv4, a /48 of IPv6. What is a network of that size or a larger one already
// stays. ok is false for what is neither.
func CutIP(text string) (ip string, ok bool) {
	network, ok := parseClientNet(text)
	if !ok {
		return "", false
	}
	most := 48
	if network.Addr().Is4() {
		most = 24
	}
	return netip.PrefixFrom(network.Addr(), min(network.Bits(), most)).Masked().String(), true
}

// readClient decodes the client that a body names: an object whose members may be
// label, userAgent and ip. It adds field errors to m; at is the pointer to it.
func readClient(value []byte, at string, m *fieldErrors) (c Client) {
	if jsonscan.KindOf(value) != jsontext.KindBeginObject {
		m.add(at, "must be an object")
		return Client{}
	}
	for f, ok := jsonscan.NextMember(value, 1); ok; f, ok = jsonscan.NextMember(value, f.End) {
		c.read(string(jsonscan.Unquote(f.Name(value))), f.Value(value), at, m)
	}
	return c
}

// read decodes one member of a client, and adds a field error to m if that is wrong; at
// is the pointer to the client.
func (c *Client) read(name string, value []byte, at string, m *fieldErrors) {
	var problem string
	switch name {
	case factLabel:
		c.Label, problem = readClientText(value, MaxClientLabel)
	case factUserAgent:
		c.UserAgent, problem = readClientText(value, MaxUserAgent)
	case factIP:
		if c.IP, problem = readText(value, MaxUserAgent); problem == "" && c.IP != "" {
			if _, ok := parseClientNet(c.IP); !ok {
				problem = "must be an IP address, or a network as 192.0.2.0/24"
			}
		}
	default:
		problem = "is not known here: label, userAgent and ip are"
	}
	if problem != "" {
		m.add(at+path{{name: jsonscan.AppendQuoted(nil, name)}}.pointer(), problem)
	}
}

// readFacts decodes the facts of a record, in any order of their members. It adds field
// errors to m.
func readFacts(value []byte, m *fieldErrors) Facts {
	const at = "/facts"
	if jsonscan.KindOf(value) != jsontext.KindBeginObject {
		m.add(at, "must be an object")
		return Facts{}
	}
	var c Client
	var applied, remember string
	for f, ok := jsonscan.NextMember(value, 1); ok; f, ok = jsonscan.NextMember(value, f.End) {
		v := f.Value(value)
		name := string(jsonscan.Unquote(f.Name(value)))
		switch name {
		case factApplied:
			if applied = unquoteFact(string(v)); jsonscan.KindOf(v) != jsontext.KindString || !validMarks(applied) {
				m.add(at+"/"+factApplied, "must be marks of requests, as they were exported")
			}
		case factRemember:
			if remember = string(v); remember != "true" && remember != "false" {
				m.add(at+"/"+factRemember, "must be true or false")
			}
		default:
			c.read(name, v, at, m)
		}
	}
	return newFacts(c, applied, remember)
}

// validMarks reports whether the text is that of marks.
func validMarks(text string) bool {
	if len(text)%MarkLen != 0 || len(text) > maxApplied*MarkLen {
		return false
	}
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' {
			return false
		}
	}
	return true
}

// readClientText is readText for a text of a client, which must be as sanitising leaves
// it but for its length.
func readClientText(value []byte, limit int) (text, problem string) {
	if text, problem = readText(value, noLimit); problem != "" {
		return "", problem
	}
	if SanitizeClientText(text, len(text)) != strings.TrimSpace(text) {
		return "", "must have no control or format characters"
	}
	return SanitizeClientText(text, limit), ""
}
