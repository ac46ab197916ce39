package gupshuptest

import (
	"net"
	"net/http"
)

// misbehave meets a valid request with a fault.
func (s *Simulator) misbehave(w http.ResponseWriter, r *http.Request, req *request, f Fault) {
	var normal reply
	if accepts[f.Kind] {
		req.outcome = f.Outcome
		m, ok := s.accept(req)
		if !ok {
			s.refuse(w, r, rateRefusal)
			return
		}
		normal = s.accepted(req.endpoint, m.MessageID)
	} else {
		s.counts.refused[faultRefusal(f.Kind)].Add(1)
		normal = reply{status: req.endpoint.okStatus}
	}
	s.counts.faults[f.Kind].Add(1)

	switch f.Kind {
	case KindHang:
		select {
		case <-r.Context().Done():
		case <-s.closed:
		}
		s.abort()
	case KindResetBefore, KindResetAfter:
		s.breakOff(w, r, f, nil)
	case KindGarbage:
		s.breakOff(w, r, f, []byte("\x00\x01\x02 this is not HTTP\r\n\r\n"))
	case KindRedirect:
		s.answer(w, r, f.delay(), reply{status: http.StatusTemporaryRedirect, location: r.URL.RequestURI()})
	default:
		s.answer(w, r, f.delay(), f.reply(normal))
	}
}

// abort ends a request without an answer.
func (s *Simulator) abort() {
	s.counts.noReply.Add(1)
	panic(http.ErrAbortHandler)
}

// breakOff takes the connection from the server and ends it: with some last
// bytes, or with a TCP reset, so that the client cannot take it for an orderly
// close.
func (s *Simulator) breakOff(w http.ResponseWriter, r *http.Request, f Fault, last []byte) {
	if !s.pause(r.Context(), f.delay()) {
		s.abort()
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.abort() // no connection of its own, as in HTTP/2: end the stream
	}
	s.counts.noReply.Add(1)
	if last == nil {
		reset(conn)
		return
	}
	_, _ = conn.Write(last) // the client may be gone
	_ = conn.Close()
}

// reset closes a connection so that the other side sees RST, and what is unsent
// is discarded. Under TLS it closes the TCP connection below: closing the upper
// one would say goodbye.
func reset(conn net.Conn) {
	if tls, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = tls.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
