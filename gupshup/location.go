package gupshup

import (
	"encoding/json"
	"regexp"
	"strconv"
)

// Coordinate is a longitude or latitude in decimal degrees. Gupshup's schemas and samples have
// it both as a string and as a number; both are read, a string is written, as in the samples of
// both endpoints.
type Coordinate string

// The ends of the map, in degrees.
const (
	maxLongitude = 180
	maxLatitude  = 90
)

// decimal is the plain form: no exponent, no NaN, no hexadecimal.
var decimal = regexp.MustCompile(`^-?[0-9]{1,3}(\.[0-9]+)?$`)

// UnmarshalJSON reads a string or a number.
func (c *Coordinate) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err == nil {
		*c = Coordinate(text)
		return nil
	}
	var number json.Number
	if err := json.Unmarshal(raw, &number); err != nil {
		return mismatch[Coordinate]()
	}
	*c = Coordinate(number)
	return nil
}

func (Coordinate) wants() string { return "a string or a number" }

// coordinate reports a missing, malformed or impossible coordinate.
func (p *problems) coordinate(field string, c Coordinate, limit float64) {
	if c == "" {
		p.add(field, "is required")
		return
	}
	degrees, err := strconv.ParseFloat(string(c), 64)
	if err != nil || !decimal.MatchString(string(c)) || degrees < -limit || degrees > limit {
		p.add(field, "must be decimal degrees between -%g and %g", limit, limit)
	}
}

// Location is a point on the map.
type Location struct {
	Longitude Coordinate `json:"longitude"`
	Latitude  Coordinate `json:"latitude"`
	// Name and Address are optional for apps on WhatsApp's cloud.
	Name    string `json:"name,omitempty"`
	Address string `json:"address,omitempty"`
}

// Type is "location".
func (Location) Type() string { return typeLocation }
func (Location) message()     {}

// MarshalJSON writes Gupshup's form, with the type.
func (m Location) MarshalJSON() ([]byte, error) {
	type plain Location
	return encode(struct {
		tag
		plain
	}{tag{typeLocation}, plain(m)})
}

// Validate checks the coordinates.
func (m Location) Validate() error {
	var p problems
	p.coordinate("longitude", m.Longitude, maxLongitude)
	p.coordinate("latitude", m.Latitude, maxLatitude)
	p.limited("name", m.Name, 0)
	p.limited("address", m.Address, 0)
	return p.err()
}

// LocationRequest asks the person to share where they are.
type LocationRequest struct {
	Body   LocationRequestBody   `json:"body"`
	Action LocationRequestAction `json:"action"`
}

// LocationRequestBody is the text above the button.
type LocationRequestBody struct {
	Type TextType `json:"type"`
	// Text has at most 1024 characters.
	Text string `json:"text"`
}

// LocationRequestAction is the button; there is only one.
type LocationRequestAction struct {
	Name SendLocation `json:"name"`
}

// Type is "location_request_message".
func (LocationRequest) Type() string { return typeLocationRequest }
func (LocationRequest) message()     {}

// MarshalJSON writes Gupshup's form, with the type.
func (m LocationRequest) MarshalJSON() ([]byte, error) {
	type plain LocationRequest
	return encode(struct {
		tag
		plain
	}{tag{typeLocationRequest}, plain(m)})
}

// Validate checks the length of the text.
func (m LocationRequest) Validate() error {
	var p problems
	p.required("body.text", m.Body.Text, maxInteractiveBody)
	return p.err()
}
