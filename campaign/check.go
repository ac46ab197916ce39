package campaign

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/message"
)

var errControl = errors.New("must not contain line breaks, tabs or other control characters")

// row makes a row of what a line says, if a message can be made of it. Its error says what is wrong and repeats nothing of it.
func (f *Form) row(number int64, said fields, region string, now time.Time) (Row, error) {
	to, err := message.NormaliseNumber(said.to, region)
	if err != nil {
		return Row{}, fmt.Errorf("to: %w", err)
	}
	r := Row{Line: number, To: to, ID: said.id, Values: said.values}
	if f.Zone == ByRecipient {
		if r.Zone, err = f.zones.of(f.Definition, to, now); err != nil {
			return Row{}, err
		}
	}
	if r.ID != "" && !message.ValidID(r.ID) {
		return Row{}, fmt.Errorf("id: must be 1 to %d of the characters A-Z a-z 0-9 . _ -", message.MaxIDLength)
	}
	if strings.HasPrefix(r.ID, f.ID+".") {
		return Row{}, errors.New("id: must not begin with the campaign's id and a dot, as the ids of rows without one do")
	}
	for i, v := range r.Values {
		if strings.ContainsFunc(v, unicode.IsControl) {
			return Row{}, fmt.Errorf("%s: %w", f.Columns[i], errControl)
		}
	}
	if said.media != "" {
		var compact bytes.Buffer
		if json.Compact(&compact, []byte(said.media)) != nil {
			return Row{}, errMedia
		}
		r.Media = compact.String()
	}
	m, err := f.Message(r)
	if err != nil {
		return Row{}, err
	}
	for i, p := range m.Content.Template.Params {
		if strings.TrimSpace(p) == "" {
			return Row{}, fmt.Errorf("%s: is empty, and Meta refuses empty parameters", f.Params[i])
		}
	}
	if err := m.Content.Validate(); err != nil {
		var problems gupshup.FieldErrors
		if errors.As(err, &problems) && len(problems) > 0 {
			return Row{}, errors.New(problems[0].Error())
		}
		return Row{}, err
	}
	if contentSize(m.Content) > message.MaxContentLength {
		return Row{}, fmt.Errorf("its message has more than %d bytes", message.MaxContentLength)
	}
	return r, nil
}

// contentSize is about how long a content is in the ledger.
func contentSize(c gupshup.Content) (n int) {
	for _, p := range c.Template.Params {
		n += 2*len(p) + 3
	}
	if c.Media != nil {
		n += maxLine / 2 // a line has no more than that of it
	}
	return n
}
