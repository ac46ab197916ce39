package main

import (
	"strings"
	"time"

	"github.com/gupdispatch/gupdispatch/gupshup"
	"github.com/gupdispatch/gupdispatch/message"
)

// build makes the message that the flags describe. What its fields hold is checked later, by the producer.
func (f sendFlags) build(now time.Time) (message.Message, error) {
	m := message.Message{
		ID: f.id, Sender: f.sender, To: f.to, Priority: message.Priority(f.priority), OnInDoubt: message.OnInDoubt(f.onInDoubt),
	}
	var err error
	if m.Content, err = f.content(); err != nil {
		return m, err
	}
	if f.fallback != "" {
		m.Fallback.Template = &gupshup.Template{ID: f.fallback, Params: f.fallbackParam}
	}
	if m.SendAt, err = futureTime("send-at", f.sendAt, now); err != nil {
		return m, err
	}
	if m.ExpiresAt, err = futureTime("expires-at", f.expiresAt, now); err != nil {
		return m, err
	}
	m.Metadata, err = metadata(f.metadata)
	return m, err
}

func (f sendFlags) content() (c gupshup.Content, err error) {
	switch {
	case f.template != "":
		c.Template = &gupshup.Template{ID: f.template, Params: f.params}
	case f.text != "":
		c.Message = gupshup.Text{Text: f.text}
	case f.message != "":
		if c.Message, err = gupshup.DecodeMessage([]byte(f.message)); err != nil {
			return c, usagef("--message cannot be read: %s", err)
		}
	}
	if f.media != "" {
		if c.Media, err = gupshup.DecodeMedia([]byte(f.media)); err != nil {
			return c, usagef("--media cannot be read: %s", err)
		}
	}
	for i, text := range f.postbacks {
		c.PostbackTexts = append(c.PostbackTexts, gupshup.PostbackText{Index: i, Text: text})
	}
	return c, nil
}

func metadata(pairs []string) (map[string]string, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	m := make(map[string]string, len(pairs))
	for _, pair := range pairs {
		k, v, ok := strings.Cut(pair, "=")
		if _, twice := m[k]; !ok || k == "" || twice {
			return nil, usagef("--metadata must be key=value, each key once")
		}
		m[k] = v
	}
	return m, nil
}
