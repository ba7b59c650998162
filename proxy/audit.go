package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
)

// maxUnwritten is how many records wait for a slow disk; more are lost.
const maxUnwritten = 4096

// auditor writes the audit log. Nobody waits for it: records are queued, and
// one goroutine, run, writes them. What cannot be written is counted and said
// in the program's log.
type auditor struct {
	path    string
	log     *slog.Logger // the program's
	lost    func()       // counts a record that was not written
	records *slog.Logger // makes a line of each and queues it
	lines   chan []byte  // to run; closed by close
	done    chan struct{}

	mu     sync.Mutex // held for short
	closed bool       // so is lines
	losing bool       // the queue was full last

	out  sync.Mutex // held while a line is written
	file *os.File
	torn bool // the last line is not whole
}

// openAuditor returns an auditor that adds to the file at path.
func openAuditor(path string, log *slog.Logger, lost func()) (*auditor, error) {
	f, err := openAudit(path)
	if err != nil {
		return nil, err
	}
	a := &auditor{
		path: path, log: log, lost: lost, file: f,
		lines: make(chan []byte, maxUnwritten), done: make(chan struct{}),
	}
	a.records = slog.New(slog.NewJSONHandler(queue{a}, &slog.HandlerOptions{ReplaceAttr: auditAttr}))
	go a.run()
	return a, nil
}

func openAudit(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the audit log cannot be written: %w: correct audit.file, or the directory's owner", err)
	}
	return f, nil
}

// auditAttr gives a record its form: the time in UTC, the action, no level.
func auditAttr(groups []string, a slog.Attr) slog.Attr {
	if len(groups) > 0 {
		return a
	}
	switch a.Key {
	case slog.TimeKey:
		return slog.String("time", a.Value.Time().UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	case slog.LevelKey:
		return slog.Attr{}
	case slog.MessageKey:
		a.Key = "action"
	}
	return a
}

// queue is an auditor as a writer of whole lines, which are copied.
type queue struct{ a *auditor }

func (q queue) Write(line []byte) (int, error) {
	a := q.a
	a.mu.Lock()
	defer a.mu.Unlock()
	full := true
	if !a.closed {
		select {
		case a.lines <- append([]byte(nil), line...):
			full = false
		default:
		}
	}
	if full {
		a.lost()
		if !a.losing {
			a.log.Error("the audit log is written too slowly: records are lost", "file", a.path)
		}
	}
	a.losing = full
	return len(line), nil
}

// run writes until close.
func (a *auditor) run() {
	defer close(a.done)
	failing := false
	for line := range a.lines {
		err := a.write(line)
		if err != nil {
			a.lost()
			if !failing {
				a.log.Error("the audit log is not written", "error", err)
			}
		} else if failing {
			a.log.Info("the audit log is written again", "file", a.path)
		}
		failing = err != nil
	}
	a.out.Lock()
	defer a.out.Unlock()
	if err := a.file.Close(); err != nil {
		a.log.Error("the audit log was not closed", "error", err)
	}
}

func (a *auditor) write(line []byte) error {
	a.out.Lock()
	defer a.out.Unlock()
	if a.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := a.file.Write(line)
	if n > 0 {
		a.torn = n < len(line)
	}
	return err
}

// reopen goes on in a new file of the same name, after the old one was moved
// away. On an error it goes on in the old one.
func (a *auditor) reopen() error {
	if a == nil {
		return nil
	}
	f, err := openAudit(a.path)
	if err != nil {
		return err
	}
	a.out.Lock()
	defer a.out.Unlock()
	old := a.file
	a.file, a.torn = f, false
	return old.Close()
}

// close writes what is queued and ends. It may be called again.
func (a *auditor) close() {
	if a == nil {
		return
	}
	a.mu.Lock()
	if !a.closed {
		a.closed = true
		close(a.lines)
	}
	a.mu.Unlock()
	<-a.done
}

// Reopen goes on with the audit log in a new file of the same name: a program
// that rotates logs has moved the old one away.
func (s *Service) Reopen() error { return s.auditor.reopen() }

// audit notes who did what, never what was typed or seen. r is what asked for
// it, nil where nobody did, c the console that it was done to.
func (s *Service) audit(action string, by caller, r *http.Request, c *Console, attrs ...slog.Attr) {
	from := ""
	if r != nil {
		from = remoteAddress(r)
	}
	s.auditFrom(action, by, from, c, attrs...)
}

// auditFrom is audit for what came from a network address, "" for none.
func (s *Service) auditFrom(action string, by caller, from string, c *Console, attrs ...slog.Attr) {
	if s.auditor == nil {
		return
	}
	all := []slog.Attr{slog.String("node", c.node.Name), slog.String("who", by.who())}
	if by.claims.ID != "" {
		all = append(all, slog.String("token_id", by.claims.ID))
	}
	if from != "" {
		all = append(all, slog.String("from", from))
	}
	s.auditor.records.LogAttrs(context.Background(), slog.LevelInfo, action, append(all, attrs...)...)
}

// who names the caller: by the name in its token, else the token's ID; the
// holder of the API's credential is "api", and what happens by itself is done
// by "service".
func (c caller) who() string {
	switch {
	case c.name != "":
		return c.name
	case c.admin:
		return "api"
	case c.claims.Name != "":
		return c.claims.Name
	case c.claims.ID != "":
		return c.claims.ID
	}
	return "service"
}
