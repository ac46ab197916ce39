package gupshup

import "slices"

// Class says what kind of thing went wrong, and is the only thing callers branch on. Two
// failures that need different actions have different classes.
type Class string

// The classes, in the order of the table of failures in the documentation.
const (
	// ClassRecipient means this number cannot or must not get the message: it has no WhatsApp, opted out, or is the sender.
	ClassRecipient Class = "recipient"
	// ClassConsent means the customer-care window is closed, or an opt-in or a matching template is missing.
	ClassConsent Class = "consent"
	// ClassContent means the message itself is wrong and will be as wrong next time.
	ClassContent Class = "content"
	// ClassMedia means WhatsApp could not fetch or store the linked media, which may be a passing fault of its host.
	ClassMedia Class = "media"
	// ClassTemplate means the template is paused or refused at present.
	ClassTemplate Class = "template"
	// ClassTemplateGone means the template does not exist or is disabled for good.
	ClassTemplateGone Class = "template_gone"
	// ClassAccount means the sender cannot send at all: key, app, wallet or account.
	ClassAccount Class = "account"
	// ClassSpam means WhatsApp limits the sender for the quality of what it sends.
	ClassSpam Class = "spam"
	// ClassThrottled means the sender is too fast.
	ClassThrottled Class = "throttled"
	// ClassPairThrottled means the sender is too fast for this one recipient.
	ClassPairThrottled Class = "pair_throttled"
	// ClassMaintenance means the number is being moved or upgraded, for about a minute.
	ClassMaintenance Class = "maintenance"
	// ClassTransient means Gupshup or WhatsApp refused for a fault of its own that should pass.
	ClassTransient Class = "transient"
	// ClassNotSent means that certainly no complete request reached Gupshup.
	ClassNotSent Class = "not_sent"
	// ClassWaitDay means WhatsApp keeps marketing away from this person for a day or more.
	ClassWaitDay Class = "wait_day"
	// ClassInDoubt means nobody knows whether Gupshup took the message: a repeat could be a duplicate.
	ClassInDoubt Class = "in_doubt"
	// ClassUnknown means an answer nobody has described yet.
	ClassUnknown Class = "unknown"
)

// Classes returns all classes in table order.
func Classes() []Class {
	return []Class{
		ClassRecipient, ClassConsent, ClassContent, ClassMedia, ClassTemplate, ClassTemplateGone, ClassAccount, ClassSpam,
		ClassThrottled, ClassPairThrottled, ClassMaintenance, ClassTransient, ClassNotSent, ClassWaitDay, ClassInDoubt, ClassUnknown,
	}
}

// Valid reports whether c is one of Classes.
func (c Class) Valid() bool { return slices.Contains(Classes(), c) }
