package api

import (
	"net/http"
	"net/url"
	"strconv"
)

// verifyURL is what the lines of a gateway's questions name. What a gateway
// appended to the path is left out: the paths of other services can hold anything.
var verifyURL = &url.URL{Path: verifyPath}

// logVerify writes the line of a gateway's question.
func (s *Server) logVerify(w http.ResponseWriter, r *http.Request, c *scope) {
	if r.Method != http.MethodHead {
		c.answer.bytes, _ = strconv.Atoi(w.Header().Get("Content-Length")) // 0 where there is no body
	}
	if !s.writeLean(r, verifyURL, c) {
		s.writeFull(r, verifyURL, c)
	}
}
