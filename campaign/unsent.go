package campaign

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// UnsentError says of the id of a message that it is that of a row that has not become one.
type UnsentError struct {
	Sender, Campaign string
	Line             int64
	Status           message.CampaignStatus
}

func (e *UnsentError) Error() string {
	what := fmt.Sprintf("it is line %d of campaign %s of %s, which is %s:", e.Line, e.Campaign, e.Sender, e.Status)
	if e.Status == message.CampaignCancelled {
		return what + " it was accepted, never became a message, and counts as cancelled"
	}
	return what + " it was accepted and queued, and becomes a message when its turn comes"
}

// FindUnsent looks for the row whose message will have an id that was made of its campaign's and its line. Its error is *UnsentError if there is
// one that has not become a message, nil if there is none.
func FindUnsent(ctx context.Context, l *ledger.Ledger, senders []string, id string) error {
	dot := strings.LastIndexByte(id, '.')
	if dot < 0 {
		return nil
	}
	campaign := id[:dot]
	line, err := strconv.ParseInt(id[dot+1:], 10, 64)
	if err != nil || lineID(campaign, line) != id {
		return nil
	}
	for _, sender := range senders {
		c, err := l.GetCampaign(ctx, sender, campaign)
		if errors.Is(err, ledger.ErrNoCampaign) || err == nil && (c.Forgotten || line > c.Lines) {
			continue
		}
		if err != nil {
			return err
		}
		waits, err := unsent(ctx, l, c, line)
		if err != nil {
			return err
		}
		if waits {
			return &UnsentError{Sender: sender, Campaign: campaign, Line: line, Status: c.Status}
		}
	}
	return nil
}

// unsent says whether a line is a row of a campaign that has no message and no id of its own. Rows are in the order of their lines, so a few
// chunks are read of however many.
func unsent(ctx context.Context, l *ledger.Ledger, c ledger.Campaign, line int64) (bool, error) {
	d, err := DecodeDefinition(c.Definition)
	if err != nil {
		return false, err
	}
	columns := len(NewForm(d).Columns)
	for from, to := int64(0), c.Chunks; from < to; {
		chunk := from + (to-from)/2
		lines, err := l.CampaignRows(ctx, c.Sender, c.ID, chunk)
		if errors.Is(err, ledger.ErrNoCampaign) {
			return false, nil // forgotten a moment ago
		}
		if err != nil {
			return false, err
		}
		rows, err := decodeRows(lines, columns)
		if err != nil || len(rows) == 0 {
			return false, err
		}
		switch {
		case line < rows[0].Line:
			to = chunk
		case line > rows[len(rows)-1].Line:
			from = chunk + 1
		default:
			at, found := slices.BinarySearchFunc(rows, line, func(r Row, line int64) int { return int(r.Line - line) })
			return found && rows[at].ID == "" && rowStatus(c, rows[at], ledger.Position{Chunk: chunk, Row: int64(at)}) != Retired, nil
		}
	}
	return false, nil
}
