package gupshup_test

import (
	"io"
	"log"
)

// quiet is a logger for servers whose complaints are the point of a test.
func quiet() *log.Logger { return log.New(io.Discard, "", 0) }
