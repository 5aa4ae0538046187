package api

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"
)

// bodySlack is what a body may have beyond the largest document: white space
// that is not stored, and members that are read-only.
const bodySlack = 16 << 10

// usualBuffer is the least that is taken for a body: behind a small merge patch
// there is room for what it makes of a section.
const usualBuffer = 2 << 10

var (
	jsonTypes       = []string{"application/json"}
	mergePatchTypes = []string{"application/merge-patch+json", "application/json"}
	jsonPatchTypes  = []string{"application/json-patch+json", "application/json"}
)

// readBody returns the request's body, which must be in one of the media
// types, until the request has been answered. An empty body needs no type and
// is returned as it is: nothing.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request, types []string) ([]byte, error) {
	return s.readBodyUpTo(w, r, types, int64(s.Rules.MaxBytes)+bodySlack)
}

// readBodyUpTo is readBody with a limit in bytes.
func (s *Server) readBodyUpTo(w http.ResponseWriter, r *http.Request, types []string, limit int64) ([]byte, error) {
	if r.ContentLength == 0 {
		return nil, nil
	}
	if r.ContentLength > 0 {
		if err := checkMediaType(r, types); err != nil {
			return nil, err
		}
	}
	body, err := s.receiveBody(w, r, limit)
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		return nil, cmp.Or(checkMediaType(r, types), err)
	}
	if err == nil && len(body) > 0 && r.ContentLength < 0 {
		err = checkMediaType(r, types)
	}
	if err != nil {
		return nil, err
	}
	return body, nil
}

// maxBody is the most that any route reads of a body at once.
func (s *Server) maxBody() int64 { return max(int64(s.Rules.MaxBytes)+bodySlack, batchBody) }

// receiveWhole reads the body before its route does, which has it from there.
func (s *Server) receiveWhole(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength == 0 {
		return nil, nil
	}
	body, err := s.receiveBody(w, r, s.maxBody())
	stateOf(r).response.received = err == nil
	return body, err
}

// receiveBody returns the body, unless it is longer than limit, in bytes: then the error
// is a *http.MaxBytesError.
func (s *Server) receiveBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	resp := &stateOf(r).response
	if resp.received {
		if int64(resp.buffer.Len()) > limit {
			return nil, &http.MaxBytesError{Limit: limit}
		}
		return resp.buffer.Bytes(), nil
	}
	if r.ContentLength > limit {
		closeConnection(w, r)
		return nil, &http.MaxBytesError{Limit: limit}
	}
	buf := resp.bodyBuffer()
	if err := readInto(buf, w, r, limit); err != nil {
		if errors.Is(err, errOverloaded) {
			closeConnection(w, r) // the rest of the body is not read
			return nil, err
		}
		if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
			return nil, err
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
		closeConnection(w, r)
		if isMultiplexed(r) && r.Context().Err() != nil { // the client took the request back
			return nil, r.Context().Err()
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, &problem{codeBadRequest, "The body ends before its announced length."}
		}
		return nil, &problem{codeBadRequest, "The body cannot be read."}
	}
	return buf.Bytes(), nil
}

// readInto reads the body. What is announced is nothing yet: a body gets memory
// as it comes, and a large one a permit once it is more than
// small.
func readInto(buf *bytes.Buffer, w http.ResponseWriter, r *http.Request, limit int64) error {
	if r.ContentLength > 0 && r.ContentLength <= smallBody { // net/http reads no more than that
		buf.Grow(max(int(r.ContentLength)+bytes.MinRead, usualBuffer))
		_, err := buf.ReadFrom(r.Body)
		return err
	}
	body := http.MaxBytesReader(w, r.Body, limit)
	total := limit
	if r.ContentLength > 0 {
		total = r.ContentLength
		buf.Grow(int(min(total, smallBody)) + bytes.MinRead)
	}
	if _, err := buf.ReadFrom(io.LimitReader(body, smallBody)); err != nil || buf.Len() < smallBody {
		return err
	}
	resp := &stateOf(r).response
	if err := resp.admitBody(total); err != nil {
		return err
	}
	if r.ContentLength > 0 {
		buf.Grow(int(total) - buf.Len() + bytes.MinRead)
	}
	_, err := buf.ReadFrom(progressReader{body, resp.body})
	if !resp.body.Pin() && err == nil {
		err = os.ErrDeadlineExceeded // and the connection's has passed
	}
	return err
}

// requireBody is readBody for routes where an empty body says nothing.
func (s *Server) requireBody(w http.ResponseWriter, r *http.Request, types []string) ([]byte, error) {
	body, err := s.readBody(w, r, types)
	if err == nil && len(body) == 0 {
		err = errNoBody
	}
	return body, err
}

// checkMediaType accepts one of types, in UTF-8 and without a content coding.
func checkMediaType(r *http.Request, types []string) error {
	unsupported := func(format string, args ...any) error {
		return &problem{codeUnsupportedMediaType, fmt.Sprintf(format, args...)}
	}
	if isEncoded(r.Header["Content-Encoding"]) {
		return unsupported("Send the body without a Content-Encoding.")
	}
	values := r.Header["Content-Type"]
	if len(values) != 1 {
		return unsupported("Send one Content-Type: %s.", types[0])
	}
	if slices.Contains(types, values[0]) {
		return nil
	}
	mediaType, params, err := mime.ParseMediaType(values[0])
	if err != nil || !slices.Contains(types, mediaType) {
		return unsupported("Send the body as %s.", types[0])
	}
	if charset, ok := params["charset"]; ok && !isUTF8(charset) {
		return unsupported("Send the body in UTF-8.")
	}
	return nil
}

// isUTF8 reports whether the name is one of UTF-8's: the registered one, or the
// one that the Encoding Standard takes as well and many clients send.
func isUTF8(charset string) bool {
	return strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8")
}

// isEncoded reports whether any of the lists of content codings names one.
// identity is none (RFC 9110 section 12.5.3), and empty elements do not count.
func isEncoded(lists []string) bool {
	for _, list := range lists {
		for coding := range strings.SplitSeq(list, ",") {
			if coding = strings.Trim(coding, " \t"); coding != "" && !strings.EqualFold(coding, "identity") {
				return true
			}
		}
	}
	return false
}
