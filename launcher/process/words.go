package process

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"
	"unicode"
)

const (
	// maxLine is how much of one line is kept, in bytes.
	maxLine = 1000
	// maxLines is how many lines a second go to the service's log.
	maxLines = 100
	// maxLog is the length at which a console's log is emptied.
	maxLog = 1 << 20
)

// follower hands the lines of a console's log to the service's, as they come,
// and keeps the last that says what went wrong. The log is a file because it
// must outlast the service: a supervisor whose standard error is a pipe to a
// service that crashed would end with it.
//
// It belongs to the goroutine of its instance.
type follower struct {
	file *os.File
	log  *slog.Logger

	partial []byte // of a line that has no end yet
	last    string // the last line that says what went wrong
	read    int64

	window  time.Time // start of the second that lines are counted in
	lines   int       // handed on in it
	skipped int       // not handed on since the last that was
}

// openFollower opens the log of the instance in dir. With skip, what is in it
// already was handed on by an earlier service: only its last line is taken.
func openFollower(name string, log *slog.Logger, skip bool) (*follower, error) {
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	f := &follower{file: file, log: log}
	if skip {
		f.log = slog.New(slog.DiscardHandler)
		f.follow(time.Now())
		f.log = log
		f.lines, f.skipped = 0, 0
	}
	return f, nil
}

// follow reads what was written since the last call.
func (f *follower) follow(now time.Time) {
	buf := make([]byte, 16<<10)
	for {
		n, err := f.file.Read(buf)
		f.read += int64(n)
		f.take(buf[:n], now)
		if err != nil {
			if err != io.EOF {
				f.log.Warn("the console's log cannot be read", "err", err)
			}
			break
		}
	}
	if f.read < maxLog {
		return
	}
	// The supervisor appends, so it goes on at the new end. A line written
	// between the last read and here is lost, once in a megabyte.
	if err := f.file.Truncate(0); err == nil {
		if _, err := f.file.Seek(0, io.SeekStart); err == nil {
			f.read = 0
		}
	}
}

// take splits bytes of the log into lines.
func (f *follower) take(b []byte, now time.Time) {
	for len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte{'\n'})
		if room := maxLine - len(f.partial); room > 0 {
			f.partial = append(f.partial, line[:min(room, len(line))]...)
		}
		if !whole {
			return
		}
		f.line(now)
		b = rest
	}
}

// line hands on the line that partial holds.
func (f *follower) line(now time.Time) {
	text := printable(f.partial)
	f.partial = f.partial[:0]
	if text == "" {
		return
	}
	if words, ok := wordsOf(text); ok {
		f.last = words
	}
	if now.Sub(f.window) >= time.Second {
		f.window, f.lines = now, 0
	}
	if f.lines >= maxLines {
		f.skipped++
		return
	}
	f.lines++
	if f.skipped > 0 {
		f.log.Warn("the console wrote more than its log shows", "lines_left_out", f.skipped)
		f.skipped = 0
	}
	if e, ok := parseEntry(text); ok {
		f.log.LogAttrs(context.Background(), e.level, e.msg, e.attrs...)
		return
	}
	f.log.Info("supervisor says", "line", text)
}

// finish takes what is there, an unfinished line too, and closes the file.
func (f *follower) finish(now time.Time) string {
	f.follow(now)
	f.line(now)
	_ = f.file.Close()
	return f.last
}

// printable makes one line of what a program wrote: no control characters,
// which could colour a terminal or forge a line, and valid UTF-8.
func printable(b []byte) string {
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
