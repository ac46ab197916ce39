package view

import (
	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/ledger"
)

// Suppression is a number that a sender must not write to.
type Suppression struct {
	Sender string        `json:"sender"`
	Number string        `json:"number" doc:"digits only, masked unless it may be revealed" example:"9198******10"`
	Scope  gupshup.Scope `json:"scope" doc:"all, or bulk only"`
	Code   string        `json:"code" doc:"Gupshup's code that led to it, or the reason that was given"`
	Source string        `json:"source" doc:"code, user-event, preference-event or hand"`
	Since  Stamp         `json:"since"`
	Until  Stamp         `json:"until" nullable:"true" doc:"null: for ever"`
}

// SuppressionOf shows an entry of a sender's list; its number is masked unless reveal says otherwise.
func SuppressionOf(sender string, s ledger.Suppression, reveal bool) Suppression {
	return Suppression{
		Sender: sender, Number: Number(s.Number, reveal), Scope: s.Scope, Code: s.Code, Source: s.Source,
		Since: Stamp(s.Since), Until: Stamp(s.Until),
	}
}
