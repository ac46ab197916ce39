package gupshup_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
)

const (
	templateID = "c6aecef6-bcb0-4fb1-8100-28c094e3bc6b"
	testKey    = "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6"
)

// sample is one request of Gupshup's guide to outbound messages, copied field by field.
type sample struct {
	URL     string
	Headers map[string]string
	Fields  map[string]string
}

// TestSampleRequests sends what each sample of Gupshup's guide sends and compares what a server
// gets. Beside the sample's fields there are exactly the two that the guide's table of fields
// has and its samples omit.
func TestSampleRequests(t *testing.T) {
	t.Parallel()
	three := &gupshup.Template{ID: templateID, Params: []string{"Agent", "Local Address", "Tracking code"}}
	pdf := gupshup.MediaDocument{
		Link:     "https://www.buildquickbots.com/whatsapp/media/sample/pdf/sample01.pdf",
		Filename: "Sample funtional resume",
	}
	tests := map[string]gupshup.Content{
		"text":  {Template: three},
		"image": {Template: three, Media: gupshup.MediaImage{Link: "https://www.buildquickbots.com/whatsapp/media/sample/jpg/sample01.jpg"}},
		"video": {Template: three, Media: gupshup.MediaVideo{Link: "https://www.buildquickbots.com/whatsapp/media/sample/video/sample01.mp4"}},
		// The sample has no coordinates; Validate would refuse it, the form is what matters here.
		"location": {Template: three, Media: gupshup.MediaLocation{}},
		"document": {Template: three, Media: pdf},
		"call_to_action": {
			Template: &gupshup.Template{
				ID:     "c49ee21d-4d39-452d-a6c1-25b7615e01e4",
				Params: []string{"John", "docs/bot-platform/guide/whatsapp-api-documentation"},
			},
			Media: pdf,
		},
		"one_param": {Template: &gupshup.Template{ID: templateID, Params: []string{"12323XXXX"}}},
	}
	for name, content := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := readSample(t, name)
			got := make(chan *http.Request, 1)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_ = r.ParseForm()
				got <- r
				_, _ = w.Write([]byte(`{"status":"submitted","messageId":"ee4a68a0-1203-4c85-8dc3-49d0b3226a35"}`))
			}))
			t.Cleanup(server.Close)
			client, err := gupshup.New(gupshup.Config{
				BaseURL: server.URL, SessionPath: "/sm/api/v1/msg", TemplatePath: "/sm/api/v1/template/msg",
				APIKey: gupshup.StaticKey(want.Headers["apikey"]), HTTPClient: server.Client(),
			})
			require.NoError(t, err)

			receipt, err := client.Send(t.Context(), gupshup.Request{
				Source: want.Fields["source"], AppName: "DemoAPI", Destination: want.Fields["destination"], Content: content,
			})
			require.NoError(t, err)
			require.Equal(t, gupshup.Receipt{
				MessageID: "ee4a68a0-1203-4c85-8dc3-49d0b3226a35", Status: "submitted", HTTPStatus: 200,
			}, receipt)

			r := <-got
			u, err := url.Parse(want.URL)
			require.NoError(t, err)
			require.Equal(t, http.MethodPost, r.Method)
			require.Equal(t, u.Path, r.URL.Path)
			for header, value := range want.Headers {
				require.Equal(t, []string{value}, r.Header.Values(header))
			}
			require.Empty(t, r.Header.Values("Idempotency-Key"))
			require.Equal(t, "whatsapp", r.PostForm.Get("channel"))
			require.Equal(t, "DemoAPI", r.PostForm.Get("src.name"))
			require.Len(t, r.PostForm, len(want.Fields)+2)
			for field, value := range want.Fields {
				require.Len(t, r.PostForm[field], 1, field)
				if strings.HasPrefix(value, "{") {
					require.JSONEq(t, value, r.PostForm.Get(field), field)
					continue
				}
				require.Equal(t, value, r.PostForm.Get(field), field)
			}
		})
	}
}

// readSample reads a sample and puts digits where the guide masks the destination with x.
func readSample(t *testing.T, name string) sample {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "sample", name+".json"))
	require.NoError(t, err)
	var s sample
	require.NoError(t, json.Unmarshal(raw, &s))
	s.Fields["destination"] = strings.ReplaceAll(s.Fields["destination"], "x", "0")
	return s
}

func TestForm(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		content gupshup.Content
		want    map[string]string
	}{
		"text": {
			gupshup.Content{Message: gupshup.Text{Text: "a < b & c > d"}},
			map[string]string{"message": `{"type":"text","text":"a < b & c > d"}`},
		},
		"flags": {
			gupshup.Content{Message: gupshup.Text{Text: "hi"}, DisablePreview: true, Encode: true},
			map[string]string{"message": `{"type":"text","text":"hi"}`, "disablePreview": "true", "encode": "true"},
		},
		"no params": {
			gupshup.Content{Template: &gupshup.Template{ID: templateID}},
			map[string]string{"template": `{"id":"` + templateID + `","params":[]}`},
		},
		"offer": {
			gupshup.Content{Template: &gupshup.Template{ID: templateID, Params: []string{"a"}, Expiration: 1644912000000}},
			map[string]string{"template": `{"id":"` + templateID + `","params":["a"],"expiration":1644912000000}`},
		},
		"products": {
			gupshup.Content{Template: &gupshup.Template{ID: templateID, Params: []string{"p1"}, MPM: &gupshup.MPM{
				Sections: []gupshup.MPMSection{{Title: "Products", Products: []string{"zqc2qfz5fm"}}},
			}}},
			map[string]string{"template": `{"id":"` + templateID + `","params":["p1"],"mpm":{"sections":[{"title":"Products","products":["zqc2qfz5fm"]}]}}`},
		},
		"catalogue flag stays here": {
			gupshup.Content{Template: &gupshup.Template{ID: templateID, Params: []string{"p1"}, Catalog: true}},
			map[string]string{"template": `{"id":"` + templateID + `","params":["p1"]}`},
		},
		"postbacks": {
			gupshup.Content{
				Template:      &gupshup.Template{ID: templateID, Params: []string{"a"}},
				PostbackTexts: []gupshup.PostbackText{{Index: 0, Text: "yes"}, {Index: 1, Text: "no"}},
			},
			map[string]string{
				"template":      `{"id":"` + templateID + `","params":["a"]}`,
				"postbackTexts": `[{"index":0,"text":"yes"},{"index":1,"text":"no"}]`,
			},
		},
		"carousel": {
			gupshup.Content{Template: &gupshup.Template{ID: templateID, Params: []string{"a"}}, Media: gupshup.Carousel{
				CardHeaderType: "IMAGE",
				Cards:          []gupshup.Card{{Link: "https://a.example/1.jpg", PostbackTexts: []gupshup.PostbackText{{Text: "hello"}}}, {ID: "77"}},
			}},
			map[string]string{
				"template": `{"id":"` + templateID + `","params":["a"]}`,
				"message":  `{"type":"carousel","cardHeaderType":"IMAGE","cards":[{"link":"https://a.example/1.jpg","postbackTexts":[{"index":0,"text":"hello"}]},{"id":"77"}]}`,
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			form, err := gupshup.Request{Source: "917834811114", AppName: "DemoAPI", Destination: "919876543210", Content: test.content}.Form()
			require.NoError(t, err)
			want := url.Values{"channel": {"whatsapp"}, "source": {"917834811114"}, "src.name": {"DemoAPI"}, "destination": {"919876543210"}}
			for field, value := range test.want {
				want.Set(field, value)
			}
			require.Equal(t, want, form)
		})
	}
}

func TestFormRefuses(t *testing.T) {
	t.Parallel()
	good := gupshup.Request{
		Source: "917834811114", AppName: "DemoAPI", Destination: "919876543210",
		Content: gupshup.Content{Message: gupshup.Text{Text: "hi"}},
	}
	tests := map[string]struct {
		change func(*gupshup.Request)
		field  string
	}{
		"plus":            {func(r *gupshup.Request) { r.Destination = "+919876543210" }, "destination"},
		"spaces":          {func(r *gupshup.Request) { r.Destination = "91 98765 43210" }, "destination"},
		"other digits":    {func(r *gupshup.Request) { r.Destination = "٩١٩٨٧٦٥٤٣٢١٠" }, "destination"},
		"no destination":  {func(r *gupshup.Request) { r.Destination = "" }, "destination"},
		"too long":        {func(r *gupshup.Request) { r.Destination = "1234567890123456" }, "destination"},
		"source":          {func(r *gupshup.Request) { r.Source = "+1" }, "source"},
		"no app":          {func(r *gupshup.Request) { r.AppName = " " }, "src.name"},
		"nothing":         {func(r *gupshup.Request) { r.Content = gupshup.Content{} }, "content"},
		"both":            {func(r *gupshup.Request) { r.Content.Template = &gupshup.Template{ID: templateID} }, "content"},
		"numeric id":      {func(r *gupshup.Request) { r.Content = gupshup.Content{Template: &gupshup.Template{ID: "1234567890"}} }, "template.id"},
		"template's name": {func(r *gupshup.Request) { r.Content = gupshup.Content{Template: &gupshup.Template{ID: "order_update"}} }, "template.id"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := good
			test.change(&r)
			form, err := r.Form()
			require.Nil(t, form)
			var fields gupshup.FieldErrors
			require.ErrorAs(t, err, &fields)
			require.Equal(t, []string{test.field}, paths(fields))
		})
	}
}

// paths are the fields of errors, in order.
func paths(errs gupshup.FieldErrors) []string {
	var got []string
	for _, e := range errs {
		got = append(got, e.Field)
	}
	return got
}
