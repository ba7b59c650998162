package xvfb

import (
	"bytes"
	"strings"
	"sync"
)

// tailSize is how much of a server's last words is kept, in bytes.
const tailSize = 4096

// tail keeps the last lines that were written to it.
type tail struct {
	mu sync.Mutex // guards what follows
	b  []byte
}

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	if over := len(t.b) - tailSize; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
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
