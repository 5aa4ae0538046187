package api

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/go-chi/chi/v5"
	"github.com/swaggest/swgui/v5/static"
)

// The page that shows the contract: its own three files, and Swagger UI, which
// comes compressed from the module that packs it.
//
//go:embed docs/index.html docs/docs.js docs/docs.css
var docsPage embed.FS

// docsPolicy lets the page run its own scripts and ask this service, and
// nothing else. Pictures in Swagger UI's style sheet are data: URLs.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// docsFile is a file of the page, compressed where packed is not nil.
type docsFile struct {
	mediaType     string
	plain, packed []byte
}

// docsFiles are the files of the page by name.
var docsFiles = sync.OnceValues(func() (map[string]docsFile, error) {
	files := map[string]docsFile{}
	add := func(from fs.FS, name, mediaType string) error {
		data, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		file := docsFile{mediaType: mediaType, plain: data}
		name, isPacked := strings.CutSuffix(path.Base(name), ".gz")
		if isPacked {
			file.packed = data
			if file.plain, err = unpack(data); err != nil {
				return err
			}
		}
		files[name] = file
		return nil
	}
	const script, style = "text/javascript; charset=utf-8", "text/css; charset=utf-8"
	for _, f := range []struct {
		from            fs.FS
		name, mediaType string
	}{
		{docsPage, "docs/index.html", "text/html; charset=utf-8"},
		{docsPage, "docs/docs.js", script},
		{docsPage, "docs/docs.css", style},
		{static.FS, "swagger-ui-bundle.js.gz", script},
		{static.FS, "swagger-ui.css.gz", style},
		{static.FS, "favicon-32x32.png", "image/png"},
	} {
		if err := add(f.from, f.name, f.mediaType); err != nil {
			return nil, err
		}
	}
	return files, nil
})

func unpack(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// getDocs answers the page that shows the contract.
func (s *Server) getDocs(w http.ResponseWriter, r *http.Request) error {
	setPageHeaders(w.Header(), docsPolicy)
	return writeDocsFile(w, r, "index.html")
}

// getDocsFile answers a script, a style sheet or a picture of that page.
func (s *Server) getDocsFile(w http.ResponseWriter, r *http.Request) error {
	name := chi.URLParam(r, "file")
	switch name {
	case "index.html": // it is at /docs
		return errNoRoute
	case "README.md":
		return s.getReadme(w)
	}
	return writeDocsFile(w, r, name)
}

func writeDocsFile(w http.ResponseWriter, r *http.Request, name string) error {
	files, err := docsFiles()
	if err != nil {
		return err
	}
	file, ok := files[name]
	if !ok {
		return errNoRoute
	}
	h := w.Header()
	h.Set("Content-Type", file.mediaType)
	body := file.plain
	if file.packed != nil {
		h.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r) {
			h.Set("Content-Encoding", "gzip")
			body = file.packed
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // a client that left gets nothing more
	return nil
}

// acceptsGzip reports whether the client takes gzip (RFC 9110 section 12.5.3).
func acceptsGzip(r *http.Request) bool { return accepts(r.Header["Accept-Encoding"], "gzip") }

// accepts reports whether a header in which a client lists what it takes (RFC
// 9110 section 12.5) names one of these, not with the weight 0. The first that it
// names decides.
func accepts(values []string, names ...string) bool {
	for part := range strings.SplitSeq(strings.Join(values, ","), ",") {
		name, params, _ := strings.Cut(part, ";")
		if slices.Contains(names, strings.ToLower(strings.TrimSpace(name))) {
			weight, isWeight := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
			return !isWeight || strings.Trim(weight, "0.") != ""
		}
	}
	return false
}

// getContract answers the OpenAPI document.
func (s *Server) getContract(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/yaml") // RFC 9512
	w.Header().Set("Content-Length", strconv.Itoa(len(s.Contract)))
	_, _ = w.Write(s.Contract) // a client that left gets nothing more
	return nil
}
