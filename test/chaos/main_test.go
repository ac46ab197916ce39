//go:build linux

// Package chaos runs the program itself, as processes, with a simulated Gupshup and real Redis servers of its own, and breaks what is
// around it: processes, the network, Redis, clocks. Afterwards every message that was accepted must be accounted for, in the ledger and in the
// simulator, which sees everything that was really sent.
//
// test/crash kills at every single step of the code; this package leaves the code alone and breaks the rest.
package chaos

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"
)

// program is the gupdispatch that TestMain built.
var program string

// messagesVar sets how many messages go through each test.
const messagesVar = "CHAOS_MESSAGES"

// fewMessages is from how many on a test takes its time: all kinds of harm, as long as they would last.
const fewMessages = 1500

func TestMain(m *testing.M) {
	flag.Parse()
	parallel := "4" // however many cores there are: the tests mostly wait
	if thorough() {
		parallel = "2" // but with all messages at work, requests would take longer than they may
	}
	if err := flag.Set("test.parallel", parallel); err != nil {
		panic(err)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "chaos")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	redis.SetLogger(silent{}) // connections fail here all the time
	program = filepath.Join(dir, "gupdispatch")
	if err := build(program); err != nil {
		fmt.Fprintln(os.Stderr, "chaos: the program cannot be built:", err)
		return 1
	}
	return m.Run()
}

// silent keeps a Redis client from talking.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// build makes the program; args are more arguments of go build.
func build(output string, args ...string) error {
	args = append(append([]string{"build"}, args...), "-o", output, "./cmd/gupdispatch")
	cmd := exec.Command("go", args...)
	cmd.Dir = "../.."
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// messages is how many messages a test hands over.
func messages() int {
	if n, err := strconv.Atoi(os.Getenv(messagesVar)); err == nil && n > 0 {
		return n
	}
	return fewMessages
}

// thorough says whether there is time for all kinds of harm.
func thorough() bool { return messages() > fewMessages }
