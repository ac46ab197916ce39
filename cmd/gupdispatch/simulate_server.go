package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/gupdispatch/gupdispatch/gupshup/gupshuptest"
	"github.com/gupdispatch/gupdispatch/view"
)

// stopGrace is how long requests under way may still take once a simulator stops; it ends its own delays at once.
const stopGrace = 5 * time.Second

// newSimulatorServer serves a simulator, whose delays and hanging requests end as soon as the server shuts down.
func newSimulatorServer(sim *gupshuptest.Simulator) *http.Server {
	server := &http.Server{
		Handler:           sim,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0), // broken connections are what it is for
	}
	server.RegisterOnShutdown(sim.Close)
	return server
}

// stopServer lets requests under way finish, also when ctx has ended already.
func stopServer(ctx context.Context, server *http.Server) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		_ = server.Close()
		return fmt.Errorf("requests still under way after %s were cut off: %w", stopGrace, err)
	}
	return nil
}

// onLoopback tells whether only this machine can connect.
func onLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// reachable is an address to connect to, where one was listened on: nobody connects to 0.0.0.0.
func reachable(addr net.Addr) string {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return addr.String()
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
}

// thousands writes a count as people read it: 12,345.
func thousands[N int | int64 | uint64](n N) string { return view.Thousands(n) }
