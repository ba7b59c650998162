package proxy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ironglass/ironglass/proxy/nova"
	"github.com/ironglass/ironglass/proxy/token"
)

// Nova is how tokens are checked that Nova gave out, where this service is in
// the place of nova-novncproxy.
type Nova struct {
	// Client asks Nova.
	Client *nova.Client
	// Hosts are what Nova calls the host of the nodes' RFB ports, beside
	// RFB.Listen. Another host's port is another console's.
	Hosts []string
	// EnforceSessionTimeout ends sessions when their token's time is over, as
	// Nova's option of that name does.
	EnforceSessionTimeout bool
}

// novaCheckTime is the time between two looks whether a session's token is
// still known to Nova. It is not the time between pings: a ping on its way
// would be in the way of the last word.
const novaCheckTime = 25 * time.Second

// errNovaExpired ends a session whose token's time is over.
var errNovaExpired = &parting{closeStopped, "The session is over", "The time that Nova gave it has passed. Open the console again."}

// isNova reports whether a token is one for Nova to check.
func (s *Service) isNova(text string) bool { return s.cfg.Nova != nil && nova.IsToken(text) }

// checkNova is checkToken for a token of Nova's.
func (s *Service) checkNova(ctx context.Context, text string) (token.Claims, *Console, *problem) {
	sum := sha256.Sum256([]byte(text))
	id := "nova-" + hex.EncodeToString(sum[:4]) // opens nothing
	log := s.cfg.Log.With("token_id", id)
	fail := func(err error) (token.Claims, *Console, *problem) {
		p := newProblem(http.StatusServiceUnavailable, "nova-unavailable",
			"The link cannot be checked just now, because OpenStack does not answer as it should. Try again in a moment.")
		switch {
		case errors.Is(err, nova.ErrUnknown):
			p = newProblem(http.StatusForbidden, "nova-token",
				"Nova does not know the token of this link, or its time is over. Go back to where you opened it and open the console again.")
		case errors.Is(err, nova.ErrDenied):
			p = newProblem(http.StatusServiceUnavailable, "nova-denied",
				"The link cannot be checked, because OpenStack does not accept this service's credential. Tell its operator.")
		}
		log.Warn("a token of Nova's opens nothing", "cause", p.Code, "error", err)
		return token.Claims{}, nil, p
	}
	con, err := s.cfg.Nova.Client.Console(ctx, text)
	if err != nil {
		return fail(err)
	}
	c := s.novaConsole(con)
	if c == nil {
		node, err := s.cfg.Nova.Client.Node(ctx, con.Instance)
		if err != nil {
			return fail(err)
		}
		if node != "" {
			c = s.Console(node)
		}
	}
	if c == nil {
		log.Warn("a token of Nova's opens nothing", "cause", "nova-port", "instance", con.Instance, "host", con.Host, "port", con.Port, "path", con.Path)
		return token.Claims{}, nil, newProblem(http.StatusForbidden, "nova-port",
			"This link is for port %d of %q, which is no node's here. Switch the node's console off and on again in Ironic, and open it anew.", con.Port, con.Host)
	}
	name := c.node.Name
	return token.Claims{ID: id, Root: id, Node: name, Mode: token.Operate, Generation: s.cfg.Tokens.Generation(name)}, c, nil
}

// novaConsole is the console at the place that Nova names, nil where there is
// none.
func (s *Service) novaConsole(con nova.Console) *Console {
	if s.rfb == nil || !slices.Contains(append(s.cfg.Nova.Hosts, s.rfb.cfg.Listen), con.Host) {
		return nil
	}
	if s.rfb.cfg.Connect != 0 && con.Port == s.rfb.cfg.Connect {
		return s.Console(strings.TrimPrefix(con.Path, "/"))
	}
	return s.rfb.at(con.Port)
}

// at is the console whose port that is, nil where there is none.
func (f *rfbFront) at(port int) *Console {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, d := range f.doors {
		if d.port == port {
			return f.s.Console(key)
		}
	}
	return nil
}

// novaOrigin reports whether the page that asks was fetched as browsers are to
// fetch it: Nova wants the scheme of its own address, which is PublicURL's
// here, and believes a reverse proxy that says which it was.
func (s *Service) novaOrigin(r *http.Request) bool {
	values := r.Header.Values("Origin")
	if len(values) == 0 || s.public == nil {
		return true
	}
	u, err := url.Parse(values[0])
	if err != nil {
		return false
	}
	scheme := u.Scheme
	if said := r.Header.Get("X-Forwarded-Proto"); said != "" {
		scheme = said
	}
	return scheme == s.public.Scheme
}

// novaWatch ends a session when Nova does not know its token any more. While
// Nova does not answer it goes on. It returns with ctx.
func (s *Service) novaWatch(ctx context.Context, text string, end context.CancelCauseFunc) {
	t := time.NewTicker(novaCheckTime)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		if _, err := s.cfg.Nova.Client.Console(ctx, text); errors.Is(err, nova.ErrUnknown) {
			end(errNovaExpired)
			return
		}
	}
}
