package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
	"unicode"

	"github.com/ironglass/ironglass/proxy/typing"
	"github.com/ironglass/ironglass/x11/keysym"
)

const (
	// maxText is the longest text, in bytes of UTF-8, that is typed at once.
	maxText = 64 << 10
	// maxTextBody is the size of the request with it: JSON writes a character
	// in six bytes at most for one of its own.
	maxTextBody = 6*maxText + 1024
	// maxCharacters bounds how many characters an answer names.
	maxCharacters = 1000
	// progressInterval is the time between two tellings of how far a text is.
	progressInterval = time.Second / 4
	// modifierPatience is how long a text waits for people to let go of Shift
	// and the like, which would make other characters of its own.
	modifierPatience = 10 * time.Second
	// lightPatience is how long the node may take to switch its Caps Lock.
	lightPatience = 2 * time.Second
)

// errTyping: another text is being typed.
var errTyping = errors.New("another text is being typed")

// errCancelled: somebody did not want it any more.
var errCancelled = errors.New("it was cancelled")

// typingState is what is being typed, or was last.
type typingState struct {
	Active bool   `json:"active"`
	ID     string `json:"id"`
	// Done and Total are in characters.
	Done  int `json:"done"`
	Total int `json:"total"`
	// By is the session that asked for it, "" where it was none.
	By string `json:"by"`
	// Error says why it ended before its end, "" where it did not.
	Error string `json:"error"`
}

// typist is the part of a Console that types.
type typist struct {
	life context.Context // the service's
	turn chan struct{}   // holds a token while keys are typed

	mu     sync.Mutex // guards what follows
	text   typingState
	told   time.Time // when text was last told of
	cancel context.CancelCauseFunc
}

func newTypist(life context.Context) typist { return typist{life: life, turn: make(chan struct{}, 1)} }

// typingState returns what is being typed, or was last.
func (c *Console) typingState() typingState {
	t := &c.typist
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text
}

// startText begins to type a text for the session by while may allows it, in a
// goroutine that ends with it, and returns what there is to tell. It waits for the console to be
// live until ctx ends. The error is errTyping or one of grip's.
func (c *Console) startText(ctx context.Context, strokes []typing.Stroke, by string, may func() *problem) (typingState, error) {
	total := 0
	for _, s := range strokes {
		if !s.Dead {
			total++
		}
	}
	t := &c.typist
	life, cancel := context.WithCancelCause(t.life)
	t.mu.Lock()
	if t.text.Active {
		t.mu.Unlock()
		cancel(nil)
		return typingState{}, errTyping
	}
	t.text = typingState{Active: true, ID: rand.Text()[:12], Total: total, By: by}
	t.cancel = cancel
	begun := t.text
	t.mu.Unlock()
	c.notify()

	on, release, err := c.gripSoon(ctx)
	if err == nil && !c.begin() {
		release()
		err = ErrClosed
	}
	if err != nil {
		c.endText(err)
		return typingState{}, err
	}
	go c.typeText(life, textTyper{c: c, on: on, may: may}, strokes, release)
	return begun, nil
}

// begin counts a goroutine that close waits for; false where it does not any
// more.
func (c *Console) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.work.Add(1)
	return true
}

// typeText types the strokes and ends with the last one, ctx or the session
// with the node.
func (c *Console) typeText(ctx context.Context, t textTyper, strokes []typing.Stroke, release func()) {
	defer c.work.Done()
	defer release()
	err := t.all(ctx, strokes)
	if end := t.restore(); err == nil {
		err = end
	}
	c.endText(err)
}

// endText says that the text has ended with err.
func (c *Console) endText(err error) {
	if errors.Is(err, errHandsEnded) && !c.Status().Enabled {
		err = errors.New("the console was stopped")
	}
	t := &c.typist
	t.mu.Lock()
	t.text.Active = false
	if err != nil {
		t.text.Error = fmt.Sprintf("typed %d of %d characters; %v", t.text.Done, t.text.Total, err)
	}
	t.cancel(nil)
	t.mu.Unlock()
	c.notify()
}

// cancelText ends the text that is being typed, if there is one.
func (c *Console) cancelText() {
	t := &c.typist
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.text.Active {
		t.cancel(errCancelled)
	}
}

// typed counts a character.
func (c *Console) typed(now time.Time) {
	t := &c.typist
	t.mu.Lock()
	t.text.Done++
	tell := now.Sub(t.told) >= progressInterval
	if tell {
		t.told = now
	}
	t.mu.Unlock()
	if tell {
		c.notify()
	}
}

// textTyper types one text. It belongs to typeText's goroutine.
type textTyper struct {
	c      *Console
	on     *hands
	may    func() *problem // whether it may go on
	caps   bool            // Caps Lock was on, and was switched off
	direct bool            // characters go by symbol
}

// all types the strokes.
func (t *textTyper) all(ctx context.Context, strokes []typing.Stroke) error {
	t.direct = t.c.node.BySymbol || !t.on.to.TakesKeycodes()
	var pause time.Duration
	if rate := t.c.node.Keys.Rate; rate > 0 {
		pause = time.Second / time.Duration(rate)
	}
	next := time.Now()
	for len(strokes) > 0 {
		n := 1
		for strokes[n-1].Dead {
			n++
		}
		if err := t.wait(ctx, next); err != nil {
			return err
		}
		if p := t.may(); p != nil {
			return p
		}
		if err := t.ready(ctx, strokes[n-1].Char); err != nil {
			return err
		}
		next = time.Now().Add(pause)
		if err := t.on.tap(t.chords(strokes[:n])...); err != nil {
			return err
		}
		t.c.typed(time.Now())
		strokes = strokes[n:]
	}
	return nil
}

// chords are the keys for the strokes of one character. Where the console goes
// by symbols, the character's own says more than an accent and a letter, which
// not every program puts together.
func (t *textTyper) chords(strokes []typing.Stroke) []typing.Chord {
	if last := strokes[len(strokes)-1]; t.direct && len(strokes) > 1 {
		last.Keysym = keysym.FromRune(last.Char)
		return []typing.Chord{last.Keys()}
	}
	var all []typing.Chord
	for _, s := range strokes {
		all = append(all, s.Keys())
	}
	return all
}

// wait waits for a time.
func (t *textTyper) wait(ctx context.Context, until time.Time) error {
	if err := t.cause(ctx); err != nil {
		return err
	}
	d := time.Until(until)
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return t.cause(ctx)
	case <-t.on.ended:
		return errHandsEnded
	}
}

// cause is why ctx ended, nil where it did not.
func (t *textTyper) cause(ctx context.Context) error {
	switch {
	case ctx.Err() == nil:
		return nil
	case errors.Is(context.Cause(ctx), errCancelled):
		return errCancelled
	}
	return ErrClosed
}

// ready waits until nothing makes another character of r: until people let go
// of the modifiers, and Caps Lock is off where it matters.
func (t *textTyper) ready(ctx context.Context, r rune) error {
	held := ""
	err := t.until(ctx, modifierPatience, func(_ bool, modifier string) bool {
		held = modifier
		return modifier == ""
	})
	if errors.Is(err, errPatience) {
		return fmt.Errorf("somebody holds %s down: let it go, and try again", held)
	}
	if err != nil || !unicode.IsLetter(r) {
		return err
	}
	if caps, _, _ := t.on.watch(); !caps {
		return nil
	}
	if err := t.on.tap(typing.Chord{typing.CapsLock}); err != nil {
		return err
	}
	err = t.until(ctx, lightPatience, func(caps bool, _ string) bool { return !caps })
	if errors.Is(err, errPatience) {
		return errors.New("the node's Caps Lock is on and does not go off: switch it off, and try again")
	}
	t.caps = t.caps || err == nil
	return err
}

// errPatience: what was waited for did not come.
var errPatience = errors.New("it did not come in time")

// until waits for what watch tells to be ok.
func (t *textTyper) until(ctx context.Context, patience time.Duration, ok func(caps bool, modifier string) bool) error {
	var over <-chan time.Time
	for {
		caps, modifier, news := t.on.watch()
		if ok(caps, modifier) {
			return nil
		}
		if over == nil {
			timer := time.NewTimer(patience)
			defer timer.Stop()
			over = timer.C
		}
		select {
		case <-news:
		case <-over:
			return errPatience
		case <-ctx.Done():
			return t.cause(ctx)
		case <-t.on.ended:
			return errHandsEnded
		}
	}
}

// restore switches Caps Lock on again where it was.
func (t *textTyper) restore() error {
	if caps, _, _ := t.on.watch(); !t.caps || caps {
		return nil
	}
	return t.on.tap(typing.Chord{typing.CapsLock})
}

// allowance returns what says whether the caller may type, each time that it is
// asked, and what it says now.
func (c *Console) allowance(r *http.Request, by caller) (may func() *problem, p *problem) {
	if _, p := sessionOf(r); p != nil {
		return nil, p
	}
	secret := r.Header.Get(sessionHeader)
	may = func() *problem { return c.mayType(by, secret) }
	return may, may()
}

// character is one that cannot be typed, in an answer.
type character struct {
	Character string `json:"character"`
	Count     int    `json:"count"`
}

// postText is POST /v1/nodes/{id}/console/text: a text that is typed as keys of
// the node's keyboard layout, or of the one that is named. The answer comes
// when it begins; GET tells how far it is, and DELETE ends it.
func (s *Service) postText(w http.ResponseWriter, r *http.Request, c *Console, by caller) {
	var body struct {
		Text   string  `json:"text"`
		Layout *string `json:"layout"`
	}
	if p := readJSON(w, r, maxTextBody, &body); p != nil {
		respondProblem(w, p)
		return
	}
	layout, p := c.layoutOr(body.Layout)
	switch {
	case p != nil:
	case body.Text == "":
		p = newProblem(http.StatusBadRequest, "field", `The field "text" is missing or empty.`)
	case len(body.Text) > maxText:
		p = newProblem(http.StatusRequestEntityTooLarge, "too-large", "The text is longer than %d bytes.", maxText)
	}
	if p != nil {
		respondProblem(w, p)
		return
	}
	strokes, err := typing.Strokes(layout, body.Text)
	if err != nil {
		respondProblem(w, untypable(err))
		return
	}
	may, p := c.allowance(r, by)
	if p != nil {
		respondProblem(w, p)
		return
	}
	you, _ := sessionOf(r) // allowance has looked
	begun, err := c.startText(r.Context(), strokes, you, may)
	switch {
	case errors.Is(err, errTyping):
		respondProblem(w, newProblem(http.StatusConflict, "typing",
			"Another text is being typed into the console of %q. Wait for its end, or end it with DELETE.", c.node.Name))
	case err != nil:
		respondProblem(w, c.notTyped(err))
	default:
		s.audit("text", by, r, c, slog.Int("characters", begun.Total))
		respondJSON(w, http.StatusAccepted, map[string]any{"id": begun.ID, "total": begun.Total})
	}
}

// untypable is the answer to a text that the layout cannot type.
func untypable(err error) *problem {
	p := newProblem(http.StatusUnprocessableEntity, "untypable", "Nothing was typed: %v.", err)
	var e *typing.UntypableError
	if errors.As(err, &e) {
		for _, c := range e.Characters[:min(len(e.Characters), maxCharacters)] {
			p.Characters = append(p.Characters, character{string(c.Char), c.Count})
		}
	}
	return p
}

// getText is GET /v1/nodes/{id}/console/text.
func (s *Service) getText(w http.ResponseWriter, _ *http.Request, c *Console, _ caller) {
	respondJSON(w, http.StatusOK, c.typingState())
}

// deleteText is DELETE /v1/nodes/{id}/console/text. Where nothing is typed
// nothing is to be done.
func (s *Service) deleteText(w http.ResponseWriter, _ *http.Request, c *Console, _ caller) {
	c.cancelText()
	w.WriteHeader(http.StatusNoContent)
}
