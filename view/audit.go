package view

import "github.com/gupdispatch/gupdispatch/auditlog"

// AuditEntry is what a person did.
type AuditEntry struct {
	At      Stamp            `json:"at"`
	User    string           `json:"user"`
	Role    string           `json:"role"`
	Client  string           `json:"client" doc:"the address it came from"`
	Action  string           `json:"action" doc:"such as task.run, queue.pause, sender.release, dead.replay, login"`
	Target  string           `json:"target"`
	Outcome auditlog.Outcome `json:"outcome" doc:"done, refused or failed"`
	Detail  string           `json:"detail,omitempty"`
}

// AuditEntryOf shows an entry.
func AuditEntryOf(e auditlog.Entry) AuditEntry {
	return AuditEntry{
		At: Stamp(e.At), User: e.User, Role: e.Role, Client: e.Client, Action: e.Action, Target: e.Target, Outcome: e.Outcome, Detail: e.Detail,
	}
}
