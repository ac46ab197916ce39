package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// Columns of a file of suppressions.
const (
	columnNumber = "number"
	columnScope  = "scope"
	columnUntil  = "until"
	columnReason = "reason"
)

var suppressionColumns = []string{columnNumber, columnScope, columnUntil, columnReason}

// suppressionRows reads the lines of a file of suppressions. The first of them may be a header; without one each is a number.
type suppressionRows struct {
	region string
	now    func() time.Time

	begun   bool
	columns []string // of the header
}

// read reads the next line. ok is false for the header, which suppresses nothing. The error never repeats the number.
func (r *suppressionRows) read(l fileLine) (s ledger.Suppression, ok bool, err error) {
	if l.err != nil {
		return s, false, l.err
	}
	fields, err := splitRow(string(l.text))
	if err != nil {
		return s, false, err
	}
	if !r.begun {
		r.begun = true
		if header, err := headerOf(fields); header != nil || err != nil {
			r.columns = header
			return s, false, err
		}
		r.columns = suppressionColumns[:1]
	}
	if len(fields) > len(r.columns) {
		return s, false, r.tooMany(len(fields))
	}
	s = ledger.Suppression{Scope: gupshup.SuppressAll, Source: byHand}
	for i, column := range r.columns {
		field := ""
		if i < len(fields) {
			field = strings.TrimSpace(fields[i])
		}
		if err := r.set(&s, column, field); err != nil {
			return s, false, err
		}
	}
	return s, true, nil
}

// set fills in one column.
func (r *suppressionRows) set(s *ledger.Suppression, column, field string) (err error) {
	switch column {
	case columnNumber:
		if s.Number, err = message.NormaliseNumber(field, r.region); err != nil {
			return fmt.Errorf("number: %w", err)
		}
	case columnScope:
		switch scope := gupshup.Scope(strings.ToLower(field)); scope {
		case gupshup.SuppressNone, gupshup.SuppressAll:
		case gupshup.SuppressBulk:
			s.Scope = scope
		default:
			return errors.New("scope: must be all or bulk, or empty for all")
		}
	case columnUntil:
		if field == "" {
			return nil
		}
		until, err := time.Parse(time.RFC3339, field)
		if err != nil {
			return errors.New("until: must be a time such as 2026-01-31T18:00:00Z, or empty for ever")
		}
		if !until.After(r.now()) {
			return errors.New("until: has passed already")
		}
		s.Until = until.UTC()
	case columnReason:
		if utf8.RuneCountInString(field) > maxReason {
			return fmt.Errorf("reason: has %d characters; at most %d", utf8.RuneCountInString(field), maxReason)
		}
		s.Code = field
	}
	return nil
}

func (r *suppressionRows) tooMany(n int) error {
	if len(r.columns) == 1 {
		return fmt.Errorf("has %d columns: write one number on a line, or begin the file with the header %s", n, strings.Join(suppressionColumns, ","))
	}
	return fmt.Errorf("has %d columns, the header %d: put a field that holds commas in double quotes", n, len(r.columns))
}

// headerOf answers the columns that a header names, nil if it is none. What is not known is refused: it might say that a number is
// suppressed for bulk only.
func headerOf(fields []string) ([]string, error) {
	columns := make([]string, len(fields))
	for i, f := range fields {
		columns[i] = strings.ToLower(strings.TrimSpace(f))
	}
	if !slices.Contains(columns, columnNumber) {
		return nil, nil
	}
	for i, c := range columns {
		if !slices.Contains(suppressionColumns, c) || slices.Contains(columns[:i], c) {
			return nil, &headerError{column: i + 1}
		}
	}
	return columns, nil
}

// headerError is a header that cannot be understood.
type headerError struct{ column int }

func (e *headerError) Error() string {
	return fmt.Sprintf("column %d of the header is not known, or there twice: the columns are %s", e.column, strings.Join(suppressionColumns, ", "))
}

// splitRow splits one line of CSV. A field in quotes cannot go on on the next line: so one stray quote spoils one line, not the rest.
func splitRow(line string) ([]string, error) {
	if !strings.Contains(line, `"`) {
		return strings.Split(line, ","), nil
	}
	fields, err := csv.NewReader(strings.NewReader(line)).Read()
	if err != nil {
		return nil, errors.New("the double quotes do not match")
	}
	return fields, nil
}
