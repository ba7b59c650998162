package proxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/ironglass/ironglass/rfb"
)

const (
	// waitDefault and waitMost are how long a call waits for the picture, by
	// default and at most.
	waitDefault, waitMost = 30 * time.Second, 10 * time.Minute
	// maxWaits is how many such calls there may be at a time.
	maxWaits = 256
)

// Follow calls changed each time that the node's picture changes, until ctx
// ends or the console is stopped. It starts the console and keeps it running
// as a viewer does. changed must return at once.
func (c *Console) Follow(ctx context.Context, changed func()) error {
	c.awaiting.Add(1)
	defer c.unawait()
	h, err := c.open()
	if err != nil {
		return err
	}
	return h.server.Follow(ctx, changed)
}

// waitFor is what a call waits for.
type waitFor struct {
	still   time.Duration // 0 for a change
	timeout time.Duration
}

func parseWait(r *http.Request) (waitFor, *problem) {
	want := waitFor{timeout: waitDefault}
	change := false
	for name, values := range r.URL.Query() {
		v := values[len(values)-1]
		var err error
		must := fmt.Sprintf("a duration such as 2s, %v at most", waitMost)
		ok := true
		switch name {
		case "change":
			must = "true or false"
			change, err = strconv.ParseBool(v)
		case "still":
			want.still, err = time.ParseDuration(v)
			ok = want.still > 0 && want.still <= waitMost
		case "timeout":
			want.timeout, err = time.ParseDuration(v)
			ok = want.timeout > 0 && want.timeout <= waitMost
		}
		if err != nil || !ok {
			return want, badParameter(name, v, must)
		}
	}
	if change == (want.still > 0) {
		return want, newProblem(http.StatusBadRequest, "parameter", "Say what to wait for: change=true, or still=2s.")
	}
	return want, nil
}

// getWait is GET /v1/nodes/{id}/console/wait: it answers when the picture has
// changed, or has been still for a time.
func (s *Service) getWait(w http.ResponseWriter, r *http.Request, c *Console, _ caller) {
	want, p := parseWait(r)
	if p == nil && s.waits.Add(1) > maxWaits {
		s.waits.Add(-1)
		p = newProblem(http.StatusServiceUnavailable, "busy", "%d calls wait for pictures already, which is the limit.", maxWaits)
	}
	if p != nil {
		respondProblem(w, p)
		return
	}
	defer s.waits.Add(-1)
	began := time.Now()
	ctx, cancel := context.WithTimeout(r.Context(), want.timeout)
	defer cancel()
	stop := context.AfterFunc(s.life, cancel)
	defer stop()
	met, err := c.await(ctx, want.still)
	switch {
	case s.life.Err() != nil:
		respondProblem(w, newProblem(http.StatusServiceUnavailable, "closing", "The service is going down."))
	case errors.Is(err, ErrDisabled), errors.Is(err, ErrClosed), errors.Is(err, rfb.ErrClosed):
		respondProblem(w, notLive(&NotLiveError{c.node.Name, c.Status()}))
	case err != nil && ctx.Err() == nil:
		respondProblem(w, newProblem(http.StatusServiceUnavailable, "closing", "The picture cannot be followed: %v.", err))
	default:
		respondJSON(w, http.StatusOK, map[string]any{"met": met, "waited_seconds": time.Since(began).Seconds()})
	}
}

// await waits until the node's picture changes, or where still is positive
// until it has not changed for so long, and reports whether that came before
// ctx ended. What is painted while the console is not live is no picture of
// the node.
func (c *Console) await(ctx context.Context, still time.Duration) (met bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	changed, over := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		over <- c.Follow(ctx, func() {
			select {
			case changed <- struct{}{}:
			default: // one change is enough
			}
		})
	}()
	defer func() {
		cancel()
		end := <-over
		if err == nil && !met && !errors.Is(end, context.Canceled) && !errors.Is(end, context.DeadlineExceeded) {
			err = end
		}
	}()
	for {
		if _, err := c.Screenshot(ctx); err != nil {
			var late *NotLiveError
			if errors.As(err, &late) && late.Status.Enabled {
				return false, nil
			}
			return false, err
		}
		select {
		case <-changed: // into the picture to begin with
		default:
		}
		if live := c.Status(); live.State == Live {
			if met, ok := c.outwait(ctx, still, live.Since, changed); ok {
				return met, nil
			}
		}
	}
}

// outwait waits as await does while the console is live as it has been since;
// ok is false once it is not.
func (c *Console) outwait(ctx context.Context, still time.Duration, since time.Time, changed <-chan struct{}) (met, ok bool) {
	var quiet <-chan time.Time
	var timer *time.Timer
	if still > 0 {
		timer = time.NewTimer(still)
		defer timer.Stop()
		quiet = timer.C
	}
	for {
		now, other := c.watch()
		if now.State != Live || !now.Since.Equal(since) {
			return false, false
		}
		select {
		case <-changed:
			if still == 0 {
				return true, true
			}
			timer.Reset(still)
		case <-quiet:
			return true, true
		case <-other: // the state, or something beside it
		case <-ctx.Done():
			return false, true
		}
	}
}
