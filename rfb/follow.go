package rfb

import (
	"context"
	"fmt"
)

// Follow has the picture looked at as a viewer has, and calls changed on the
// server's loop each time that it differs from what it was when Follow began,
// or when changed was last called; changed must return at once. It starts the
// source if need be and ends with ctx, with the server (ErrClosed) or with the
// source, and its error says which.
func (s *Server) Follow(ctx context.Context, changed func()) error {
	w := &watcher{result: make(chan snapshot, 1), changed: changed}
	if !s.post(watch{w}) {
		return ErrClosed
	}
	defer s.post(unwatch{w})
	for {
		select {
		case r := <-w.result:
			if r.err != nil {
				return r.err
			}
		case <-ctx.Done():
			return fmt.Errorf("following the picture: %w", ctx.Err())
		case <-s.done:
			return ErrClosed
		}
	}
}

// tellFollowers tells those who follow the picture that it has changed. Who
// has not had one yet begins with this one.
func (e *engine) tellFollowers() {
	for w := range e.watchers {
		if w.changed != nil && w.given {
			w.changed()
		}
	}
}
