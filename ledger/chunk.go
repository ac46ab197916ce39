package ledger

import (
	"fmt"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// maxChunk bounds a chunk's text, so that a spoilt one cannot fill the memory of whoever reads it.
const maxChunk = 64 << 20

// Making an encoder costs more than using it, and one serves any number of goroutines.
var (
	chunkWriter, _ = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderCRC(true))
	chunkReader, _ = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxChunk))
)

// PackChunk compresses rows of a campaign, which are lines without line breaks.
func PackChunk(rows []string) []byte {
	return chunkWriter.EncodeAll([]byte(strings.Join(rows, "\n")), nil)
}

// UnpackChunk reads what PackChunk wrote.
func UnpackChunk(packed []byte) ([]string, error) {
	text, err := chunkReader.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("a chunk of rows cannot be read: %w", err)
	}
	return strings.Split(string(text), "\n"), nil
}
