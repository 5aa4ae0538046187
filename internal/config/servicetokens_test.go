package config

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"session-api/internal/servicetest"
	"session-api/internal/token"
)

// hashOf is the field of a secret's hash.
func hashOf(secret string) string {
	sum := token.Sum(secret)
	return "sha256=" + hex.EncodeToString(sum[:])
}

func TestServiceTokens_lines(t *testing.T) {
	secret := rand.Text() + rand.Text()
	content := "# who is it\r\n\n \t# and who not\n" +
		"name=billing scope=read namespace=shop,stall expires=2027-01-01T01:00:00+01:00 cidr=10.1.2.3/8,2001:db8::1,::ffff:192.0.2.0/120 " + hashOf("a") + "\r\n" +
		"\tsecret=" + secret + "  scope=read,write\tname=Log-in.2_x \n" +
		"name=ops scope=admin " + strings.ToUpper(hashOf("c")[:9]) + strings.ToUpper(hashOf("c")[9:])
	content = strings.Replace(content, "SHA256=", "sha256=", 1)
	c, err := Load(servicetest.Production(t, "SERVICE_TOKENS", "", "SERVICE_TOKENS_FILE", servicetest.SecretFile(t, content)))
	require.NoError(t, err)
	assert.Equal(t, []token.Service{
		{
			Name: "billing", Scope: token.ScopeRead, Namespaces: []string{"shop", "stall"}, Sum: token.Sum("a"),
			Expires:  c.ServiceTokens()[0].Expires, // has a zone
			Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128"), netip.MustParsePrefix("192.0.2.0/24")},
		},
		{Name: "Log-in.2_x", Scope: token.ScopeWrite, Sum: token.Sum(secret)},
		{Name: "ops", Scope: token.ScopeAdmin, Sum: token.Sum("c")},
	}, c.ServiceTokens())
	assert.True(t, time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).Equal(c.ServiceTokens()[0].Expires))
	assert.Equal(t, [][]byte{[]byte(secret)}, c.APISecrets().ServiceSecrets, "the others are not known")
	assert.Empty(t, c.ServiceSecret(time.Now()), "none that is known allows everything")
	assert.NotContains(t, fmt.Sprintf("%+v", c), secret)
	assert.NotContains(t, c.Print(), secret)
}

// Both settings add up, and files of secrets alone go on to work.
func TestServiceTokens_settingsAddUp(t *testing.T) {
	one, two, three := rand.Text()+rand.Text(), rand.Text()+rand.Text(), rand.Text()+rand.Text()
	for _, separator := range []string{",", "\n", "\r\n", " ,\n\n"} {
		c, err := Load(servicetest.Production(t, "SERVICE_TOKENS", one, "SERVICE_TOKENS_FILE", servicetest.SecretFile(t, two+separator+three+"\n")))
		require.NoError(t, err)
		assert.Equal(t, []token.Service{
			token.FullService("default-1", one), token.FullService("default-2", two), token.FullService("default-3", three),
		}, c.ServiceTokens())
		assert.Equal(t, one, c.ServiceSecret(time.Now()))
	}
	c, err := Load(servicetest.Production(t, "SERVICE_TOKENS", one, "SERVICE_TOKENS_FILE", servicetest.SecretFile(t, "name=a scope=read "+hashOf(two))))
	require.NoError(t, err)
	require.Len(t, c.ServiceTokens(), 2)
	assert.Equal(t, "default-1", c.ServiceTokens()[0].Name)
	assert.Equal(t, "a", c.ServiceTokens()[1].Name)

	odd := "pa=ss/+word==" // which is not a line of fields
	c, err = Load(servicetest.Environment(t, "SERVICE_TOKENS_FILE", servicetest.SecretFile(t, odd)))
	require.NoError(t, err)
	assert.Equal(t, []token.Service{token.FullService("default-1", odd)}, c.ServiceTokens())
}

// A command of the operator sends the first that may do what it asks.
func TestServiceSecret(t *testing.T) {
	at := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	c, err := Load(servicetest.Environment(t, "SERVICE_TOKENS_FILE", servicetest.SecretFile(t, strings.Join([]string{
		"name=a scope=write secret=a", "name=b scope=admin namespace=shop secret=b", "name=c scope=admin cidr=10.0.0.0/8 secret=c",
		"name=d scope=admin " + hashOf("d"), "name=e scope=admin expires=2027-01-01T00:00:00Z secret=e", "name=f scope=admin secret=f",
	}, "\n"))))
	require.NoError(t, err)
	assert.Equal(t, "e", c.ServiceSecret(at.Add(-1)))
	assert.Equal(t, "f", c.ServiceSecret(at))
}

// Every mistake is named with its line, and none with what is there.
func TestServiceTokens_mistakes(t *testing.T) {
	strong := rand.Text() + rand.Text()
	made := token.NewServiceSecret()
	for _, tc := range []struct{ content, says string }{
		{"name=a scope=read", "line 1: either secret or sha256 is required"},
		{"name=a scope=read secret=" + strong + " " + hashOf("x"), "line 1: either secret or sha256 is required"},
		{"scope=read secret=" + strong, "line 1: name is missing"},
		{"name=a secret=" + strong, "line 1: scope is missing"},
		{"name=a name=b scope=read secret=" + strong, "line 1: name is there twice"},
		{"name= scope=read secret=" + strong, "line 1: name is empty"},
		{"name=a/b scope=read secret=" + strong, "line 1: name is 1 to 40 letters"},
		{"name=" + strings.Repeat("x", 41) + " scope=read secret=" + strong, "line 1: name is 1 to 40 letters"},
		{"name=default-1 scope=read secret=" + strong, "line 1: names such as default-1"},
		{"name=a scope=root secret=" + strong, "line 1: scope is read, write or admin"},
		{"name=a scope=read, secret=" + strong, "line 1: scope is read, write or admin"},
		{"name=a scope=Read secret=" + strong, "line 1: scope is read, write or admin"},
		{"name=a scope=read namespace=Shop secret=" + strong, "line 1: namespace is 1 to 32"},
		{"name=a scope=read namespaces=shop secret=" + strong, "line 1: a field is unknown; did you mean namespace?"},
		{"name=a scope=read SHA256=" + strong, "line 1: a field is unknown; did you mean sha256?"},
		{"name=a scope=read other" + strong + "=x", "line 1: a field is unknown: there are cidr, expires, name"},
		{"name=a scope=read expires=tomorrow secret=" + strong, "line 1: expires is a date and time"},
		{"name=a scope=read expires=2027-01-01 secret=" + strong, "line 1: expires is a date and time"},
		{"name=a scope=read cidr=10.0.0.0/33 secret=" + strong, "line 1: cidr is an IP address"},
		{"name=a scope=read cidr=0.0.0.0/0 secret=" + strong, "line 1: cidr is an IP address"},
		{"name=a scope=read cidr=0.0.0.0 secret=" + strong, "line 1: cidr is an IP address"},
		{"name=a scope=read cidr=::ffff:0:0/64 secret=" + strong, "line 1: cidr is an IP address"},
		{"name=a scope=read sha256=" + strong, "line 1: sha256 is 64 hexadecimal digits"},
		{"name=a scope=read " + hashOf(""), "line 1: sha256 is the hash of nothing"},
		{"name=a scope=read secret=short", "line 1: secret: has 5 bytes; production asks for at least 32"},
		{"name=a scope=read secret=" + strings.Repeat("x", 40), "line 1: secret: is not random enough"},
		{`name=a scope=read secret="` + strong + `"`, "line 1: secret: is in quotes"},
		{"name=a scope=read secret=s:" + strong, "line 1: secret: begins like a session token"},
		{"name=a scope=read secret=" + strong + "é", "line 1: secret: has a character"},
		{"name=a scope=read secret=" + made[:10] + "-" + made[11:] + "\nname=a scope=read secret=" + made, "line 2: line 1 has the same name"},
		{"name=a scope=read secret=" + made[:51] + flip(made[51:]), "line 1: secret: looks like one that session-api token new has printed, but its checksum is wrong"},
		{"name=a scope=read secret=" + strong + "\nname=b scope=admin " + hashOf(strong), "line 2: line 1 has the same secret"},
		{"name=a scope=read " + hashOf(servicetest.Token), "line 1: one without a name has the same secret"},
		{"name=a scope=read " + hashOf(servicetest.SessionSecret), "line 1: it is a SESSION_SECRET as well"},
		{"name=a scope=read secret=" + strong + " " + strong, "line 1: a field is not of the form key=value"},
		{"\n\n" + strong + "\nname=a scope=read " + hashOf("x"), "line 3: a field is not of the form key=value"},
		{"\uFEFFname=a scope=read secret=" + strong, "the file begins with a byte order mark"},
		{"n\x00a\x00m\x00e\x00=\x00a\x00 \x00s\x00c\x00o\x00p\x00e\x00", "the file is in UTF-16"},
		{"# name=a scope=read secret=" + strong, "the file is empty"},
	} {
		_, err := Load(servicetest.Production(t, "SERVICE_TOKENS_FILE", servicetest.SecretFile(t, tc.content)))
		require.ErrorContains(t, err, "SERVICE_TOKENS_FILE: "+tc.says, tc.content)
		for _, hidden := range []string{strong, made, servicetest.Token, servicetest.SessionSecret} {
			assert.NotContains(t, err.Error(), hidden, tc.content)
		}
	}

	_, err := Load(servicetest.Production(t, "SERVICE_TOKENS", "short", "SERVICE_TOKENS_FILE", servicetest.SecretFile(t, "name=/ scope=x\n\n# ok\nname=a scope=read\n")))
	var found Problems
	require.ErrorAs(t, err, &found)
	texts := make([]string, 0, len(found))
	for _, one := range found {
		texts = append(texts, one.Name+": "+one.Text)
	}
	require.Len(t, texts, 5, "all at once")
	assert.Contains(t, texts[0], "SERVICE_TOKENS: number 1 of 1 has 5 bytes")
	assert.Contains(t, texts[1], "line 1: name is")
	assert.Contains(t, texts[2], "line 1: scope is")
	assert.Contains(t, texts[3], "line 1: either")
	assert.Contains(t, texts[4], "line 4: either")
}

// flip returns another letter.
func flip(letter string) string {
	if letter[0] == 'a' {
		return "b" + letter[1:]
	}
	return "a" + letter[1:]
}

// Development takes what it always took, and an expired token is no reason not to start.
func TestServiceTokens_takes(t *testing.T) {
	for _, content := range []string{
		"name=a scope=read secret=short", "name=a scope=admin expires=2001-01-01T00:00:00Z secret=b", "name=a scope=read namespace=default " + hashOf("x"),
	} {
		c, err := Load(servicetest.Environment(t, "SERVICE_TOKENS_FILE", servicetest.SecretFile(t, content)))
		require.NoError(t, err, content)
		assert.Len(t, c.ServiceTokens(), 1)
	}
	c, err := Load(servicetest.Production(t, "SERVICE_TOKENS", "", "SERVICE_TOKENS_FILE", servicetest.SecretFile(t, "name=a scope=admin expires=2001-01-01T00:00:00Z "+hashOf("b"))))
	require.NoError(t, err)
	assert.Len(t, c.ServiceTokens(), 1, "the routes are not open for want of a valid one")
}

func TestServiceTokens_reread(t *testing.T) {
	first, second := rand.Text()+rand.Text(), rand.Text()+rand.Text()
	file := servicetest.SecretFile(t, first)
	c, err := Load(servicetest.Production(t, "SERVICE_TOKENS_FILE", file))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, []byte("name=a scope=read secret="+second), 0o600))
	fresh, read, err := c.RereadSecrets()
	require.NoError(t, err)
	assert.Equal(t, []string{"SERVICE_TOKENS_FILE"}, read)
	assert.Equal(t, []token.Service{
		token.FullService("default-1", servicetest.Token), {Name: "a", Scope: token.ScopeRead, Sum: token.Sum(second)},
	}, fresh.ServiceTokens())
	for _, gone := range []string{"", "# all of them\n", "name=a"} {
		require.NoError(t, os.WriteFile(file, []byte(gone), 0o600))
		_, _, err = fresh.RereadSecrets()
		require.ErrorContains(t, err, "SERVICE_TOKENS_FILE")
	}
}

// FuzzServiceLines: a file is taken or refused, what is refused is not repeated, and what
// is taken comes back from its own lines.
func FuzzServiceLines(f *testing.F) {
	f.Add("name=billing scope=read namespace=shop expires=2027-01-01T00:00:00Z cidr=10.0.0.0/8 secret=hunter2hunter2")
	f.Add("# a\n\nname=b scope=write,admin cidr=::1,1.2.3.4/5 " + hashOf("x"))
	f.Add("name=a scope=read secret=a=b=c\r\nname=a name=b names=x expires=0001-01-01T00:00:00Z")
	f.Add("name=\xff scope=read expires=9999-12-31T23:59:59.999999999-23:59 sha256=")
	f.Add("secret=name scope=\u2028 name=s")
	f.Fuzz(func(t *testing.T, content string) {
		const hidden = "a-secret-that-occurs-nowhere-else"
		content = strings.ReplaceAll(content, "hunter2", hidden)
		_ = isLineForm(content)
		lines, wrong := parseServiceLines(content)
		require.NotContains(t, strings.Join(wrong, "\n"), hidden)
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", lines, lines, lines), hidden)
		for _, one := range lines {
			require.NotEmpty(t, one.Name)
			require.NotEqual(t, token.NoScope, one.Scope)
			again, err := ParseServiceToken(FormatServiceToken(&one.Service))
			require.NoError(t, err)
			require.True(t, one.Expires.Equal(again.Expires))
			again.Expires = one.Expires
			require.Equal(t, one.Service, again)
		}
	})
}
