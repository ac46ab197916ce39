// Package browser looks at the web pages as a person does: in a real browser, over a running demo. It needs chromium, and is skipped
// without it, unless REQUIRE_BROWSER is set. Nothing but loopback is spoken to, which the test checks of the browser, too.
//
// SHOTS=DIRECTORY keeps pictures of what it saw; make screenshots puts them into docs/images.
package browser

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

const (
	patience = 4 * time.Minute // for all of it; it takes half a minute where nothing else is going on
	refused  = "IN_DOUBT"      // a code that the demo always has
)

// demo is a kept demo in a process of its own.
type demo struct {
	t        *testing.T
	binary   string
	file     string // its configuration
	base     string // of the pages
	sim      string // of the simulated Gupshup
	user     string
	password string
}

var (
	pagesLine = regexp.MustCompile(`with a browser: (http://[^/]+)/ \(user (\S+), password (\S+)\)`)
	fileLine  = regexp.MustCompile(`--config (\S+) audit`)
	simLine   = regexp.MustCompile(`curl -s (http://[^/]+)/_sim/stats`)
)

// startDemo builds gupdispatch, runs a short demo and leaves it running until the test ends.
func startDemo(ctx context.Context, t *testing.T) *demo {
	t.Helper()
	d := &demo{t: t, binary: filepath.Join(t.TempDir(), "gupdispatch")}
	build := exec.CommandContext(ctx, "go", "build", "-o", d.binary, "./cmd/gupdispatch")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %s\n%s", err, out)
	}
	told := &output{}
	cmd := exec.CommandContext(ctx, d.binary, "demo", "--keep", "--messages", "400", "--listen", "127.0.0.1:0", "--seed", "7")
	cmd.Stdout, cmd.Stderr, cmd.Env = told, told, environ()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-ended
	})
	require.Eventually(t, func() bool { return simLine.MatchString(told.String()) || over(ended) }, 2*time.Minute, 50*time.Millisecond, "the demo does not come to its end")
	text := told.String()
	pages, file, sim := pagesLine.FindStringSubmatch(text), fileLine.FindStringSubmatch(text), simLine.FindStringSubmatch(text)
	require.True(t, pages != nil && file != nil && sim != nil, text)
	d.base, d.user, d.password, d.file, d.sim = pages[1], pages[2], pages[3], file[1], sim[1]
	return d
}

// environ is ours without what would configure gupdispatch.
func environ() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "GUPDISPATCH_") })
}

func over(ended <-chan struct{}) bool {
	select {
	case <-ended:
		return true
	default:
		return false
	}
}

// output is what a process wrote so far.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// run runs another command against the demo.
func (d *demo) run(ctx context.Context, stdin string, args ...string) {
	d.t.Helper()
	cmd := exec.CommandContext(ctx, d.binary, append([]string{"--config", d.file}, args...)...)
	cmd.Stdin, cmd.Env = strings.NewReader(stdin), environ()
	out, err := cmd.CombinedOutput()
	require.NoError(d.t, err, "%s: %s", args, out)
}

// mend takes the faults away: from now on Gupshup takes everything.
func (d *demo) mend(ctx context.Context) {
	d.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, d.sim+"/_sim/rules", nil)
	require.NoError(d.t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(d.t, err)
	require.NoError(d.t, res.Body.Close())
	http.DefaultClient.CloseIdleConnections()
}

// person sits at a browser.
type person struct {
	t    *testing.T
	ctx  context.Context //nolint:containedctx // chromedp keeps its browser in it
	base string

	mu       sync.Mutex
	outside  []string // what was asked of other hosts
	problems []string // what the browser complained of
}

// newPerson opens a browser with a profile that nobody used before.
func newPerson(ctx context.Context, t *testing.T, path, base string) *person {
	t.Helper()
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.Headless, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("disable-extensions", true),
		chromedp.WindowSize(1280, 860),
	}
	if os.Getuid() == 0 {
		options = append(options, chromedp.NoSandbox) // Chromium refuses to have one for root
	}
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(ctx)
	t.Cleanup(func() {
		_ = chromedp.Cancel(ctx) // waits for the browser to end
		cancel()
	})
	p := &person{t: t, ctx: ctx, base: base}
	chromedp.ListenTarget(ctx, p.watch)
	require.NoError(t, chromedp.Run(ctx, network.Enable(), cdplog.Enable(), runtime.Enable()))
	return p
}

// watch notes what the browser asks for, and what it does not like.
func (p *person) watch(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, p.base) && !strings.HasPrefix(e.Request.URL, "data:") {
			p.outside = append(p.outside, e.Request.URL)
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Source == cdplog.SourceSecurity || e.Entry.Source == cdplog.SourceViolation {
			p.problems = append(p.problems, e.Entry.Text)
		}
	case *runtime.EventExceptionThrown:
		p.problems = append(p.problems, e.ExceptionDetails.Error())
	}
}

// do lets the person do things, one after the other.
func (p *person) do(what string, actions ...chromedp.Action) {
	p.t.Helper()
	if err := chromedp.Run(p.ctx, actions...); err != nil {
		var text string
		_ = chromedp.Run(p.ctx, chromedp.Evaluate(`location.href + "\n" + document.body.innerText`, &text))
		require.NoError(p.t, err, "%s; the page:\n%s", what, text)
	}
}

// open goes to an address and waits until something is there.
func (p *person) open(target, seen string) {
	p.t.Helper()
	p.do("open "+target, chromedp.Navigate(p.base+target))
	p.sees(seen)
}

// sees waits until the page says something.
func (p *person) sees(text string) {
	p.t.Helper()
	p.holds(fmt.Sprintf(`document.body.innerText.includes(%q)`, text))
}

// holds waits until an expression is true of the page. It asks again and again, because a page that is left takes its answer with it.
func (p *person) holds(expression string) {
	p.t.Helper()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(40 * time.Second); ; <-look.C {
		var holds bool
		if err := chromedp.Run(p.ctx, chromedp.Evaluate(expression, &holds)); err == nil && holds {
			return
		}
		if p.ctx.Err() != nil || time.Now().After(end) {
			var now string
			_ = chromedp.Run(p.ctx, chromedp.Evaluate(`location.href + "\n" + document.body.innerText`, &now))
			p.t.Fatalf("%s is not so on the page:\n%s", expression, now)
		}
	}
}

// reads gives what an expression is.
func (p *person) reads(expression string) (text string) {
	p.t.Helper()
	p.do("read", chromedp.Evaluate(expression, &text))
	return text
}

// clicks presses what has a text.
func (p *person) clicks(kind, text string) {
	p.t.Helper()
	p.do("click "+text, chromedp.Click(fmt.Sprintf(`//%s[contains(normalize-space(.), %q)]`, kind, text), chromedp.BySearch))
}

// hovers moves the mouse over the last cell of a row of asynqmon's, which then shows its buttons.
func (p *person) hovers(row string) {
	p.t.Helper()
	p.do("hover", chromedp.ActionFunc(func(ctx context.Context) error {
		var at []float64
		if err := chromedp.Evaluate(row+`.lastElementChild.scrollIntoView({block: "center"}), (r => [r.x + r.width / 2, r.y + r.height / 2])(`+
			row+`.lastElementChild.getBoundingClientRect())`, &at).Do(ctx); err != nil {
			return err
		}
		return input.DispatchMouseEvent(input.MouseMoved, at[0], at[1]).Do(ctx)
	}))
}

// shot keeps a picture of the page, if pictures are wanted.
func (p *person) shot(name string) {
	p.t.Helper()
	dir := os.Getenv("SHOTS")
	if dir == "" {
		return
	}
	var png []byte
	p.do("picture "+name, chromedp.ActionFunc(func(ctx context.Context) (err error) {
		png, err = page.CaptureScreenshot().WithOptimizeForSpeed(false).Do(ctx)
		return err
	}))
	require.NoError(p.t, os.MkdirAll(dir, 0o755))
	require.NoError(p.t, os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)) //nolint:gosec // pictures for everybody
}

// dark lets the person like it dark, or light.
func (p *person) dark(on bool) {
	p.t.Helper()
	scheme := map[bool]string{true: "dark", false: "light"}[on]
	p.do("colours", emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}))
}

func chromium(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("REQUIRE_BROWSER") != "" {
		t.Fatal("no chromium in PATH, and REQUIRE_BROWSER asks for one")
	}
	t.Skip("SKIPPED: put chromium into PATH: this test looks at the web pages in a real browser")
	return ""
}

// A person who has never seen the project logs in, finds why messages failed, and sends them again.
func TestAPersonFindsOutAndReplays(t *testing.T) {
	path := chromium(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d := startDemo(ctx, t)
	d.run(ctx, people(600), "campaign", "create", "--id", "spring-sale", "--sender", "shop", "--template", "00000000-0000-4000-8000-000000000006",
		"--param", "{name}", "--csv", "-", "--rate", "8")
	d.run(ctx, "", "sender", "hold", "boutique", "--reason", "The new price list is not ready yet", "--by", "ravi")
	d.mend(ctx)
	p := newPerson(ctx, t, path, d.base)

	// In.
	p.open("/ui/", "Log in")
	p.do("log in", chromedp.SendKeys("#name", d.user), chromedp.SendKeys("#password", d.password), chromedp.Submit("#password"))
	p.sees("shop.critical")
	for _, lane := range []string{"shop.default", "shop.bulk", "shop.probe", "boutique.default"} {
		p.sees(lane)
	}

	// The archived task of a message that failed by callback: its code and its messageId.
	p.open("/ui/queues/shop.probe?status=archived", "otp-002")
	const row = `[...document.querySelectorAll("tbody tr")].find(r => r.innerText.includes('"otp-002"'))`
	p.do("open the task", chromedp.Evaluate(row+`.querySelector("td:nth-of-type(2)").click()`, nil))
	p.sees("Last Failure")
	p.sees("131000")
	told := p.reads(`document.body.innerText`)
	require.Regexp(t, `dead letter: 131000 · .* · messageId [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12} · attempt 5`, told)
	require.Contains(t, told, "1555*****04")
	require.NotContains(t, told, "15550005004")
	p.shot("task")

	// Run: sent again, and this time it arrives.
	p.open("/ui/queues/shop.probe?status=archived", "otp-002")
	p.hovers(row)
	const buttons = row + `.lastElementChild.querySelectorAll("button")` // Delete and Run; a title goes while the mouse is over its button
	p.holds(buttons + `.length === 2`)
	p.do("run", chromedp.Evaluate(buttons+`[1].click()`, nil))
	p.sees("Archived task is now pending")
	p.open("/message?sender=shop&id=otp-002", "attempt 6 submitted")
	p.holds(`document.querySelector(".badge").innerText !== "dead"`)

	// What would break the ledger is refused, and the page says what to do instead.
	p.open("/ui/", "shop.critical")
	p.do("delete a queue", chromedp.Evaluate(`(x => { x.open("DELETE", "/ui/api/queues/shop.bulk"); x.send() })(new XMLHttpRequest())`, nil))
	p.sees("Queues are not deleted")
	p.sees("gupdispatch sender hold shop")

	// Our own pages: the senders, one of them held, and its release.
	p.do("to our own pages", chromedp.Click(`//form/a[text()="gupdispatch"]`, chromedp.BySearch))
	p.sees("The new price list is not ready yet")
	p.shot("senders")
	for _, width := range []int64{1000, 1200} { // the head of the page is one row, and nothing sticks out
		p.do("make the window narrow", chromedp.EmulateViewport(width, 860))
		p.holds(`(head => head.scrollWidth <= head.clientWidth && head.offsetHeight < 80 &&
			[...head.children].every(c => c.getBoundingClientRect().right <= innerWidth && c.offsetHeight < 60))(document.querySelector("header"))`)
	}
	p.do("make it wide again", chromedp.EmulateViewport(1280, 860))
	p.do("release", chromedp.Click(`//article[.//h2="boutique"]//button[.="Release"]`, chromedp.BySearch))
	p.sees("boutique is released")
	p.holds(`!document.body.innerText.includes("by ravi")`)

	// A campaign moves by itself, and stops when it is told to.
	p.open("/campaigns", "spring-sale")
	p.clicks("a", "spring-sale")
	p.sees("rows done")
	before := p.reads(`document.querySelector("#campaign").innerText`)
	p.holds(fmt.Sprintf(`document.querySelector("#campaign").innerText !== %q`, before))
	p.shot("campaign")
	p.clicks("button", "Pause")
	p.sees("The campaign spring-sale is paused")
	p.clicks("button", "Resume")
	p.sees("is running")

	// Why did this one fail? Send it again, after a look at what that would do.
	p.open("/dead", "Dead letters")
	p.sees(refused)
	p.dark(true)
	p.shot("dead")
	p.dark(false)
	p.do("by code", chromedp.Click(`//ul[@class="codes"]//a[contains(., "131053")]`, chromedp.BySearch))
	p.holds(`document.querySelector(".codes a[aria-current]").innerText.includes("131053")`)
	p.do("open the first", chromedp.Evaluate(`document.querySelector("tbody tr td a").click()`, nil))
	p.sees("Why it failed")
	p.sees("could not fetch the linked file")
	id := p.reads(`new URLSearchParams(location.search).get("id")`)
	p.shot("message")
	p.clicks("a", "Send it again")
	p.sees("nothing has been done yet")
	p.clicks("button", "Send it again")
	p.sees("1 dead letter sent again")
	p.sees("attempt 4 submitted")
	p.holds(`document.querySelector(".badge").innerText !== "dead"`)

	// It is all in the audit log.
	p.open("/audit-log", "Audit log")
	for _, entry := range []string{"task.run", "otp-002", "queue.delete", "refused", "sender.release", "campaign.pause", "dead.replay", "id=" + id} {
		p.sees(entry)
	}
	p.clicks("button", "Log out")
	p.sees("Log in")
	p.do("come back", chromedp.Navigate(d.base+"/dead"))
	p.sees("Log in")

	p.mu.Lock()
	defer p.mu.Unlock()
	require.Empty(t, p.outside, "everything comes from here")
	require.Empty(t, p.problems, "the pages keep to their own policy")
}

// people is a file of recipients.
func people(n int) string {
	var b strings.Builder
	b.WriteString("to,name\n")
	for i := range n {
		fmt.Fprintf(&b, "+1555000%04d,Ana %d\n", 9000+i, i)
	}
	return b.String()
}
