package campaign

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gupdispatch/gupdispatch/ledger"
)

// Row is one recipient.
type Row struct {
	Line   int64    // of the file, from 1
	To     string   // digits only
	Zone   string   // that its window goes by, or several (see zones.of); empty: the campaign's
	ID     string   // of the message; empty: see MessageID
	Media  string   // JSON, for this one only; empty: the campaign's
	Values []string // see Form.Columns
}

var errRow = errors.New("a row of a chunk cannot be read")

// encodeRows writes rows as the lines of a chunk: line, number, id, media and values, with tabs between; behind the line an @ and the zone.
// The line is left out where it is the one after the line before, which nearly all are, the zone where it is the one before, and empty fields
// at the end are, too.
func encodeRows(rows []Row) []string {
	lines := make([]string, len(rows))
	before, zone := int64(-1), ""
	for i, r := range rows {
		fields := make([]string, 0, 4+len(r.Values))
		line := ""
		if r.Line != before+1 || i == 0 {
			line = strconv.FormatInt(r.Line, 10)
		}
		if r.Zone != zone {
			line += "@" + r.Zone
		}
		before, zone = r.Line, r.Zone
		fields = append(append(fields, line, r.To, r.ID, r.Media), r.Values...)
		lines[i] = strings.TrimRight(strings.Join(fields, "\t"), "\t")
	}
	return lines
}

// decodeRows reads what encodeRows wrote, of rows with so many values.
func decodeRows(lines []string, values int) ([]Row, error) {
	rows := make([]Row, len(lines))
	before, zone := int64(-1), ""
	for i, text := range lines {
		fields := strings.Split(text, "\t")
		if len(fields) < 2 || len(fields) > 4+values {
			return nil, errRow
		}
		line, other, changed := strings.Cut(fields[0], "@")
		if changed {
			zone = other
		}
		r := Row{Line: before + 1, To: fields[1], Zone: zone}
		if line != "" {
			n, err := strconv.ParseInt(line, 10, 64)
			if err != nil {
				return nil, errRow
			}
			r.Line = n
		} else if i == 0 {
			return nil, errRow
		}
		if len(fields) > 2 {
			r.ID = fields[2]
		}
		if len(fields) > 3 {
			r.Media = fields[3]
		}
		if values > 0 {
			r.Values = make([]string, values)
			if len(fields) > 4 {
				copy(r.Values, fields[4:])
			}
		}
		before = r.Line
		rows[i] = r
	}
	return rows, nil
}

// Rejection is a row that is not sent to, and why. Its reason repeats nothing of the row.
type Rejection struct {
	Line   int64
	Reason string
}

func (r Rejection) Error() string { return fmt.Sprintf("line %d: %s", r.Line, r.Reason) }

// packRejections makes a chunk of them, nil of none.
func packRejections(rejected []Rejection) []byte {
	if len(rejected) == 0 {
		return nil
	}
	slices.SortFunc(rejected, func(a, b Rejection) int { return cmp.Compare(a.Line, b.Line) })
	lines := make([]string, len(rejected))
	for i, r := range rejected {
		lines[i] = strconv.FormatInt(r.Line, 10) + "\t" + strings.ReplaceAll(r.Reason, "\n", " ")
	}
	return ledger.PackChunk(lines)
}

// unpackRejections reads what packRejections wrote.
func unpackRejections(lines []string) ([]Rejection, error) {
	rejected := make([]Rejection, len(lines))
	for i, text := range lines {
		number, reason, _ := strings.Cut(text, "\t")
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			return nil, errRow
		}
		rejected[i] = Rejection{Line: n, Reason: reason}
	}
	return rejected, nil
}
