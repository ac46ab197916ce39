package ledger

import (
	"encoding/json"
	"reflect"

	"github.com/gupdispatch/gupdispatch/gupshup"
)

// packContent writes content for a record, which has the template's id in a field of its own. Nearly all that is sent is a template
// with parameters and nothing else: of that only the list of parameters is kept, which is 68 bytes less for each message.
func packContent(c gupshup.Content) ([]byte, error) {
	if c.Template != nil && reflect.DeepEqual(c, plainTemplate(c.Template.ID, c.Template.Params)) {
		return json.Marshal(c.Template.Params)
	}
	return json.Marshal(c)
}

// unpackContent reads what packContent wrote.
func unpackContent(packed, template string) (c gupshup.Content, err error) {
	if template != "" && packed != "" && packed[0] != '{' {
		var params []string
		err = json.Unmarshal([]byte(packed), &params)
		return plainTemplate(template, params), err
	}
	err = json.Unmarshal([]byte(packed), &c)
	return c, err
}

func plainTemplate(id string, params []string) gupshup.Content {
	return gupshup.Content{Template: &gupshup.Template{ID: id, Params: params}}
}
