package httpapi

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/auditlog"
	"github.com/gupdispatch/gupdispatch/campaign"
	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/internal/redistest"
	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
	"github.com/gupdispatch/gupdispatch/view"
)

// office is a stand with our own pages.
type office struct{ *stand }

func newOffice(t *testing.T, rdb *redis.Client, more ...UIUser) *office {
	t.Helper()
	sender := redistest.Sender()
	h := newHouse(t, func(opts *Options) {
		opts.Redis, opts.API, opts.Now = rdb, deskOf(t, rdb, sender), time.Now
		opts.UIUsers = append(opts.UIUsers, more...)
		opts.SessionKey = []byte(strings.Repeat("k", minSessionKey))
		books := opts.API.Ledger
		opts.API.Sender = func(ctx context.Context, name string) (view.Sender, error) {
			all, err := books.Holds(ctx, name)
			own, templates := view.SplitHolds(all)
			v := view.Sender{Name: name, Rate: 80, EffectiveRate: 80, Holds: view.HoldsOf(own), TemplatesHeld: len(templates), Waiting: view.WaitingOf(all.Waiting)}
			if len(v.Holds) > 0 {
				v.Hold = &v.Holds[0]
			}
			return v, err
		}
	})
	h.client = rdb
	s := &stand{house: h, books: h.server.opts.API.Ledger, sender: sender, queue: message.Queue(sender, message.Default)}
	s.in = map[string]func(*http.Request){"ops": h.as("ops"), "desk": h.as("desk")}
	return &office{s}
}

// campaign takes in one of eight rows, of which the first four become messages: two are sent, one is a dead letter, one waits.
func (o *office) campaign(id string) {
	o.Helper()
	d := campaign.Definition{
		ID: id, Sender: o.sender, Template: someTemplate, Params: []string{"{name}"}, Rate: 0.5, Window: "00:00-23:59", Zone: "Asia/Kolkata",
	}
	require.NoError(o, d.Normalise(time.Now()))
	_, err := (&campaign.Intake{Ledger: o.books}).Take(o.Context(), d, campaign.File{In: strings.NewReader(people(8)), Format: campaign.CSV})
	require.NoError(o, err)
	q, form := ledger.Expansion{Sender: o.sender, ID: id, Rate: d.Rate, To: ledger.Position{Row: 4}}, campaign.NewForm(d)
	for i := range 4 {
		m, err := form.Message(campaign.Row{Line: int64(i + 2), To: fmt.Sprint(919800000000 + i), Values: []string{"Hello"}})
		require.NoError(o, err)
		q.Messages, q.Lines = append(q.Messages, m), append(q.Lines, m.ID)
	}
	_, moved, err := o.books.ExpandCampaign(o.Context(), q)
	require.NoError(o, err)
	require.False(o, moved)
	for i := range 2 {
		o.attempt(q.Messages[i].ID, ledger.Commit{Outcome: ledger.OutcomeSubmitted, Next: message.Submitted, MessageID: id + q.Messages[i].ID})
	}
	o.attempt(q.Messages[2].ID, died("1008"))
}

// stands is where a campaign stands by the ledger.
func (o *office) stands(id string) ledger.Campaign {
	o.Helper()
	c, err := o.books.GetCampaign(o.Context(), o.sender, id)
	require.NoError(o, err)
	return c
}

// get reads a page. Nothing may be in it that a page must not tell or fetch.
func (o *office) get(user, target string) answer {
	o.Helper()
	res := o.do("GET", target, nil, o.in[user])
	require.NotContains(o, res.text, number, target)
	require.NotContains(o, res.text, "Hello", target)
	for _, attribute := range regexp.MustCompile(`(?:src|href|action)="([^"]*)"`).FindAllStringSubmatch(res.text, -1) {
		require.True(o, strings.HasPrefix(attribute[1], "/") && !strings.HasPrefix(attribute[1], "//"), "%s fetches %s", target, attribute[1])
	}
	require.NotContains(o, res.text, "style=", "the policy takes no inline style")
	require.NotContains(o, res.text, "<script>", "nor script")
	if res.StatusCode == http.StatusOK {
		require.Equal(o, policyConsole, res.Header.Get("Content-Security-Policy"), target)
		require.Contains(o, res.text, "</html>", target)
	}
	return res
}

// token is what the forms of a person carry.
func (o *office) token(user string) string {
	o.Helper()
	users, err := newDirectory(o.server.opts.UIUsers)
	require.NoError(o, err)
	s, r := newSessions(o.server.opts, users), httptest.NewRequest("GET", "/", nil)
	o.in[user](r)
	got, _, in := s.of(r)
	require.True(o, in)
	return s.formToken(got)
}

// post sends a form, with the token unless the fields have another.
func (o *office) post(user, target string, fields url.Values, edits ...func(*http.Request)) answer {
	o.Helper()
	form := url.Values{"token": {o.token(user)}}
	for name, values := range fields {
		form[name] = values
	}
	edits = append([]func(*http.Request){header("Content-Type", "application/x-www-form-urlencoded"), o.in[user]}, edits...)
	return o.do("POST", target, strings.NewReader(form.Encode()), edits...)
}

// follow opens the page that a form leads to, and returns what it says.
func (o *office) follow(user string, res answer) string {
	o.Helper()
	require.Equal(o, http.StatusSeeOther, res.StatusCode, res.text)
	var said *http.Cookie
	for _, c := range res.Cookies() {
		if c.Name == flashCookie {
			said = c
		}
	}
	require.NotNil(o, said)
	page := o.do("GET", res.Header.Get("Location"), nil, o.in[user], cookie(said))
	require.Equal(o, http.StatusOK, page.StatusCode, page.text)
	found := regexp.MustCompile(`<p class="said[^>]*>([^<]*)</p>`).FindStringSubmatch(page.text)
	require.NotNil(o, found, page.text)
	return found[1]
}

func TestEveryPageNeedsALogin(t *testing.T) {
	t.Parallel()
	o := newOffice(t, redistest.Embedded(t))
	for _, target := range []string{"/", "/campaigns", "/campaigns/" + o.sender + "/spring", "/dead", "/dead/replay", "/message?id=m", "/audit-log"} {
		res := o.do("GET", target, nil)
		require.Equal(t, http.StatusSeeOther, res.StatusCode, target)
		to, err := url.Parse(res.Header.Get("Location"))
		require.NoError(t, err)
		require.Equal(t, "/ui/login", to.Path)
		require.Equal(t, target, to.Query().Get("next"))
		in := o.logIn("desk", viewerPassword, target, from(fmt.Sprintf("198.51.100.%d:1", len(target))))
		require.Equal(t, target, in.Header.Get("Location"), "and leads there afterwards")
		for _, user := range []string{"ops", "desk"} {
			page := o.get(user, target)
			require.Contains(t, []int{200, 404}, page.StatusCode, target)
			require.Contains(t, page.text, user)
		}
	}
	for _, target := range []string{"/senders/" + o.sender + "/release", "/dead/replay", "/message/cancel"} {
		require.Equal(t, http.StatusSeeOther, o.do("POST", target, nil).StatusCode, target)
	}
	for path, kind := range map[string]string{"/console.css": "text/css", "/console.js": "text/javascript", "/console.svg": "image/svg+xml"} {
		res := o.do("GET", path, nil)
		require.Equal(t, 200, res.StatusCode)
		require.True(t, strings.HasPrefix(res.Header.Get("Content-Type"), kind))
	}
	h := newHouse(t, func(opts *Options) { opts.UIUsers = nil })
	require.Equal(t, "/ui/", h.do("GET", "/", nil).Header.Get("Location"), "which explains how to name users")
}

func TestSendersAndTheirHolds(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		o := newOffice(t, rdb)
		ctx := context.Background()
		require.NotContains(t, o.get("ops", "/").text, "<button>Release", "nothing is held")
		_, err := o.books.SetHold(ctx, ledger.HoldRequest{Sender: o.sender, Reason: ledger.ReasonByHand, By: "ravi", Note: "<b>stop</b>"})
		require.NoError(t, err)
		_, err = o.books.SetHold(ctx, ledger.HoldRequest{Sender: o.sender, Hold: ledger.Hold{Template: someTemplate}, Reason: ledger.ReasonByHand, By: "ravi", Note: "typo"})
		require.NoError(t, err)
		o.put("m", "pending")
		page := o.get("ops", "/").text
		require.Contains(t, page, "by ravi, &#34;&lt;b&gt;stop&lt;/b&gt;&#34;")
		require.Contains(t, page, `action="/senders/`+o.sender+`/release"`)
		require.Contains(t, page, `action="/templates/`+someTemplate+`/release"`)
		require.Contains(t, page, `name="token" value="`+o.token("ops")+`"`)
		require.Contains(t, page, "of 80 messages/s")
		watched := o.get("desk", "/").text
		require.Contains(t, watched, "by ravi")
		require.NotContains(t, watched, "<button>Release", "a viewer has no buttons")

		released := "/senders/" + o.sender + "/release"
		require.Contains(t, o.follow("ops", o.post("ops", released, url.Values{"here": {"/"}})), "is released. What waits is let go bit by bit: 1 message.")
		all, err := o.books.Holds(ctx, o.sender)
		require.NoError(t, err)
		own, templates := view.SplitHolds(all)
		require.Empty(t, own)
		require.Len(t, templates, 1)
		e := o.noted()
		require.Equal(t, "sender.release", e.Action)
		require.Equal(t, "ops", e.User)
		require.Contains(t, e.Detail, "by ravi")

		template := "/templates/" + someTemplate + "/release"
		require.Contains(t, o.follow("ops", o.post("ops", template, url.Values{"sender": {o.sender}})), "is released")
		all, err = o.books.Holds(ctx, o.sender)
		require.NoError(t, err)
		_, templates = view.SplitHolds(all)
		require.Empty(t, templates)
		require.Equal(t, o.sender+" "+someTemplate, o.noted().Target)

		require.Equal(t, 404, o.post("ops", "/senders/nobody/release", nil).StatusCode)
		require.Equal(t, 404, o.post("ops", template, url.Values{"sender": {"nobody"}}).StatusCode)
		require.Equal(t, 422, o.post("ops", "/templates/x/release", url.Values{"sender": {o.sender}}).StatusCode)
	})
}

// Who may press what: no form does anything for a viewer, without its token, or from another site.
func TestWhoMayAct(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		o := newOffice(t, rdb)
		o.put("dead", "archived")
		o.put("waits", "pending")
		o.campaign("spring")
		_, err := o.books.SetHold(context.Background(), ledger.HoldRequest{Sender: o.sender, Reason: ledger.ReasonByHand, By: "ravi"})
		require.NoError(t, err)
		forms := map[string]url.Values{
			"/senders/" + o.sender + "/release":         nil,
			"/templates/" + someTemplate + "/release":   {"sender": {o.sender}},
			"/campaigns/" + o.sender + "/spring/pause":  nil,
			"/campaigns/" + o.sender + "/spring/cancel": nil,
			"/dead/replay":    {"sender": {o.sender}},
			"/message/cancel": {"sender": {o.sender}, "id": {"waits"}},
		}
		// A replica that takes the same logins, and nothing else.
		readOnly, err := New(func() Options { opts := o.server.opts; opts.UIReadOnly = true; return opts }())
		require.NoError(t, err)
		for target, fields := range forms {
			with := func(token string) url.Values {
				v := url.Values{"token": {token}}
				for name, values := range fields {
					v[name] = values
				}
				return v
			}
			for name, res := range map[string]answer{
				"viewer":          o.post("desk", target, fields),
				"no token":        o.post("ops", target, with("")),
				"another's token": o.post("ops", target, with(o.token("desk"))),
				"another site":    o.post("ops", target, fields, header("Sec-Fetch-Site", "cross-site")),
				"another origin":  o.post("ops", target, fields, header("Origin", "https://evil.example")),
			} {
				require.Equal(t, 403, res.StatusCode, "%s: %s", target, name)
			}
			require.Equal(t, http.StatusMethodNotAllowed, o.do("PUT", target, nil, o.in["ops"]).StatusCode, target)
			acting := o.server
			o.server = readOnly
			res := o.post("ops", target, fields)
			require.Equal(t, 403, res.StatusCode, target)
			require.Contains(t, res.text, "read-only")
			o.server = acting
		}
		require.Equal(t, message.CampaignRunning, o.stands("spring").Status)
		require.Equal(t, message.Dead, o.status("dead"))
		require.Equal(t, message.Queued, o.status("waits"))
		all, err := o.books.Holds(context.Background(), o.sender)
		require.NoError(t, err)
		own, _ := view.SplitHolds(all)
		require.Len(t, own, 1)
		entries, err := auditlog.New(rdb).Read(context.Background(), auditlog.Filter{User: "desk", Limit: 1000})
		require.NoError(t, err)
		refused := map[string]bool{}
		for _, e := range entries {
			if strings.HasPrefix(e.Target, o.sender) || strings.Contains(e.Target, "sender="+o.sender) {
				require.Equal(t, auditlog.Refused, e.Outcome)
				refused[e.Action] = true
			}
		}
		require.Equal(t, map[string]bool{
			"sender.release": true, "template.release": true, "campaign.pause": true, "campaign.cancel": true, "dead.replay": true, "message.cancel": true,
		}, refused)
	})
}

func TestCampaignsOnThePages(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		o := newOffice(t, rdb)
		require.Contains(t, o.get("desk", "/campaigns").text, "There are none.")
		o.campaign("spring")
		list := o.get("desk", "/campaigns").text
		require.Contains(t, list, `href="/campaigns/`+o.sender+`/spring"`)
		require.Contains(t, list, "3 of 8")
		require.Contains(t, list, `<rect class="taken" x="0" y="0" width="25" height="4">`)
		require.Contains(t, list, `<rect class="dead" x="25" y="0" width="12.5" height="4">`)
		one := "/campaigns/" + o.sender + "/spring"
		page := o.get("ops", one).text
		require.Contains(t, page, one+`/pause"`)
		require.Contains(t, page, one+`/cancel"`)
		require.NotContains(t, page, one+`/resume"`, "it runs")
		for _, want := range []string{"37 %", "5 waiting", "0.5 per second", "00:00-23:59 Asia/Kolkata", "until about", someTemplate} {
			require.Contains(t, page, want)
		}
		require.NotContains(t, page, "Ended")
		require.NotContains(t, o.get("desk", one).text, "/pause")

		require.Contains(t, o.follow("ops", o.post("ops", one+"/pause", url.Values{"here": {one}})), "The campaign spring is paused.")
		require.Equal(t, "ops", o.stands("spring").By)
		require.Contains(t, o.get("ops", one).text, one+`/resume"`)
		require.Contains(t, o.follow("ops", o.post("ops", one+"/resume", url.Values{"here": {one}})), "The campaign spring is running.")
		require.Equal(t, 422, o.post("ops", one+"/pause", url.Values{"reason": {strings.Repeat("x", 201)}}).StatusCode)
		require.Equal(t, message.CampaignRunning, o.stands("spring").Status)
		require.Equal(t, http.StatusSeeOther, o.post("ops", one+"/cancel", url.Values{"reason": {" wrong text "}}).StatusCode)
		require.Equal(t, "wrong text", o.stands("spring").Reason)
		require.Equal(t, "wrong text", o.noted().Detail)
		page = o.get("ops", one).text
		require.Contains(t, page, `<p class="note">wrong text</p>`)
		require.Contains(t, page, "Ended")
		res := o.post("ops", one+"/pause", nil)
		require.Equal(t, 409, res.StatusCode)
		require.Contains(t, res.text, "Not done: it is cancelled, and cannot pause.")
		o.balanced()
	})
}

func TestCampaignsThatThePagesDoNotFind(t *testing.T) {
	t.Parallel()
	o := newOffice(t, redistest.Embedded(t))
	o.campaign("spring")
	require.Equal(t, 404, o.post("ops", "/campaigns/"+o.sender+"/spring/explode", nil).StatusCode)
	for _, path := range []string{o.sender + "/autumn", "nobody/spring", o.sender + "/spring:rows"} {
		require.Equal(t, 404, o.get("ops", "/campaigns/"+path).StatusCode, path)
		require.Equal(t, 404, o.post("ops", "/campaigns/"+path+"/pause", nil).StatusCode, path)
	}
	require.Equal(t, message.CampaignRunning, o.stands("spring").Status)
	// A key that is no campaign is the nearest to a Redis that fails in the middle.
	require.NoError(t, o.client.Set(t.Context(), "gupdispatch:{"+o.sender+"}:c:broken", "x", 0).Err())
	require.Equal(t, 503, o.post("ops", "/campaigns/"+o.sender+"/broken/pause", nil).StatusCode)
	require.Equal(t, auditlog.Failed, o.noted().Outcome)
}

// What a held template paused goes on by itself. What a user paused does not, whatever their name.
func TestAUserWhoIsCalledTemplate(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		o := newOffice(t, rdb, UIUser{Name: ledger.ByTemplate, Password: adminPassword, Role: RoleAdmin})
		o.in[ledger.ByTemplate] = cookie(o.logIn(ledger.ByTemplate, adminPassword, "").session())
		o.campaign("spring")
		require.Equal(t, http.StatusSeeOther, o.post(ledger.ByTemplate, "/campaigns/"+o.sender+"/spring/pause", nil).StatusCode)
		require.Equal(t, "user template", o.stands("spring").By)
		_, err := o.books.LookAtCampaigns(t.Context(), o.sender, "expander", time.Second)
		require.NoError(t, err)
		require.Equal(t, message.CampaignPaused, o.stands("spring").Status)
	})
}

// Every state of a message has its place in the bars, and the bars are as long as the campaign.
func TestBarsShowEveryRow(t *testing.T) {
	t.Parallel()
	s := shownCampaign{view.Campaign{Counts: map[message.Status]int64{}}}
	for i, status := range message.Statuses {
		s.Counts[status] = int64(i + 1)
		s.Accepted += int64(i + 1)
	}
	var rows int64
	end := 0.0
	for _, b := range s.Bars() {
		require.InDelta(t, end, b.X, 1e-9)
		end, rows = b.X+b.Width, rows+b.Count
	}
	require.Equal(t, s.Accepted, rows)
	require.InDelta(t, 100, end, 1e-9)
	require.Empty(t, shownCampaign{}.Bars())
}

func TestDeadLettersAndTheirReplay(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		o := newOffice(t, rdb)
		ctx := context.Background()
		require.Contains(t, o.get("ops", "/dead?sender="+o.sender).text, "No dead letters")
		for i := range 3 {
			o.put(fmt.Sprint("m", i), "archived")
		}
		o.accept("doubt")
		o.attempt("doubt", died(codeInDoubt))

		page := o.get("ops", "/dead?sender="+o.sender).text
		require.Contains(t, page, "<b>4</b> all")
		require.Contains(t, page, "<b>3</b> <code>1008</code> no consent")
		require.Contains(t, page, "<b>1</b> <code>IN_DOUBT</code>")
		require.Contains(t, page, "9198******10")
		require.Contains(t, page, "Send these 4 again")
		// The links lead where they should.
		link := func(text, want string) string {
			found := regexp.MustCompile(`href="([^"]*` + want + `[^"]*)"`).FindStringSubmatch(text)
			require.NotNil(t, found, want)
			return html.UnescapeString(found[1])
		}
		one := o.get("ops", link(page, "IN_DOUBT")).text
		require.Contains(t, one, ">doubt</a>")
		require.NotContains(t, one, ">m0</a>")
		require.Contains(t, one, "<b>3</b> <code>1008</code>", "the others are still counted")
		require.NotContains(t, o.get("desk", "/dead?sender="+o.sender).text, "/dead/replay")
		require.Equal(t, 422, o.get("ops", "/dead?sender=nobody").StatusCode)
		require.Equal(t, 400, o.get("ops", "/dead?since=yesterday").StatusCode)
		require.Contains(t, o.get("ops", "/dead?since=1h&campaign=none").text, "No dead letters match")

		// The dry run does nothing, and knows who would be left alone.
		dry := o.get("ops", link(page, "/dead/replay")).text
		require.Contains(t, dry, "Send these 3 dead letters again?")
		require.Contains(t, dry, "1 left alone, because they may have arrived")
		require.Contains(t, o.get("ops", link(dry, "doubts=1")).text, "Send these 4 dead letters again?")
		require.NotContains(t, o.get("desk", "/dead/replay?sender="+o.sender).text, "<form method=\"post\" action=\"/dead")
		require.Equal(t, message.Dead, o.status("m0"))

		until := regexp.MustCompile(`name="until" value="(\d+)"`).FindStringSubmatch(dry)[1]
		o.clockPasses()
		o.put("later", "archived")
		said := o.follow("ops", o.post("ops", "/dead/replay", url.Values{"sender": {o.sender}, "code": {"1008"}, "until": {until}}))
		require.Equal(t, "3 dead letters sent again.", said)
		for i := range 3 {
			require.Equal(t, message.Queued, o.status(fmt.Sprint("m", i)))
		}
		require.Equal(t, message.Dead, o.status("later"), "it died after the dry run")
		require.Equal(t, message.Dead, o.status("doubt"))
		entries, err := auditlog.New(rdb).Read(ctx, auditlog.Filter{Action: "dead", Limit: 1000})
		require.NoError(t, err)
		found := false
		for _, e := range entries {
			if e.Target == "sender="+o.sender+" code=1008" {
				found = true
				require.Equal(t, "3 dead letters sent again.", e.Detail)
			}
		}
		require.True(t, found)

		// One by its id, which leads to its story.
		res := o.post("ops", "/dead/replay", url.Values{"sender": {o.sender}, "id": {"doubt"}, "doubts": {"1"}})
		require.Equal(t, messageAddress(o.sender, "doubt"), res.Header.Get("Location"))
		require.Equal(t, message.Queued, o.status("doubt"))

		require.NoError(t, o.books.Suppress(ctx, o.sender, []ledger.Suppression{{Number: number, Scope: gupshup.SuppressAll, Code: "1002", Source: "code"}}))
		dry = o.get("ops", "/dead/replay?sender="+o.sender+"&id=later").text
		require.Contains(t, dry, "Nothing to send again")
		require.Contains(t, dry, "left alone:</b> its number is suppressed (1002)")
		require.Contains(t, o.follow("ops", o.post("ops", "/dead/replay", url.Values{"sender": {o.sender}, "id": {"later"}})), "1 left alone: its number is suppressed")
		require.Contains(t, o.get("ops", "/dead/replay?sender="+o.sender+"&id=m0").text, "it is queued, and no dead letter")
		require.Equal(t, 404, o.get("ops", "/dead/replay?sender="+o.sender+"&id=nobody").StatusCode)
		o.balanced()
	})
}

func TestReasonsShowNoNumbers(t *testing.T) {
	t.Parallel()
	o := newOffice(t, redistest.Embedded(t))
	o.accept("m")
	refused := died("1002")
	refused.Reason = number + " is not on WhatsApp"
	o.attempt("m", refused)
	for _, target := range []string{"/dead?sender=", "/dead/replay?sender=", "/dead/replay?id=m&sender=", "/message?id=m&sender="} {
		require.Contains(t, o.get("desk", target+o.sender).text, "9198******10 is not on WhatsApp", target) // get looks for the whole number
	}
}

// A page only reads, also where a letter was replayed since it was read and now waits for its retry. It looks at those that it shows.
func TestTheDryRunOfAReplayOnlyReads(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		o := newOffice(t, rdb)
		o.put("again", "retry")
		before, err := o.books.Get(t.Context(), o.sender, "again")
		require.NoError(t, err)
		why, err := o.server.api.leftAlone(t.Context(), []ledger.Record{before})
		require.NoError(t, err)
		require.Equal(t, []string{"it is queued, and no dead letter any more"}, why)
		after, err := o.books.Get(t.Context(), o.sender, "again")
		require.NoError(t, err)
		require.Equal(t, before, after)

		for i := range maxShownLetters + 5 {
			id := fmt.Sprint("m", i)
			o.accept(id)
			o.attempt(id, died("1008"))
		}
		page := o.get("ops", "/dead/replay?sender="+o.sender).text
		require.Contains(t, page, "Send up to 105 dead letters again?")
		require.Contains(t, page, "<button>Send up to 105 again</button>")
		require.Contains(t, page, "and 5 more, of which some may be left alone")
		require.NoError(t, o.books.Suppress(t.Context(), o.sender, []ledger.Suppression{{Number: number, Scope: gupshup.SuppressAll, Code: "1002", Source: "code"}}))
		page = o.get("ops", "/dead/replay?sender="+o.sender).text
		require.Contains(t, page, "Send up to 5 dead letters again?")
		require.Contains(t, page, "100 of the 100 below would be left alone: its number is suppressed")
	})
}

func TestAReplayThatBreaksOffSaysThatThereIsMore(t *testing.T) {
	t.Parallel()
	o := newOffice(t, redistest.Embedded(t))
	for i := range 3 {
		o.put(fmt.Sprint("m", i), "archived")
	}
	replay, begun := o.server.api.Replay, 0
	o.server.api.Replay = func(ctx context.Context, rec ledger.Record) error {
		if begun++; begun == 2 {
			return errors.New("away")
		}
		return replay(ctx, rec)
	}
	said := o.follow("ops", o.post("ops", "/dead/replay", url.Values{"sender": {o.sender}}))
	require.Equal(t, "1 dead letter sent again. 1 left alone: Redis did not answer. There are more: repeat it.", said)
	require.Equal(t, 2, begun)
}

func TestAReplayEndsWithItsTime(t *testing.T) {
	t.Parallel()
	o := newOffice(t, redistest.Embedded(t))
	for i := range 3 {
		o.put(fmt.Sprint("m", i), "archived")
	}
	first, up := context.WithCancel(t.Context())
	second, upAgain := context.WithCancel(t.Context())
	defer up()
	defer upAgain()
	replay := o.server.api.Replay
	o.server.api.Replay = func(ctx context.Context, rec ledger.Record) error {
		defer up()
		if first.Err() != nil {
			defer upAgain()
		}
		return replay(ctx, rec)
	}
	r := httptest.NewRequest("POST", "/dead/replay", nil)
	r.PostForm = url.Values{"sender": {o.sender}}
	var done act
	require.NoError(t, (&console{api: o.server.api, now: time.Now}).replayDead(first, r, account{}, &done))
	require.Equal(t, "1 dead letter sent again. The time was up before the rest: repeat it.", done.detail)
	answer, err := o.server.api.replayDead(second, &replaying{Body: payload[replayRequest]{value: replayRequest{Sender: o.sender}}})
	require.NoError(t, err)
	require.Equal(t, 1, answer.Body.Replayed)
	require.True(t, answer.Body.More)
}

func TestAFormThatPanicsIsNotedAsFailed(t *testing.T) {
	t.Parallel()
	o := newOffice(t, redistest.Embedded(t))
	o.put("m", "archived")
	o.server.api.Replay = func(context.Context, ledger.Record) error { panic("secret") }
	require.Panics(t, func() { o.post("ops", "/dead/replay", url.Values{"sender": {o.sender}}) })
	entries, err := auditlog.New(o.client).Read(t.Context(), auditlog.Filter{Action: "dead.replay"})
	require.NoError(t, err)
	require.Len(t, entries, 1)
	require.Equal(t, auditlog.Failed, entries[0].Outcome)
	require.Equal(t, "sender="+o.sender, entries[0].Target)
}

// clockPasses lets the clock of Redis move on by a millisecond or more.
func (o *office) clockPasses() {
	began := o.client.Time(context.Background()).Val()
	require.Eventually(o, func() bool { return o.client.Time(context.Background()).Val().Sub(began) > 2*time.Millisecond }, 5*time.Second, time.Millisecond)
}

func TestTheStoryOfAMessage(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		o := newOffice(t, rdb)
		o.put("sent", "completed")
		o.put("dead", "archived")
		o.put("waits", "retry")
		at := func(id string) string { return "/message?sender=" + o.sender + "&id=" + id }

		require.Contains(t, o.get("desk", "/message").text, "Find a message")
		page := o.get("desk", at("sent")).text
		for _, want := range []string{"9198******10", "ee4a68a0-1203-4c85-8dc3-49d0b3226a35", "attempt 1 submitted", "it is submitted", "accepted"} {
			require.Contains(t, page, want)
		}
		require.Contains(t, o.get("desk", at("ee4a68a0-1203-4c85-8dc3-49d0b3226a35")).text, "Message sent<")
		page = o.get("ops", at("dead")).text
		require.Contains(t, page, "Why it failed:</b> <code>1008</code> no consent")
		require.Contains(t, page, "opt-in is missing")
		require.Contains(t, page, `href="/dead/replay?sender=`+o.sender+`&amp;id=dead"`)
		require.NotContains(t, o.get("desk", at("dead")).text, "/dead/replay")
		page = o.get("ops", at("waits")).text
		require.Contains(t, page, "The last failure:</b> <code>http_503</code>")
		require.Contains(t, page, `action="/message/cancel"`)
		require.NotContains(t, page, "replay", "it goes by itself")
		res := o.get("ops", at("nobody"))
		require.Equal(t, 404, res.StatusCode)
		require.Contains(t, res.text, `<a href="/message">Back</a>`, "not to where it is")
		require.Contains(t, o.get("ops", "/campaigns/"+o.sender+"/nothing").text, `<a href="/campaigns">Back</a>`)
		require.NoError(t, o.books.Suppress(t.Context(), o.sender, []ledger.Suppression{{Number: number, Scope: gupshup.SuppressAll, Code: "1012", Source: "hand"}}))
		page = o.get("ops", at("dead")).text
		require.Contains(t, page, "It cannot be sent again: its number is suppressed (1012)")
		require.NotContains(t, page, "/dead/replay")
		_, err := o.books.Unsuppress(t.Context(), o.sender, number)
		require.NoError(t, err)
		require.Equal(t, 404, o.get("ops", at("%3Cscript%3E")).StatusCode)

		require.Contains(t, o.follow("ops", o.post("ops", "/message/cancel", url.Values{"sender": {o.sender}, "id": {"waits"}})), "is cancelled")
		require.Equal(t, message.Cancelled, o.status("waits"))
		require.Equal(t, o.sender+" waits", o.noted().Target)
		res = o.post("ops", "/message/cancel", url.Values{"sender": {o.sender}, "id": {"sent"}})
		require.Equal(t, 409, res.StatusCode)
		require.Contains(t, res.text, "submitted")
		require.Equal(t, 404, o.post("ops", "/message/cancel", url.Values{"sender": {o.sender}, "id": {"nobody"}}).StatusCode)
		o.balanced()
	})
}

func TestSeveralSendersHaveTheId(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	for _, sender := range []string{"demo", "other"} {
		_, errs := h.server.opts.API.Ledger.Accept(t.Context(), []message.Message{{
			ID: "m", Sender: sender, To: number, Priority: message.Default, Content: gupshup.Content{Message: gupshup.Text{Text: "Hello"}},
		}})
		require.NoError(t, errs[0])
	}
	page := h.do("GET", "/message?id=m", nil, h.as("desk"))
	require.Equal(t, 200, page.StatusCode)
	require.Contains(t, page.text, `href="/message?id=m&amp;sender=demo"`)
	require.Contains(t, page.text, `href="/message?id=m&amp;sender=other"`)
}

func TestTheAuditLogOnItsPage(t *testing.T) {
	t.Parallel()
	o := newOffice(t, redistest.Embedded(t))
	o.put("m", "pending")
	require.Equal(t, 403, o.act("desk", o.queue, "delete", "pending", oneTask, "m:1").StatusCode)
	require.Equal(t, 204, o.act("ops", o.queue, "delete", "pending", oneTask, "m:1").StatusCode)
	page := o.get("desk", "/audit-log").text
	for _, want := range []string{"task.delete", o.queue + " m:1", "may look, not act", "refused", "done", "<code>login</code>"} {
		require.Contains(t, page, want)
	}
	page = o.get("desk", "/audit-log?user=desk&action=task").text
	require.Contains(t, page, "refused")
	require.NotContains(t, page, "<code>login</code>")
	require.Contains(t, o.get("desk", "/audit-log?user=nobody").text, "Nothing of this kind was done")
}

func TestPagesWithoutRedis(t *testing.T) {
	t.Parallel()
	h := newHouse(t, nil)
	in := h.as("ops")
	h.redis.SetError("away")
	for _, target := range []string{"/", "/campaigns", "/campaigns/demo/spring", "/dead", "/message?id=m", "/audit-log"} {
		res := h.do("GET", target, nil, in)
		require.Equal(t, http.StatusServiceUnavailable, res.StatusCode, target)
		require.Contains(t, res.text, "Redis did not answer", target)
		require.Contains(t, res.text, `href="`+target+`">Try again</a>`)
	}
}

// What came of a form is for the page that follows it, and for no other tab that asks for news meanwhile.
func TestNewsLeaveWhatWasSaid(t *testing.T) {
	t.Parallel()
	o := newOffice(t, redistest.Embedded(t))
	c := &console{sessions: &sessions{}}
	kept := func(text string) *http.Cookie {
		w := httptest.NewRecorder()
		c.say(w, httptest.NewRequest("POST", "/", nil), text)
		return w.Result().Cookies()[0]
	}
	flash := kept("Done as asked.")
	fresh := o.do("GET", "/", nil, o.in["ops"], cookie(flash), header("X-Gupdispatch-Fresh", "1"))
	require.Equal(t, http.StatusOK, fresh.StatusCode)
	require.NotContains(t, fresh.text, "Done as asked.")
	require.Empty(t, fresh.Cookies(), "the cookie stays")
	page := o.do("GET", "/", nil, o.in["ops"], cookie(flash))
	require.Contains(t, page.text, "Done as asked.")
	require.NotEmpty(t, page.Cookies(), "and is taken away")
	require.Contains(t, o.do("GET", "/console.js", nil).text, freshHeader)

	long := o.do("GET", "/", nil, o.in["ops"], cookie(kept(strings.Repeat("é", 1000)))).text
	require.Contains(t, long, strings.Repeat("é", 490))
	require.Contains(t, long, "é…<")
}

func TestTimesForPeople(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for want, d := range map[string]time.Duration{
		"just now": 0, "59 s ago": 59 * time.Second, "2 min ago": 2 * time.Minute, "47 h ago": 47 * time.Hour, "3 days ago": 80 * time.Hour, "in 5 min": -5 * time.Minute,
	} {
		require.Equal(t, want, ago(now, view.Stamp(now.Add(-d))))
	}
	require.Equal(t, "-", ago(now, view.Stamp{}))
	require.Equal(t, "-", timeOfDay(now, view.Stamp{}))
	require.Equal(t, "11:00:00", timeOfDay(now, view.Stamp(now.Add(-time.Hour))))
	require.Equal(t, "28 Feb 2026 12:00", timeOfDay(now, view.Stamp(now.AddDate(0, 0, -1))))
	require.Equal(t, "1,234,567", view.Thousands(1234567))
	require.Equal(t, "1 message", counted(1, "message"))
}
