package proxy

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/ironglass/ironglass/proxy/token"
	"github.com/ironglass/ironglass/rfb"
)

// sessionHeader is where a request says by its secret which session it acts
// for.
const sessionHeader = "Ironglass-Session"

const (
	// maxName is the longest name of a person, in characters.
	maxName = 64
	// minSecret and maxSecret bound a session's secret, in characters; 16
	// random bytes are 22.
	minSecret, maxSecret = 16, 128
	// awayTime is how long a session whose connection broke off keeps its
	// place, its seat included: as long as a page takes to connect again.
	awayTime = 10 * time.Second
	// maxAway is how many such sessions a console remembers beside the
	// operator's.
	maxAway = 64
)

// errReplaced ends a connection whose session was opened again.
var errReplaced = errors.New("the console was opened elsewhere with the same session")

// session is a person at a console, or a program: from the first connection
// with its secret to the last. Its fields are guarded by Console.mu, but used.
type session struct {
	id     string // what others call it by
	name   string
	mode   token.Mode
	admin  bool   // its token decides over others
	root   string // of its token
	remote string
	since  time.Time
	asked  time.Time // when it asked for the seat; zero where it does not
	line   *line     // nil while it is away
	left   time.Time // when it went away

	used moment // when it last did something
}

// there reports whether the session is connected.
func (x *session) there() bool { return x.line != nil }

// line is a session's connection.
type line struct {
	may rfb.Permission
	cut context.CancelCauseFunc
}

// visitor is who opens a connection.
type visitor struct {
	id, name, remote string
	claims           token.Claims
	// parted reports, at the end, that the visitor said goodbye, so that
	// nobody waits for it; nil is always.
	parted func() bool
	// entered, where not nil, says that the visitor is one from when it has
	// passed the RFB handshake, and is called then; nil is at once.
	entered func()
}

// publicID is what a session with that secret is called by others.
func publicID(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])[:12]
}

// anonymousID is the id of a session that cannot be opened again.
func anonymousID() string { return publicID(rand.Text()) }

// checkSecret reports whether a session's secret is long enough not to be
// guessed, and plain enough for a header.
func checkSecret(secret string) *problem {
	plain := !strings.ContainsFunc(secret, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
	if !plain || len(secret) < minSecret || len(secret) > maxSecret {
		return newProblem(http.StatusBadRequest, "session",
			"A session's secret is %d to %d letters, digits, hyphens and underscores.", minSecret, maxSecret)
	}
	return nil
}

// sessionOf is the public ID of the session that a request acts for, "" where
// it names none.
func sessionOf(r *http.Request) (string, *problem) {
	secret := r.Header.Get(sessionHeader)
	if secret == "" {
		return "", nil
	}
	if p := checkSecret(secret); p != nil {
		return "", p
	}
	return publicID(secret), nil
}

// cleanName makes a name fit to be shown: on one line, without characters that
// cannot be seen, and not too long.
func cleanName(name string) string {
	var b strings.Builder
	n := 0
	for _, r := range strings.TrimSpace(name) {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			continue
		}
		if n++; n > maxName {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// Serve shows the console to one viewer until the viewer leaves (nil), ctx
// ends or the console is stopped (rfb.ErrClosed), and closes conn.
func (c *Console) Serve(ctx context.Context, conn net.Conn, v rfb.ViewerConfig) error {
	who := visitor{id: anonymousID(), remote: v.Label, claims: token.Claims{Mode: token.Operate}}
	if v.ViewOnly {
		who.claims.Mode = token.View
	}
	return c.serve(ctx, conn, v, who)
}

// serve is Serve for somebody known. Its error is a *parting or errReplaced
// where the console ended the session.
func (c *Console) serve(ctx context.Context, conn net.Conn, v rfb.ViewerConfig, who visitor) error {
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)
	l := &line{cut: cut}
	h, err := c.open()
	var x *session
	if err == nil && who.entered == nil {
		x, err = c.join(h, who, l)
	}
	if err != nil {
		_ = conn.Close() // nothing was said on it
		return err
	}
	v.ViewOnly = who.claims.Mode != token.Operate
	v.Permission = &l.may
	v.Acts = func() { c.acts(x, time.Now()) }
	if who.entered != nil {
		v.Entered = func() (err error) {
			if x, err = c.join(h, who, l); err == nil {
				who.entered()
			}
			return err
		}
	}
	err = h.server.Serve(ctx, conn, v)
	if x != nil {
		c.leave(h, x, l, who.parted == nil || who.parted())
	}
	switch {
	case errors.Is(context.Cause(ctx), errReplaced):
		return errReplaced
	case errors.Is(err, rfb.ErrClosed):
		return h.ended(err)
	}
	return err
}

// acts is told each time that somebody at the console does something.
func (c *Console) acts(x *session, now time.Time) {
	x.used.set(now)
	c.active(now)
}

// join makes a connection one of h's.
func (c *Console) join(h *hub, who visitor, l *line) (*session, error) {
	now := time.Now()
	c.mu.Lock()
	if c.hub != h {
		c.mu.Unlock()
		return nil, h.ended(rfb.ErrClosed) // everybody was sent away meanwhile
	}
	p := &h.people
	if !p.anybody() && c.status.State == Cold {
		p.began = time.Time{} // it is started anew
	}
	x := p.find(who.id)
	if x == nil {
		x = &session{id: who.id, since: now, used: moment{from: now}}
		p.all = append(p.all, x)
		c.active(now) // it was opened by somebody
	} else if x.line != nil {
		x.line.cut(errReplaced)
	}
	x.name, x.mode, x.admin, x.root = who.name, who.claims.Mode, who.claims.Admin, who.claims.Root
	x.remote, x.line, x.left = who.remote, l, time.Time{}
	p.came(x, now)
	c.settle(h, now, byItself) // gives up c.mu
	return x, nil
}

// leave takes a connection away, unless another has taken its place. Where
// nobody said goodbye the session keeps its place for a while.
func (c *Console) leave(h *hub, x *session, l *line, parted bool) {
	now := time.Now()
	c.mu.Lock()
	if x.line != l {
		c.mu.Unlock()
		return
	}
	x.line, x.left = nil, now
	if p := &h.people; parted || x != p.operator && p.away() > maxAway {
		p.gone(x, now)
	}
	c.settle(h, now, byItself) // gives up c.mu
}
