package httpserver

import (
	"bytes"
	"net/http"
	"strconv"
)

// ownHeaders are what net/http sends with its own answer to a request that it
// cannot read. No handler sees such a request.
const ownHeaders = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"

// refusal returns the status of an answer that net/http has made by itself, or
// 0. It is one write, from the first line to the end.
func refusal(written []byte) (status int) {
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
