package session

import (
	"bytes"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// What is kept of a program's output.
const (
	tailLines   = 20
	tailLineLen = 200 // in bytes; the rest of a longer line is dropped
)

// tail is a writer that keeps the last lines written to it. It may be used
// from any goroutine.
type tail struct {
	// line, if not nil, is told every finished line, on the writer's goroutine.
	line func(string)

	mu      sync.Mutex
	lines   []string // the last finished ones, oldest first
	partial []byte   // of the line that has not ended, at most tailLineLen
}

// Write takes a piece of output. It never fails.
func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(p) > 0 {
		piece, rest, ended := bytes.Cut(p, []byte{'\n'})
		t.partial = append(t.partial, piece[:min(len(piece), tailLineLen-len(t.partial))]...)
		p = rest
		if ended {
			t.endLineLocked()
		}
	}
	return n, nil
}

// end finishes a last line that had no line end.
func (t *tail) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.endLineLocked()
}

func (t *tail) endLineLocked() {
	s := printable(t.partial)
	t.partial = t.partial[:0]
	if s == "" {
		return
	}
	if len(t.lines) == tailLines {
		t.lines = append(t.lines[:0], t.lines[1:]...)
	}
	t.lines = append(t.lines, s)
	if t.line != nil {
		t.line(s)
	}
}

// last returns up to n of the last lines, oldest first.
func (t *tail) last(n int) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	from := max(0, len(t.lines)-n)
	return append([]string(nil), t.lines[from:]...)
}

// printable makes a line of output fit to be shown and logged: no control
// characters, so that no terminal obeys them, no broken UTF-8, no blanks at
// the ends.
func printable(b []byte) string {
	// A cut at tailLineLen may have split the last character.
	for i := 1; i < utf8.UTFMax && i <= len(b); i++ {
		if c := b[len(b)-i]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-i:]) {
				b = b[:len(b)-i]
			}
			break
		}
	}
	s := strings.Map(func(r rune) rune {
		if r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(string(b), "?"))
	return strings.TrimSpace(s)
}
