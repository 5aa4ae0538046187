package token

import (
	"crypto/rand"
	"errors"
	"hash/crc32"
	"math/big"
	"strings"
)

// The form of the secrets that NewServiceSecret makes, which scanners of repositories
// and logs find by: the prefix, 43 base-62 digits of a random number of 256 bits, and
// 6 of the CRC-32 (IEEE) of all before them. Each is padded with zeros. The digits
// are 0-9, a-z, A-Z, in this order.
const (
	servicePrefix   = "sat_"
	serviceBody     = 43 // 62^43 is more than 2^256
	serviceChecksum = 6  // 62^6 is more than 2^32
	serviceLength   = len(servicePrefix) + serviceBody + serviceChecksum

	base62 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
)

// NewServiceSecret returns a random secret for a service token.
func NewServiceSecret() string {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // never fails
	text := servicePrefix + digits62(new(big.Int).SetBytes(random), serviceBody)
	return text + checksum62(text)
}

// Why a text is not a secret as NewServiceSecret makes it.
var (
	ErrNoServiceSecret = errors.New("not of the form of a service token that session-api has made: sat_ and 49 letters and digits")
	ErrServiceChecksum = errors.New("the checksum of the service token is wrong: a character was changed")
)

// CheckServiceSecret reports whether a text is of the form that NewServiceSecret makes,
// its checksum included. It returns ErrNoServiceSecret or ErrServiceChecksum if not.
// The errors hold nothing of the text.
func CheckServiceSecret(text string) error {
	body, ok := strings.CutPrefix(text, servicePrefix)
	if !ok || len(text) != serviceLength || strings.Trim(body, base62) != "" {
		return ErrNoServiceSecret
	}
	split := serviceLength - serviceChecksum
	if checksum62(text[:split]) != text[split:] {
		return ErrServiceChecksum
	}
	return nil
}

// checksum62 returns the checksum of a text.
func checksum62(text string) string {
	return digits62(new(big.Int).SetUint64(uint64(crc32.ChecksumIEEE([]byte(text)))), serviceChecksum)
}

// digits62 returns a number with a number of digits that it does not exceed.
func digits62(n *big.Int, length int) string {
	const base = len(base62)
	text := n.Text(base) // with the digits of base62
	return strings.Repeat("0", length-len(text)) + text
}
