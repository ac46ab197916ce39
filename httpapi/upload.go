package httpapi

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// Limits of long requests.
const (
	maxUpload    = 1 << 30          // bytes of one
	maxDryRun    = 16 << 20         // of a file that is only checked: what tells its rows apart is in memory, up to some 5 bytes for each of its bytes
	maxUploads   = 4                // at a time in a process: each has some chunks of rows in memory
	maxDryRuns   = 1                // of them: see maxDryRun
	uploadPause  = time.Minute      // a client that says nothing for so long has gone
	uploadTime   = 2 * time.Hour    // of one; the next goes on where it was
	refusedDrain = 10 * time.Second // what a refused client still sends is read for so long, so that it comes to read the refusal
)

var (
	errStopping   = errors.New("the server is being stopped")
	errUploadOver = errors.New("the request is over")
)

// upload is a long body that is read bit by bit. What limits it is silence rather than time. Its reader may be another goroutine than
// the handler's, and may outlive what it reads for: stop ends its reading.
type upload struct {
	body  io.Reader
	conn  *http.ResponseController
	pause time.Duration // how long the client may say nothing
	until time.Time

	reading sync.Mutex // held while the body is read
	mu      sync.Mutex
	over    bool
	ended   bool  // the body was read to its end
	failed  error // that ended the reading before
}

// uploads is what long bodies may take.
type uploads struct {
	bytes int64
	dry   int64 // of a file that is only checked
	pause time.Duration
	slots chan struct{} // filled by those under way
	tries chan struct{} // and by those of them that are only checked
}

func newUploads() uploads {
	return uploads{
		bytes: maxUpload, dry: maxDryRun, pause: uploadPause, slots: make(chan struct{}, maxUploads), tries: make(chan struct{}, maxDryRuns),
	}
}

// begin begins a long body. It takes the request's time from the connection; stop gives it some again.
func (l uploads) begin(w http.ResponseWriter, r *http.Request) *upload {
	u := &upload{
		body: http.MaxBytesReader(w, r.Body, l.bytes), conn: http.NewResponseController(w), pause: l.pause, until: time.Now().Add(uploadTime),
	}
	// Where these are not supported there is no connection that could break.
	_ = u.conn.EnableFullDuplex() // an answer may be given before the body was read
	_ = u.conn.SetWriteDeadline(time.Time{})
	return u
}

// Read implements io.Reader.
func (u *upload) Read(p []byte) (int, error) {
	u.reading.Lock()
	defer u.reading.Unlock()
	err := u.listen()
	n := 0
	if err == nil {
		n, err = u.body.Read(p)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case errors.Is(err, io.EOF):
		u.ended = true
	case err != nil && u.failed == nil && !u.over:
		u.failed = err
	}
	return n, err
}

// listen gives the client time to say more, unless it is over.
func (u *upload) listen() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	if u.over || now.After(u.until) {
		return errUploadOver
	}
	_ = u.conn.SetReadDeadline(now.Add(u.pause))
	return nil
}

// stop ends the reading, also one that is under way: afterwards nobody touches the connection but the caller. It says whether the body
// was read to its end. Doing so again changes nothing.
func (u *upload) stop() (ended bool) {
	u.mu.Lock()
	ended = u.ended
	if !u.over {
		u.over = true
		_ = u.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		if !ended { // else the connection's reader would take it for the client's end
			_ = u.conn.SetReadDeadline(time.Unix(1, 0))
		}
	}
	u.mu.Unlock()
	u.reading.Lock()
	defer u.reading.Unlock()
	return ended
}

// drain reads what the client still sends, once it has been answered: most clients read an answer only after they have sent everything.
func (u *upload) drain() {
	_ = u.conn.SetReadDeadline(time.Now().Add(refusedDrain))
	_ = u.conn.Flush()
	_, _ = io.Copy(io.Discard, u.body)
}

// broken tells of a body that could not be read to its end, nil if it could.
func (u *upload) broken() *problem {
	u.mu.Lock()
	defer u.mu.Unlock()
	var large *http.MaxBytesError
	switch {
	case u.failed == nil:
		return nil
	case errors.As(u.failed, &large):
		return newProblem(http.StatusRequestEntityTooLarge, "a request takes at most 1 GiB: make several campaigns of it, and cancel this one")
	}
	return newProblem(http.StatusRequestTimeout,
		"the request broke off, or nothing came for a minute: send the same again, with the same id, and it goes on where it was")
}

// lasting is the context of a request that takes its time: it ends when the client goes or the server is stopped, which its cause tells.
func (a *api) lasting(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(a.stopping, func() { cancel(errStopping) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// download is a long answer. What limits it is that the client takes nothing, rather than time.
type download struct {
	w     http.ResponseWriter
	conn  *http.ResponseController
	begin func() // called before the first byte
	begun bool
}

// Write implements io.Writer.
func (d *download) Write(p []byte) (int, error) {
	if !d.begun {
		d.begun = true
		d.begin()
	}
	_ = d.conn.SetWriteDeadline(time.Now().Add(writeTimeout))
	return d.w.Write(p)
}
