package proxy

import (
	_ "embed"
	"net/http"
	"strings"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ironglass/ironglass/proxy/token"
)

// methods is a resource: what it does for each method. Others are answered
// with 405.
type methods map[string]http.HandlerFunc

func (m methods) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := m[r.Method]
	if h == nil && r.Method == http.MethodHead {
		h = m[http.MethodGet]
	}
	if h != nil {
		h(w, r)
		return
	}
	var allow []string
	for _, name := range [...]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		if m[name] != nil {
			allow = append(allow, name)
		}
	}
	w.Header().Set("Allow", strings.Join(allow, ", "))
	respondProblem(w, newProblem(http.StatusMethodNotAllowed, "method",
		"%s is not possible here; %s is.", r.Method, strings.Join(allow, " or ")))
}

// api wraps a handler of one node's resource that needs the API's credential.
func (s *Service) api(h func(w http.ResponseWriter, r *http.Request, c *Console, by caller)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		by, p := s.identify(r)
		s.answer(w, r, s.Console(r.PathValue("id")), by, p, h)
	}
}

func noNode(r *http.Request) *problem {
	return newProblem(http.StatusNotFound, "node", "There is no node %q.", r.PathValue("id"))
}

// consoleAPI wraps a handler of one node's resource that a console token of
// the mode need opens as well.
func (s *Service) consoleAPI(need token.Mode, h func(w http.ResponseWriter, r *http.Request, c *Console, by caller)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		c := s.Console(r.PathValue("id"))
		by, p := s.authorizeConsole(r, c, need)
		s.answer(w, r, c, by, p, h)
	}
}

// answer has h answer where nothing is wrong yet and the caller may do it.
func (s *Service) answer(w http.ResponseWriter, r *http.Request, c *Console, by caller, p *problem, h func(w http.ResponseWriter, r *http.Request, c *Console, by caller)) {
	if p == nil && c == nil {
		p = noNode(r)
	}
	if p == nil {
		by, p = s.within(r, c, by)
	}
	if p != nil {
		respondProblem(w, p)
		return
	}
	r, done := by.bound(r)
	defer done()
	h(w, r, c, by)
}

// guarded wraps a handler of the API.
func (s *Service) guarded(h func(w http.ResponseWriter, r *http.Request, by caller)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		by, p := s.identify(r)
		if p != nil {
			respondProblem(w, p)
			return
		}
		r, done := by.bound(r)
		defer done()
		h(w, r, by)
	}
}

// openAPI describes the API (OpenAPI 3.0). The tests hold every answer to it.
//
//go:embed openapi.yaml
var openAPI []byte

// getOpenAPI is GET /openapi.yaml. It holds nothing secret.
func (s *Service) getOpenAPI(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(openAPI)
}

// Handler returns the service's pages, API and websockets. They are at the
// root, and below PublicURL's path too where it has one.
func (s *Service) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v1/nodes", methods{http.MethodGet: s.guarded(s.listNodes)})
	mux.Handle("/v1/nodes/{id}/states/console", methods{
		http.MethodGet: s.api(s.getConsole), http.MethodPut: s.api(s.putConsole),
	})
	mux.Handle("/v1/events", methods{http.MethodGet: s.guarded(s.fleetEvents)})
	mux.Handle("/v1/nodes/{id}/console", methods{http.MethodGet: s.consoleAPI(token.View, s.getSnapshot)})
	mux.Handle("/v1/nodes/{id}/console/events", methods{http.MethodGet: s.consoleAPI(token.View, s.consoleEvents)})
	mux.Handle("/v1/nodes/{id}/console/seat", methods{http.MethodPost: s.consoleAPI(token.Operate, s.postSeat)})
	mux.Handle("/v1/nodes/{id}/console/lease", methods{http.MethodPost: s.consoleAPI(token.View, s.postLease)})
	mux.Handle("/v1/nodes/{id}/console/tokens", methods{http.MethodPost: s.api(s.postToken)})
	mux.Handle("/v1/nodes/{id}/console/tokens/renew", methods{http.MethodPost: s.consoleAPI(token.View, s.renewToken)})
	mux.Handle("/v1/nodes/{id}/console/screenshot", methods{
		http.MethodGet: s.consoleAPI(token.View, s.getScreenshot),
	})
	mux.Handle("/v1/nodes/{id}/console/keys", methods{http.MethodPost: s.consoleAPI(token.Operate, s.postKeys)})
	mux.Handle("/v1/nodes/{id}/console/text", methods{
		http.MethodGet: s.consoleAPI(token.View, s.getText), http.MethodPost: s.consoleAPI(token.Operate, s.postText),
		http.MethodDelete: s.consoleAPI(token.Operate, s.deleteText),
	})
	mux.Handle("/v1/nodes/{id}/console/wait", methods{http.MethodGet: s.consoleAPI(token.View, s.getWait)})
	mux.Handle("/v1/nodes/{id}/power", methods{
		http.MethodGet: s.consoleAPI(token.View, s.getPower), http.MethodPost: s.consoleAPI(token.Operate, s.postPower),
	})
	mux.Handle("/v1/nodes/{id}/boot-device", methods{http.MethodPost: s.api(s.postBootDevice)})
	mux.Handle("/v1/nodes/{id}/console/recordings", methods{http.MethodGet: s.api(s.listRecordings)})
	mux.Handle("/v1/nodes/{id}/console/recordings/{rid}", methods{
		http.MethodGet: s.api(s.getRecording), http.MethodDelete: s.api(s.deleteRecording),
	})
	mux.Handle("/v1/nodes/{id}/console/recordings/{rid}/replay", methods{http.MethodPost: s.api(s.postReplay)})
	mux.Handle("/v1/replay", methods{http.MethodGet: s.getReplay, http.MethodPost: s.controlReplay})
	mux.HandleFunc("/v1/", s.guarded(func(w http.ResponseWriter, r *http.Request, _ caller) {
		respondProblem(w, newProblem(http.StatusNotFound, "path", "The API has no %s.", r.URL.Path))
	}))
	mux.Handle("/openapi.yaml", methods{http.MethodGet: s.getOpenAPI})
	mux.Handle("/healthz", methods{http.MethodGet: s.healthz})
	mux.Handle("/readyz", methods{http.MethodGet: s.readyz})
	mux.Handle("/metrics", methods{http.MethodGet: promhttp.HandlerFor(s.cfg.Metrics, promhttp.HandlerOpts{}).ServeHTTP})
	mux.Handle("/replay", methods{http.MethodGet: s.serveReplay})
	mux.Handle("/replay/download", methods{http.MethodGet: s.downloadReplay})
	mux.Handle("/websockify", methods{http.MethodGet: s.serveWebsocket})
	for _, name := range [...]string{"/vnc_auto.html", "/vnc_lite.html", "/vnc.html"} {
		mux.Handle(name, methods{http.MethodGet: s.consolePage})
	}
	mux.Handle("/{$}", methods{http.MethodGet: func(w http.ResponseWriter, r *http.Request) {
		if websocket.IsWebSocketUpgrade(r) {
			s.serveWebsocket(w, r)
			return
		}
		s.fleetPage(w, r)
	}})
	mux.Handle("/", methods{http.MethodGet: s.staticFile})
	return s.hardened(mux)
}

// hardened puts around everything what holds for everything.
func (s *Service) hardened(next http.Handler) http.Handler {
	prefix := ""
	if s.public != nil {
		prefix = s.public.Path
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		// Tokens stand in addresses: no other site gets to see those.
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		if p := s.checkHost(r); p != nil {
			s.metrics.refuse("host")
			respondProblem(w, p)
			return
		}
		if rest, ok := strings.CutPrefix(r.URL.Path, prefix+"/"); prefix != "" && ok {
			u := *r.URL
			u.Path, u.RawPath = "/"+rest, strings.TrimPrefix(u.RawPath, prefix)
			c := *r
			c.URL = &u
			r = &c
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Service) healthz(w http.ResponseWriter, _ *http.Request) {
	respondJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// readyz says whether new viewers are welcome.
func (s *Service) readyz(w http.ResponseWriter, r *http.Request) {
	if s.life.Err() != nil {
		respondProblem(w, newProblem(http.StatusServiceUnavailable, "closing", "The service is going down."))
		return
	}
	if s.cfg.Ready != nil {
		if err := s.cfg.Ready(r.Context()); err != nil {
			respondProblem(w, newProblem(http.StatusServiceUnavailable, "not-ready", "%v", err))
			return
		}
	}
	body := map[string]string{"status": "ready"}
	if s.cfg.Inventory != nil {
		// The last list goes on, so that a lost inventory turns nobody away.
		i := s.cfg.Inventory()
		if i.Cause != "" && i.ReadAt.IsZero() {
			respondProblem(w, newProblem(http.StatusServiceUnavailable, "inventory", "The nodes were never read from %s (%s).", i.Source, i.Cause))
			return
		}
		body["inventory"] = "current"
		if i.Cause != "" {
			body["inventory"] = "kept, " + i.Cause
		}
	}
	respondJSON(w, http.StatusOK, body)
}
