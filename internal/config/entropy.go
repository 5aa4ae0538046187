package config

import "math"

// minSecretEntropy is the least entropyBits of a secret in production. 32
// random hexadecimal digits have some 115.
const minSecretEntropy = 64

// entropyBits estimates how many bits of chance a secret holds at most: the
// Shannon entropy of its bytes, or of the differences between neighbours if
// that is less (abcdef…), over what does not merely repeat. It finds values
// that were typed to be long enough; it cannot tell a quotation from chance.
func entropyBits(secret string) float64 {
	secret = secret[:repetitionPeriod(secret)]
	steps := make([]byte, max(0, len(secret)-1))
	for i := range steps {
		steps[i] = secret[i+1] - secret[i]
	}
	return min(shannon([]byte(secret)), shannon(steps))
}

// shannon returns the entropy of the bytes by their frequencies, in bits.
func shannon(text []byte) float64 {
	var counts [256]int
	for _, c := range text {
		counts[c]++
	}
	bits := 0.0
	for _, n := range &counts {
		if n > 0 {
			bits -= float64(n) * math.Log2(float64(n)/float64(len(text)))
		}
	}
	return bits
}

// repetitionPeriod returns the length of the shortest prefix of text that, repeated and
// cut off, yields text.
func repetitionPeriod(text string) int {
	for n := 1; n <= len(text)/2; n++ {
		if text[n:] == text[:len(text)-n] {
			return n
		}
	}
	return len(text)
}
