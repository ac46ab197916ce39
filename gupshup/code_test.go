package gupshup_test

import (
	"encoding/json"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gupdispatch/gupdispatch/gupshup"
)

func quoteJSON(text string) string {
	raw, _ := json.Marshal(text)
	return string(raw)
}

// TestClassOfCodes repeats the documented table of failures; where it names a code it has the
// last word.
func TestClassOfCodes(t *testing.T) {
	t.Parallel()
	table := map[gupshup.Class][]int{
		gupshup.ClassRecipient:     {1002, 1012, 131026, 130472, 131050, 131021},
		gupshup.ClassConsent:       {1004, 1005, 1006, 1007, 1008, 470, 131047},
		gupshup.ClassContent:       {1001, 1009, 1010, 1011, 100, 131008, 131009, 131051, 132000, 132005, 132012, 132018},
		gupshup.ClassMedia:         {131052, 131053},
		gupshup.ClassTemplate:      {4003, 4005, 132007, 132015},
		gupshup.ClassTemplateGone:  {132001, 132016},
		gupshup.ClassAccount:       {1003, 4001, 368, 131031, 131042, 0, 3, 10, 190, 200, 250, 299, 33, 131005, 131030, 131037, 131045, 133010},
		gupshup.ClassSpam:          {471, 131048},
		gupshup.ClassThrottled:     {4, 80007, 130429},
		gupshup.ClassPairThrottled: {131056},
		gupshup.ClassMaintenance:   {131057},
		gupshup.ClassTransient:     {2, 500, 131000, 131016, 133004},
		gupshup.ClassWaitDay:       {131049},
		gupshup.ClassInDoubt:       {4002},
	}
	for class, codes := range table {
		for _, code := range codes {
			row, ok := gupshup.LookupCode(strconv.Itoa(code))
			require.True(t, ok, code)
			require.Equal(t, class, row.Class, code)
		}
	}
}

func TestCodesAreWellFormed(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, row := range gupshup.Codes() {
		require.False(t, seen[row.Code], "%s is listed twice", row.Code)
		seen[row.Code] = true
		require.True(t, row.Class.Valid(), row.Code)
		require.NotEqual(t, gupshup.ClassNotSent, row.Class, "a reported code was sent")
		require.NotEmpty(t, row.Meaning, row.Code)
		require.NotEmpty(t, row.Source, row.Code)
		require.Regexp(t, `^[0-9]+(-[0-9]+)?$`, row.Code)
	}
	for _, missing := range []string{"", "x", "199", "300", "-1", "999999", "1002 ", "1029"} {
		_, ok := gupshup.LookupCode(missing)
		require.False(t, ok, missing)
	}
	changed := gupshup.Codes()
	changed[0].Class = gupshup.ClassSpam
	require.NotEqual(t, changed[0], gupshup.Codes()[0], "the table must not change with the copy")
}

func TestSuppressions(t *testing.T) {
	t.Parallel()
	want := map[string]gupshup.Suppression{
		"1002":   {Scope: gupshup.SuppressAll, For: 30 * 24 * time.Hour},
		"1012":   {Scope: gupshup.SuppressAll},
		"131050": {Scope: gupshup.SuppressBulk},
	}
	for _, row := range gupshup.Codes() {
		require.Equal(t, want[row.Code], row.Suppress, row.Code)
	}
}

func TestClasses(t *testing.T) {
	t.Parallel()
	want := []gupshup.Class{
		"recipient", "consent", "content", "media", "template", "template_gone", "account", "spam", "throttled",
		"pair_throttled", "maintenance", "transient", "not_sent", "wait_day", "in_doubt", "unknown",
	}
	require.Equal(t, want, gupshup.Classes())
	require.False(t, gupshup.Class("").Valid())
}
