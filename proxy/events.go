package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// eventInterval is the shortest time between two looks at what changed.
	eventInterval = 250 * time.Millisecond
	// eventComment is after how long without an event something is sent all
	// the same, so that nobody in between takes the connection for dead.
	eventComment = 15 * time.Second
)

// changes wakes those who watch all consoles.
type changes struct {
	also func() // Config.Changed

	mu      sync.Mutex
	changed chan struct{} // closed, and replaced, when a console changes
}

func (n *changes) init(also func()) { n.also, n.changed = also, make(chan struct{}) }

// tell is told that one of the consoles has changed.
func (n *changes) tell() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.changed)
	n.changed = make(chan struct{})
	if n.also != nil {
		n.also()
	}
}

// watch returns a channel that is closed with the next change.
func (n *changes) watch() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.changed
}

// stream sends events to one subscriber (server-sent events, HTML Living
// Standard, 9.2). Nothing is queued for it: when it can take an event it is
// sent how things are then. It belongs to the request's goroutine.
type stream struct {
	s    *Service
	w    http.ResponseWriter
	rc   *http.ResponseController
	ctx  context.Context // ends with the request and with the service
	look time.Time       // when there may be another look at what is new
	done []func()

	mu    sync.Mutex
	hurry bool // the service ends
}

// openStream begins the answer to a subscriber, or says why there is none. The
// caller closes it.
func (s *Service) openStream(w http.ResponseWriter, r *http.Request, tokenID string) (*stream, *problem) {
	if r.Method != http.MethodGet {
		return nil, newProblem(http.StatusMethodNotAllowed, "method", "Events have no end: they are had by GET alone.")
	}
	source := remoteAddress(r)
	if p := s.streams.begin(source, tokenID); p != nil {
		s.metrics.refuse(p.Code)
		return nil, p
	}
	st := &stream{s: s, w: w, rc: http.NewResponseController(w), look: time.Now().Add(eventInterval)}
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(s.life, func() {
		cancel()
		st.end()
	})
	st.ctx = ctx
	st.done = []func(){func() { stop() }, cancel, func() { s.streams.end(source, tokenID) }}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would keep events back
	return st, nil
}

func (st *stream) close() {
	for _, f := range st.done {
		f()
	}
}

// end bounds what a write under way may still take.
func (st *stream) end() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.hurry = true
	_ = st.rc.SetWriteDeadline(time.Now().Add(closeGrace)) // the write tells
}

// deadline bounds the next write: a subscriber that takes nothing is gone.
func (st *stream) deadline() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if t := st.s.cfg.Limits.WriteTimeout; t > 0 && !st.hurry {
		_ = st.rc.SetWriteDeadline(time.Now().Add(t)) // the write tells
	}
}

// send writes an event with JSON for data, which is one line.
func (st *stream) send(name string, data []byte) error {
	return st.write(fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, data))
}

func (st *stream) write(b []byte) error {
	st.deadline()
	if _, err := st.w.Write(b); err != nil {
		return err
	}
	return st.rc.Flush()
}

// await returns when something has changed, and not too soon after it returned
// last. Its error is why the stream ends.
func (st *stream) await(changed <-chan struct{}) error {
	for quiet := true; quiet; {
		t := time.NewTimer(eventComment)
		select {
		case <-changed:
			quiet = false
		case <-t.C:
			if err := st.write([]byte(":\n\n")); err != nil {
				return err
			}
		case <-st.ctx.Done():
			t.Stop()
			return st.ctx.Err()
		}
		t.Stop()
	}
	t := time.NewTimer(time.Until(st.look))
	defer t.Stop()
	select {
	case <-t.C:
		st.look = time.Now().Add(eventInterval)
		return nil
	case <-st.ctx.Done():
		return st.ctx.Err()
	}
}

// errOver ends a stream in which nothing more can come.
var errOver = errors.New("the token was revoked, or the console closed")

// consoleEvents is GET /v1/nodes/{id}/console/events: a snapshot at once and
// with each change, until the token is revoked or the console is no more.
func (s *Service) consoleEvents(w http.ResponseWriter, r *http.Request, c *Console, by caller) {
	you, p := sessionOf(r)
	var st *stream
	if p == nil {
		st, p = s.openStream(w, r, by.claims.Root)
	}
	if p != nil {
		respondProblem(w, p)
		return
	}
	defer st.close()
	var last []byte
	tell := func() error {
		now, err := json.Marshal(snapshot{viewpointOf(by, you), c.shared(by.decides())})
		if err != nil || bytes.Equal(now, last) {
			return err
		}
		last = now
		return st.send("console", now)
	}
	for {
		_, changed := c.watch()
		over := c.over() || by.claims.ID != "" && by.claims.Generation != s.cfg.Tokens.Generation(c.node.Name)
		err := tell()
		if over && err == nil {
			err = errOver
		}
		if err != nil || st.await(changed) != nil {
			return
		}
	}
}

// fleetEvents is GET /v1/events: all nodes at once, and each again when it
// changes.
func (s *Service) fleetEvents(w http.ResponseWriter, r *http.Request, by caller) {
	st, p := s.openStream(w, r, "")
	if p != nil {
		respondProblem(w, p)
		return
	}
	defer st.close()
	f := follower{s: s, st: st, seed: maphash.MakeSeed()}
	for {
		changed := s.changes.watch()
		if f.tell(s.visible(by)) != nil || st.await(changed) != nil {
			return
		}
	}
}

// follower is what a subscriber to all consoles was told.
type follower struct {
	s    *Service
	st   *stream
	seed maphash.Seed
	all  []*Console
	seen []seen // of each of all
}

// seen is which version of a console was looked at, and a sum of what was told
// of it.
type seen struct{ version, sum uint64 }

// tell sends what is new.
func (f *follower) tell(all []*Console) error {
	if f.all == nil || !slices.Equal(all, f.all) {
		return f.tellAll(all)
	}
	for i, c := range all {
		version := c.version.Load()
		if version == f.seen[i].version {
			continue
		}
		view, err := json.Marshal(f.s.viewNode(c))
		if err != nil {
			return err
		}
		before := f.seen[i].sum
		f.seen[i] = seen{version, maphash.Bytes(f.seed, view)}
		if f.seen[i].sum == before {
			continue
		}
		if err := f.st.send("node", view); err != nil {
			return err
		}
	}
	return nil
}

// tellAll sends the whole list.
func (f *follower) tellAll(all []*Console) error {
	f.all, f.seen = all, make([]seen, len(all))
	views := make([]json.RawMessage, len(all))
	for i, c := range all {
		version := c.version.Load()
		view, err := json.Marshal(f.s.viewNode(c))
		if err != nil {
			return err
		}
		views[i], f.seen[i] = view, seen{version, maphash.Bytes(f.seed, view)}
	}
	list, err := json.Marshal(map[string]any{"nodes": views})
	if err != nil {
		return err
	}
	return f.st.send("nodes", list)
}
