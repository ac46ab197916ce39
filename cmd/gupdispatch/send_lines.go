package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// maxLine bounds one line of a file, in bytes: a message's content has at most 64 KiB, and JSON may write each character as six.
const maxLine = 512 << 10

var errLongLine = fmt.Errorf("is longer than %d KiB", maxLine>>10)

// fileLine is one line that is not blank.
type fileLine struct {
	number int // from 1
	text   []byte
	err    error // why there is no text
}

// readLines reads lines until the input ends, fails, or ctx ends. It holds one line at a time.
func readLines(ctx context.Context, in io.Reader) <-chan fileLine {
	out := make(chan fileLine)
	go func() {
		defer close(out)
		r := bufio.NewReaderSize(in, 64<<10)
		for n := 1; ; n++ {
			text, err := readLine(r)
			if n == 1 {
				text = bytes.TrimPrefix(text, []byte("\ufeff")) // as some editors begin a file
			}
			ended := err != nil && !errors.Is(err, errLongLine)
			if text = bytes.TrimSpace(text); errors.Is(err, io.EOF) {
				err = nil
			}
			if len(text) > 0 || err != nil {
				select {
				case out <- fileLine{number: n, text: text, err: err}:
				case <-ctx.Done():
					return
				}
			}
			if ended {
				return
			}
		}
	}()
	return out
}

// readLine returns the next line. Of one that is too long it returns nothing and errLongLine, after reading past it.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	long := false
	for {
		part, err := r.ReadSlice('\n')
		if long = long || len(line)+len(part) > maxLine; !long {
			line = append(line, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		case long && (err == nil || errors.Is(err, io.EOF)):
			return nil, errLongLine
		default:
			return line, err
		}
	}
}

// nextBatch gathers lines until there are fileBatch of them or none comes for filePause. more is false when there will be no others.
func nextBatch(ctx context.Context, lines <-chan fileLine) (batch []fileLine, more bool) {
	pause := time.NewTimer(0)
	defer pause.Stop()
	for len(batch) < fileBatch {
		var enough <-chan time.Time // of the first line we wait for as long as it takes
		if len(batch) > 0 {
			pause.Reset(filePause)
			enough = pause.C
		}
		select {
		case l, ok := <-lines:
			if !ok {
				return batch, false
			}
			batch = append(batch, l)
		case <-enough:
			return batch, true
		case <-ctx.Done():
			return batch, false
		}
	}
	return batch, true
}
