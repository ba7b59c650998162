package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/ironglass/ironglass/proxy/typing"
)

const (
	// maxKeys is how many chords one request may have typed.
	maxKeys = 4096
	// maxKeysBody is the size of such a request in bytes.
	maxKeysBody = 256 << 10
	// gripTime is how long typing waits for a console to be live.
	gripTime = 10 * time.Second
)

// hold starts the console if need be, and keeps it running as a viewer does,
// until release is called.
func (c *Console) hold() (h *hub, release func(), err error) {
	c.awaiting.Add(1)
	if h, err = c.open(); err != nil {
		c.unawait()
		return nil, nil, err
	}
	letGo := h.server.Hold()
	return h, func() {
		letGo()
		c.unawait()
	}, nil
}

// grip returns the hands on the console's keyboard as soon as it is live and
// takes keys, and keeps it running until release is called. The error is ErrDisabled,
// ErrClosed or, where ctx ended first, a *NotLiveError.
func (c *Console) grip(ctx context.Context) (on *hands, release func(), err error) {
	h, release, err := c.hold()
	if err != nil {
		return nil, nil, err
	}
	var failure Status // the last one
	for {
		st, changed := c.watch()
		var news <-chan struct{}
		if on := h.hands.Load(); on != nil && st.State == Live {
			told := true
			if c.node.BySymbol {
				told, news = on.awake()
			}
			if told {
				return on, release, nil
			}
			st.State, st.Reason = Starting, "its program has opened no window yet"
		}
		if st.State == Lost || st.State == Failed {
			failure = st
		}
		now, err := c.open()
		if err == nil && now != h {
			err = ErrDisabled // and enabled since
		}
		if err != nil {
			release()
			return nil, nil, err
		}
		select {
		case <-changed:
		case <-news:
		case <-ctx.Done():
			release()
			if failure.Reason != "" && st.State == Starting {
				st = failure // more to the point than what is tried now
			}
			return nil, nil, errors.Join(&NotLiveError{c.node.Name, st}, context.Cause(ctx))
		}
	}
}

// notTyped is the answer where nothing could be typed.
func (c *Console) notTyped(err error) *problem {
	var why *NotLiveError
	switch {
	case errors.As(err, &why):
	case errors.Is(err, ErrDisabled):
		why = &NotLiveError{c.node.Name, c.Status()}
	default:
		return newProblem(http.StatusServiceUnavailable, "closing", "Nothing was typed: %v.", err)
	}
	p := notLive(why)
	p.Detail = fmt.Sprintf("Nothing was typed: %v.", why)
	return p
}

// typeKeys types the chords and returns how many were. The error is one of
// grip's where none was, errHandsEnded or ctx's.
// Before each, may says whether that is still allowed.
func (c *Console) typeKeys(ctx context.Context, chords []typing.Chord, may func() *problem) (done int, err error) {
	on, release, err := c.gripSoon(ctx)
	if err != nil {
		return 0, err
	}
	defer release()
	// One after the other: what one asks for is not to be mixed with another's.
	select {
	case c.typist.turn <- struct{}{}:
		defer func() { <-c.typist.turn }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	for i, chord := range chords {
		if err := ctx.Err(); err != nil {
			return i, err
		}
		if p := may(); p != nil {
			return i, p
		}
		if err := on.tap(chord); err != nil {
			return i, err
		}
	}
	return len(chords), nil
}

// gripSoon is grip for a request, which waits for a time.
func (c *Console) gripSoon(ctx context.Context) (*hands, func(), error) {
	ctx, cancel := context.WithTimeout(ctx, gripTime)
	defer cancel()
	stop := context.AfterFunc(c.typist.life, cancel)
	defer stop()
	return c.grip(ctx)
}

// layoutOr is the layout that a request names, else the node's.
func (c *Console) layoutOr(named *string) (string, *problem) {
	if named == nil {
		return c.node.Layout, nil
	}
	if err := typing.CheckLayout(*named); err != nil {
		return "", newProblem(http.StatusBadRequest, "field", `The field "layout": %v.`, err)
	}
	return *named, nil
}

// postKeys is POST /v1/nodes/{id}/console/keys: chords that are typed one after
// the other. Nothing is typed where one of them is wrong.
func (s *Service) postKeys(w http.ResponseWriter, r *http.Request, c *Console, by caller) {
	var body struct {
		Keys   []string `json:"keys"`
		Layout *string  `json:"layout"`
	}
	if p := readJSON(w, r, maxKeysBody, &body); p != nil {
		respondProblem(w, p)
		return
	}
	layout, p := c.layoutOr(body.Layout)
	switch {
	case p != nil:
	case len(body.Keys) == 0:
		p = newProblem(http.StatusBadRequest, "field", `The field "keys" must list one key or more, such as "Control_L+Alt_L+Delete".`)
	case len(body.Keys) > maxKeys:
		p = newProblem(http.StatusBadRequest, "field", `The field "keys" may list %d keys at most.`, maxKeys)
	}
	if p != nil {
		respondProblem(w, p)
		return
	}
	chords := make([]typing.Chord, len(body.Keys))
	for i, text := range body.Keys {
		var err error
		if chords[i], err = typing.ParseChord(layout, text); err != nil {
			respondProblem(w, newProblem(http.StatusUnprocessableEntity, "key-unknown", "Nothing was typed: %v.", err))
			return
		}
	}
	may, p := c.allowance(r, by)
	if p != nil {
		respondProblem(w, p)
		return
	}
	done, err := c.typeKeys(r.Context(), chords, may)
	if done > 0 {
		s.audit("keys", by, r, c, slog.Int("count", done))
	}
	var refused *problem
	switch {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case done == 0 && errors.As(err, &refused):
		respondProblem(w, refused)
	case done == 0 && !errors.Is(err, errHandsEnded):
		respondProblem(w, c.notTyped(err))
	default:
		respondProblem(w, newProblem(http.StatusServiceUnavailable, "console-lost", "Typed %d of %d keys: %v.", done, len(chords), err))
	}
}
