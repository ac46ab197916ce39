// Package campaign sends one template to many people: it reads their rows from CSV or NDJSON into compressed chunks, and makes messages of
// them just in time, so that a million recipients cost little memory and can be stopped at once. Every message then takes the way that
// all messages take.
//
// intake.go reads a file, expander.go makes messages of its rows, report.go tells what became of each. The ledger keeps it all: what
// happens to a campaign is one of its scripts, so that a process may be killed anywhere and nobody is left out or written to twice.
package campaign
