package message

// CampaignStatus is where a campaign stands.
type CampaignStatus string

// The states of a campaign.
const (
	CampaignScheduled CampaignStatus = "scheduled" // described; its rows, or its start, are still to come
	CampaignIngesting CampaignStatus = "ingesting" // its rows are being read
	CampaignRunning   CampaignStatus = "running"   // its messages are being sent
	CampaignPaused    CampaignStatus = "paused"    // nothing of it is sent
	CampaignCompleted CampaignStatus = "completed" // every row came to an end
	CampaignCancelled CampaignStatus = "cancelled" // what was not sent yet never is
)

// CampaignStatuses lists every state, in the order in which a campaign usually comes through them.
var CampaignStatuses = []CampaignStatus{
	CampaignScheduled, CampaignIngesting, CampaignRunning, CampaignPaused, CampaignCompleted, CampaignCancelled,
}

// CampaignEvent is what may happen to a campaign.
type CampaignEvent string

// The events of a campaign.
const (
	CampaignRows     CampaignEvent = "rows"     // some of its rows were taken in
	CampaignAwait    CampaignEvent = "await"    // all of them were, or a pause is over, and its start lies ahead
	CampaignStart    CampaignEvent = "start"    // all of them were, and its time has come
	CampaignPause    CampaignEvent = "pause"    // a person, or a held template, stops it
	CampaignResume   CampaignEvent = "resume"   // and lets it go on
	CampaignComplete CampaignEvent = "complete" // nothing of it is left to be done
	CampaignCancel   CampaignEvent = "cancel"   // a person ends it
)

// CampaignEvents lists every event.
var CampaignEvents = []CampaignEvent{
	CampaignRows, CampaignAwait, CampaignStart, CampaignPause, CampaignResume, CampaignComplete, CampaignCancel,
}

// campaignSteps is the whole life of a campaign. What is not in it cannot happen.
var campaignSteps = map[CampaignStatus]map[CampaignEvent]CampaignStatus{
	CampaignScheduled: {
		CampaignRows: CampaignIngesting, CampaignAwait: CampaignScheduled, CampaignStart: CampaignRunning, CampaignPause: CampaignPaused,
		CampaignCancel: CampaignCancelled,
	},
	CampaignIngesting: {
		CampaignRows: CampaignIngesting, CampaignAwait: CampaignScheduled, CampaignStart: CampaignRunning, CampaignCancel: CampaignCancelled,
	},
	CampaignRunning: {CampaignPause: CampaignPaused, CampaignComplete: CampaignCompleted, CampaignCancel: CampaignCancelled},
	CampaignPaused:  {CampaignResume: CampaignRunning, CampaignAwait: CampaignScheduled, CampaignCancel: CampaignCancelled},
}

// After answers the state that an event leads to, and whether it may happen at all. It is the specification of the ledger's scripts,
// which are handed this very table.
func (s CampaignStatus) After(e CampaignEvent) (CampaignStatus, bool) {
	next, ok := campaignSteps[s][e]
	return next, ok
}

// Ended says that nothing of the campaign will be sent any more.
func (s CampaignStatus) Ended() bool { return s == CampaignCompleted || s == CampaignCancelled }
