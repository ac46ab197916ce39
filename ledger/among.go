package ledger

import (
	"context"
	"errors"
)

// FindAmong reads the messages that have this id, ours or Gupshup's, at one of these senders, and names those senders. There may be none.
func (l *Ledger) FindAmong(ctx context.Context, senders []string, id string) (found []Record, owners []string, err error) {
	return among(senders, ErrNotFound, func(sender string) (Record, error) { return l.Find(ctx, sender, id) })
}

// CampaignAmong reads the campaigns that have this id at one of these senders, and names those senders. There may be none.
func (l *Ledger) CampaignAmong(ctx context.Context, senders []string, id string) (found []Campaign, owners []string, err error) {
	return among(senders, ErrNoCampaign, func(sender string) (Campaign, error) { return l.GetCampaign(ctx, sender, id) })
}

// among collects what get finds at each sender; none is its error where there is nothing.
func among[T any](senders []string, none error, get func(sender string) (T, error)) (found []T, owners []string, err error) {
	for _, s := range senders {
		one, err := get(s)
		switch {
		case errors.Is(err, none):
		case err != nil:
			return nil, nil, err
		default:
			found, owners = append(found, one), append(owners, s)
		}
	}
	return found, owners, nil
}
