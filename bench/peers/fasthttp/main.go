// Command fasthttp is the limit below net/http: a server made of nothing but fasthttp
// that answers every request with the response in a file, as the benchmark has recorded
// it. It leaves out what net/http does for a handler, such as a context for each request
// and headers in a map, and so shows what that costs.
package main

import (
	"encoding/json"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"

	"github.com/valyala/fasthttp"
)

// response is the recorded response.
type response struct {
	Status int
	Header http.Header
	Body   []byte
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("fasthttp takes the file of a response")
	}
	recorded, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var a response
	if err := json.Unmarshal(recorded, &a); err != nil {
		log.Fatal(err)
	}
	a.Header.Del("Content-Length") // fasthttp sets its own
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	slog.New(slog.NewJSONHandler(os.Stdout, nil)).Info("listening", "addr", listener.Addr().String())
	server := &fasthttp.Server{Handler: a.serve, NoDefaultServerHeader: true}
	log.Fatal(server.Serve(listener))
}

// serve sends the response. fasthttp has read the request's body by then.
func (a *response) serve(ctx *fasthttp.RequestCtx) {
	ctx.SetStatusCode(a.Status)
	for name, values := range a.Header {
		for _, value := range values {
			ctx.Response.Header.Add(name, value)
		}
	}
	ctx.SetBody(a.Body)
}
