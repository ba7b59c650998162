package xvfb

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"syscall"
)

// tailSize is how much of a server's last words is kept, in bytes.
const tailSize = 4096

// tail keeps the last lines that a server writes into a pipe. The pipe is
// read with the lock held and never waited for meanwhile, so whoever has the
// lock knows that all that was written is either in b or in the pipe.
type tail struct {
	r     *os.File
	ended chan struct{} // closed by read at its end

	mu sync.Mutex // guards what follows, and the reading of r
	b  []byte
}

// newTail returns a tail and the pipe's end to write to.
func newTail() (*tail, *os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	return &tail{r: r, ended: make(chan struct{})}, w, nil
}

// read takes what is written until nobody can write any more, or until the
// deadline of r.
func (t *tail) read() {
	defer close(t.ended)
	defer func() { _ = t.r.Close() }()
	c, err := t.r.SyscallConn()
	if err != nil {
		return
	}
	for more := true; more && err == nil; {
		err = c.Read(func(fd uintptr) (done bool) {
			t.mu.Lock()
			defer t.mu.Unlock()
			var wait bool
			more, wait = t.takeLocked(fd)
			return !wait
		})
	}
}

// takeLocked takes a piece out of the pipe. Without more there is none and
// will be none; with wait there is none yet.
func (t *tail) takeLocked(fd uintptr) (more, wait bool) {
	var p [1024]byte
	for {
		n, err := syscall.Read(int(fd), p[:])
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return true, true
		case err != nil || n <= 0:
			return false, false
		default:
			t.keepLocked(p[:n])
			return true, false
		}
	}
}

func (t *tail) keepLocked(p []byte) {
	t.b = append(t.b, p...)
	if over := len(t.b) - tailSize; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
}

// forget drops all that was written until now.
func (t *tail) forget() {
	c, err := t.r.SyscallConn()
	if err != nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	_ = c.Control(func(fd uintptr) { // an error: the pipe is at its end
		for more, wait := true, false; more && !wait; {
			more, wait = t.takeLocked(fd)
		}
		t.b = t.b[:0]
	})
}

// String is the last three lines that say something, joined to one.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var lines []string
	for line := range bytes.Lines(t.b) {
		text := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(string(line)), "(EE)"))
		if text != "" && text != "(EE)" {
			lines = append(lines, text)
		}
	}
	return strings.Join(lines[max(0, len(lines)-3):], "; ")
}
