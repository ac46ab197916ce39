package gupshuptest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// Limits of GET /_sim/messages.
const (
	defaultListed = 100
	maxListed     = 10_000
)

// adminHandler serves what looks into the simulator and steers it.
func (s *Simulator) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_sim/messages", s.listMessages)
	mux.HandleFunc("GET /_sim/duplicates", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"duplicates": s.Duplicates()})
	})
	mux.HandleFunc("GET /_sim/stats", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, s.Stats())
	})
	mux.HandleFunc("GET /_sim/magic", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"enabled": s.cfg.MagicNumbers, "magic": Magic()})
	})
	mux.HandleFunc("POST /_sim/reset", func(w http.ResponseWriter, _ *http.Request) {
		s.Reset()
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /_sim/rules", s.listRules)
	mux.HandleFunc("PUT /_sim/rules", func(w http.ResponseWriter, r *http.Request) {
		var rules []Rule
		s.changeRules(w, r, &rules, func() error { return s.SetRules(rules) })
	})
	mux.HandleFunc("POST /_sim/rules", func(w http.ResponseWriter, r *http.Request) {
		var rule Rule
		s.changeRules(w, r, &rule, func() error { return s.AddRule(rule) })
	})
	mux.HandleFunc("DELETE /_sim/rules", func(w http.ResponseWriter, r *http.Request) {
		s.changeRules(w, r, nil, func() error { return s.SetRules(nil) })
	})
	mux.HandleFunc("GET /_sim/callbacks", s.showCallbacks)
	mux.HandleFunc("PUT /_sim/callbacks", func(w http.ResponseWriter, r *http.Request) {
		var c Callbacks
		s.changeCallbacks(w, r, &c, func() error { return s.SetCallbacks(c) })
	})
	mux.HandleFunc("DELETE /_sim/callbacks", func(w http.ResponseWriter, r *http.Request) {
		s.changeCallbacks(w, r, nil, func() error { return s.SetCallbacks(Callbacks{}) })
	})
	mux.HandleFunc("POST /_sim/callback", func(w http.ResponseWriter, r *http.Request) {
		var p Push
		s.changeCallbacks(w, r, &p, func() error { return s.Push(p) })
	})
	mux.HandleFunc("POST /_sim/drain", func(w http.ResponseWriter, r *http.Request) {
		if err := s.Drain(r.Context()); err != nil { // a client that has left does not read this
			writeJSON(w, http.StatusServiceUnavailable, map[string]string{"error": err.Error()})
			return
		}
		s.showCallbacks(w, r)
	})
	return mux
}

// listMessages lists accepted messages, a page at a time: next is the after of
// the page behind this one, 0 on the last.
func (s *Simulator) listMessages(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	f := Filter{
		App:         query.Get("app"),
		Destination: query.Get("destination"),
		MessageID:   query.Get("message_id"),
		Limit:       defaultListed,
	}
	if text := query.Get("limit"); text != "" {
		limit, err := strconv.Atoi(text)
		if err != nil || limit < 1 || limit > maxListed {
			writeError(w, fmt.Errorf("limit: use a number from 1 to %d", maxListed))
			return
		}
		f.Limit = limit
	}
	if text := query.Get("after"); text != "" {
		after, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			writeError(w, errors.New("after: use the next of an earlier answer, or the seq of a message"))
			return
		}
		f.After = after
	}
	wanted := f.Limit
	f.Limit++ // one more tells whether there is a next page
	found := s.Accepted(f)
	var next uint64
	if len(found) > wanted {
		found = found[:wanted]
		next = found[wanted-1].Seq
	}
	writeJSON(w, http.StatusOK, map[string]any{"messages": found, "next": next})
}

func (s *Simulator) listRules(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"rules": s.Rules()})
}

// showCallbacks answers with the configuration of the callbacks but their token,
// and with what became of them.
func (s *Simulator) showCallbacks(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"config": s.caller.config(), "stats": s.caller.stats()})
}

func (s *Simulator) changeCallbacks(w http.ResponseWriter, r *http.Request, body any, apply func() error) {
	if change(w, r, body, apply) {
		s.showCallbacks(w, r)
	}
}

func (s *Simulator) changeRules(w http.ResponseWriter, r *http.Request, body any, apply func() error) {
	if change(w, r, body, apply) {
		s.listRules(w, r)
	}
}

// change reads a body, if one is wanted, and applies it. It is false if that
// failed and was answered.
func change(w http.ResponseWriter, r *http.Request, body any, apply func() error) bool {
	if body != nil {
		if err := readJSON(r, body); err != nil {
			writeError(w, err)
			return false
		}
	}
	if err := apply(); err != nil {
		writeError(w, err)
		return false
	}
	return true
}

// readJSON reads exactly one value, without unknown names.
func readJSON(r *http.Request, into any) error {
	dec := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("body: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("body: only one JSON value is expected")
	}
	return nil
}

func writeError(w http.ResponseWriter, err error) {
	writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentJSON)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client may be gone
}
