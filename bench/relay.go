package main

import (
	"context"
	"errors"
	"io"
	"net"
	"time"
)

// relay puts a distance between a client and Redis: every byte arrives delay later, in both directions, and what was sent
// meanwhile travels at the same time, as on a real wire. It runs until ctx ends.
func relay(ctx context.Context, l net.Listener, target string, delay time.Duration) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	for {
		in, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		var d net.Dialer
		out, err := d.DialContext(ctx, "tcp", target)
		if err != nil {
			_ = in.Close()
			continue
		}
		go carry(out, in, delay)
		go carry(in, out, delay)
	}
}

// carry takes bytes from one side to the other. It ends when either side closes.
func carry(to io.WriteCloser, from io.ReadCloser, delay time.Duration) {
	type parcel struct {
		bytes []byte
		at    time.Time
	}
	road := make(chan parcel, 4096)
	go func() {
		defer close(road)
		for {
			buf := make([]byte, 32<<10)
			n, err := from.Read(buf)
			if n > 0 {
				road <- parcel{buf[:n], time.Now().Add(delay)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range road {
		time.Sleep(time.Until(p.at))
		if _, err := to.Write(p.bytes); err != nil {
			break
		}
	}
	_, _ = to.Close(), from.Close()
	for range road { //nolint:revive // empties the road, so that the reader ends
	}
}
