package session

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/ironglass/ironglass/rfb/notice"
)

// startClient runs the command. Where that cannot be done the viewers see
// why, and it is tried again later.
func (l *life) startClient() {
	select {
	case <-l.mapped(): // an earlier client's
	default:
	}
	c, err := startClient(l.parent, l.cfg.Command, clientEnv(os.Environ(), l.name, l.auth), l.log)
	if err != nil {
		pause := l.pace.next(0)
		tone := notice.Warning
		if errors.Is(err, ErrNoProgram) {
			pause, tone = backoffMissing, notice.Failure
		}
		l.log.Error("the client cannot be started", "pause", pause, "err", err)
		l.showAgain(programName(l.cfg.Command)+" cannot be started", []string{err.Error()}, tone, pause)
		return
	}
	l.client, l.started = c, time.Now()
	l.clientStarts.Add(1)
	if l.manager == nil {
		l.show() // nobody tells of windows, and others' may be there
		return
	}
	l.screen.showNotice(starting("%s", c.name))
	l.waiting.Reset(patience)
}

// demanded follows the viewers: the client starts with the first one where it
// does not run, and ends when nobody has been there for long enough.
func (l *life) demanded() {
	switch wanted := l.demand.wants(); {
	case len(l.cfg.Command) == 0:
	case wanted && l.client == nil:
		l.again.Stop()
		l.startClient()
	case wanted && !l.ending:
	case wanted: // it starts anew when it has ended
		l.screen.showNotice(starting("%s", l.client.name))
	case l.client == nil:
		l.again.Stop()
		l.standBy()
	case !l.ending:
		l.log.Info("no viewer is there; ending the client", "program", l.client.name)
		l.ending = true
		l.waiting.Stop()
		l.standBy()
		go l.client.stop() // whose end the loop waits for
	}
}

// clientRests follows the end of a client that was asked to end.
func (l *life) clientRests() {
	l.log.Info("the client has ended", "program", l.client.name, "result", l.client.result())
	l.client, l.ending = nil, false
	l.demanded() // a viewer may have come
}

// standBy shows that the client waits for a viewer. It is seen by one that
// comes before the client is started.
func (l *life) standBy() {
	l.screen.showPlain(notice.Message{Headline: programName(l.cfg.Command) + " is not running", Lines: []string{"it starts with the first viewer"}, Tone: notice.Info})
}

// restartClient follows the client's end.
func (l *life) restartClient() {
	c := l.client
	l.client = nil
	l.waiting.Stop()
	pause := l.pace.next(time.Since(l.started))
	l.log.Warn("the client ended and will be started again", "program", c.name, "result", c.result(), "pause", pause,
		"output", c.out.last(shownLines))
	l.showAgain(c.name+" ended: "+c.result(), c.out.last(shownLines), notice.Warning, pause)
}

// showAgain shows what ended, and starts the client after pause.
func (l *life) showAgain(headline string, lines []string, tone notice.Tone, pause time.Duration) {
	l.screen.showNotice(notice.Message{Headline: headline, Lines: lines, Tone: tone, Until: time.Now().Add(pause)})
	l.again.Reset(pause)
}

// clientEnded is closed when the client that runs has ended.
func (l *life) clientEnded() <-chan struct{} {
	if l.client == nil {
		return nil
	}
	return l.client.ended
}

// consequence reports whether the client's end comes from the display's. The
// loop finds that in its next turn.
func (l *life) consequence(ctx context.Context) bool {
	t := time.NewTimer(settle)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-l.serverDone():
	case <-l.picture.Done():
	case <-t.C:
		return false
	}
	return true
}

// stoppedTimer is a timer that does not run yet.
func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}
