// Package pagetest is the service as the pages see it, for tests of what the
// pages do: it answers as a test says and remembers what it was asked. The
// picture is a real RFB server's; the rest is made up. How the pages and the
// real service do together is for the integration tests.
package pagetest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
	"github.com/ironglass/ironglass/web"
)

// Object is a JSON object.
type Object = map[string]any

// Call is a request that the service was sent.
type Call struct {
	Method, Path  string
	Session       string // the Ironglass-Session header
	Authorization string
	Body          Object
}

// Answer says how a call is answered: with a status and what is sent as JSON,
// nil for nothing.
type Answer func(c Call) (status int, body any)

// Service is a running service with one console, that of the node "node", and
// a list of nodes. Its methods may be called from any goroutine.
type Service struct {
	// URL is where it is, without a slash at its end.
	URL string
	// Machine is what the console shows.
	Machine *rfbtest.Source

	http   *httptest.Server
	rfb    *rfb.Server
	files  http.Handler
	ctx    context.Context
	served sync.WaitGroup

	mu       sync.Mutex
	absent   bool // there is no API
	console  Object
	nodes    []Object
	answers  map[string]Answer
	calls    []Call
	sockets  []url.Values
	viewers  map[*websocket.Conn]bool
	streams  map[chan event]bool // all events
	pictures []byte              // the screenshot of every node
}

// event is a server-sent event.
type event struct {
	kind string
	data any
}

// New starts a service, which ends with the test.
func New(t testing.TB) *Service {
	t.Helper()
	files, err := web.Files()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Service{
		Machine: rfbtest.NewSource(1024, 768),
		files:   http.FileServerFS(files),
		ctx:     ctx,
		answers: make(map[string]Answer),
		viewers: make(map[*websocket.Conn]bool),
		streams: make(map[chan event]bool),
		console: Console(),
		nodes:   []Object{Node("node", "live")},
	}
	s.Machine.Show(golden.BIOS(1024, 768))
	s.pictures = thumbnail(t)
	s.rfb = rfb.NewServer(s.Machine, rfb.ServerConfig{Name: "node"})
	s.http = httptest.NewServer(s)
	s.URL = s.http.URL
	t.Cleanup(func() {
		cancel()
		_ = s.rfb.Close()
		s.served.Wait()
		s.http.Close()
	})
	return s
}

// Token makes up a token of the node "node" that lasts from now for the given
// time, with further claims.
func Token(ttl time.Duration, more Object) string {
	now := time.Now()
	said := Object{"jti": "id", "node": "node", "mode": "operate", "gen": 0, "iat": now, "exp": now.Add(ttl)}
	for name, value := range more {
		said[name] = value
	}
	payload, err := json.Marshal(said)
	if err != nil {
		panic(err) // a test's mistake
	}
	return "v4.public." + base64.RawURLEncoding.EncodeToString(append(payload, make([]byte, 64)...))
}

// ServeHTTP answers a page.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case websocket.IsWebSocketUpgrade(r):
		s.serveSocket(w, r)
	case r.URL.Path == "/websockify":
		w.WriteHeader(http.StatusUpgradeRequired)
	case strings.HasPrefix(r.URL.Path, "/v1/"):
		s.serveAPI(w, r)
	default:
		w.Header().Set("Content-Security-Policy", web.ContentSecurityPolicy)
		w.Header().Set("Cache-Control", "no-store")
		if r.URL.Path == "/vnc_auto.html" {
			r.URL.Path = "/console.html"
		}
		s.files.ServeHTTP(w, r)
	}
}

func (s *Service) serveAPI(w http.ResponseWriter, r *http.Request) {
	c := Call{
		Method: r.Method, Path: strings.TrimPrefix(r.URL.Path, "/v1/nodes/"),
		Session: r.Header.Get("Ironglass-Session"), Authorization: r.Header.Get("Authorization"),
	}
	body, err := io.ReadAll(r.Body)
	if err == nil && len(body) > 0 {
		err = json.Unmarshal(body, &c.Body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.calls = append(s.calls, c)
	absent, answer := s.absent, s.answers[c.Method+" "+c.Path]
	s.mu.Unlock()
	switch {
	case absent:
		http.NotFound(w, r) // as a proxy does that knows RFB only
		return
	case answer != nil:
		status, body := answer(c)
		respond(w, status, body)
		return
	case strings.HasSuffix(r.URL.Path, "/events"):
		s.stream(w, r)
		return
	case strings.HasSuffix(r.URL.Path, "/screenshot"):
		w.Header().Set("Content-Type", "image/png")
		_, _ = w.Write(s.pictures)
		return
	}
	switch c.Method + " " + c.Path {
	case "GET /v1/nodes":
		respond(w, http.StatusOK, Object{"nodes": s.list()})
	case "GET node/console", "POST node/console/seat", "POST node/console/lease":
		respond(w, http.StatusOK, s.snapshot())
	case "POST node/console/text":
		respond(w, http.StatusAccepted, Object{"id": "1", "total": 1})
	default:
		respond(w, http.StatusNoContent, nil)
	}
}

func respond(w http.ResponseWriter, status int, body any) {
	kind := "application/json"
	if status >= http.StatusBadRequest {
		kind = "application/problem+json"
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	if body != nil {
		_ = json.NewEncoder(w).Encode(body)
	}
}

// stream sends what there is, and then each event, until either side ends.
func (s *Service) stream(w http.ResponseWriter, r *http.Request) {
	s.served.Add(1)
	defer s.served.Done()
	w.Header().Set("Content-Type", "text/event-stream")
	events := make(chan event, 1024)
	s.mu.Lock()
	s.streams[events] = true
	first := event{"console", s.snapshotLocked()}
	if r.URL.Path == "/v1/events" {
		first = event{"nodes", Object{"nodes": s.listLocked()}}
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.streams, events)
	}()
	for e := first; ; {
		if (e.kind == "console") == (r.URL.Path != "/v1/events") {
			data, err := json.Marshal(e.data)
			if err != nil {
				return
			}
			if _, err := io.WriteString(w, ": a comment\nevent: "+e.kind+"\ndata: "+string(data)+"\n\n"); err != nil {
				return
			}
			_ = http.NewResponseController(w).Flush()
		}
		select {
		case e = <-events:
		case <-r.Context().Done():
			return
		case <-s.ctx.Done():
			return
		}
	}
}

// Absent takes the API away, or gives it back.
func (s *Service) Absent(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.absent = yes
}

// Answer has calls such as "POST node/console/text" answered in another way.
func (s *Service) Answer(call string, with Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[call] = with
}

// Calls returns the calls so far of a method and path, such as
// "POST node/console/text".
func (s *Service) Calls(call string) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	var some []Call
	for _, c := range s.calls {
		if c.Method+" "+c.Path == call {
			some = append(some, c)
		}
	}
	return some
}

// Streams is how many streams of events are open.
func (s *Service) Streams() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.streams)
}

// Sockets returns the query of each websocket so far.
func (s *Service) Sockets() []url.Values {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]url.Values(nil), s.sockets...)
}

// Close closes all viewers' websockets with a code and a reason.
func (s *Service) Close(code int, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ws := range s.viewers {
		// What cannot be told is gone already.
		_ = ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, reason), time.Now().Add(time.Second))
		_ = ws.Close()
	}
}

func (s *Service) serveSocket(w http.ResponseWriter, r *http.Request) {
	s.served.Add(1)
	defer s.served.Done()
	up := websocket.Upgrader{Subprotocols: []string{"binary"}}
	ws, err := up.Upgrade(w, r, nil)
	if err != nil {
		return // answered
	}
	s.mu.Lock()
	s.sockets = append(s.sockets, r.URL.Query())
	s.viewers[ws] = true
	s.mu.Unlock()
	err = s.rfb.Serve(s.ctx, &socket{Conn: ws.NetConn(), ws: ws}, rfb.ViewerConfig{})
	if err != nil && !errors.Is(err, rfb.ErrClosed) && s.ctx.Err() == nil {
		// It was a test's wish, or the page's.
		_ = ws.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.viewers, ws)
}
