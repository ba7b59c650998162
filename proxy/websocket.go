package proxy

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/ironglass/ironglass/proxy/token"
	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/wire"
)

// Websocket close codes of the range that RFC 6455, 7.4.2, leaves to
// applications. A page does not connect again by itself after any of them.
const (
	// closeStopped: the console was stopped; the token opens nothing any more.
	closeStopped = 4001
	// closeLease: nobody used the console; the token opens it anew.
	closeLease = 4002
	// closeReplaced: the same session was opened by another connection.
	closeReplaced = 4003
)

// writeBufferSize is the largest message, in bytes, that is put together from
// pieces before it is sent.
const writeBufferSize = 16 << 10

// writeBuffers are lent to connections while they send.
var writeBuffers = &sync.Pool{}

// serveWebsocket is RFB over a websocket, opened by a token. What is wrong is
// answered before the upgrade. A page is not shown that answer, so it may ask
// once more without an upgrade: 426 then says that all is well.
func (s *Service) serveWebsocket(w http.ResponseWriter, r *http.Request) {
	claims, c, p := s.admit(r)
	if p != nil {
		s.metrics.refuse(p.Code)
		respondProblem(w, p)
		return
	}
	if !websocket.IsWebSocketUpgrade(r) {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		respondProblem(w, newProblem(http.StatusUpgradeRequired, "upgrade", "This address is for websockets."))
		return
	}
	source := remoteAddress(r)
	who, p := visitorOf(r, claims)
	if p == nil {
		p = s.sessions.begin(source, claims.Root)
	}
	if p != nil {
		s.metrics.refuse(p.Code)
		respondProblem(w, p)
		return
	}
	defer s.sessions.end(source, claims.Root)

	conn := s.upgrade(w, r)
	if conn == nil {
		return // answered
	}
	s.runSession(r.Context(), conn, r, who, c)
}

// visitorOf is who opens a websocket: in its address the page may have put a
// session's secret of its own making, and a name where the token has none.
func visitorOf(r *http.Request, claims token.Claims) (visitor, *problem) {
	q := r.URL.Query()
	who := visitor{id: anonymousID(), name: claims.Name, remote: remoteAddress(r), claims: claims}
	if who.name == "" {
		who.name = cleanName(q.Get("name"))
	}
	if secret := q.Get("session"); secret != "" {
		if p := checkSecret(secret); p != nil {
			return who, p
		}
		who.id = publicID(secret)
	}
	return who, nil
}

func (s *Service) handshakeTimeout() time.Duration {
	return max(s.cfg.Limits.HandshakeTimeout, 0)
}

// admit returns what a request for a websocket may open, or why nothing.
func (s *Service) admit(r *http.Request) (token.Claims, *Console, *problem) {
	text := socketToken(r)
	if !s.mayConnect(r) || s.isNova(text) && !s.novaOrigin(r) {
		return token.Claims{}, nil, newProblem(http.StatusForbidden, "origin",
			"Pages of this origin may not open consoles here. Add it to the allowed origins if they should.")
	}
	if text == "" {
		return token.Claims{}, nil, newProblem(http.StatusForbidden, "token-missing",
			"This address holds no token, which is what opens a console: .../websockify?token=..., or a cookie named token.")
	}
	claims, c, p := s.checkToken(r.Context(), text)
	if p == nil && !c.Status().Enabled {
		p = newProblem(http.StatusForbidden, "disabled", "The console of %q is switched off.", c.node.Name)
	}
	return claims, c, p
}

// socketToken is the token that a websocket is opened with, "" for none.
func socketToken(r *http.Request) string {
	if text := r.URL.Query().Get("token"); text != "" {
		return text
	}
	if cookie, err := r.Cookie("token"); err == nil {
		return cookie.Value
	}
	return ""
}

// runSession shows c to a viewer until one of them ends it.
func (s *Service) runSession(ctx context.Context, conn *wsConn, r *http.Request, who visitor, c *Console) {
	claims := who.claims
	who.parted = conn.parted.Load
	log := c.log.With("session", who.id, "remote", r.RemoteAddr, "mode", claims.Mode, "token_id", claims.ID)
	ended := s.record(c, who, remoteAddress(r), []any{"agent", clip(r.UserAgent(), 200)}, log)

	var err error
	var watch sync.WaitGroup
	if claims.Generation == s.cfg.Tokens.Generation(claims.Node) {
		// The request's own context ends when this function does, hijacked
		// as the connection is; it carries values only.
		session, end := context.WithCancelCause(context.WithoutCancel(ctx))
		if text := socketToken(r); s.isNova(text) && s.cfg.Nova.EnforceSessionTimeout {
			watch.Go(func() { s.novaWatch(session, text, end) })
		}
		err = c.serve(session, conn, rfb.ViewerConfig{Label: r.RemoteAddr}, who)
		if cause := context.Cause(session); cause != nil {
			err = cause
		}
		end(nil)
		watch.Wait()
	} else {
		err = ErrDisabled // stopped since the token was checked
	}
	code, reason := s.farewell(c, err)
	conn.Finish(code, reason)
	ended(conn.sent.Load(), conn.received.Load(), reason, err)
}

// record notes the beginning of a session, with what more there is to log, and
// by what it returns its end.
func (s *Service) record(c *Console, who visitor, from string, more []any, log *slog.Logger) (ended func(sent, received int64, reason string, err error)) {
	began, by := time.Now(), caller{claims: who.claims}
	noted := []slog.Attr{slog.String("session", who.id), slog.String("name", who.name), slog.String("mode", string(who.claims.Mode))}
	s.auditFrom("session-began", by, from, c, noted...)
	log.Info("session began", more...)
	s.metrics.sessions.WithLabelValues(string(who.claims.Mode)).Inc()
	return func(sent, received int64, reason string, err error) {
		seconds := time.Since(began).Seconds()
		s.auditFrom("session-ended", by, from, c, append(noted, slog.Float64("seconds", math.Round(seconds*1000)/1000))...)
		s.metrics.seconds.Observe(seconds)
		s.metrics.bytes.WithLabelValues("sent").Add(float64(sent))
		s.metrics.bytes.WithLabelValues("received").Add(float64(received))
		log.Info("session ended", "seconds", seconds, "sent", sent, "received", received, "reason", reason, "error", err)
	}
}

// farewell is the close code and reason for a session that ended with err.
func (s *Service) farewell(c *Console, err error) (int, string) {
	var why *parting
	switch {
	case err == nil:
		return websocket.CloseNormalClosure, ""
	case s.life.Err() != nil:
		return websocket.CloseGoingAway, ErrClosed.Error()
	case errors.Is(err, errReplaced):
		return closeReplaced, "The console was opened elsewhere with the same session."
	case errors.As(err, &why):
		return why.code, clip(why.headline+". "+why.text, maxCloseReason)
	case errors.Is(err, ErrDisabled):
		return closeStopped, clip("The console was stopped. "+c.Status().Reason, maxCloseReason)
	case errors.Is(err, ErrClosed): // it came while the console was being replaced
		return websocket.CloseServiceRestart, clip(c.Status().Reason, maxCloseReason)
	case errors.Is(err, errNotBinary):
		return websocket.CloseUnsupportedData, errNotBinary.Error()
	case errors.Is(err, websocket.ErrReadLimit):
		return websocket.CloseMessageTooBig, "The message is too large."
	case errors.Is(err, wire.ErrProtocol):
		return websocket.CloseProtocolError, clip(err.Error(), maxCloseReason)
	}
	return websocket.CloseInternalServerErr, "The session failed."
}

// clip shortens s to n bytes at most and leaves it UTF-8.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

// sessions counts viewers, or others who stay for long, against the limits.
type sessions struct {
	noun                       string // what they are, in words
	total, perSource, perToken int    // negative is no limit

	mu      sync.Mutex
	all     int
	sources map[string]int
	tokens  map[string]int
	drained chan struct{} // closed by the last to leave once somebody waits; nil before
}

func (n *sessions) init(noun string, l Limits) {
	n.noun = noun
	n.total, n.perSource, n.perToken = l.Sessions, l.SessionsPerSource, l.SessionsPerToken
	n.sources, n.tokens = make(map[string]int), make(map[string]int)
}

// begin counts one that comes with the token of that id, "" for none, or says
// why there must not be another.
func (n *sessions) begin(source, id string) *problem {
	n.mu.Lock()
	defer n.mu.Unlock()
	full := func(have, limit int) bool { return limit >= 0 && have >= limit }
	switch {
	case n.drained != nil:
		return newProblem(http.StatusServiceUnavailable, "closing", "The service is going down.")
	case full(n.all, n.total):
		return newProblem(http.StatusServiceUnavailable, "limit-sessions", "This service has %d %s already, which is its limit.", n.all, n.noun)
	case full(n.sources[source], n.perSource):
		return newProblem(http.StatusTooManyRequests, "limit-source", "There are %d %s from this address already, which is the limit.", n.sources[source], n.noun)
	case id != "" && full(n.tokens[id], n.perToken):
		return newProblem(http.StatusTooManyRequests, "limit-token", "There are %d %s with this token already, which is the limit.", n.tokens[id], n.noun)
	}
	n.all++
	n.sources[source]++
	n.tokens[id]++
	return nil
}

// end counts one off.
func (n *sessions) end(source, id string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all--
	countOff(n.sources, source)
	countOff(n.tokens, id)
	if n.all == 0 && n.drained != nil {
		close(n.drained)
	}
}

// count is how many there are.
func (n *sessions) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.all
}

func countOff(m map[string]int, key string) {
	if m[key]--; m[key] == 0 {
		delete(m, key)
	}
}

// wait lets nobody in any more and returns when all are gone.
func (n *sessions) wait() {
	n.mu.Lock()
	if n.drained == nil {
		n.drained = make(chan struct{})
		if n.all == 0 {
			close(n.drained)
		}
	}
	drained := n.drained
	n.mu.Unlock()
	<-drained
}
