package campaign

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gupdispatch/gupdispatch/ledger"
	"github.com/gupdispatch/gupdispatch/message"
)

// Retired is the status of a row whose message ended so long ago that its record is not kept any more.
const Retired = "retired"

// ReportLine is what became of a row.
type ReportLine struct {
	Line      int64
	ID        string // of its message
	To        string
	Status    string // a message's, or Retired
	Code      string
	MessageID string
	Reason    string
	Attempts  int
	UpdatedAt time.Time
}

// ErrForgotten says that a campaign ended so long ago that its rows are kept no longer.
var ErrForgotten = errors.New("its rows are kept no longer (ledger.retention); how many came to what is still known")

// reportRows is how many rows are asked for at a time.
const reportRows = 200

// Report tells what became of each row, in the order of the file, and holds one chunk at a time. Messages move meanwhile: each line is true
// for its own moment.
func Report(ctx context.Context, l *ledger.Ledger, sender, id string, visit func(ReportLine) error) error {
	c, err := l.GetCampaign(ctx, sender, id)
	if err != nil {
		return err
	}
	if c.Forgotten {
		return ErrForgotten
	}
	d, err := DecodeDefinition(c.Definition)
	if err != nil {
		return err
	}
	columns := len(NewForm(d).Columns)
	for chunk := range c.Chunks {
		lines, err := l.CampaignRows(ctx, sender, id, chunk)
		if errors.Is(err, ledger.ErrNoCampaign) {
			return fmt.Errorf("the rows of campaign %s from chunk %d on are not there", id, chunk)
		}
		if err != nil {
			return err
		}
		rows, err := decodeRows(lines, columns)
		if err != nil {
			return err
		}
		for at := 0; at < len(rows); at += reportRows {
			if err := reportSome(ctx, l, c, chunk, at, rows[at:min(at+reportRows, len(rows))], visit); err != nil {
				return err
			}
		}
	}
	return nil
}

func reportSome(ctx context.Context, l *ledger.Ledger, c ledger.Campaign, chunk int64, at int, rows []Row, visit func(ReportLine) error) error {
	found, err := l.CampaignMessages(ctx, c.Sender, c.ID, pairsOf(c.ID, rows))
	if err != nil {
		return err
	}
	if len(found) != len(rows) {
		return fmt.Errorf("the ledger told of %d rows of campaign %s instead of %d", len(found), c.ID, len(rows))
	}
	for i, r := range rows {
		m := found[i]
		line := ReportLine{
			Line: r.Line, ID: m.ID, To: r.To, Status: string(m.Status), Code: m.Code, MessageID: m.MessageID, Reason: m.Reason,
			Attempts: m.Attempts, UpdatedAt: m.UpdatedAt,
		}
		if line.Status == "" {
			line.Status = rowStatus(c, r, ledger.Position{Chunk: chunk, Row: int64(at + i)})
		}
		if err := visit(line); err != nil {
			return err
		}
	}
	return nil
}

// Rejected tells which lines were rejected, in their order, and why. It holds one chunk at a time. While the file is still being read it
// tells of what was read.
func Rejected(ctx context.Context, l *ledger.Ledger, sender, id string, visit func(Rejection) error) error {
	c, err := l.GetCampaign(ctx, sender, id)
	if err != nil {
		return err
	}
	if c.Forgotten {
		return ErrForgotten
	}
	for chunk := range c.RejectedIn {
		lines, err := l.CampaignRejections(ctx, sender, id, chunk)
		if err != nil {
			return err
		}
		rejected, err := unpackRejections(lines)
		if err != nil {
			return err
		}
		for _, r := range rejected {
			if err := visit(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// rowStatus is the status of a row that has no record.
func rowStatus(c ledger.Campaign, r Row, at ledger.Position) string {
	switch {
	case at.Before(c.Track(r.Zone).Next):
		return Retired
	case c.Status == message.CampaignCancelled:
		return string(message.Cancelled)
	}
	return string(message.Queued)
}
