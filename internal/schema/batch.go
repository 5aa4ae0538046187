package schema

import (
	"strconv"

	"session-api/internal/jsonscan"

	"github.com/go-json-experiment/json/jsontext"
)

// MaxBatch is the most ids that one body may name.
const MaxBatch = 1000

// MaxExpected is the most sessions that a batch may expect to end.
const MaxExpected = 100_000

// BatchGet is the body of a request for several sessions.
type BatchGet struct {
	IDs []string
	// Summaries: summaries are wanted in place of documents.
	Summaries bool
}

// BatchEnd is the body of a request that ends several sessions: those of IDs, or,
// where that is nil, those that Filter matches.
type BatchEnd struct {
	IDs    []string
	Filter Filter
	// All says that the filter may be one that matches every session.
	All bool
	// Expect is how many sessions the filter has to match; nil for any number.
	Expect *int
}

// DecodeBatchGet reads the body of a request for several sessions. Ids that no
// session can have are let through: each has an answer of its own. The error is an
// *Error.
func DecodeBatchGet(body []byte) (b BatchGet, err error) {
	err = decodeBatch(body, "only ids and view are taken here", func(name string, value []byte, m *fieldErrors) bool {
		switch name {
		case "ids":
			b.IDs = readIDs(value, m, func(string) bool { return true })
		case "view":
			switch view := string(jsonscan.Unquote(value)); {
			case jsonscan.KindOf(value) == jsontext.KindString && view == "summary":
				b.Summaries = true
			case jsonscan.KindOf(value) != jsontext.KindString || view != "full":
				m.add("/view", `must be "full" or "summary"`)
			}
		default:
			return false
		}
		return true
	}, func(m *fieldErrors) {
		if b.IDs == nil && len(*m) == 0 {
			m.add("/ids", "is required")
		}
	})
	if err != nil {
		return BatchGet{}, err
	}
	return b, nil
}

// DecodeBatchEnd reads the body of a request that ends several sessions. The error is
// an *Error.
func DecodeBatchEnd(body []byte) (b BatchEnd, err error) {
	var hasFilter, hasIDs, hasAll bool
	err = decodeBatch(body, "only ids, filter, expect and all are taken here", func(name string, value []byte, m *fieldErrors) bool {
		switch name {
		case "ids":
			hasIDs = true
			b.IDs = readIDs(value, m, ValidForeignID)
		case "filter":
			hasFilter = true
			b.Filter = readFilter(value, m)
		case "expect":
			n, ok := jsonscan.Whole(value)
			if !ok || n < 0 || n > MaxExpected {
				m.add("/expect", "must be a whole number from 0 to "+strconv.Itoa(MaxExpected))
			}
			expect := int(n)
			b.Expect = &expect
		case "all":
			hasAll = true
			b.All = string(value) == "true"
			if !b.All && string(value) != "false" {
				m.add("/all", "must be true or false")
			}
		default:
			return false
		}
		return true
	}, func(m *fieldErrors) {
		switch {
		case len(*m) > 0:
		case hasIDs && hasFilter:
			m.add("/filter", "must not be there with ids")
		case hasIDs && b.Expect != nil:
			m.add("/expect", "goes with a filter, not with ids")
		case hasIDs && hasAll:
			m.add("/all", "goes with a filter, not with ids")
		case b.All && !b.Filter.IsZero():
			m.add("/all", "goes with a filter that is empty or absent")
		case !hasIDs && !hasFilter && !b.All:
			m.add("/ids", "is required, unless there is a filter")
		case b.Filter.Contradiction() != "":
			m.add("/filter", "matches no session: "+b.Filter.Contradiction())
		}
	})
	if err != nil {
		return BatchEnd{}, err
	}
	return b, nil
}

// decodeBatch decodes an object of a few members that is not stored: only its
// syntax is what a document's has to be. whole sees the errors of its members
// after them.
func decodeBatch(body []byte, refusal string, read func(name string, value []byte, m *fieldErrors) bool, whole func(m *fieldErrors)) error {
	if err := checkSyntax(body, jsontext.KindBeginObject); err != nil {
		return err
	}
	n := normalizer{rules: &Rules{Sanitize: SanitizeOff}, src: body, skipNameCheck: true}
	n.skipSpace()
	for m := range n.members() {
		value, err := n.appendValue(2)
		if err != nil {
			return err
		}
		if !read(string(m), value, &n.fieldErrors) {
			n.add(n.loc.pointer(), refusal)
		}
	}
	whole(&n.fieldErrors)
	return n.err()
}

// readIDs reads the ids of sessions.
func readIDs(value []byte, m *fieldErrors, valid func(string) bool) []string {
	if jsonscan.KindOf(value) != jsontext.KindBeginArray {
		m.add("/ids", "must be an array of 1 to "+strconv.Itoa(MaxBatch)+" ids")
		return nil
	}
	ids := []string{}
	for start, end, ok := jsonscan.NextElement(value, 1); ok; start, end, ok = jsonscan.NextElement(value, end) {
		at := "/ids/" + strconv.Itoa(len(ids))
		if len(ids) == MaxBatch {
			m.add(at, "is one too many: an array has at most "+strconv.Itoa(MaxBatch)+" ids")
			return nil
		}
		id := ""
		switch element := value[start:end]; {
		case jsonscan.KindOf(element) != jsontext.KindString:
			m.add(at, "must be a string")
		default:
			if id = string(jsonscan.Unquote(element)); !valid(id) {
				m.add(at, "must be 16 to 128 characters of A-Z a-z 0-9 _ -")
			}
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		m.add("/ids", "must be an array of 1 to "+strconv.Itoa(MaxBatch)+" ids")
		return nil
	}
	return ids
}
