package jsonscan

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// WholeNumber reads a JSON number that is at least 0 and whole, however it is
// spelt: 60000, 60000.0, 6e4. What is more than an int64 holds is the largest of
// these. ok is false for anything else.
func WholeNumber(text string) (n int64, ok bool) {
	if v := jsontext.Value(text); v.Kind() != jsontext.KindNumber || !v.IsValid() || strings.TrimSpace(text) != text {
		return 0, false
	}
	return Whole([]byte(text))
}

// Whole is WholeNumber for a value that is well formed.
func Whole(value []byte) (n int64, ok bool) {
	if KindOf(value) != jsontext.KindNumber {
		return 0, false
	}
	if n, err := strconv.ParseUint(string(value), 10, 63); err == nil {
		return int64(n), true
	}
	const digits = 19 // of the largest int64
	switch num := ParseNumber(value); {
	case num.text != "": // with an exponent of a size that nothing has
		return math.MaxInt64, value[0] != '-' && !bytes.Contains(value, []byte("-"))
	case num.digits == "":
		return 0, true
	case num.negative || num.exponent < int64(len(num.digits)):
		return 0, false
	case num.exponent > digits:
		return math.MaxInt64, true
	default:
		n, err := strconv.ParseInt(num.digits+strings.Repeat("0", int(num.exponent)-len(num.digits)), 10, 64)
		if err != nil {
			n = math.MaxInt64
		}
		return n, true
	}
}

// TooLarge is what is wrong with a number for which InRange does not hold.
const TooLarge = "is beyond the range of numbers, which is that of a 64-bit float (RFC 7493)"

// InRange reports whether a number is within what a 64-bit float can hold
// (RFC 7493 section 2.2), so that every consumer can read the document: Go's
// fails on one that is not, JavaScript's takes it for Infinity. How many digits
// it has is not asked, nor whether it is too small to be told from 0.
func InRange(number []byte) bool {
	const safe = 308 // digits are in range
	if len(number) <= safe && bytes.IndexByte(number, 'e') < 0 && bytes.IndexByte(number, 'E') < 0 {
		return true
	}
	_, err := strconv.ParseFloat(string(number), 64)
	return err == nil
}

// Number is what a JSON number stands for: 0.digits times ten to the exponent,
// the digits neither starting nor ending with a zero.
type Number struct {
	negative bool
	digits   string
	exponent int64
	// text is the number as written where its exponent is beyond any use.
	// Such a number is equal to itself alone.
	text string
}

// Equal reports whether two numbers stand for the same.
func (n Number) Equal(o Number) bool {
	if n.digits == "" && n.text == "" && o.digits == "" && o.text == "" {
		return true // 0 and -0
	}
	return n == o
}

// ParseNumber returns what a JSON number stands for.
func ParseNumber(b []byte) Number {
	text := string(b)
	var n Number
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	mantissa, n.negative = strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	all := whole + fraction
	n.digits = strings.TrimLeft(all, "0")
	n.exponent = int64(len(whole) - (len(all) - len(n.digits)))
	n.digits = strings.TrimRight(n.digits, "0")
	if n.digits == "" {
		return Number{}
	}
	if exponent != "" {
		e, err := strconv.ParseInt(exponent, 10, 62)
		if err != nil {
			return Number{text: text}
		}
		n.exponent += e
	}
	return n
}
