package redis

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/klauspost/compress/zstd"

	"session-api/internal/schema"
)

// codec turns sessions into values and back.
type codec struct {
	// over is the size above which documents are compressed; 0 for never.
	over    int
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

// maxDocument is the most that a compressed document may come to.
const maxDocument = 256 << 20

func newCodec(over int) (*codec, error) {
	encoder, err := zstd.NewWriter(nil,
		zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderCRC(false), // TCP and Redis have their own
		zstd.WithLowerEncoderMem(true),
		zstd.WithWindowSize(zstdWindow),
	)
	if err != nil {
		return nil, fmt.Errorf("making a compressor: %w", err)
	}
	decoder, err := zstd.NewReader(nil,
		zstd.WithDecoderConcurrency(0), // as many as there are processors
		zstd.WithDecoderMaxMemory(maxDocument),
	)
	if err != nil {
		return nil, fmt.Errorf("making a decompressor: %w", err)
	}
	return &codec{over: over, encoder: encoder, decoder: decoder}, nil
}

// zstdWindow is how far back the compressor looks: most of any document.
const zstdWindow = 256 << 10

// zstdMagic is what compressed data starts with. It is not UTF-8, so it is in no
// document.
const zstdMagic = "\x28\xb5\x2f\xfd"

// compressedFrom returns where the compressed part of a value begins, which is
// after its head.
func compressedFrom(body string, head int) int {
	return head + max(0, strings.Index(body[head:], zstdMagic))
}

// plainEnd is how much of the document scripts look at, and is never compressed:
// up to the user's id, if there is one that stands where it always does.
func plainEnd(sess *schema.Session) int {
	end := revisionEnd(sess)
	rest, ok := bytes.CutPrefix(sess.Doc[end:], []byte(headUser+headID))
	if !ok {
		return end
	}
	end += len(headUser + headID)
	for i := 0; i < len(rest); i++ {
		switch rest[i] {
		case '"':
			return end + i + 1
		case '\\':
			i++
		}
	}
	return end
}

// compress returns the document with everything after its head compressed, nil
// where it stays as it is.
func (c *codec) compress(doc []byte, head int) []byte {
	if c.over <= 0 || len(doc) < c.over {
		return nil
	}
	body := make([]byte, 0, len(doc)/2)
	body = append(body, markZstd...)
	body = append(body, doc[:head]...)
	body = c.encoder.EncodeAll(doc[head:], body)
	if len(body) >= len(doc) {
		return nil
	}
	return body
}

// errCompressed: what should be a compressed document is none.
var errCompressed = errors.New("the value cannot be decompressed")

// decompress undoes compress. size is the document's.
func (c *codec) decompress(body string, head, size int) ([]byte, error) {
	if size > maxDocument {
		return nil, errCompressed
	}
	// With room for the brace that compress never sees.
	doc := make([]byte, 0, min(size, 100*len(body)+1024))
	doc = append(doc, body[:head]...)
	doc, err := c.decoder.DecodeAll([]byte(body[head:]), doc)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCompressed, err)
	}
	return doc, nil
}

func (c *codec) close() {
	_ = c.encoder.Close() // has nothing to flush
	c.decoder.Close()
}
