package proxy

import (
	"net/http"
	"time"
)

// renewToken is POST /v1/nodes/{id}/console/tokens/renew, by which somebody
// who has the console open gets another token like the one it was opened with,
// of the same lifetime from now on, to connect again after a break.
func (s *Service) renewToken(w http.ResponseWriter, r *http.Request, c *Console, by caller) {
	if r.ContentLength != 0 {
		if p := readJSON(w, r, s.cfg.Limits.BodyBytes, &struct{}{}); p != nil {
			respondProblem(w, p)
			return
		}
	}
	if by.claims.ID == "" {
		respondProblem(w, newProblem(http.StatusForbidden, "renew",
			"The holder of the API's credential makes new tokens with POST .../console/tokens; a console token renews itself here."))
		return
	}
	if by.claims.Expires.IsZero() {
		respondProblem(w, newProblem(http.StatusForbidden, "renew", "Nova gave out this token, and another is had from there."))
		return
	}
	id, p := sessionOf(r)
	if p == nil && !c.holds(id, by.claims.Root) {
		p = newProblem(http.StatusConflict, "renew",
			"A token is renewed for a session that it has opened and that is still there: send the session's secret as %s.", sessionHeader)
	}
	if p != nil {
		s.metrics.refuse(p.Code)
		respondProblem(w, p)
		return
	}
	// A token's times are whole seconds that lie around its lifetime.
	life := max(by.claims.Expires.Sub(by.claims.IssuedAt)-time.Second, time.Second)
	t, p := s.issue(r, c, by, by.claims, life)
	if p != nil {
		respondProblem(w, p)
		return
	}
	respondJSON(w, http.StatusCreated, t)
}

// holds reports whether the session with that id is there and was opened with
// a token that goes back to root.
func (c *Console) holds(id, root string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hub == nil || id == "" {
		return false
	}
	x := c.hub.people.present(id)
	return x != nil && x.root == root
}
