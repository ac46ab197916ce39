package campaign

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
)

const template = "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b"

func TestDefinitionNamesEveryProblem(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	d := Definition{
		ID: strings.Repeat("x", MaxIDLength+1), Template: "welcome", Priority: "high", Rate: -1, Window: "9-5", InDoubt: "x", Expires: now,
		Media: []byte("1"), Params: []string{"{name", "{}", "{{name}}", "name}", " ", "a\x00", "{name} {first name}!"},
	}
	err := d.Normalise(now)
	var problems gupshup.FieldErrors
	require.ErrorAs(t, err, &problems)
	require.Len(t, problems, 9+6, err)
	for i, want := range []string{"number 1 has a brace", "number 2 has a brace", "number 3 has a brace", "number 4 has a brace", "number 5 is empty", "number 6: must not"} {
		require.Equal(t, "params", problems[8+i].Field)
		require.Contains(t, problems[8+i].Problem, want)
	}

	good := Definition{Sender: "s", Template: template}
	require.NoError(t, good.Normalise(now))
	require.Equal(t, "bulk", string(good.Priority))
	text, err := good.Encode()
	require.NoError(t, err)
	back, err := DecodeDefinition(text)
	require.NoError(t, err)
	require.Equal(t, good, back)
}

func TestFormFillsIn(t *testing.T) {
	t.Parallel()
	f := NewForm(Definition{
		ID: "spring", Sender: "s", Template: template, Params: []string{"{name}", "fixed", "Hi {name}, {code}!"},
		Media: []byte(`{"type":"image","image":{"link":"https://x.example/{picture}"}}`),
	})
	require.Equal(t, []string{"name", "code", "picture"}, f.Columns)
	m, err := f.Message(Row{Line: 17, To: "919876543210", Values: []string{"Asha \"A\"", "{name}", "a.png"}})
	require.NoError(t, err)
	require.Equal(t, "spring.17", m.ID)
	require.Equal(t, []string{"Asha \"A\"", "fixed", "Hi Asha \"A\", {name}!"}, m.Content.Template.Params, "what a row says is no placeholder")
	require.Equal(t, gupshup.MediaImage{Link: "https://x.example/a.png"}, m.Content.Media)

	m, err = f.Message(Row{Line: 17, To: "919876543210", ID: "own", Media: `{"type":"image","image":{"link":"https://y.example/b.png"}}`, Values: []string{"", "", `"`}})
	require.NoError(t, err)
	require.Equal(t, "own", m.ID)
	require.Equal(t, gupshup.MediaImage{Link: "https://y.example/b.png"}, m.Content.Media)
}

func TestRowsSurviveTheirChunk(t *testing.T) {
	t.Parallel()
	rows := []Row{
		{Line: 2, To: "919876543210", Values: []string{"Asha", ""}},
		{Line: 3, To: "919876543211", ID: "own", Values: []string{"", ""}},
		{Line: 9, To: "919876543212", Media: `{"a":1}`, Values: []string{"", "x"}},
	}
	lines, err := ledger.UnpackChunk(ledger.PackChunk(encodeRows(rows)))
	require.NoError(t, err)
	back, err := decodeRows(lines, 2)
	require.NoError(t, err)
	require.Equal(t, rows, back)
	_, err = decodeRows([]string{"\t1"}, 0)
	require.Error(t, err, "the first row has no line before it")
	_, err = ledger.UnpackChunk([]byte("no chunk"))
	require.Error(t, err)
}

func TestLinesAreReadOneByOne(t *testing.T) {
	t.Parallel()
	in := newLines(strings.NewReader("\ufeffto,name\r\n\n" + strings.Repeat("x", maxLine+1) + "\nlast"))
	var got []string
	for {
		l, err := in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if l.err != nil {
			got = append(got, fmt.Sprintf("%d %s", l.number, l.err))
			continue
		}
		got = append(got, fmt.Sprintf("%d %s", l.number, l.text))
	}
	require.Equal(t, []string{"1 to,name", "2 ", "3 is longer than 64 KiB", "4 last"}, got)
}

func TestCSVHeaders(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"sep=;": "only Excel knows", "sep=,": "only Excel knows", "To,name": "but To: write it in small letters",
		"number,name": "no column named to", "to,nam": "no column {name}", "to,name,to": "the same name", `to,"name`: "quotes",
		"to,name": "", "to;name": "", "name\tto": "", ` "to" , name `: "quotes",
	} {
		_, err := newCSVReader([]byte(header), []string{"name"})
		if want == "" {
			require.NoError(t, err, header)
		} else {
			require.ErrorContains(t, err, want, header)
		}
	}
}

func TestRowsThatAreRefused(t *testing.T) {
	t.Parallel()
	f := NewForm(Definition{ID: "c", Sender: "s", Template: template, Params: []string{"{name}"}})
	csv, err := newCSVReader([]byte("to,id,media,name"), f.Columns)
	require.NoError(t, err)
	for _, tt := range []struct {
		reader reader
		text   string
		want   string // in the error; empty: it is taken
	}{
		{csv, "+91 98765 43210,,,Asha", ""},
		{csv, `919876543210,a.b,,"Asha, K"`, ""},
		{csv, "12,,,Asha", "to: is not a possible phone number"},
		{csv, "919876543210,a b,,Asha", "id: must be"},
		{csv, "919876543210,,Asha", "has 3 fields, the header 4"},
		{csv, `919876543210,,,"Asha`, "quotes"},
		{csv, "919876543210,,,A\tb", "name: must not contain line breaks, tabs or other"},
		{csv, "919876543210,,,A     b", "consecutive spaces"},
		{csv, "919876543210,,{,Asha", "media: cannot be read"},
		{csv, `919876543210,,"{""type"":""image"",""image"":{""link"":""https://x.example/a.png""}}",Asha`, ""},
		{jsonReader{f.Columns}, `{"to":919876543210,"name":"Asha","more":[1]}`, ""},
		{csv, "919876543210,,,", "{name}: is empty"},
		{csv, "919876543210,,, ", "{name}: is empty"},
		{csv, "919876543210,,,A\x00b", "name: must not contain line breaks, tabs or other control characters"},
		{jsonReader{f.Columns}, `{"to":"919876543210","name":null}`, "{name}: is empty"},
		{jsonReader{f.Columns}, `{"to":"919876543210","name":"a\u0000"}`, "control characters"},
		{jsonReader{f.Columns}, `{"to":"919876543210","name":"a","name":"b"}`, "two values of the same name"},
		{jsonReader{f.Columns}, `{"to":"919876543210","to":"919876543211","name":"b"}`, "two values of the same name"},
		{jsonReader{f.Columns}, `{"to":"919876543210","name":{"a":1,"a":2}}`, `"name" must be a text`},
		{jsonReader{f.Columns}, `{"to":"919876543210","name":"a"`, "no JSON object"},
		{jsonReader{f.Columns}, `{"to":"919876543210" "name":"a"}`, "no JSON object"},
		{jsonReader{f.Columns}, `["to"]`, "no JSON object"},
		{jsonReader{f.Columns}, `{"to":"919876543210"}`, `has no "name"`},
		{jsonReader{f.Columns}, `{"to":"919876543210","name":["Asha"]}`, `"name" must be a text`},
		{jsonReader{f.Columns}, `{"to":"919876543210","name":"a\nb"}`, "line breaks"},
		{jsonReader{f.Columns}, `{"to":"919876543210","name":"a"} {}`, "more than one"},
		{jsonReader{f.Columns}, `null`, "no JSON object"},
	} {
		said, err := tt.reader.read([]byte(tt.text))
		if err == nil {
			_, err = f.row(2, said, "", time.Now())
		}
		if tt.want == "" {
			require.NoError(t, err, tt.text)
			continue
		}
		require.ErrorContains(t, err, tt.want, tt.text)
		require.NotContains(t, err.Error(), "919876543210")
	}
}

func TestWindow(t *testing.T) {
	t.Parallel()
	at := func(text string) time.Time {
		v, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		return v
	}
	for _, tt := range []struct{ window, zone, now, opens, closes string }{
		{"09:00-21:00", "Asia/Kolkata", "2026-03-01T04:00:00Z", "2026-03-01T03:30:00Z", "2026-03-01T15:30:00Z"},
		{"09:00-21:00", "Asia/Kolkata", "2026-03-01T15:30:00Z", "2026-03-02T03:30:00Z", "2026-03-02T15:30:00Z"},
		{"09:00-21:00", "Asia/Kolkata", "2026-03-01T01:00:00Z", "2026-03-01T03:30:00Z", "2026-03-01T15:30:00Z"},
		{"21:00-03:00", "", "2026-03-01T01:00:00Z", "2026-02-28T21:00:00Z", "2026-03-01T03:00:00Z"},
		{"21:00-03:00", "", "2026-03-01T04:00:00Z", "2026-03-01T21:00:00Z", "2026-03-02T03:00:00Z"},
		{"09:00-24:00", "", "2026-03-01T23:59:00Z", "2026-03-01T09:00:00Z", "2026-03-02T00:00:00Z"},
		{"09:00-21:00", "Europe/Berlin", "2026-03-29T08:00:00Z", "2026-03-29T07:00:00Z", "2026-03-29T19:00:00Z"}, // clocks went forward
	} {
		w, err := ParseWindow(tt.window, tt.zone)
		require.NoError(t, err)
		opens, closes := w.At(at(tt.now))
		require.Equal(t, at(tt.opens), opens, tt)
		require.Equal(t, at(tt.closes), closes, tt)
	}
	for _, bad := range []string{"9", "09:00", "09:00-09:00", "09:00-25:00", "a-b"} {
		_, err := ParseWindow(bad, "")
		require.Error(t, err, bad)
	}
	_, err := ParseWindow("", "Mars/Olympus")
	require.Error(t, err)
}

func TestEndOfACampaign(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 3, 1, 20, 30, 0, 0, time.UTC)
	always, err := ParseWindow("", "")
	require.NoError(t, err)
	end := func(rate float64, w Window, n int64) time.Time {
		end, _ := End(from, rate, Share{w, n})
		return end
	}
	require.Equal(t, 50*time.Minute, end(20, always, 60_000).Sub(from), "60,000 recipients at 20/s take 50 minutes")
	day, err := ParseWindow("09:00-21:00", "")
	require.NoError(t, err)
	require.Equal(t, time.Date(2026, 3, 2, 9, 20, 0, 0, time.UTC), end(20, day, 60_000), "half an hour today, the rest tomorrow")
	require.Equal(t, from, end(20, day, 0))
	require.True(t, end(1e-9, day, 1<<60).After(from.AddDate(50, 0, 0)))
	_, over := End(from, 20, Share{day, 36_000})
	require.False(t, over, "it is just enough")
	_, over = End(from, 20, Share{day, 36_001})
	require.True(t, over)
}

// Whatever a file holds, reading it never panics, loses no line, and what is taken can be sent.
func FuzzFile(f *testing.F) {
	f.Add([]byte("to,name\n919876543210,Asha\n"), true)
	f.Add([]byte("to;name;id\n\"919876543210\";\"A\";x\n\n"), true)
	f.Add([]byte(`{"to":"919876543210","name":"x","media":{"type":"image"}}`), false)
	f.Fuzz(func(t *testing.T, file []byte, asCSV bool) {
		form := NewForm(Definition{ID: "c", Sender: "s", Template: template, Params: []string{"{name}"}, Window: "08:00-20:00", Zone: ByRecipient})
		in := newLines(bytes.NewReader(file))
		var r reader = jsonReader{form.Columns}
		if asCSV {
			header, err := in.next()
			if err != nil {
				return
			}
			if r, err = newCSVReader(header.text, form.Columns); err != nil {
				return
			}
		}
		var rows []Row
		for {
			l, err := in.next()
			if err != nil {
				require.ErrorIs(t, err, io.EOF)
				break
			}
			said, err := r.read(l.text)
			if err != nil || l.err != nil {
				continue
			}
			row, err := form.row(l.number, said, "IN", time.Now())
			if err != nil {
				continue
			}
			rows = append(rows, row)
			m, err := form.Message(row)
			require.NoError(t, err)
			require.NoError(t, m.Content.Validate())
			_, err = json.Marshal(m)
			require.NoError(t, err)
		}
		count := int64(0)
		scan := bufio.NewReader(bytes.NewReader(file))
		for {
			part, err := scan.ReadString('\n')
			if part != "" {
				count++
			}
			if err != nil {
				break
			}
		}
		require.Equal(t, count, in.number)
		if len(rows) == 0 {
			return
		}
		lines, err := ledger.UnpackChunk(ledger.PackChunk(encodeRows(rows)))
		require.NoError(t, err)
		back, err := decodeRows(lines, len(form.Columns))
		require.NoError(t, err)
		require.Equal(t, rows, back)
	})
}

// bursting is a file whose reading panics after its first bytes.
type bursting struct{ io.Reader }

func (b bursting) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil {
		panic("919876543210")
	}
	return n, nil
}

// The goroutines of an intake are nobody else's: a panic of theirs would end the process.
func TestAPanicInAnIntakeIsAnError(t *testing.T) {
	t.Parallel()
	d := Definition{ID: "c", Sender: "demo", Template: template}
	require.NoError(t, d.Normalise(time.Now()))
	for _, file := range []string{"", "to\n919876543210\n"} {
		_, err := (&Intake{}).Take(t.Context(), d, File{In: bursting{strings.NewReader(file)}, Format: CSV, DryRun: true})
		var failed *PanicError
		require.ErrorAs(t, err, &failed, "%q", file)
		require.NotContains(t, fmt.Sprint(err, failed.What, string(failed.Stack)), "919876543210")
	}
	b := &batch{checked: make(chan struct{}), lines: []line{{number: 2, text: []byte("x")}}}
	(&taking{Intake: &Intake{}, form: NewForm(d)}).check(nil, b)
	<-b.checked
	require.Error(t, b.failed)
}
