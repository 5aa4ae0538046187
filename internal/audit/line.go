package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
)

// A line is an object whose members begin with chain, sequence and previous and end with
// sum: the SHA-256 of the line up to the comma before it. previous is the SHA-256 of the
// whole line before, without its line break.

// hash is a SHA-256.
type hash [sha256.Size]byte

func (h hash) String() string { return hex.EncodeToString(h[:]) }

// position is where a chain has got to.
type position struct {
	chain    string // a random name
	sequence uint64 // of the last line; 0 before the first
	last     hash   // of the last line; zero before the first
}

// head is what comes before the members of an entry.
type head struct {
	Chain    string `json:"chain"`
	Sequence uint64 `json:"sequence"`
	Previous string `json:"previous"`
}

const (
	sumMember = `,"sum":"`
	// sumLen is the length of the member sum and the end of the line.
	sumLen = len(sumMember) + 2*sha256.Size + len(`"}`)
	// maxLine is the length of the longest line that is read.
	maxLine = 1 << 20
)

// appendLine appends the line of the next entry with its line break, and moves the
// position.
func (p *position) appendLine(dst []byte, e *Entry) ([]byte, error) {
	line, err := json.Marshal(struct {
		head
		*Entry
	}{head{p.chain, p.sequence + 1, p.last.String()}, e})
	if err != nil {
		return dst, err
	}
	line = line[:len(line)-1] // the brace
	sum := sha256.Sum256(line)
	line = append(line, sumMember...)
	line = append(hex.AppendEncode(line, sum[:]), `"}`...)
	p.sequence, p.last = p.sequence+1, sha256.Sum256(line)
	return append(append(dst, line...), '\n'), nil
}

// line is a line that was read.
type line struct {
	head
	Act     Act `json:"act"`
	Details struct {
		Bytes  int64  `json:"bytes"`
		SHA256 string `json:"sha256"`
	} `json:"details"`
}

var (
	errNoLine  = errors.New("it is no entry of an audit log")
	errChanged = errors.New("it was changed: its sum is that of another text")
)

// parseLine reads a line without its line break. Returns errNoLine or errChanged.
func parseLine(text []byte) (l line, err error) {
	sum, ok := sumOf(text)
	if !ok {
		return line{}, errNoLine
	}
	if sha256.Sum256(text[:len(text)-sumLen]) != sum {
		return line{}, errChanged
	}
	if err := json.Unmarshal(text, &l); err != nil || len(l.Previous) != 2*sha256.Size || l.Chain == "" || l.Sequence == 0 {
		return line{}, errNoLine
	}
	return l, nil
}

// sumOf returns the sum that a text ends with.
func sumOf(text []byte) (sum hash, ok bool) {
	if len(text) <= sumLen || text[0] != '{' {
		return sum, false
	}
	end := text[len(text)-sumLen:]
	if !bytes.HasPrefix(end, []byte(sumMember)) || !bytes.HasSuffix(end, []byte(`"}`)) {
		return sum, false
	}
	digits := end[len(sumMember) : len(end)-2]
	_, err := hex.Decode(sum[:], digits)
	return sum, err == nil && hex.EncodeToString(sum[:]) == string(digits)
}

// isTorn reports whether a text can be what a crash has left of a line: its beginning, or
// zeros in place of the rest of it.
func isTorn(text []byte) bool {
	text = bytes.TrimRight(text, "\x00")
	for i := 0; ; i++ {
		at := bytes.Index(text[i:], []byte(sumMember))
		if at < 0 {
			return true
		}
		i += at
		if len(text)-i >= sumLen {
			if _, whole := sumOf(text[:i+sumLen]); whole {
				return false
			}
		}
	}
}
