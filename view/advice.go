package view

import "github.com/gupdispatch/gupdispatch/gupshup"

// Advice says what a person can do about a class of failures.
func Advice(c gupshup.Class) string { return advice[c] }

var advice = map[gupshup.Class]string{
	gupshup.ClassRecipient:     "This number cannot, or must not, be written to. It may be on the suppression list now: gupdispatch suppress list.",
	gupshup.ClassConsent:       "The 24 hours since the user last wrote are over, or an opt-in is missing. Send an approved template, or get the opt-in first.",
	gupshup.ClassContent:       "The message itself is wrong, and will be as wrong next time: correct it in the application, and send it with another id.",
	gupshup.ClassMedia:         "WhatsApp could not fetch the linked file. Open its address without a login; when it works, replay the message.",
	gupshup.ClassTemplate:      "The template is paused or refused at present. See it at Gupshup; its messages wait, and go on when it is active again.",
	gupshup.ClassTemplateGone:  "The template does not exist, or was disabled for good. Use another one, and send with another id.",
	gupshup.ClassAccount:       "The sender cannot send at all: look at its wallet, API key and app at Gupshup. Messages wait meanwhile.",
	gupshup.ClassSpam:          "WhatsApp limits the sender for the quality of what it sends. Send less, and only to those who want it.",
	gupshup.ClassThrottled:     "Gupshup finds the sender too fast. It slows down by itself; a lower rate avoids it.",
	gupshup.ClassPairThrottled: "Too many messages to this one number. Wait a little, then replay it.",
	gupshup.ClassMaintenance:   "The number was being moved or upgraded. Replay the message.",
	gupshup.ClassTransient:     "A fault of Gupshup's or WhatsApp's that should pass. Replay the message.",
	gupshup.ClassNotSent:       "No request reached Gupshup: look at the network, and at base_url. Then replay the message.",
	gupshup.ClassWaitDay:       "WhatsApp keeps marketing away from this person for a day or more. Replay it later, if it still matters then.",
	gupshup.ClassInDoubt:       "Nobody knows whether it arrived. Ask the recipient, or look at Gupshup, before you send it again: it could arrive twice.",
	gupshup.ClassUnknown:       "Nobody has described this answer yet. Look it up at Gupshup; the setting codes tells what is to follow from it.",
}
