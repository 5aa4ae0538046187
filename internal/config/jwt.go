package config

import (
	"net/url"
	"strings"
	"time"

	"session-api/internal/api"
	"session-api/internal/jwt"
)

// JWT are the settings of the tokens that services verify by themselves.
type JWT struct {
	Issuer    string        `env:"JWT_ISSUER" shown:"the address that the service listens on in development, none in production" values:"URL" doc:"Issuer of the JWTs (iss), a URL such as https://app.example.com. In production, no JWTs are issued without it."`
	Audience  []string      `env:"JWT_AUDIENCE" shown:"JWT_ISSUER" values:"list" doc:"Audiences (aud) that JWTs may have. The first is that of a JWT for which none is requested, and of X-Session-Jwt. If not set, any audience may be requested."`
	TTL       time.Duration `env:"JWT_TTL_MS" envDefault:"300000" min:"1000" max:"600000" doc:"How long a JWT is valid if its request does not say, and X-Session-Jwt; at most 600000. No JWT outlives its session."`
	Claims    claimMappings `env:"JWT_CLAIMS" values:"list" doc:"Members of sections that JWTs carry as claims: email=user.email,plan=meta.plan. Strings, numbers, booleans and arrays of strings, of at most 1024 bytes each and 2048 in total; others are left out. All sections but user are written by the visitor."`
	Algorithm jwtAlgorithm  `env:"JWT_ALGORITHM" envDefault:"es256" oneof:"es256 eddsa" doc:"Algorithm of the keys that the service makes for JWTs: ES256 or EdDSA (Ed25519). A change takes effect with the next key, which is published beforehand."`
	Rotate    time.Duration `env:"JWT_ROTATE_MS" envDefault:"2592000000" min:"3600000" doc:"How long a key that the service makes signs JWTs. The next one is published a day before its use, or a quarter of this time if that is less."`
	KeysFile  string        `env:"JWT_KEYS_FILE" values:"path" doc:"File with the keys of JWTs, as PEM, a JWK or a JWK Set, to use in place of those that the service makes. The first key signs, all are published. Read again on SIGHUP."`
	Verify    bool          `env:"VERIFY_JWT" envDefault:"false" doc:"Whether authorization requests of gateways (/api/session/verify) are answered with a JWT of the session in X-Session-Jwt."`

	keys *jwt.Keys
}

// jwtAlgorithm is the name of an algorithm in lower case.
type jwtAlgorithm string

// claimMappings are mappings of claims, checked.
type claimMappings []jwt.Mapping

// String is what parseClaimMappings reads.
func (m claimMappings) String() string {
	texts := make([]string, len(m))
	for i, one := range m {
		texts[i] = one.String()
	}
	return strings.Join(texts, ",")
}

func parseClaimMappings(v string) (claimMappings, error) { return jwt.ParseMappings(split(v, ",")) }

// jwtChecks are the rules of JWTs.
var jwtChecks = []rule{
	{"JWT_ISSUER", nil, func(c *Config) string {
		if c.JWT.Issuer == "" || c.JWT.Issuer == c.developmentIssuer() { // HOST and PORT have rules of their own
			return ""
		}
		u, err := url.Parse(c.JWT.Issuer)
		return messageIf(err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || strings.ContainsAny(c.JWT.Issuer, "?#"),
			"is no http:// or https:// URL without user, query and fragment")
	}},
	{"JWT_AUDIENCE", nil, func(c *Config) string { return firstProblem(c.JWT.Audience, checkAudience) }},
	{"VERIFY_JWT", []string{"JWT_ISSUER", "APP_ENV"}, func(c *Config) string {
		return messageIf(c.JWT.Verify && c.JWT.Issuer == "", "true needs JWT_ISSUER in production")
	}},
}

// maxAudience is the length of the longest audience that a request may ask for, in bytes.
const maxAudience = 256

func checkAudience(audience string) string {
	return messageIf(len(audience) > maxAudience || strings.ContainsFunc(audience, func(c rune) bool { return c < ' ' || c == 0x7f }),
		"%s is no audience: up to %d bytes without control characters are", quoted(audience), maxAudience)
}

// readJWTKeys reads the file of the keys of JWTs.
func (c *Config) readJWTKeys() Problems {
	if c.JWT.KeysFile == "" {
		return nil
	}
	content, err := readSecretFile(c.JWT.KeysFile)
	if err == nil {
		c.JWT.keys, err = jwt.ParseKeys(content)
	}
	if err != nil {
		return Problems{{"JWT_KEYS_FILE", err.Error()}}
	}
	return nil
}

// apiJWT returns the options of JWTs.
func (c *Config) apiJWT() api.JWT {
	algorithm, _ := jwt.ParseAlgorithm(string(c.JWT.Algorithm)) // one of them
	return api.JWT{
		Options: jwt.Options{
			Issuer: c.JWT.Issuer, Audience: c.JWT.Audience, Algorithm: algorithm,
			TTL: c.JWT.TTL, Mappings: c.JWT.Claims, Rotate: c.JWT.Rotate,
		},
		Verify: c.JWT.Verify,
	}
}

// developmentIssuer returns the issuer of JWTs in development: where the service listens,
// as a client on this machine names it.
func (c *Config) developmentIssuer() string {
	u := url.URL{Scheme: "http", Host: c.Address()}
	return u.String()
}
