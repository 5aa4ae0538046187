package format

import (
	"errors"
	"fmt"
	"strings"

	"github.com/klauspost/compress/zstd"

	"session-api/internal/schema"
)

// Codec encodes sessions as values and decodes them. It may be used by several
// goroutines at once.
type Codec struct {
	// over is the size above which documents are compressed; 0 for never.
	over    int
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

// maxDocument is the most that a compressed document may come to.
const maxDocument = 256 << 20

// NewCodec returns a codec that compresses documents above a size in bytes; never
// if that is 0.
func NewCodec(over int) (*Codec, error) {
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
	return &Codec{over: over, encoder: encoder, decoder: decoder}, nil
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

// plainEnd is the length of the part of the document that scripts look at and
// that is never compressed: up to the user's id, if that is where Build puts it.
func plainEnd(sess *schema.Session) int {
	head := sess.HeadLen()
	if _, end, ok := schema.DocUserID(sess.Doc, head); ok {
		return end + len(`"`)
	}
	return head
}

// compress returns the document with everything after its head compressed; nil
// if it stays as it is.
func (c *Codec) compress(doc []byte, head int) []byte {
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

// ErrCompressed: what should be a compressed document is none.
var ErrCompressed = errors.New("the value cannot be decompressed")

// decompress is the reverse of compress. size is that of the document.
func (c *Codec) decompress(body string, head, size int) ([]byte, error) {
	if size > maxDocument {
		return nil, ErrCompressed
	}
	// With room for the brace that compress never sees.
	doc := make([]byte, 0, min(size, 100*len(body)+1024))
	doc = append(doc, body[:head]...)
	doc, err := c.decoder.DecodeAll([]byte(body[head:]), doc)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCompressed, err)
	}
	return doc, nil
}

// Close frees what the codec holds. It must not be used afterwards.
func (c *Codec) Close() {
	_ = c.encoder.Close() // has nothing to flush
	c.decoder.Close()
}
