package httpserver

import (
	"bytes"
	"net/http"
	"strconv"
)

// ownHeaders are the headers of net/http's response to a request that it cannot
// read. No handler sees such a request.
const ownHeaders = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"

// builtinError returns the status of a response that net/http wrote without a
// handler, or 0. net/http writes it at once, from the first line to the end.
func builtinError(written []byte) (status int) {
	const line = "HTTP/1.1 400 "
	if len(written) < len(line) || written[9] < '4' || string(written[:9]) != line[:9] {
		return 0
	}
	status, _ = strconv.Atoi(string(written[9:12]))
	switch status {
	case http.StatusExpectationFailed: // of which the API has none
		return status
	case http.StatusBadRequest, http.StatusRequestHeaderFieldsTooLarge, http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		if bytes.Contains(written[:min(len(written), 512)], []byte(ownHeaders)) {
			return status
		}
	}
	return 0
}
