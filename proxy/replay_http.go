package proxy

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/gorilla/websocket"

	"github.com/ironglass/ironglass/rfb"
)

// postReplay is POST /v1/nodes/{id}/console/recordings/{rid}/replay: the
// address of a page that replays the recording, as it is now. The token is in
// the address's fragment, which browsers send nowhere.
func (s *Service) postReplay(w http.ResponseWriter, r *http.Request, c *Console, by caller) {
	if p := noBody(w, r, s.cfg.Limits.BodyBytes); p != nil {
		respondProblem(w, p)
		return
	}
	rec, info, p := s.openRecording(r, c)
	if p != nil {
		respondProblem(w, p)
		return
	}
	play := s.newReplay(c.node.Name, info, remoteAddress(r), rec)
	token, p := s.replays.add(play)
	if p != nil {
		play.close()
		s.metrics.refuse(p.Code)
		respondProblem(w, p)
		return
	}
	s.audit("recording-opened", by, r, c, slog.String("recording", info.ID))
	c.log.Info("replay opened", "recording", info.ID, "remote", r.RemoteAddr)
	page := *s.base(r)
	page.Path += "/replay.html"
	page.Fragment = url.Values{"token": {token}}.Encode()
	respondJSON(w, http.StatusCreated, map[string]string{"url": page.String()})
}

// noBody takes a request without a body, or with an empty object.
func noBody(w http.ResponseWriter, r *http.Request, limit int64) *problem {
	if r.ContentLength == 0 {
		return nil
	}
	return readJSON(w, r, limit, &struct{}{})
}

// ownPage checks that a request comes from a page that may use consoles.
func (s *Service) ownPage(r *http.Request) *problem {
	if s.mayConnect(r) {
		return nil
	}
	s.metrics.refuse("origin")
	return newProblem(http.StatusForbidden, "origin", "Pages of this origin may not open consoles here. Add it to the allowed origins if they should.")
}

// replayOf returns the replay that a request's credential opens.
func (s *Service) replayOf(r *http.Request) (*replay, *problem) {
	if p := s.ownPage(r); p != nil {
		return nil, p
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil, newProblem(http.StatusUnauthorized, "credential-missing", "A replay is turned with its token: send it as Authorization: Bearer.")
	}
	play, p := s.replays.get(strings.TrimSpace(token))
	if p != nil {
		s.metrics.refuse(p.Code)
	}
	return play, p
}

// getReplay is GET /v1/replay, whose token says which.
func (s *Service) getReplay(w http.ResponseWriter, r *http.Request) {
	play, p := s.replayOf(r)
	if p != nil {
		respondProblem(w, p)
		return
	}
	respondJSON(w, http.StatusOK, play.view())
}

// controlReplay is POST /v1/replay: go somewhere, play or pause, change the
// speed.
func (s *Service) controlReplay(w http.ResponseWriter, r *http.Request) {
	play, p := s.replayOf(r)
	var order replayOrder
	if p == nil {
		p = readJSON(w, r, s.cfg.Limits.BodyBytes, &order)
	}
	if p == nil {
		p = order.check()
	}
	if p != nil {
		respondProblem(w, p)
		return
	}
	play.do(&order)
	respondJSON(w, http.StatusOK, play.view())
}

// downloadReplay is /replay/download?token=..., the recording as a file, for a
// page that has the replay's token and not the API's credential.
func (s *Service) downloadReplay(w http.ResponseWriter, r *http.Request) {
	play, p := s.replays.join(r.URL.Query().Get("token"))
	if p != nil {
		s.metrics.refuse(p.Code)
		respondProblem(w, p)
		return
	}
	defer s.replays.leave(play)
	sendRecording(w, r, play.node, play.info.ID, play.rec)
}

// serveReplay is RFB over a websocket, opened by a replay's token. As with
// consoles, a page may ask without an upgrade what is wrong.
func (s *Service) serveReplay(w http.ResponseWriter, r *http.Request) {
	p := s.ownPage(r)
	var play *replay
	if p == nil {
		if play, p = s.replays.join(r.URL.Query().Get("token")); p != nil {
			s.metrics.refuse(p.Code)
		}
	}
	if p != nil {
		respondProblem(w, p)
		return
	}
	defer s.replays.leave(play)
	if !websocket.IsWebSocketUpgrade(r) {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		respondProblem(w, newProblem(http.StatusUpgradeRequired, "upgrade", "This address is for websockets."))
		return
	}
	conn := s.upgrade(w, r)
	if conn == nil {
		return // answered
	}
	// As with consoles, the request's own context carries values only.
	err := play.serve(context.WithoutCancel(r.Context()), conn, r.RemoteAddr)
	code, reason := websocket.CloseNormalClosure, ""
	switch {
	case err == nil:
	case s.life.Err() != nil:
		code, reason = websocket.CloseGoingAway, ErrClosed.Error()
	case errors.Is(err, rfb.ErrClosed):
		code, reason = closeStopped, "The replay has ended."
	default:
		code, reason = websocket.CloseInternalServerErr, "The session failed."
	}
	conn.Finish(code, reason)
}

// upgrade makes the request a websocket, or answers why not and returns nil.
func (s *Service) upgrade(w http.ResponseWriter, r *http.Request) *wsConn {
	up := websocket.Upgrader{
		HandshakeTimeout: s.handshakeTimeout(),
		WriteBufferSize:  writeBufferSize, WriteBufferPool: writeBuffers,
		Subprotocols: []string{"binary"},
		CheckOrigin:  func(*http.Request) bool { return true }, // the caller did
		Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
			s.metrics.refuse("websocket")
			respondProblem(w, newProblem(status, "websocket", "This is not a websocket that can be served: %v.", reason))
		},
	}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return nil
	}
	if limit := s.cfg.Limits.MessageBytes; limit > 0 {
		ws.SetReadLimit(limit)
	}
	return newWSConn(ws, s.cfg.Limits.Ping)
}
