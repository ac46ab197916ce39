package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/campaign"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// people are so many rows of a CSV file, with a header.
func people(n int) string {
	var b strings.Builder
	b.WriteString("to,name\n")
	for i := range n {
		fmt.Fprintf(&b, "%d,Asha %d\n", 919800000000+i, i)
	}
	return b.String()
}

// part is one of a form; kind may be empty.
type part struct{ name, kind, text string }

// form makes a body of parts, and its Content-Type.
func form(parts ...part) (body, contentType string) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		h := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf(`form-data; name=%q; filename="f"`, p.name)}}
		if p.kind != "" {
			h.Set("Content-Type", p.kind)
		}
		out, _ := w.CreatePart(h)
		_, _ = io.WriteString(out, p.text)
	}
	_ = w.Close()
	return b.String(), w.FormDataContentType()
}

func (c *counter) settings(id string, more ...string) string {
	return fmt.Sprintf(`{"id":%q,"sender":%q,"template":{"id":%q,"params":["{name}","20%%"]}%s}`, id, c.first, someTemplate, strings.Join(more, ""))
}

// create sends a campaign's settings and file.
func (c *counter) create(settings, file string, edits ...func(*http.Request)) (answer, map[string]any) {
	c.Helper()
	body, kind := form(part{"campaign", "application/json", settings}, part{"recipients", "text/csv", file})
	return c.ask("POST", "/v1/campaigns", body, append([]func(*http.Request){header("Content-Type", kind)}, edits...)...)
}

// document gets a document.
func (c *counter) document(target string, edits ...func(*http.Request)) [][]string {
	c.Helper()
	got := c.do("GET", target, nil, append([]func(*http.Request){header("Authorization", "Bearer "+shopKey)}, edits...)...)
	require.Equal(c, http.StatusOK, got.StatusCode, got.text)
	require.Equal(c, "text/csv; charset=utf-8", got.Header.Get("Content-Type"))
	rows, err := csv.NewReader(strings.NewReader(got.text)).ReadAll()
	require.NoError(c, err)
	return rows
}

func (c *counter) campaign(id string) ledger.Campaign {
	c.Helper()
	found, err := c.books.GetCampaign(c.Context(), c.first, id)
	require.NoError(c, err)
	return found
}

func (c *counter) balanced() {
	c.Helper()
	d, err := c.books.AuditDeep(c.Context(), c.first)
	require.NoError(c, err)
	require.True(c, d.Balanced(), "%+v", d)
}

func TestCampaignOverHTTP(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		c := newCounter(t, rdb, func(o *Options) { o.Now = time.Now })
		file := people(60) + "12,Nobody\n919800000000,Again\n"
		got, v := c.create(c.settings("spring", `,"rate":0.02`), file)
		require.Equal(t, http.StatusAccepted, got.StatusCode, got.text)
		require.Equal(t, "spring", v["id"])
		require.Equal(t, "running", v["status"])
		require.EqualValues(t, 60, v["accepted"])
		require.EqualValues(t, 2, v["rejected"])
		require.EqualValues(t, 63, v["lines"])
		require.Equal(t, []any{"60 recipients at 0.02/s take 50 minutes"}, v["notes"])
		require.NotEmpty(t, v["expected_end"])
		require.Equal(t, []any{
			map[string]any{"line": 62.0, "reason": "to: is not a possible phone number: give it with its country code, such as 447700900123"},
			map[string]any{"line": 63.0, "reason": "to: its number stands in line 2 already"},
		}, v["rejects"])
		require.Len(t, c.document("/v1/campaigns/spring/rejects"), 3)

		got, v = c.create(c.settings("spring", `,"rate":0.02`), file)
		require.Equal(t, http.StatusOK, got.StatusCode, "nothing is added")
		require.EqualValues(t, 60, v["accepted"])
		require.Len(t, v["rejects"], 2)
		got, v = c.create(c.settings("spring", `,"rate":0.02`), file+"919800000999,More\n")
		require.Equal(t, http.StatusConflict, got.StatusCode, got.text)
		require.Contains(t, v["detail"], "read from another file")
		require.Equal(t, "running", v["campaign_status"])
		got, v = c.create(c.settings("spring"), file)
		require.Equal(t, http.StatusConflict, got.StatusCode)
		require.Equal(t, "spring", v["id"])
		require.Equal(t, "running", v["campaign_status"])

		got, v = c.ask("POST", "/v1/campaigns/spring/pause", `{"reason":"wrong price"}`)
		require.Equal(t, http.StatusOK, got.StatusCode, got.text)
		require.Equal(t, "paused", v["status"])
		require.Equal(t, "wrong price", v["reason"])
		require.Equal(t, "shop", v["by"])
		got, v = c.ask("POST", "/v1/campaigns/spring/resume", "")
		require.Equal(t, http.StatusOK, got.StatusCode, got.text)
		require.Equal(t, "running", v["status"])
		got, v = c.ask("GET", "/v1/campaigns/spring", "")
		require.Equal(t, http.StatusOK, got.StatusCode)
		require.EqualValues(t, 60, v["counts"].(map[string]any)["queued"])
		require.NotNil(t, v["expected_end"])

		got, v = c.ask("GET", "/v1/messages/spring.2", "")
		require.Equal(t, http.StatusNotFound, got.StatusCode)
		require.Contains(t, v["detail"], "no message yet: it is line 2 of campaign spring")
		report := c.document("/v1/campaigns/spring/report")
		require.Len(t, report, 61)
		require.Equal(t, []string{"2", "spring.2", "9198******00", "queued"}, report[1][:4])
		report = c.document("/v1/campaigns/spring/report?reveal=true", header("Authorization", "Bearer "+deskKey))
		require.Equal(t, "919800000000", report[1][2])
		got, _ = c.ask("GET", "/v1/campaigns/spring/report?reveal=true", "")
		require.Equal(t, http.StatusForbidden, got.StatusCode)

		got, v = c.ask("POST", "/v1/campaigns/spring/cancel", "")
		require.Equal(t, http.StatusOK, got.StatusCode, got.text)
		require.EqualValues(t, 60, v["counts"].(map[string]any)["cancelled"])
		got, _ = c.ask("POST", "/v1/campaigns/spring/cancel", "")
		require.Equal(t, http.StatusOK, got.StatusCode, "again is no error")
		got, v = c.ask("POST", "/v1/campaigns/spring/resume", "")
		require.Equal(t, http.StatusConflict, got.StatusCode)
		require.Equal(t, "cancelled", v["campaign_status"])
		got, _ = c.ask("POST", "/v1/campaigns/spring/pause", `{"raeson":"x"}`)
		require.Equal(t, http.StatusUnprocessableEntity, got.StatusCode)
		for _, target := range []string{"/v1/campaigns/other", "/v1/campaigns/other/report", "/v1/campaigns/other/rejects"} {
			got, _ = c.ask("GET", target, "")
			require.Equal(t, http.StatusNotFound, got.StatusCode, target)
		}
		c.balanced()
	})
}

func TestCampaignByTheClocksOfItsRecipients(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		at := time.Date(2026, 11, 27, 12, 30, 0, 0, time.UTC)
		c := newCounter(t, rdb, func(o *Options) { o.Now = func() time.Time { return at } })
		got, v := c.create(c.settings("world", `,"window":"09:00-21:00","timezone":"recipient","rate":0.02`),
			"to,name\n919800000001,A\n12125550001,B\n12125550002,C\n351912345678,D\n870773111632,E\n")
		require.Equal(t, http.StatusAccepted, got.StatusCode, got.text)
		require.EqualValues(t, 4, v["accepted"])
		require.Len(t, v["rejects"], 1)
		require.Equal(t, []any{"4 recipients at 0.02/s take 3 minutes, from 2026-11-27T12:30:00.000Z until about 2026-11-27T14:01:40.000Z"}, v["notes"])
		got, v = c.ask("GET", "/v1/campaigns/world", "")
		require.Equal(t, http.StatusOK, got.StatusCode)
		require.Equal(t, "recipient", v["timezone"])
		require.Equal(t, []any{
			map[string]any{
				"zone": "Asia/Calcutta", "accepted": 1.0, "queued": 1.0, "open": true, "opens": "2026-11-27T03:30:00.000Z", "closes": "2026-11-27T15:30:00.000Z",
			},
			map[string]any{
				"zone": "Atlantic/Azores,Europe/Lisbon", "accepted": 1.0, "queued": 1.0, "open": true, "opens": "2026-11-27T10:00:00.000Z", "closes": "2026-11-27T21:00:00.000Z",
			},
			map[string]any{
				"zone": "America/New_York", "accepted": 2.0, "queued": 2.0, "open": false, "opens": "2026-11-27T14:00:00.000Z", "closes": "2026-11-28T02:00:00.000Z",
			},
		}, v["zones"])
		require.Equal(t, "2026-11-27T14:01:40.000Z", v["expected_end"])
		c.balanced()
	})
}

func TestCampaignsComeInPages(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), nil)
	_, v := c.ask("GET", "/v1/campaigns", "")
	require.Equal(t, map[string]any{"items": []any{}, "next": ""}, v)
	for i := range 5 {
		got, _ := c.create(c.settings(fmt.Sprint("c", i)), people(1))
		require.Equal(t, http.StatusAccepted, got.StatusCode, got.text)
	}
	got, _ := c.create(strings.Replace(c.settings("c2"), c.first, c.also, 1), people(1))
	require.Equal(t, http.StatusAccepted, got.StatusCode, got.text)
	_, v = c.ask("GET", "/v1/campaigns?sender="+c.first, "")
	all := ids(v)
	require.ElementsMatch(t, []string{"c4", "c3", "c2", "c1", "c0"}, all)
	var paged []string
	for next, more := "", true; more; more = next != "" {
		_, v = c.ask("GET", "/v1/campaigns?limit=2&sender="+c.first+"&cursor="+next, "")
		paged, next = append(paged, ids(v)...), v["next"].(string)
	}
	require.Equal(t, all, paged)
	_, v = c.ask("GET", "/v1/campaigns?status=paused", "")
	require.Empty(t, v["items"])
	got, v = c.ask("GET", "/v1/campaigns?status=other", "")
	require.Equal(t, http.StatusUnprocessableEntity, got.StatusCode)
	require.Contains(t, fields(v), "status")

	got, v = c.ask("GET", "/v1/campaigns/c2", "")
	require.Equal(t, http.StatusConflict, got.StatusCode)
	require.Equal(t, []any{c.first, c.also}, v["senders"])
	got, _ = c.ask("GET", "/v1/campaigns/c2?sender="+c.also, "")
	require.Equal(t, http.StatusOK, got.StatusCode)
}

func TestCampaignsThatAreRefused(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), func(o *Options) { o.Now = time.Now })
	ask := func(what string, status int, parts ...part) map[string]any {
		t.Helper()
		body, kind := form(parts...)
		got, v := c.ask("POST", "/v1/campaigns", body, header("Content-Type", kind))
		require.Equal(t, status, got.StatusCode, what+": "+got.text)
		return v
	}
	rows := part{"recipients", "", people(3)}
	for settings, want := range map[string]string{
		`{"id":"a b","sender":"` + c.first + `","template":{"id":"x"},"rate":21,"window":"9-21","expires_at":"2020-01-01T00:00:00Z","priority":"high"}`: "expires_at id priority rate template.id window",
		`{"template":{"id":"` + someTemplate + `"}}`:                 "sender",
		`{"sender":"nobody","rate":-1}`:                              "rate sender template.id",
		c.settings("c", `,"on_in_doubt":"x"`):                        "on_in_doubt",
		c.settings("c", `,"window":"09:00-21:00","timezone":"Mars"`): "timezone",
		c.settings("c", `,"timezone":"Asia/Kolkata"`):                "timezone",
		c.settings("c", `,"start_at":"tomorrow"`):                    "start_at",
		c.settings("c", `,"rate":"fast"`):                            "rate",
		c.settings("c", `,"media":"Hello"`):                          "media",
		c.settings("c", `,"recipients":3`):                           "recipients",
		`[1]`:                                                        "",
		`{"id"`:                                                      "campaign",
		c.settings("c", fmt.Sprintf(`,"window":"%s"`, strings.Repeat("x", maxListBody))):                 "campaign",
		c.settings(strings.Repeat("x", 49)):                                                              "id",
		strings.Replace(c.settings("c"), `"{name}"`, `7`, 1):                                             "template.params",
		strings.Replace(c.settings("c"), `"{name}"`, `"{name"`, 1):                                       "template.params",
		strings.Replace(c.settings("c"), `"{name}"`, `"{nme}"`, 1):                                       "recipients",
		strings.Replace(c.settings("c", `,"expires_at":"2999-01-01T00:00:00Z"`), `"{name}"`, `"{x}"`, 1): "recipients",
	} {
		v := ask(settings, http.StatusUnprocessableEntity, part{"campaign", "", settings}, rows)
		names := []string{}
		for f := range fields(v) {
			names = append(names, f)
		}
		require.ElementsMatch(t, strings.Fields(want), names, settings)
	}
	good := part{"campaign", "", c.settings("c")}
	for want, parts := range map[string][]part{
		"campaign":   {rows, good},
		"recipients": {good, {"file", "", people(3)}},
		"campaign ":  {},
	} {
		v := ask(want, http.StatusUnprocessableEntity, parts...)
		require.Contains(t, fields(v), strings.TrimSpace(want))
	}
	for _, settings := range []string{c.settings("two"), c.settings("two", `,"dry_run":true`)} {
		for name, field := range map[string]string{"recipients": "recipients", "campaign": "campaign", "more": "form"} {
			v := ask(name, http.StatusUnprocessableEntity, part{"campaign", "", settings}, rows, part{name, "", people(5)})
			require.Contains(t, fields(v)[field], "is a part too many")
		}
	}
	require.Equal(t, message.CampaignIngesting, c.campaign("two").Status, "nothing of it is sent")
	ask("one part too few is no more", http.StatusAccepted, part{"campaign", "", c.settings("two")}, rows)
	require.EqualValues(t, 3, c.campaign("two").Rows)
	for file, want := range map[string]string{
		"":                         "the file is empty",
		"number,name\n1,x\n":       "no column named to",
		"to,to\n":                  "same name",
		"PK\x03\x04":               "is an Excel workbook",
		"to,name\n":                "has no rows",
		"to;nom\n919800000000;x\n": "no column {name}",
	} {
		v := ask(file, http.StatusUnprocessableEntity, good, part{"recipients", "", file})
		require.Contains(t, fields(v)["recipients"], want)
	}
	_, v := c.ask("GET", "/v1/campaigns", "")
	require.Equal(t, []string{"two"}, ids(v), "what is refused leaves nothing behind")

	for kind, status := range map[string]int{
		"application/json": 415, "": 415, "multipart/form-data": 400, "multipart/mixed; boundary=x": 415, "multipart/form-data; boundary=x": 422,
	} {
		got, _ := c.ask("POST", "/v1/campaigns", "x", header("Content-Type", kind))
		require.Equal(t, status, got.StatusCode, kind)
	}
	got, _ := c.create(c.settings("c"), people(1), header("Content-Encoding", "gzip"))
	require.Equal(t, http.StatusUnsupportedMediaType, got.StatusCode)
	got, _ = c.create(c.settings("c"), people(1), header("Authorization", "Bearer wrong"))
	require.Equal(t, http.StatusUnauthorized, got.StatusCode)
	for range maxUploads {
		c.server.api.uploads.slots <- struct{}{}
	}
	got, _ = c.create(c.settings("c"), people(1))
	require.Equal(t, http.StatusServiceUnavailable, got.StatusCode)
	require.NotEmpty(t, got.Header.Get("Retry-After"))
}

func TestStrictAndDryRun(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		c := newCounter(t, rdb, func(o *Options) { o.Now = time.Now })
		file := people(5) + "12,Nobody\n"
		got, v := c.create(c.settings("dry", `,"dry_run":true`), file)
		require.Equal(t, http.StatusOK, got.StatusCode, got.text)
		require.Equal(t, true, v["dry_run"])
		require.NotContains(t, v, "status")
		require.EqualValues(t, 5, v["accepted"])
		require.Len(t, v["rejects"], 1)
		require.NotEmpty(t, v["notes"])
		got, v = c.create(c.settings("dry", `,"dry_run":true,"strict":true`), file)
		require.Equal(t, http.StatusUnprocessableEntity, got.StatusCode)
		require.Contains(t, fields(v)["recipients"], "line 7: to: is not a possible")
		got, _ = c.ask("GET", "/v1/campaigns/dry", "")
		require.Equal(t, http.StatusNotFound, got.StatusCode)

		got, _ = c.create(c.settings("strict", `,"strict":true`), file)
		require.Equal(t, http.StatusUnprocessableEntity, got.StatusCode)
		require.Equal(t, message.CampaignCancelled, c.campaign("strict").Status)
		got, v = c.create(c.settings("strict", `,"strict":true`), people(5))
		require.Equal(t, http.StatusConflict, got.StatusCode)
		require.Equal(t, "cancelled", v["campaign_status"])
		c.balanced()
	})
}

func TestHowFilesAreWritten(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), nil)
	lines := `{"to":"919800000001","name":"A"}` + "\n" + `{"to":919800000002,"name":"B","id":"own"}` + "\n"
	for i, p := range []part{
		{"recipients", "application/x-ndjson", lines},
		{"recipients", "", lines},
		{"recipients", "application/octet-stream", "\ufeff" + lines},
		{"recipients", "application/vnd.ms-excel", "to;name\n919800000001;A\n919800000002;B\n"},
		{"recipients", "text/csv; charset=utf-8", people(2)},
	} {
		id := fmt.Sprint("c", i)
		body, kind := form(part{"campaign", "", c.settings(id)}, p)
		got, v := c.ask("POST", "/v1/campaigns", body, header("Content-Type", kind))
		require.Equal(t, http.StatusAccepted, got.StatusCode, got.text)
		require.EqualValues(t, 2, v["accepted"], "%v", p)
	}
}

func TestCampaignIDsFollowFromAKey(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), nil)
	settings := strings.Replace(c.settings("x"), `"id":"x",`, "", 1)
	got, v := c.create(settings, people(3), header("Idempotency-Key", "spring"))
	require.Equal(t, http.StatusAccepted, got.StatusCode, got.text)
	id := v["id"]
	got, v = c.create(settings, people(3), header("Idempotency-Key", "spring"))
	require.Equal(t, http.StatusOK, got.StatusCode)
	require.Equal(t, id, v["id"])
	got, v = c.create(settings, people(3))
	require.Equal(t, http.StatusAccepted, got.StatusCode)
	require.NotEqual(t, id, v["id"])
	got, _ = c.create(settings, people(3), header("Idempotency-Key", strings.Repeat("x", 256)))
	require.Equal(t, http.StatusUnprocessableEntity, got.StatusCode)
}

// open is a server with a port.
func (c *counter) open() (address string, stop func() error) {
	c.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	addr, err := c.server.Listen(ctx)
	require.NoError(c, err)
	ended := make(chan error, 1)
	go func() { ended <- c.server.Serve(ctx) }()
	var once error
	stopped := false
	stop = func() error {
		if cancel(); !stopped {
			stopped, once = true, <-ended
		}
		return once
	}
	c.Cleanup(func() { _ = stop() })
	return addr.String(), stop
}

// client is a connection on which a test says byte by byte what it likes.
type client struct {
	net.Conn
	t    *testing.T
	body string // of the whole request
}

// post sends the head of a request for a campaign. Its body is still to come.
func (c *counter) post(address, settings, file string) *client {
	c.Helper()
	conn, err := new(net.Dialer).DialContext(c.Context(), "tcp", address)
	require.NoError(c, err)
	c.Cleanup(func() { _ = conn.Close() })
	made := &client{Conn: conn, t: c.T}
	made.ask(settings, file)
	return made
}

// ask sends the head of a request.
func (c *client) ask(settings, file string) {
	c.t.Helper()
	body, kind := form(part{"campaign", "", settings}, part{"recipients", "", file})
	_, err := fmt.Fprintf(c, "POST /v1/campaigns HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", shopKey, kind, len(body))
	require.NoError(c.t, err)
	c.body = body
}

// say sends the next n bytes of the body.
func (c *client) say(n int) {
	c.t.Helper()
	_, err := io.WriteString(c.Conn, c.body[:n])
	require.NoError(c.t, err)
	c.body = c.body[n:]
}

// hear reads the answer.
func (c *client) hear() (*http.Response, map[string]any) {
	c.t.Helper()
	require.NoError(c.t, c.SetReadDeadline(time.Now().Add(20*time.Second)))
	res, err := http.ReadResponse(bufio.NewReader(c.Conn), nil)
	require.NoError(c.t, err)
	defer func() { _ = res.Body.Close() }()
	var v map[string]any
	require.NoError(c.t, json.NewDecoder(res.Body).Decode(&v))
	return res, v
}

// taken waits until so many lines of a campaign were taken in.
func (c *counter) taken(id string, lines int64) {
	c.Helper()
	require.Eventually(c, func() bool {
		found, err := c.books.GetCampaign(c.Context(), c.first, id)
		return err == nil && found.Lines >= lines
	}, 20*time.Second, 5*time.Millisecond)
}

// A client that breaks off in the middle, again and again, and in the end sends everything: nobody is left out or taken twice. Rows are
// taken while the rest has not been sent, which shows that no file is kept.
func TestAnUploadThatBreaksOffGoesOn(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		c := newCounter(t, rdb, nil)
		address, _ := c.open()
		const n = 50_000
		file := people(n/2) + "12,Nobody\n" + strings.TrimPrefix(people(n), people(n/2)) // and one that is rejected
		for i := range 5 {
			conn := c.post(address, c.settings("c"), file)
			conn.say(len(conn.body) * (i + 1) / 6)
			c.taken("c", int64(n*(i+1)/6-3000))
			require.NoError(t, conn.Close())
		}
		conn := c.post(address, c.settings("c"), file)
		conn.say(len(conn.body))
		res, v := conn.hear()
		require.Equal(t, http.StatusAccepted, res.StatusCode, v)
		require.EqualValues(t, n, v["accepted"])
		require.EqualValues(t, 1, v["rejected"])
		require.Len(t, v["rejects"], 1, "also those of a request that broke off")
		require.Equal(t, message.CampaignRunning, c.campaign("c").Status)
		report := c.document("/v1/campaigns/c/report")
		require.Len(t, report, n+1)
		seen := map[string]bool{}
		for _, row := range report[1:] {
			require.False(t, seen[row[1]])
			seen[row[1]] = true
		}
		c.balanced()
		require.Zero(t, c.log.FilterMessage("http.failed").Len())
	})
}

// Clients that read nothing before they have said everything still come to know why they were refused.
func TestARefusedUploadIsHeardOut(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), nil)
	address, _ := c.open()
	conn := c.post(address, strings.Replace(c.settings("c"), `"{name}"`, `"{nme}"`, 1), people(500_000))
	require.Greater(t, len(conn.body), 10<<20)
	conn.say(len(conn.body))
	res, v := conn.hear()
	require.Equal(t, http.StatusUnprocessableEntity, res.StatusCode)
	require.Contains(t, fields(v)["recipients"], "{nme}")
}

// What one request leaves behind on its connection must not disturb the next one.
func TestAConnectionServesAfterAnUpload(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), nil)
	address, _ := c.open()
	conn := c.post(address, c.settings("c"), people(3))
	conn.say(len(conn.body))
	res, _ := conn.hear()
	require.Equal(t, http.StatusAccepted, res.StatusCode)
	require.False(t, res.Close)
	for i := range 3 {
		conn.ask(c.settings(fmt.Sprint("c", i)), people(3))
		conn.say(len(conn.body))
		res, v := conn.hear()
		require.Equal(t, http.StatusAccepted, res.StatusCode, v)
		require.False(t, res.Close)
	}
}

func TestSilenceEndsAnUpload(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), nil)
	c.server.api.uploads.pause = 100 * time.Millisecond
	address, _ := c.open()
	conn := c.post(address, c.settings("c"), people(5000))
	conn.say(len(conn.body) / 2)
	res, v := conn.hear()
	require.Equal(t, http.StatusRequestTimeout, res.StatusCode)
	require.Equal(t, "c", v["id"])
	require.Contains(t, v["detail"], "send the same again")
	conn = c.post(address, c.settings("c"), people(5000))
	conn.say(len(conn.body))
	res, v = conn.hear()
	require.Equal(t, http.StatusAccepted, res.StatusCode, v)
	require.EqualValues(t, 5000, v["accepted"])
}

func TestAStoppedServerSaysSo(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), nil)
	address, stop := c.open()
	conn := c.post(address, c.settings("c"), people(5000))
	conn.say(len(conn.body) / 2)
	c.taken("c", 1000)
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	res, v := conn.hear()
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.NotEmpty(t, res.Header.Get("Retry-After"))
	require.Contains(t, v["detail"], "being stopped")
	require.NoError(t, conn.Close())
	require.NoError(t, <-ended, "in order")
	got, v := c.create(c.settings("c"), people(5000)) // at the next server
	require.Equal(t, http.StatusServiceUnavailable, got.StatusCode, v)
	next := newCounter(t, c.rdb, func(o *Options) { o.API.Senders, o.API.Ledger = c.server.opts.API.Senders, c.books })
	got, v = next.create(c.settings("c"), people(5000))
	require.Equal(t, http.StatusAccepted, got.StatusCode, v)
	require.EqualValues(t, 5000, v["accepted"])
}

func TestLargeUploads(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), nil)
	c.server.api.uploads.bytes = 100 << 10
	address, _ := c.open()
	conn := c.post(address, c.settings("c"), people(10_000))
	conn.say(len(conn.body))
	res, v := conn.hear()
	require.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
	require.Equal(t, "c", v["id"])

	c.server.api.uploads.dry = 50 << 10
	got, v := c.create(c.settings("d", `,"dry_run":true`), people(3000))
	require.Equal(t, http.StatusRequestEntityTooLarge, got.StatusCode)
	require.Contains(t, v["detail"], "dry run")
	got, _ = c.create(c.settings("d", `,"dry_run":true`), people(1000))
	require.Equal(t, http.StatusOK, got.StatusCode, got.text)
}

// What a dry run has in memory grows with its file: so it is small, and alone.
func TestOneDryRunAtATime(t *testing.T) {
	t.Parallel()
	require.LessOrEqual(t, newUploads().dry, int64(16<<20))
	c := newCounter(t, redistest.Embedded(t), nil)
	address, _ := c.open()
	conn := c.post(address, c.settings("d", `,"dry_run":true`), people(5000))
	conn.say(len(conn.body) / 2)
	require.Eventually(t, func() bool { return len(c.server.api.uploads.tries) == 1 }, 20*time.Second, time.Millisecond)
	got, v := c.create(c.settings("e", `,"dry_run":true`), people(3))
	require.Equal(t, http.StatusServiceUnavailable, got.StatusCode, v)
	require.NotEmpty(t, got.Header.Get("Retry-After"))
	got, _ = c.create(c.settings("e"), people(3))
	require.Equal(t, http.StatusAccepted, got.StatusCode, "what is sent goes on")
	conn.say(len(conn.body))
	res, v := conn.hear()
	require.Equal(t, http.StatusOK, res.StatusCode, v)
	got, _ = c.create(c.settings("f", `,"dry_run":true`), people(3))
	require.Equal(t, http.StatusOK, got.StatusCode, "and the next one has its turn")
}

// A report that cannot be finished must not look like one that is.
func TestAReportThatBreaksOff(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), nil)
	address, _ := c.open()
	got, _ := c.create(c.settings("c"), people(3000))
	require.Equal(t, http.StatusAccepted, got.StatusCode)
	ask := func() (*http.Response, error) {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = fmt.Fprintf(conn, "GET /v1/campaigns/c/report HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", shopKey)
		require.NoError(t, err)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, res.Body)
		return res, err
	}
	rows := "gupdispatch:{" + c.first + "}:c:c:rows"
	require.NoError(t, c.rdb.HDel(t.Context(), rows, "2").Err())
	res, err := ask()
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NoError(t, c.rdb.HDel(t.Context(), rows, "0").Err())
	res, err = ask()
	require.NoError(t, err)
	require.GreaterOrEqual(t, res.StatusCode, 500)
}

// Also where the rows are retired meanwhile, which before the first byte is told to the client, and to nobody else.
func TestAnAnswerThatBreaksOffIsLogged(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), nil)
	forgotten := document{write: func(_ context.Context, w writer) error {
		_, err := w.Write(make([]byte, 64<<10))
		return errors.Join(err, campaign.ErrForgotten)
	}}
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { c.server.api.send(t.Context(), httptest.NewRecorder(), forgotten) })
	require.Equal(t, 1, c.log.FilterMessage("http.failed").Len())
}

// As with a user of that name: see TestAUserWhoIsCalledTemplate.
func TestAKeyThatIsCalledTemplate(t *testing.T) {
	t.Parallel()
	const key = "template-key-0123456789abcdef"
	c := newCounter(t, redistest.Embedded(t), func(o *Options) { o.API.Keys = append(o.API.Keys, APIKey{Name: ledger.ByTemplate, Key: key}) })
	got, _ := c.create(c.settings("spring", `,"rate":0.02`), people(3))
	require.Equal(t, http.StatusAccepted, got.StatusCode, got.text)
	got, v := c.ask("POST", "/v1/campaigns/spring/pause", "", header("Authorization", "Bearer "+key))
	require.Equal(t, http.StatusOK, got.StatusCode, got.text)
	require.Equal(t, "key template", v["by"])
}

// A panic must not take what the others need with it: the slot, or the process.
func TestAPanicWhileACampaignIsTakenIn(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), nil)
	c.server.api.Ledger = nil // which breaks while rows are read
	for range maxUploads + 1 {
		got, v := c.create(c.settings("c"), people(3))
		require.Equal(t, http.StatusInternalServerError, got.StatusCode, v)
	}
	require.Equal(t, maxUploads+1, c.log.FilterMessage("http.panic").Len())
	c.server.api.Ledger = c.books
	got, v := c.create(c.settings("c"), people(3))
	require.Equal(t, http.StatusAccepted, got.StatusCode, v)
	p := c.server.api.problemOf(t.Context(), &campaignError{"c", &campaign.PanicError{}})
	require.Equal(t, http.StatusInternalServerError, p.Status)
}

func TestAFormWithoutItsEnd(t *testing.T) {
	t.Parallel()
	c := newCounter(t, redistest.Embedded(t), nil)
	for i, less := range []int{0, -4, 5} {
		id := fmt.Sprint("c", i)
		body, kind := form(part{"campaign", "application/json", c.settings(id)}, part{"recipients", "text/csv", people(3)})
		end := strings.LastIndex(body, "\r\n--") - less
		got, v := c.ask("POST", "/v1/campaigns", body[:end], header("Content-Type", kind))
		require.Equal(t, http.StatusBadRequest, got.StatusCode, v)
		require.Contains(t, v["detail"], "is not complete")
		require.Equal(t, id, v["id"])
		got, v = c.ask("POST", "/v1/campaigns", body, header("Content-Type", kind))
		require.Equal(t, http.StatusAccepted, got.StatusCode, v)
		require.EqualValues(t, 3, v["accepted"])
	}
	require.Zero(t, c.log.FilterMessage("http.failed").Len())
}

// Ids are parts of keys, and behind a colon there is more of a campaign.
func TestCampaignIDsDoNotReachFurther(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		c := newCounter(t, rdb, nil)
		got, v := c.create(c.settings("spring"), people(3))
		require.Equal(t, http.StatusAccepted, got.StatusCode, v)
		for _, id := range []string{"spring:rows", "spring:rejects", "spring:n", "x}", "%0a"} {
			for _, target := range []string{"GET /", "GET /report", "GET /rejects", "POST /pause", "POST /cancel", "POST /resume"} {
				method, path, _ := strings.Cut(target, " ")
				got, v := c.ask(method, strings.TrimSuffix("/v1/campaigns/"+id+path, "/"), "")
				require.Equal(t, http.StatusUnprocessableEntity, got.StatusCode, v)
				require.Contains(t, fields(v), "id")
			}
			_, err := c.books.GetCampaign(t.Context(), c.first, id)
			require.ErrorIs(t, err, ledger.ErrNoCampaign, id)
			_, err = c.books.SteerCampaign(t.Context(), c.first, id, message.CampaignPause, "", "")
			require.ErrorIs(t, err, ledger.ErrNoCampaign, id)
		}
		require.Equal(t, message.CampaignRunning, c.campaign("spring").Status)
		c.balanced()
	})
}
