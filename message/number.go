package message

import (
	"errors"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/nyaruka/phonenumbers"
)

var errNumber = errors.New("is not a possible phone number: give it with its country code, such as 447700900123")

// mexicanMobile begins the WhatsApp ids of Mexican mobiles. The 1 left Mexico's numbering plan in 2020, but not WhatsApp.
const mexicanMobile = "521"

// NormaliseNumber turns a number as people write it (+91 98765 43210, 00… not understood) into the digits that Gupshup wants
// (919876543210). Digits without a + are taken as international; region, an ISO region such as IN, also admits national
// numbers with a leading zero. What is possible passes: numbering plans change faster than libraries, so WhatsApp decides the
// rest (code 1002). The error never repeats the number.
func NormaliseNumber(raw, region string) (string, error) {
	raw = strings.Replace(raw, "(0)", "", 1) // +44 (0)20 …: the zero is for callers at home
	digits := strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9':
			return r
		case strings.ContainsRune(" \t-.()/\u00a0", r):
			return -1
		}
		return 'x'
	}, strings.TrimPrefix(strings.TrimSpace(raw), "+"))
	if digits == "" || strings.ContainsRune(digits, 'x') {
		return "", errNumber
	}
	if region != "" && strings.HasPrefix(digits, "0") {
		return nationalNumber(digits, region)
	}
	parse := digits
	if rest, mobile := strings.CutPrefix(digits, mexicanMobile); mobile && len(rest) == 10 {
		parse = "52" + rest
	}
	if !possible(parse) {
		return "", errNumber
	}
	// As given: libraries and WhatsApp disagree on some countries' extra digits (Mexico's 521, Argentina's 549).
	return digits, nil
}

// nationalNumber reads a number as it is dialled within a region.
func nationalNumber(digits, region string) (string, error) {
	number, err := phonenumbers.Parse(digits, region)
	if err != nil || !phonenumbers.IsPossibleNumber(number) {
		return "", errNumber
	}
	return strings.TrimPrefix(phonenumbers.Format(number, phonenumbers.E164), "+"), nil
}

// lengths remembers how long possible numbers are, by their first three digits, which tell the country: reading a number costs the library
// 10 µs, and a campaign has a million of them. Of a country's numbers the length alone decides, unless digits were taken off as a prefix:
// such a number is not remembered. (A prefix is taken off only where what remains has a possible length, so it takes none from a number
// that is possible with it.)
var lengths [1000][maxDigits + 1]atomic.Bool

const maxDigits = 18 // more than E.164 has, as the library takes some that are longer

// possible says whether international digits can be a number.
func possible(digits string) bool {
	var seen *atomic.Bool
	if len(digits) > 3 && len(digits) <= maxDigits {
		first, _ := strconv.Atoi(digits[:3]) // they are digits
		if seen = &lengths[first][len(digits)]; seen.Load() {
			return true
		}
	}
	number, err := phonenumbers.Parse("+"+digits, "")
	if err != nil || !phonenumbers.IsPossibleNumber(number) {
		return false
	}
	whole := strconv.Itoa(int(number.GetCountryCode())) + phonenumbers.GetNationalSignificantNumber(number)
	if seen != nil && whole == digits {
		seen.Store(true)
	}
	return true
}

// otherForms are the numbers that WhatsApp and people write in two ways: with a digit for mobiles between the country or area code and
// the rest, and without it. Callbacks may name the one where the message went to the other.
var otherForms = []struct {
	country string // with what stands before the digit
	area    int    // digits between the two
	digit   string
	rest    int // digits behind it
}{
	{"52", 0, "1", 10}, // Mexico: 52 55 1234 5678, to WhatsApp often 521 55 1234 5678
	{"54", 0, "9", 10}, // Argentina
	{"55", 2, "9", 8},  // Brazil: the ninth digit, which older WhatsApp ids lack
}

// NumberKey turns international digits into the form under which a recipient is recognised, however a callback writes its number:
// without the digits that mark mobiles in Mexico, Argentina and Brazil. It is for comparing only; what is sent to stays as given.
func NumberKey(digits string) string {
	for _, f := range otherForms {
		at := len(f.country) + f.area
		if strings.HasPrefix(digits, f.country) && len(digits) == at+1+f.rest && digits[at:at+1] == f.digit {
			return digits[:at] + digits[at+1:]
		}
	}
	return digits
}

// MaskNumber keeps what support needs to recognise a number (its first digits and the last two) and hides the rest:
// 919876543210 becomes 9198******10. Of short numbers less is left, since they have less to hide behind.
func MaskNumber(to string) string {
	const short, tail = 9, 2
	head := 4
	if len(to) <= short {
		head = 2
	}
	if len(to) < head+tail+3 {
		return strings.Repeat("*", len(to))
	}
	return to[:head] + strings.Repeat("*", len(to)-head-tail) + to[len(to)-tail:]
}
