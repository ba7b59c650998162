package proxy

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/ironglass/ironglass/proxy/recording"
	"github.com/ironglass/ironglass/proxy/token"
)

// nodeView is a node in GET /v1/nodes.
type nodeView struct {
	Name    string    `json:"name"`
	UUID    string    `json:"uuid"`
	Kind    string    `json:"kind"`
	Enabled bool      `json:"console_enabled"`
	State   string    `json:"state"`
	Since   time.Time `json:"since"`
	Reason  string    `json:"reason"`
	// RetryAt is null while no retry is due.
	RetryAt *time.Time `json:"retry_at"`
	Viewers int        `json:"viewers"`
	// Operator is the name of who has the seat, where seats are exclusive.
	Operator string `json:"operator"`
	Width    int    `json:"width"`
	Height   int    `json:"height"`
	// RFB is the node's own port; null where there is none.
	RFB *rfbView `json:"rfb"`
	// Power is what is known of the machine's, Recording what is recorded.
	Power     nodePower     `json:"power"`
	Recording nodeRecording `json:"recording"`
	// Owner and Lessee are Keystone's projects.
	Owner       string `json:"owner"`
	Lessee      string `json:"lessee"`
	Maintenance bool   `json:"maintenance"`
	// Stopping is set while what ran for the console is still being ended.
	Stopping bool `json:"stopping"`
}

type nodePower struct {
	State string `json:"state"`
}

type nodeRecording struct {
	Mode recording.Mode `json:"mode"`
}

// rfbView is where viewers that are no browsers reach a console.
type rfbView struct {
	Host string `json:"host"`
	Port int    `json:"port"`
}

func (s *Service) viewNode(c *Console) nodeView {
	st, about := c.Status(), c.about.Load()
	var at *rfbView
	if host, port, ok := s.rfb.address(c.node); ok {
		at = &rfbView{host, port}
	}
	return nodeView{
		RFB:      at,
		Stopping: c.stopping(),
		Owner:    about.Owner, Lessee: about.Lessee, Maintenance: about.Maintenance,
		Name: c.node.Name, UUID: c.node.UUID, Kind: c.node.Kind,
		Enabled: st.Enabled, State: st.State.String(), Since: st.Since.UTC(), Reason: st.Reason,
		Viewers: st.Viewers, Width: st.Width, Height: st.Height,
		Operator: c.operator(), RetryAt: orNull(st.RetryAt),
		Power: nodePower{c.powerState().State}, Recording: nodeRecording{c.recordingState().Mode},
	}
}

// listNodes is GET /v1/nodes.
func (s *Service) listNodes(w http.ResponseWriter, _ *http.Request, by caller) {
	consoles := s.visible(by)
	nodes := make([]nodeView, 0, len(consoles))
	for _, c := range consoles {
		nodes = append(nodes, s.viewNode(c))
	}
	body := map[string]any{"nodes": nodes}
	if s.cfg.Inventory != nil && (by.person == nil || by.person.System) {
		body["inventory"] = s.cfg.Inventory().view()
	}
	respondJSON(w, http.StatusOK, body)
}

// consoleInfo is how a console is reached, as Ironic says it.
type consoleInfo struct {
	Type string `json:"type"`
	URL  string `json:"url"`
}

// consoleView is GET /v1/nodes/{id}/states/console.
type consoleView struct {
	Enabled bool         `json:"console_enabled"`
	Info    *consoleInfo `json:"console_info"`
}

// getConsole is GET /v1/nodes/{id}/states/console: whether there is a console
// and an address that opens it, with a new token in it.
func (s *Service) getConsole(w http.ResponseWriter, r *http.Request, c *Console, by caller) {
	if !c.Status().Enabled {
		respondJSON(w, http.StatusOK, consoleView{})
		return
	}
	mode := token.Operate
	if !by.mayOperate() {
		mode = token.View
	}
	t, p := s.issue(r, c, by, token.Claims{Mode: mode, Name: by.display()}, s.cfg.TokenTTL)
	if p != nil {
		respondProblem(w, p)
		return
	}
	respondJSON(w, http.StatusOK, consoleView{Enabled: true, Info: &consoleInfo{Type: "vnc", URL: t.URL}})
}

// putConsole is PUT /v1/nodes/{id}/states/console.
func (s *Service) putConsole(w http.ResponseWriter, r *http.Request, c *Console, by caller) {
	var body struct {
		Enabled *bool `json:"enabled"`
	}
	if p := readJSON(w, r, s.cfg.Limits.BodyBytes, &body); p != nil {
		respondProblem(w, p)
		return
	}
	switch {
	case body.Enabled == nil:
		respondProblem(w, newProblem(http.StatusBadRequest, "field", `The field "enabled" is missing; it must be true or false.`))
		return
	case *body.Enabled:
		c.Enable()
	default:
		err := c.Disable("It was switched off through the API.")
		if errors.Is(err, ErrClosed) {
			respondProblem(w, newProblem(http.StatusServiceUnavailable, "closing", "The service is going down."))
			return
		}
		if err != nil {
			// The console is off all the same.
			c.log.Error("revocation not saved", "error", err)
		}
	}
	s.audit(map[bool]string{true: "console-enabled", false: "console-disabled"}[*body.Enabled], by, r, c)
	c.log.Info("console switched", "enabled", *body.Enabled, "remote", r.RemoteAddr)
	w.WriteHeader(http.StatusAccepted)
}

// tokenView is the answer to POST /v1/nodes/{id}/console/tokens.
type tokenView struct {
	Token        string     `json:"token"`
	URL          string     `json:"url"`
	WebsocketURL string     `json:"websocket_url"`
	ExpiresAt    time.Time  `json:"expires_at"`
	Mode         token.Mode `json:"mode"`
	Name         string     `json:"name"`
	Admin        bool       `json:"admin"`
}

// postToken is POST /v1/nodes/{id}/console/tokens.
func (s *Service) postToken(w http.ResponseWriter, r *http.Request, c *Console, by caller) {
	var body struct {
		Mode  *string `json:"mode"`
		TTL   *string `json:"ttl"`
		Name  string  `json:"name"`
		Admin bool    `json:"admin"`
	}
	if p := readJSON(w, r, s.cfg.Limits.BodyBytes, &body); p != nil {
		respondProblem(w, p)
		return
	}
	mode, ttl := token.Operate, s.cfg.TokenTTL
	if body.Mode != nil {
		m, err := token.ParseMode(*body.Mode)
		if err != nil {
			respondProblem(w, newProblem(http.StatusBadRequest, "field", `The field "mode" is neither "view" nor "operate".`))
			return
		}
		mode = m
	}
	if body.TTL != nil {
		d, err := time.ParseDuration(*body.TTL)
		if err != nil || d < time.Second {
			respondProblem(w, newProblem(http.StatusBadRequest, "field", `The field "ttl" must be a duration of a second or more, such as "10m".`))
			return
		}
		if most := s.cfg.Limits.TokenTTL; most > 0 && d > most {
			respondProblem(w, newProblem(http.StatusBadRequest, "field", `The field "ttl" may be %v at most.`, most))
			return
		}
		ttl = d
	}
	if !c.Status().Enabled {
		respondProblem(w, newProblem(http.StatusConflict, "disabled",
			`The console of %q is switched off. Switch it on with PUT /v1/nodes/%s/states/console {"enabled":true}.`,
			c.node.Name, url.PathEscape(c.node.Name)))
		return
	}
	if cleanName(body.Name) != body.Name {
		respondProblem(w, newProblem(http.StatusBadRequest, "field",
			`The field "name" may have %d characters at most, all of them visible.`, maxName))
		return
	}
	if body.Admin && mode != token.Operate {
		respondProblem(w, newProblem(http.StatusBadRequest, "field", `The field "admin" is for those who operate: "mode" must be "operate".`))
		return
	}
	if body.Admin && !by.decides() {
		respondProblem(w, newProblem(http.StatusForbidden, "forbidden", `Only the node's owner may give out tokens with "admin".`))
		return
	}
	if body.Name == "" {
		body.Name = by.display()
	}
	t, p := s.issue(r, c, by, token.Claims{Mode: mode, Name: body.Name, Admin: body.Admin}, ttl)
	if p != nil {
		respondProblem(w, p)
		return
	}
	respondJSON(w, http.StatusCreated, t)
}

// issue makes a token for c that says what want does, and the addresses that
// hold it. One that goes back to another is a renewal.
func (s *Service) issue(r *http.Request, c *Console, by caller, want token.Claims, ttl time.Duration) (tokenView, *problem) {
	want.Node = c.node.Name
	text, claims, err := s.cfg.Tokens.Issue(want, ttl, time.Now())
	if err != nil {
		c.log.Error("no token issued", "error", err)
		return tokenView{}, newProblem(http.StatusInternalServerError, "internal", "The token could not be made.")
	}
	action := map[bool]string{true: "token-issued", false: "token-renewed"}[want.Root == ""]
	s.audit(action, by, r, c, slog.String("issued_id", claims.ID), slog.String("issued_to", claims.Name),
		slog.String("mode", string(claims.Mode)), slog.Bool("admin", claims.Admin), slog.Time("expires", claims.Expires))
	c.log.Info("token issued", "renewal", want.Root != "", "token_id", claims.ID, "mode", claims.Mode, "expires", claims.Expires, "remote", r.RemoteAddr)
	base := s.base(r)
	q := url.Values{"token": {text}}.Encode()
	page, socket := *base, *base
	page.Path, page.RawQuery = base.Path+"/vnc_auto.html", q
	socket.Path, socket.RawQuery = base.Path+"/websockify", q
	socket.Scheme = map[string]string{"http": "ws", "https": "wss"}[base.Scheme]
	return tokenView{
		Token: text, URL: page.String(), WebsocketURL: socket.String(), ExpiresAt: claims.Expires, Mode: claims.Mode, Name: claims.Name, Admin: claims.Admin,
	}, nil
}

// base is the address of the service, without a slash at its end.
func (s *Service) base(r *http.Request) *url.URL {
	if s.public != nil {
		return s.public
	}
	u := &url.URL{Scheme: "http", Host: r.Host}
	if r.TLS != nil {
		u.Scheme = "https"
	}
	return u
}
