package httpapi

import (
	"encoding/base64"
	"encoding/json"
)

// PageQuery asks for a part of a list.
type PageQuery struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"how many items at most"`
	Cursor string `query:"cursor" maxLength:"32768" doc:"next of the page before; empty for the first page"`
}

// from reads where the page begins into position, which stays as it is for the first page.
func (p PageQuery) from(position any) error {
	if p.Cursor == "" {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(p.Cursor)
	if err != nil || json.Unmarshal(raw, position) != nil {
		return wrong("cursor", "is none of ours: take it from next, or leave it out")
	}
	return nil
}

// cursor writes where the next page begins.
func cursor(position any) string {
	raw, err := json.Marshal(position)
	if err != nil {
		return "" // positions are numbers and names
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}
