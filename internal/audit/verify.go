package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxFindings bounds the findings of a Report.
const maxFindings = 100

// Finding is a line and what is wrong with it, or worth knowing of it.
type Finding struct {
	File string
	Line int
	Text string
}

func (f Finding) String() string { return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.Text) }

// Report says what Verify has found.
type Report struct {
	// Findings are what shows that the log was tampered with or damaged, the first 100;
	// Notes are what is no sign of that.
	Findings, Notes []Finding
	Truncated       bool
	// Lines is how many whole lines of the chain there were, from the sequence number
	// First to Last, and Hash is the SHA-256 of the last one.
	Lines       int
	First, Last uint64
	Hash        string
}

// Verifier checks the files of one chain, in the order in which they were written.
type Verifier struct {
	// Restarts allows a new chain to begin in the middle, as on a standard output when
	// the service starts again.
	Restarts bool

	report    Report
	at        position
	begun     bool
	file      string
	n         int  // of the line
	uncertain bool // something stood between the last line and this
	junk      junk
}

// junk is what stands between two lines of a chain and is none.
type junk struct {
	text     []byte // what there is of it, up to maxLine
	tooLong  bool
	findings []Finding
}

// Read checks a file, whose name is for the findings.
func (v *Verifier) Read(name string, r io.Reader) error {
	v.file, v.n = name, 0
	lines := bufio.NewReaderSize(r, maxLine)
	for {
		text, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			v.n++
			v.discard("it is too long for an entry", nil)
			v.junk.tooLong = true
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = lines.ReadSlice('\n')
			}
			if err == nil {
				continue
			}
		case err == nil:
			v.n++
			v.line(text[:len(text)-1])
			continue
		case errors.Is(err, io.EOF) && len(text) > 0:
			v.n++
			v.tail(text)
		}
		v.flush()
		if !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		return nil
	}
}

// Report returns what was found in all files.
func (v *Verifier) Report() Report {
	r := v.report
	r.Last = v.at.sequence
	if v.begun {
		r.Hash = v.at.last.String()
	}
	return r
}

func (v *Verifier) find(format string, args ...any) {
	v.keep(Finding{v.file, v.n, fmt.Sprintf(format, args...)})
}

func (v *Verifier) keep(f Finding) {
	if len(v.report.Findings) == maxFindings {
		v.report.Truncated = true
		return
	}
	v.report.Findings = append(v.report.Findings, f)
}

func (v *Verifier) note(format string, args ...any) {
	if len(v.report.Notes) < maxFindings {
		v.report.Notes = append(v.report.Notes, Finding{v.file, v.n, fmt.Sprintf(format, args...)})
	}
}

// discard puts a line aside that is none of the chain. The next one tells whether it is
// what a crash has left.
func (v *Verifier) discard(why string, text []byte) {
	v.junk.findings = append(v.junk.findings, Finding{v.file, v.n, why})
	if len(v.junk.findings) > maxFindings {
		v.junk.findings = v.junk.findings[:maxFindings]
		v.report.Truncated = true
	}
	if len(v.junk.text)+len(text) > maxLine {
		v.junk.tooLong = true
		return
	}
	v.junk.text = append(append(v.junk.text, text...), '\n')
}

// flush reports what was put aside and is not accounted for.
func (v *Verifier) flush() {
	for _, f := range v.junk.findings {
		v.keep(f)
		v.uncertain = true
	}
	v.junk = junk{}
}

// isHealed reports whether a line accounts for what was put aside before it.
func (v *Verifier) isHealed(l *line) bool {
	left, _ := bytes.CutSuffix(v.junk.text, []byte("\n"))
	return l.Act == LogRecovered && !v.junk.tooLong && !bytes.ContainsRune(left, '\n') && isTorn(left) &&
		l.Details.Bytes == int64(len(left)) && l.Details.SHA256 == hash(sha256.Sum256(left)).String()
}

// tail is what follows after the last line break.
func (v *Verifier) tail(text []byte) {
	if isTorn(text) {
		v.note("the last line is torn off after %d bytes, as by a crash; the next start of the service closes it", len(text))
		return
	}
	v.line(text)
}

// line checks a line.
func (v *Verifier) line(text []byte) {
	l, err := parseLine(text)
	if err != nil {
		v.discard(err.Error(), text)
		return
	}
	if len(v.junk.findings) > 0 {
		if v.isHealed(&l) {
			v.note("the line before was torn off by a crash after %d bytes, and this one accounts for it", l.Details.Bytes)
			v.junk = junk{}
		} else {
			v.flush()
		}
	} else if l.Act == LogRecovered {
		v.find("it accounts for a torn line that is not there any more")
	}
	uncertain := v.uncertain
	v.uncertain = false
	this := sha256.Sum256(text)
	switch {
	case !v.begun:
		v.first(&l)
	case l.Chain != v.at.chain:
		if !l.isGenesis() || !v.Restarts {
			v.find("it is of another chain (%s) than the lines before (%s)", l.Chain, v.at.chain)
			return
		}
		v.note("a new chain begins")
	case l.Sequence <= v.at.sequence:
		v.find("its sequence number is %d, after %d: it was inserted or moved", l.Sequence, v.at.sequence)
		return
	case uncertain && l.Sequence == v.at.sequence+2: // the damaged line was the one between
	case l.Sequence > v.at.sequence+1:
		v.find("lines are missing before it: its sequence number is %d, after %d", l.Sequence, v.at.sequence)
	case l.Previous != v.at.last.String():
		v.find("it does not follow on the line before: that was changed, or this was inserted")
	}
	v.report.Lines++
	v.at = position{l.Chain, l.Sequence, this}
}

// isGenesis reports whether a chain begins with the line.
func (l *line) isGenesis() bool {
	return l.Act == LogBegun && l.Sequence == 1 && strings.Trim(l.Previous, "0") == ""
}

// first checks the first line of all.
func (v *Verifier) first(l *line) {
	v.begun = true
	v.report.First = l.Sequence
	switch {
	case l.isGenesis():
	case l.Act == LogContinued:
		v.note("it goes on from an earlier file, with the sequence number %d after a line with the SHA-256 %s", l.Sequence, l.Previous)
	default:
		v.find("lines are missing before it: the first one has the sequence number %d", l.Sequence)
	}
}
