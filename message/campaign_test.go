package message

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Every pair of state and event, so that a new one of either has to be thought of here.
func TestLifeOfACampaign(t *testing.T) {
	t.Parallel()
	want := map[CampaignStatus][7]CampaignStatus{
		//                    rows         await        start      pause     resume     complete     cancel
		CampaignScheduled: {"ingesting", "scheduled", "running", "paused", "", "", "cancelled"},
		CampaignIngesting: {"ingesting", "scheduled", "running", "", "", "", "cancelled"},
		CampaignRunning:   {"", "", "", "paused", "", "completed", "cancelled"},
		CampaignPaused:    {"", "scheduled", "", "", "running", "", "cancelled"},
		CampaignCompleted: {},
		CampaignCancelled: {},
	}
	require.Len(t, want, len(CampaignStatuses))
	require.Len(t, CampaignEvents, 7)
	for _, s := range CampaignStatuses {
		ended := true
		for i, e := range CampaignEvents {
			next, ok := s.After(e)
			require.Equal(t, want[s][i], next, "%s after %s", s, e)
			require.Equal(t, next != "", ok, "%s after %s", s, e)
			ended = ended && !ok
		}
		require.Equal(t, ended, s.Ended(), s)
	}
	_, ok := CampaignStatus("other").After(CampaignStart)
	require.False(t, ok)
}

// Whatever happens, in any order, a campaign that has ended stays so, and can always be cancelled before.
func TestEveryCampaignCanEnd(t *testing.T) {
	t.Parallel()
	for _, s := range CampaignStatuses {
		next, ok := s.After(CampaignCancel)
		require.Equal(t, !s.Ended(), ok, s)
		if ok {
			require.True(t, next.Ended())
		}
	}
}
