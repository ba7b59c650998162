package xconn

import (
	"bufio"
	"net"
	"sync"
)

// getInputFocus is the opcode of the request that xgb makes a round trip
// with, on its own goroutine, when it must catch up with its bookkeeping.
const getInputFocus = 43

// stream is the connection that xgb sees. xgb reads each event with a system
// call of its own and writes each request with another; the stream reads what
// there is at once, and can hold requests back until a batch is complete.
//
// Its Read also holds the gate (see extension.go) from the moment it has
// returned data until it is called again, which is when xgb looks at what it
// has read.
//
// Read is called by xgb's reading goroutine only (and before that exists, by
// the dialling one), which owns r and gated. Write is called by its sending
// goroutine; corks by anyone.
type stream struct {
	net.Conn
	r     *bufio.Reader
	gated bool

	// batch keeps batches apart: one at a time holds requests back.
	batch sync.Mutex

	mu     sync.Mutex // guards what follows
	corked bool
	held   []byte
}

func newStream(c net.Conn) *stream {
	return &stream{Conn: c, r: bufio.NewReaderSize(c, 4096)}
}

// Read implements net.Conn.
func (s *stream) Read(b []byte) (int, error) {
	s.release()
	n, err := s.r.Read(b)
	if err == nil {
		gate.RLock()
		s.gated = true
	}
	return n, err
}

// release lets go the gate.
func (s *stream) release() {
	if s.gated {
		s.gated = false
		gate.RUnlock()
	}
}

// Write implements net.Conn.
func (s *stream) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Whoever sends GetInputFocus waits for its reply, even inside a batch.
	if s.corked && len(b) > 0 && b[0] != getInputFocus {
		s.held = append(s.held, b...)
		return len(b), nil
	}
	if len(s.held) == 0 {
		return s.Conn.Write(b)
	}
	s.held = append(s.held, b...)
	if err := s.flushLocked(); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (s *stream) flushLocked() error {
	_, err := s.Conn.Write(s.held)
	s.held = s.held[:0]
	return err
}

func (s *stream) cork() {
	s.batch.Lock()
	s.mu.Lock()
	s.corked = true
	s.mu.Unlock()
}

func (s *stream) uncork() {
	s.mu.Lock()
	s.corked = false
	if len(s.held) > 0 {
		if err := s.flushLocked(); err != nil {
			// xgb believes these requests sent, so the connection is of no
			// use any more; its reader finds out.
			_ = s.Conn.Close()
		}
	}
	s.mu.Unlock()
	s.batch.Unlock()
}
