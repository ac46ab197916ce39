package view

import "github.com/gupdispatch/gupdispatch/gupshup"

// Advice says what a person can do about a class of failures; replay says whether the message can be replayed, which is advised only then.
func Advice(c gupshup.Class, replay bool) string {
	text := advice[c]
	if again := replayAdvice[c]; replay && again != "" {
		text += " " + again
	}
	return text
}

var advice = map[gupshup.Class]string{
	gupshup.ClassRecipient:     "This number cannot, or must not, be written to. It may be on the suppression list now: gupdispatch suppress list.",
	gupshup.ClassConsent:       "The 24 hours since the user last wrote are over, or an opt-in is missing. Send an approved template, or get the opt-in first.",
	gupshup.ClassContent:       "The message itself is wrong, and will be as wrong next time: correct it in the application, and send it with another id.",
	gupshup.ClassMedia:         "WhatsApp could not fetch the linked file. Open its address without a login.",
	gupshup.ClassTemplate:      "The template is paused or refused at present. See it at Gupshup; its messages wait, and go on when it is active again.",
	gupshup.ClassTemplateGone:  "The template does not exist, or was disabled for good. Use another one, and send with another id.",
	gupshup.ClassAccount:       "The sender cannot send at all: look at its wallet, API key and app at Gupshup. Messages wait meanwhile.",
	gupshup.ClassSpam:          "WhatsApp limits the sender for the quality of what it sends. Send less, and only to those who want it.",
	gupshup.ClassThrottled:     "Gupshup finds the sender too fast. It slows down by itself; a lower rate avoids it.",
	gupshup.ClassPairThrottled: "Too many messages to this one number.",
	gupshup.ClassMaintenance:   "The number was being moved or upgraded.",
	gupshup.ClassTransient:     "A fault of Gupshup's or WhatsApp's that should pass.",
	gupshup.ClassNotSent:       "No request reached Gupshup: look at the network, and at base_url.",
	gupshup.ClassWaitDay:       "WhatsApp keeps marketing away from this person for a day or more.",
	gupshup.ClassInDoubt:       "Nobody knows whether it arrived. Ask the recipient, or look at Gupshup.",
	gupshup.ClassUnknown:       "Nobody has described this answer yet. Look it up at Gupshup; the setting codes tells what is to follow from it.",
}

// replayAdvice is what else to do about a dead letter.
var replayAdvice = map[gupshup.Class]string{
	gupshup.ClassMedia:         "When it works, replay the message.",
	gupshup.ClassPairThrottled: "Wait a little, then replay it.",
	gupshup.ClassMaintenance:   "Replay the message.",
	gupshup.ClassTransient:     "Replay the message.",
	gupshup.ClassNotSent:       "Then replay the message.",
	gupshup.ClassWaitDay:       "Replay it later, if it still matters then.",
	gupshup.ClassInDoubt:       "Do so before you replay it: it could arrive twice.",
}
