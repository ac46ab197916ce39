package gupshup

import (
	"net"
	"net/http"
	"time"
)

// Transport returns a new transport made for many requests to one host. Whoever makes one
// closes its idle connections.
func Transport() *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:       http.ProxyFromEnvironment,
		DialContext: dialer.DialContext,
		// All requests go to one host: with net/http's default of 2, nearly every concurrent
		// request over HTTP/1 would pay for a connection of its own.
		MaxIdleConns:        1024,
		MaxIdleConnsPerHost: 1024,
		// 50 s: below the 60 s after which the load balancer in front of Gupshup closes an idle
		// connection. The other way round, a request could meet a connection that is just
		// being closed, and be in doubt.
		IdleConnTimeout:     50 * time.Second,
		TLSHandshakeTimeout: 5 * time.Second,
		ForceAttemptHTTP2:   true,
		// A dead HTTP/2 connection would take every request on it into doubt; a ping finds it.
		HTTP2:              &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 5 * time.Second},
		DisableCompression: true, // replies are a hundred bytes
	}
}
