package proxy

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/ironglass/ironglass/proxy/token"
	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/wire"
)

// closeStopped is the websocket close code of a console that was stopped, of
// the range that RFC 6455, 7.4.2, leaves to applications. A page need not try
// again with the same token then.
const closeStopped = 4001

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
	if p := s.sessions.begin(source, claims.ID); p != nil {
		s.metrics.refuse(p.Code)
		respondProblem(w, p)
		return
	}
	defer s.sessions.end(source, claims.ID)

	conn := s.upgrade(w, r)
	if conn == nil {
		return // answered
	}
	s.runSession(r.Context(), conn, r, claims, c)
}

func (s *Service) handshakeTimeout() time.Duration {
	return max(s.cfg.Limits.HandshakeTimeout, 0)
}

// admit returns what a request for a websocket may open, or why nothing.
func (s *Service) admit(r *http.Request) (token.Claims, *Console, *problem) {
	if !s.mayConnect(r) {
		return token.Claims{}, nil, newProblem(http.StatusForbidden, "origin",
			"Pages of this origin may not open consoles here. Add it to the allowed origins if they should.")
	}
	text := r.URL.Query().Get("token")
	if text == "" {
		if cookie, err := r.Cookie("token"); err == nil {
			text = cookie.Value
		}
	}
	if text == "" {
		return token.Claims{}, nil, newProblem(http.StatusForbidden, "token-missing",
			"A console is opened with a token: /websockify?token=..., or a cookie of that name.")
	}
	claims, c, p := s.checkToken(text)
	if p == nil && !c.Status().Enabled {
		p = newProblem(http.StatusForbidden, "disabled", "The console of %q is switched off.", c.node.Name)
	}
	return claims, c, p
}

// runSession shows c to a viewer until one of them ends it.
func (s *Service) runSession(ctx context.Context, conn *wsConn, r *http.Request, claims token.Claims, c *Console) {
	began := time.Now()
	log := c.log.With("remote", r.RemoteAddr, "mode", claims.Mode, "token_id", claims.ID)
	log.Info("session began", "agent", clip(r.UserAgent(), 200))
	s.metrics.sessions.WithLabelValues(string(claims.Mode)).Inc()

	var err error
	if claims.Generation == s.cfg.Tokens.Generation(claims.Node) {
		// The request's own context ends when this function does, hijacked
		// as the connection is; it carries values only.
		err = c.Serve(context.WithoutCancel(ctx), conn, rfb.ViewerConfig{
			ViewOnly: claims.Mode != token.Operate,
			Label:    r.RemoteAddr,
		})
	} else {
		err = ErrDisabled // stopped since the token was checked
	}
	code, reason := s.farewell(c, err)
	conn.Finish(code, reason)

	sent, received := conn.sent.Load(), conn.received.Load()
	s.metrics.seconds.Observe(time.Since(began).Seconds())
	s.metrics.bytes.WithLabelValues("sent").Add(float64(sent))
	s.metrics.bytes.WithLabelValues("received").Add(float64(received))
	log.Info("session ended", "seconds", time.Since(began).Seconds(), "sent", sent, "received", received, "reason", reason, "error", err)
}

// farewell is the close code and reason for a session that ended with err.
func (s *Service) farewell(c *Console, err error) (int, string) {
	switch {
	case err == nil:
		return websocket.CloseNormalClosure, ""
	case s.life.Err() != nil:
		return websocket.CloseGoingAway, ErrClosed.Error()
	case errors.Is(err, rfb.ErrClosed), errors.Is(err, ErrDisabled):
		return closeStopped, clip("The console was stopped. "+c.Farewell(), maxCloseReason)
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

// sessions counts viewers against the limits.
type sessions struct {
	total, perSource, perToken int // negative is no limit

	mu      sync.Mutex
	all     int
	sources map[string]int
	tokens  map[string]int
	drained chan struct{} // closed by the last to leave once somebody waits; nil before
}

func (n *sessions) init(l Limits) {
	n.total, n.perSource, n.perToken = l.Sessions, l.SessionsPerSource, l.SessionsPerToken
	n.sources, n.tokens = make(map[string]int), make(map[string]int)
}

// begin counts a viewer, or says why there must not be another.
func (n *sessions) begin(source, id string) *problem {
	n.mu.Lock()
	defer n.mu.Unlock()
	full := func(have, limit int) bool { return limit >= 0 && have >= limit }
	switch {
	case n.drained != nil:
		return newProblem(http.StatusServiceUnavailable, "closing", "The service is going down.")
	case full(n.all, n.total):
		return newProblem(http.StatusServiceUnavailable, "limit-sessions", "This service shows consoles to %d viewers already, which is its limit.", n.all)
	case full(n.sources[source], n.perSource):
		return newProblem(http.StatusTooManyRequests, "limit-source", "There are %d viewers from this address already, which is the limit.", n.sources[source])
	case full(n.tokens[id], n.perToken):
		return newProblem(http.StatusTooManyRequests, "limit-token", "There are %d viewers with this token already, which is the limit.", n.tokens[id])
	}
	n.all++
	n.sources[source]++
	n.tokens[id]++
	return nil
}

// end counts a viewer off.
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
