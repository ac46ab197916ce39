package httpapi

import (
	"bytes"
	"html/template"
	"mime"
	"net/http"
	"path"
	"regexp"
	"strings"

	"github.com/hibiken/asynqmon"
	"github.com/redis/go-redis/v9"
)

const (
	uiRoot   = "/ui"
	uiAPI    = "/ui/api/"
	uiStatic = "/ui/static/"
)

// sharedRedis hands the process's own client to asynqmon, which would otherwise
// open another one with settings of its own. asynqmon's Close would close it,
// and is therefore never called; it holds nothing else.
type sharedRedis struct{ client redis.UniversalClient }

// MakeRedisClient implements asynq.RedisConnOpt.
func (s sharedRedis) MakeRedisClient() any { return s.client }

// monitor is asynqmon, put right where it answers what we would not.
type monitor struct {
	asynqmon http.Handler
	bar      *template.Template // who is logged in, and the way out
}

func newMonitor(client redis.UniversalClient, readOnly bool, bar *template.Template) monitor {
	return monitor{
		bar: bar,
		asynqmon: asynqmon.New(asynqmon.Options{
			RootPath:         uiRoot,
			RedisConnOpt:     sharedRedis{client},
			PayloadFormatter: asynqmon.PayloadFormatterFunc(showPayload),
			ResultFormatter:  asynqmon.ResultFormatterFunc(func(_ string, result []byte) string { return showResult(result) }),
			ReadOnly:         readOnly,
		}),
	}
}

// serve answers for a person who may ask what they ask. asynqmon sends its page
// for every path it does not know, with status 200: right for the page's own
// paths, and a lie to a program under /ui/api/.
func (m monitor) serve(w http.ResponseWriter, r *http.Request, a account) {
	w.Header().Set("Content-Security-Policy", policyUI)
	out := &pageCatcher{ResponseWriter: w, path: r.URL.Path}
	m.asynqmon.ServeHTTP(out, r)
	if out.page == nil {
		return
	}
	if strings.HasPrefix(r.URL.Path, uiAPI) || strings.HasPrefix(r.URL.Path, uiStatic) {
		say(w, r, http.StatusNotFound, noSuchPath)
		return
	}
	m.sendPage(w, out.page.Bytes(), a)
}

// elsewhere is what asynqmon's page would fetch from other sites, and its manifest, which browsers ask for without a login.
var elsewhere = regexp.MustCompile(`<link rel="(?:stylesheet" href="https?:|manifest")[^>]*>`)

// sendPage adds the bar to asynqmon's page, which knows of no logins, and takes out what would be fetched from elsewhere.
func (m monitor) sendPage(w http.ResponseWriter, page []byte, a account) {
	var bar bytes.Buffer
	// The template is ours and writes to memory: a test runs it.
	_ = m.bar.Execute(&bar, pageData{Name: a.name, Role: a.role})
	end := []byte("</body>")
	page = elsewhere.ReplaceAllLiteral(page, nil)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(bytes.Replace(page, end, append(bar.Bytes(), end...), 1))
}

// pageCatcher holds asynqmon's HTML page back and lets everything else through,
// with the content types it leaves out: under "nosniff" a browser believes
// nothing else.
type pageCatcher struct {
	http.ResponseWriter
	path string
	page *bytes.Buffer // not nil once the answer turned out to be the page
	sent bool          // the header is on its way
}

// WriteHeader is called by asynqmon only for what is not its page.
func (p *pageCatcher) WriteHeader(status int) {
	p.sent = true
	p.ResponseWriter.WriteHeader(status)
}

// Write decides by the first bytes which of the two it is.
func (p *pageCatcher) Write(b []byte) (int, error) {
	if !p.sent && p.page == nil {
		if bytes.HasPrefix(b, []byte("<!doctype html")) {
			p.page = new(bytes.Buffer)
		} else {
			p.setType()
			p.sent = true
		}
	}
	if p.page != nil {
		return p.page.Write(b)
	}
	if strings.HasPrefix(p.path, uiAPI) {
		// asynqmon masks payloads and results through us, and forgets what failed. It writes an answer in one piece.
		_, err := p.ResponseWriter.Write(maskErrors(b))
		return len(b), err
	}
	return p.ResponseWriter.Write(b)
}

func (p *pageCatcher) setType() {
	h := p.Header()
	switch {
	case strings.HasPrefix(p.path, uiStatic):
		// Names under static/ carry a hash of their content.
		h.Set("Cache-Control", "private, max-age=86400")
		if kind := mime.TypeByExtension(path.Ext(p.path)); kind != "" {
			h.Set("Content-Type", kind)
		}
	case strings.HasPrefix(p.path, uiAPI) && h.Get("Content-Type") == "":
		h.Set("Content-Type", "application/json")
	}
}
