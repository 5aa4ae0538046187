package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"session-api/internal/clientaddr"
	"session-api/internal/schema"
	"session-api/internal/spelling"
	"session-api/internal/token"
)

// serviceTokens are those of SERVICE_TOKENS and of SERVICE_TOKENS_FILE, which add up.
type serviceTokens struct {
	list []token.Service
	// secrets are those of list, empty where the file has the hash alone.
	secrets secrets
}

// readServiceTokens reads SERVICE_TOKENS_FILE, and puts its tokens beside those of
// SERVICE_TOKENS. Those without a line of their own, and so without a name, are
// default-1, default-2 and so on, those of SERVICE_TOKENS first.
func (c *Config) readServiceTokens() Problems {
	unnamed, lines, wrong := c.readServiceTokensFile()
	unnamed = slices.Concat(c.Secrets.ServiceTokens, unnamed)
	areOthers := len(lines)+len(wrong) > 0
	wrong = append(wrong, c.checkServiceLines(lines, unnamed)...)
	var found Problems
	for _, text := range []string{c.checkUnnamed(unnamed, areOthers), checkTokens(unnamed)} {
		if text != "" {
			found = append(found, Problem{"SERVICE_TOKENS", text})
		}
	}
	for _, text := range wrong {
		found = append(found, Problem{"SERVICE_TOKENS_FILE", text})
	}
	c.Secrets.services = joinServiceTokens(unnamed, lines)
	return found
}

// readServiceTokensFile returns the tokens of the file, in the form in which they are
// there, and what is wrong with it.
func (c *Config) readServiceTokensFile() (unnamed secrets, lines []serviceLine, wrong []string) {
	if c.Secrets.ServiceTokensFile == "" {
		return nil, nil, nil
	}
	content, err := readSecretFile(c.Secrets.ServiceTokensFile)
	if err != nil {
		return nil, nil, []string{err.Error()}
	}
	if isLineForm(string(content)) {
		lines, wrong = parseServiceLines(string(content))
	} else {
		unnamed = parseSecrets(string(content))
	}
	if len(unnamed)+len(lines)+len(wrong) == 0 {
		wrong = []string{errEmptyFile.Error()}
	}
	return unnamed, lines, wrong
}

// checkUnnamed checks the tokens without a name as secrets. There may be none where there
// are others.
func (c *Config) checkUnnamed(unnamed secrets, areOthers bool) string {
	if text := checkWrapping(unnamed); text != "" {
		return text
	}
	if areOthers && len(unnamed) == 0 {
		return ""
	}
	if text := c.checkStrength(unnamed); text != "" {
		return text
	}
	return messageIf(c.Production() && slices.ContainsFunc(unnamed, func(v string) bool { return slices.Contains(c.Secrets.Session, v) }),
		"one of them is a SESSION_SECRET as well: whoever calls with it could sign sessions of anybody")
}

func joinServiceTokens(unnamed secrets, lines []serviceLine) *serviceTokens {
	all := &serviceTokens{secrets: slices.Clone(unnamed)}
	for i, secret := range unnamed {
		all.list = append(all.list, token.FullService(fmt.Sprintf("default-%d", i+1), secret))
	}
	for _, one := range lines {
		all.list, all.secrets = append(all.list, one.Service), append(all.secrets, string(one.Secret))
	}
	return all
}

// known returns the secrets that the settings hold, and not only their hashes.
func (t *serviceTokens) known() secrets {
	if t == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(t.secrets), func(v string) bool { return v == "" })
}

// ServiceTokens returns the service tokens. There is at least one unless the service
// routes are open.
func (c *Config) ServiceTokens() []token.Service {
	if c.Secrets.services == nil {
		return nil
	}
	return c.Secrets.services.list
}

// ServiceSecret returns the secret of a service token that allows everything at now;
// empty if the settings have none, or its hash alone.
func (c *Config) ServiceSecret(now time.Time) string {
	all := c.Secrets.services
	for i := range c.ServiceTokens() {
		one := &all.list[i]
		if all.secrets[i] != "" && one.Scope == token.ScopeAdmin && !one.IsRestricted() && !one.IsExpired(now) && len(one.Networks) == 0 {
			return all.secrets[i]
		}
	}
	return ""
}

// isLineForm reports whether a file of service tokens has a line for each with its name
// and what it allows. A file of secrets alone, a line each or with commas between them,
// has no space within any of them: an Authorization header cannot carry one.
func isLineForm(content string) bool {
	return slices.ContainsFunc(split(content, ",\r\n"), func(part string) bool {
		return strings.HasPrefix(part, "name=") || strings.ContainsAny(part, " \t")
	})
}

// serviceLine is a line of a file of service tokens.
type serviceLine struct {
	token.Service
	line int
	// Secret is exported so that fmt asks it: it masks itself.
	Secret secret // empty where the line has the hash alone
}

// parseServiceLines parses a file of service tokens with a line for each:
//
//	# who uses it, where to renew it
//	name=billing scope=read namespace=shop expires=2027-01-01T00:00:00Z cidr=10.0.0.0/8 sha256=9f86d0…
//
// A line is blank, a comment, or fields with white space between them, each once and
// in any order. name, scope, and either secret or sha256 are required. wrong are
// all mistakes, with their lines; they hold no value of the file.
func parseServiceLines(content string) (lines []serviceLine, wrong []string) {
	switch {
	case strings.HasPrefix(content, byteOrderMark):
		return nil, []string{"the file begins with a byte order mark (U+FEFF): save it without one"}
	case isUTF16(content):
		return nil, []string{"the file is in UTF-16, as some shells write files: save it as UTF-8 or ASCII"}
	}
	number := 0
	for text := range strings.Lines(content) {
		number++
		text = strings.TrimSpace(text)
		if text == "" || text[0] == '#' {
			continue
		}
		one, mistakes := parseServiceLine(text)
		one.line = number
		for _, mistake := range mistakes {
			wrong = append(wrong, fmt.Sprintf("line %d: %s", number, mistake))
		}
		if len(mistakes) == 0 {
			lines = append(lines, one)
		}
	}
	return lines, wrong
}

// serviceFields parse the values of the fields of a line. They return what is wrong, or
// "".
var serviceFields = map[string]func(to *serviceLine, value string) string{
	"name": func(to *serviceLine, value string) string {
		to.Name = value
		switch {
		case !serviceName.MatchString(value):
			return "name is 1 to 40 letters, digits, dots, underscores and hyphens, the first a letter or digit"
		case unnamedName.MatchString(value):
			return "names such as default-1 are those of tokens without a name: choose another"
		}
		return ""
	},
	"scope": func(to *serviceLine, value string) string {
		for one := range strings.SplitSeq(value, ",") {
			scope, ok := token.ParseScope(one)
			if !ok {
				return "scope is read, write or admin, or several of these with commas between them"
			}
			to.Scope = max(to.Scope, scope)
		}
		return ""
	},
	"namespace": func(to *serviceLine, value string) string {
		for one := range strings.SplitSeq(value, ",") {
			if !schema.ValidNamespace(one) {
				return "namespace is 1 to 32 characters of a-z, 0-9 and -, or several of these with commas between them"
			}
			to.Namespaces = append(to.Namespaces, one)
		}
		return ""
	},
	"expires": func(to *serviceLine, value string) (wrong string) {
		var err error
		if to.Expires, err = time.Parse(time.RFC3339, value); err != nil || to.Expires.IsZero() {
			return "expires is a date and time with its zone, such as 2027-01-01T00:00:00Z (RFC 3339)"
		}
		return ""
	},
	"cidr": func(to *serviceLine, value string) string {
		for one := range strings.SplitSeq(value, ",") {
			network, ok := parseNetwork(one)
			if !ok {
				return "cidr is an IP address or a network such as 10.0.0.0/8, or several of these with commas between them; without it, the token is valid everywhere"
			}
			to.Networks = append(to.Networks, network)
		}
		return ""
	},
	"secret": func(to *serviceLine, value string) string {
		to.Secret, to.Sum = secret(value), token.Sum(value)
		return ""
	},
	"sha256": func(to *serviceLine, value string) string {
		sum, err := hex.DecodeString(value)
		switch {
		case err != nil || len(sum) != len(to.Sum):
			return "sha256 is 64 hexadecimal digits, such as `printf %s \"$TOKEN\" | sha256sum` prints"
		case sha256.Sum256(nil) == [sha256.Size]byte(sum):
			return "sha256 is the hash of nothing at all"
		}
		to.Sum = [sha256.Size]byte(sum)
		return ""
	},
}

var (
	serviceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$`)
	unnamedName = regexp.MustCompile(`^default-[0-9]+$`)
)

// parseNetwork parses an address, which is a network of one, or a network, but not one of
// all addresses.
func parseNetwork(text string) (network netip.Prefix, ok bool) {
	network, err := netip.ParsePrefix(text)
	if err != nil {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" || addr.IsUnspecified() {
			return netip.Prefix{}, false
		}
		network = netip.PrefixFrom(addr, addr.BitLen())
	}
	network, err = clientaddr.UnmapPrefix(network)
	return network, err == nil && network.Bits() > 0
}

// parseServiceLine parses a line that is neither blank nor a comment.
func parseServiceLine(text string) (one serviceLine, wrong []string) {
	given := make(map[string]bool)
	for field := range strings.FieldsSeq(text) {
		key, value, ok := strings.Cut(field, "=")
		parse := serviceFields[key]
		switch {
		case !ok:
			wrong = append(wrong, "a field is not of the form key=value")
		case parse == nil:
			wrong = append(wrong, "a field is unknown"+suggestField(key))
		case given[key]:
			wrong = append(wrong, key+" is there twice")
		case value == "":
			wrong = append(wrong, key+" is empty")
		default:
			if mistake := parse(&one, value); mistake != "" {
				wrong = append(wrong, mistake)
			}
		}
		given[key] = true
	}
	for _, key := range []string{"name", "scope"} {
		if !given[key] {
			wrong = append(wrong, key+" is missing")
		}
	}
	if given["secret"] == given["sha256"] {
		wrong = append(wrong, "either secret or sha256 is required")
	}
	return one, wrong
}

// suggestField suggests the field that an unknown key was meant to be, and lists all of
// them if there is none. The key itself may be a secret.
func suggestField(key string) string {
	const far = 3
	meant := spelling.Nearest(maps.Keys(serviceFields), func(known string) (distance int, near bool) {
		d := spelling.Distance(strings.ToLower(key), known)
		return d, d < far || strings.TrimSuffix(key, "s") == known
	})
	if meant != "" {
		return "; did you mean " + meant + "?"
	}
	return ": there are " + strings.Join(slices.Sorted(maps.Keys(serviceFields)), ", ")
}

// checkServiceLines checks the tokens of the lines against each other, against those
// without a name, and against the requirements of production.
func (c *Config) checkServiceLines(lines []serviceLine, unnamed secrets) (wrong []string) {
	names, sums := make(map[string]int), make(map[[sha256.Size]byte]string)
	for _, v := range unnamed {
		sums[token.Sum(v)] = "one without a name"
	}
	session := make(map[[sha256.Size]byte]bool)
	for _, v := range c.Secrets.Session {
		session[token.Sum(v)] = c.Production()
	}
	for _, one := range lines {
		refuse := func(format string, args ...any) {
			wrong = append(wrong, fmt.Sprintf("line %d: ", one.line)+fmt.Sprintf(format, args...))
		}
		if first := names[one.Name]; first > 0 {
			refuse("line %d has the same name", first)
		} else {
			names[one.Name] = one.line
		}
		if other := sums[one.Sum]; other != "" {
			refuse("%s has the same secret", other)
		}
		sums[one.Sum] = fmt.Sprintf("line %d", one.line)
		if session[one.Sum] {
			refuse("it is a SESSION_SECRET as well: whoever calls with it could sign sessions of anybody")
		}
		if one.Secret == "" {
			continue
		}
		for _, text := range []string{checkWrapping(secrets{string(one.Secret)}), c.checkStrength(secrets{string(one.Secret)}), checkTokens(secrets{string(one.Secret)})} {
			if text != "" {
				refuse("secret: %s", strings.TrimPrefix(text, "number 1 of 1 "))
			}
		}
	}
	return wrong
}

// ParseServiceToken parses a line of a file of service tokens. The error names all that
// is wrong with it, and holds none of its values.
func ParseServiceToken(line string) (token.Service, error) {
	one, wrong := parseServiceLine(line)
	if len(wrong) > 0 {
		return token.Service{}, errors.New(strings.Join(wrong, "; "))
	}
	return one.Service, nil
}

// FormatServiceToken returns the line of a token, with the hash of its secret.
func FormatServiceToken(t *token.Service) string {
	fields := []string{"name=" + t.Name, "scope=" + t.Scope.String()}
	if t.IsRestricted() {
		fields = append(fields, "namespace="+strings.Join(t.Namespaces, ","))
	}
	if !t.Expires.IsZero() {
		fields = append(fields, "expires="+t.Expires.UTC().Format(time.RFC3339Nano))
	}
	if len(t.Networks) > 0 {
		fields = append(fields, "cidr="+show(t.Networks))
	}
	return strings.Join(append(fields, "sha256="+hex.EncodeToString(t.Sum[:])), " ")
}
