package ledger

import (
	"context"
	"errors"
	"fmt"
)

// LetterRef names a dead letter.
type LetterRef struct{ Sender, ID string }

// lookedAt is how many dead letters are looked at in one round trip.
const lookedAt = 500

// CheckReplay tells of each letter why Replay would leave it alone, with the error that it would return; nil if it would not. It changes
// nothing. err is Redis's.
func (l *Ledger) CheckReplay(ctx context.Context, letters []LetterRef) (why []error, err error) {
	why = make([]error, len(letters))
	for begin := 0; begin < len(letters); begin += lookedAt {
		bySender := map[string][]int{}
		for i, ref := range letters[begin:min(begin+lookedAt, len(letters))] {
			bySender[ref.Sender] = append(bySender[ref.Sender], begin+i)
		}
		for sender, at := range bySender {
			replies, errs := l.runEach(ctx, lookScript, sender, len(at), func(i int) []any { return []any{letters[at[i]].ID, 0, "look"} })
			for i, r := range replies {
				if errs[i] != nil {
					return nil, errs[i]
				}
				why[at[i]] = deadOnly(r)
			}
		}
	}
	return why, nil
}

// LeftAlone says why a dead letter was not replayed or purged, given the error of Replay, CheckReplay or Purge: empty if there is none, or
// if it is Redis's.
func LeftAlone(err error) string {
	var notDead *NotDeadError
	var suppressed *SuppressedError
	var cancelled *CampaignCancelledError
	switch {
	case errors.As(err, &suppressed), errors.As(err, &cancelled):
		return err.Error()
	case errors.As(err, &notDead):
		return fmt.Sprintf("it is %s, and no dead letter any more", notDead.Status)
	case errors.Is(err, ErrNotFound):
		return "it is no dead letter any more"
	}
	return ""
}
