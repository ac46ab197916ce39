package campaign

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Format is how a file of rows is written.
type Format string

// The formats of files.
const (
	CSV    Format = "csv"    // a header, then a row on each line; fields may be quoted, but hold no line break
	NDJSON Format = "ndjson" // a JSON object on each line
)

// Columns that are not parameters.
const (
	columnTo    = "to"
	columnID    = "id"
	columnMedia = "media"
)

// maxLine bounds one line, in bytes.
const maxLine = 64 << 10

var errLongLine = fmt.Errorf("is longer than %d KiB", maxLine>>10)

// line is one line of a file; blank ones have no text.
type line struct {
	number int64 // from 1
	text   []byte
	err    error // why there is no text
}

// lines reads a file line by line, and holds one at a time.
type lines struct {
	in     *bufio.Reader
	number int64
}

func newLines(in io.Reader) *lines { return &lines{in: bufio.NewReaderSize(in, 256<<10)} }

// next answers the next line, with a text of its own. The error is io.EOF at the end, or that of the file.
func (l *lines) next() (line, error) {
	var text []byte
	long := false
	for {
		part, err := l.in.ReadSlice('\n')
		if long = long || len(text)+len(part) > maxLine; !long {
			text = append(text, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && (!errors.Is(err, io.EOF) || len(text) == 0 && !long) {
			return line{}, err
		}
		l.number++
		if l.number == 1 {
			text = bytes.TrimPrefix(text, []byte("\ufeff")) // as some editors begin a file
		}
		if long {
			return line{number: l.number, err: errLongLine}, nil
		}
		return line{number: l.number, text: bytes.TrimRight(text, "\r\n")}, nil
	}
}

// look says of a file that is no text what it is.
func (l *lines) look() error {
	begin, _ := l.in.Peek(4) // less, if there is less; an error comes again
	for _, known := range []struct{ begin, what string }{
		{"\xff\xfe", "is UTF-16: save it as UTF-8"},
		{"\xfe\xff", "is UTF-16: save it as UTF-8"},
		{"\x1f\x8b", "is compressed (gzip): unpack it first"},
		{"PK\x03\x04", "is an Excel workbook or a ZIP archive: save it as CSV, or unpack it first"},
	} {
		if bytes.HasPrefix(begin, []byte(known.begin)) {
			return &FileError{"the file " + known.what}
		}
	}
	return nil
}

// rest says whether a line with a text may follow.
func (l *lines) rest() bool {
	for n := 1; ; n++ {
		begin, err := l.in.Peek(n)
		switch {
		case errors.Is(err, io.EOF):
			return false
		case err != nil:
			return true // it is an error that comes again, or nobody writes that many blank lines
		case begin[n-1] != '\n' && begin[n-1] != '\r':
			return true
		}
	}
}

// fields are what a line says, before it is checked.
type fields struct {
	to, id, media string
	values        []string
}

// reader makes fields of lines. It is safe for concurrent use.
type reader interface {
	read(text []byte) (fields, error)
}

// FileError says why a file cannot be used at all.
type FileError struct{ text string }

func (e *FileError) Error() string { return e.text }

// csvReader knows the columns of a CSV file by its header.
type csvReader struct {
	comma         rune
	width         int
	to, id, media int // -1: there is none
	values        []int
}

// newCSVReader reads the header. Commas, semicolons and tabs may separate fields: whichever the header has.
func newCSVReader(header []byte, columns []string) (*csvReader, error) {
	r := &csvReader{comma: ','}
	for _, c := range ";\t" {
		if !bytes.ContainsRune(header, r.comma) && bytes.ContainsRune(header, c) {
			r.comma = c
		}
	}
	names, err := r.split(string(header))
	if err != nil {
		return nil, &FileError{"the header, line 1: " + err.Error()}
	}
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
		if slices.Contains(names[:i], names[i]) {
			return nil, &FileError{fmt.Sprintf("the header, line 1: column %d has the same name as another one", i+1)}
		}
	}
	r.width = len(names)
	r.to, r.id, r.media = slices.Index(names, columnTo), slices.Index(names, columnID), slices.Index(names, columnMedia)
	if r.to < 0 && len(names) > 0 && strings.HasPrefix(strings.ToLower(names[0]), "sep=") {
		return nil, &FileError{"the file begins with a line sep=…, which only Excel knows: take it out, the first line must be the header"}
	}
	if i := slices.IndexFunc(names, func(name string) bool { return strings.EqualFold(name, columnTo) }); r.to < 0 && i >= 0 {
		return nil, &FileError{"the file has no column named to, but " + names[i] + ": write it in small letters"}
	}
	if r.to < 0 {
		return nil, &FileError{"the file has no column named to: its first line must be a header that names the column of the numbers to"}
	}
	for _, c := range columns {
		at := slices.Index(names, c)
		if at < 0 {
			return nil, &FileError{fmt.Sprintf("the file has no column {%s}: name a column of the header, or add this one", c)}
		}
		r.values = append(r.values, at)
	}
	return r, nil
}

func (r *csvReader) split(text string) ([]string, error) {
	if !strings.Contains(text, `"`) {
		return strings.Split(text, string(r.comma)), nil
	}
	in := csv.NewReader(strings.NewReader(text))
	in.Comma, in.FieldsPerRecord = r.comma, -1
	found, err := in.Read()
	if err != nil {
		return nil, errors.New("the double quotes do not match; a field cannot go on on the next line")
	}
	return found, nil
}

func (r *csvReader) read(text []byte) (f fields, err error) {
	found, err := r.split(string(text))
	if err != nil {
		return f, err
	}
	if len(found) != r.width {
		return f, fmt.Errorf("has %d fields, the header %d: put a field that holds a separator in double quotes", len(found), r.width)
	}
	at := func(i int) string {
		if i < 0 {
			return ""
		}
		return strings.TrimSpace(found[i])
	}
	f = fields{to: at(r.to), id: at(r.id), media: at(r.media)}
	for _, i := range r.values {
		f.values = append(f.values, found[i])
	}
	return f, nil
}

var errNoObject = errors.New("is no JSON object")

// object reads a JSON object whose names are all different: of two values nobody knows which one was meant.
func object(text []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if begin, err := dec.Token(); err != nil || begin != json.Delim('{') {
		return nil, errNoObject
	}
	row := map[string]any{}
	for dec.More() {
		name, err := dec.Token() // a string, or else the decoder complains
		if err != nil {
			return nil, errNoObject
		}
		var v any
		if dec.Decode(&v) != nil {
			return nil, errNoObject
		}
		key, _ := name.(string)
		if _, twice := row[key]; twice {
			return nil, errors.New("has two values of the same name")
		}
		row[key] = v
	}
	if _, err := dec.Token(); err != nil {
		return nil, errNoObject
	}
	if dec.More() {
		return nil, errors.New("has more than one JSON object")
	}
	return row, nil
}

// jsonReader reads an object from each line.
type jsonReader struct{ columns []string }

func (r jsonReader) read(text []byte) (f fields, err error) {
	row, err := object(text)
	if err != nil {
		return f, err
	}
	word := func(name string, need bool) string {
		v, ok := row[name]
		switch v := v.(type) {
		case string:
			return v
		case json.Number:
			return v.String()
		case bool:
			return strconv.FormatBool(v)
		case nil:
			if need && !ok && err == nil {
				err = fmt.Errorf("has no %q", name)
			}
			return ""
		}
		if err == nil {
			err = fmt.Errorf("%q must be a text or a number", name)
		}
		return ""
	}
	f.to, f.id = word(columnTo, true), word(columnID, false)
	if media, ok := row[columnMedia].(map[string]any); ok {
		raw, _ := json.Marshal(media) // it was JSON before
		f.media = string(raw)
	} else {
		f.media = word(columnMedia, false)
	}
	for _, c := range r.columns {
		f.values = append(f.values, word(c, true))
	}
	return f, err
}
