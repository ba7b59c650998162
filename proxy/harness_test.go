package proxy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/token"
	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// machine is a node's console: an RFB server on a unix socket that shows what
// the test draws. As a backend it starts and stops that server.
type machine struct {
	*rfbtest.Source
	path string

	mu       sync.Mutex
	listener net.Listener // nil while it does not run
	server   *rfb.Server
	served   sync.WaitGroup
	starts   int
	stops    int
	accepted int
	startErr error
	gate     chan struct{} // Start waits until it is closed; nil waits for nothing
	last     string        // Explain's answer
}

func newMachine(t *testing.T, width, height int) *machine {
	t.Helper()
	m := &machine{Source: rfbtest.NewSource(width, height), path: filepath.Join(t.TempDir(), "rfb.sock")}
	m.Show(golden.BIOS(width, height))
	t.Cleanup(func() { m.kill() })
	return m
}

func (m *machine) Start(ctx context.Context, phase func(string)) (proxy.Endpoint, error) {
	m.mu.Lock()
	m.starts++
	gate, err := m.gate, m.startErr
	m.mu.Unlock()
	phase("warming up")
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return proxy.Endpoint{}, ctx.Err()
		}
	}
	if err != nil {
		return proxy.Endpoint{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.listener == nil {
		l, err := net.Listen("unix", m.path)
		if err != nil {
			return proxy.Endpoint{}, err
		}
		server := rfb.NewServer(m.Source, rfb.ServerConfig{Name: "machine"})
		m.listener, m.server = l, server
		m.served.Go(func() { m.accept(l, server) })
	}
	dial := func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", m.path)
	}
	return proxy.Endpoint{Dial: dial, Epoch: fmt.Sprint("epoch-", m.starts), Exact: true}, nil
}

func (m *machine) accept(l net.Listener, s *rfb.Server) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		m.mu.Lock()
		m.accepted++
		m.mu.Unlock()
		wg.Go(func() { _ = s.Serve(context.Background(), c, rfb.ViewerConfig{}) })
	}
}

// kill ends the server as a crash would: its connections break off.
func (m *machine) kill() {
	m.mu.Lock()
	l, s := m.listener, m.server
	m.listener, m.server = nil, nil
	m.mu.Unlock()
	if l != nil {
		_ = l.Close()
		_ = s.Close()
		m.served.Wait()
	}
}

func (m *machine) Stop(context.Context) error {
	m.mu.Lock()
	m.stops++
	m.mu.Unlock()
	m.kill()
	return nil
}

func (m *machine) Explain(context.Context) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}

// set changes what the machine does next.
func (m *machine) set(f func(m *machine)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
}

// counts are the calls of Start and Stop and the connections that came.
func (m *machine) counts() (starts, stops, accepted int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.starts, m.stops, m.accepted
}

// pages are what a service needs of the web's files.
var pages = fstest.MapFS{
	"index.html":        {Data: []byte("<title>fleet</title>")},
	"console.html":      {Data: []byte("<title>console</title>")},
	"error.html":        {Data: []byte("<title>{{.Status}} {{.Title}}</title><p>{{.Detail}}</p>")},
	"novnc/core/rfb.js": {Data: []byte("export default 1;")},
	"site.css":          {Data: []byte("body{}")},
}

// setup is a service on a loopback port with its nodes.
type setup struct {
	t      *testing.T
	svc    *proxy.Service
	http   *httptest.Server
	tokens *token.Authority
	log    *lockedBuffer
	bearer string // sent with API calls

	mu     sync.Mutex
	issued []string
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// start runs a service. change, if not nil, may change its configuration.
func start(t *testing.T, change func(*proxy.Config), nodes ...proxy.Node) *setup {
	t.Helper()
	tokens, err := token.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &setup{t: t, tokens: tokens, log: new(lockedBuffer)}
	cfg := proxy.Config{
		Nodes: nodes, Page: pages, Tokens: tokens,
		Log: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&cfg)
	}
	s.bearer = cfg.APIToken
	if s.svc, err = proxy.New(cfg); err != nil {
		t.Fatal(err)
	}
	s.http = httptest.NewServer(s.svc.Handler())
	t.Cleanup(func() {
		if err := s.svc.Close(patience(t)); err != nil {
			t.Error(err)
		}
		s.http.Close()
		http.DefaultClient.CloseIdleConnections()
		s.mu.Lock()
		defer s.mu.Unlock()
		log := s.log.String()
		for _, tok := range append(s.issued, s.bearer) {
			if tok != "" && strings.Contains(log, tok) {
				t.Errorf("a secret is in the log:\n%s", log)
			}
		}
		if t.Failed() {
			t.Logf("log:\n%s", log)
		}
	})
	return s
}

// patience is a context that ends when any machine should have been ready.
func patience(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), rfbtest.Patience)
	t.Cleanup(cancel)
	return ctx
}

// token issues one directly.
func (s *setup) token(node string, mode token.Mode) string {
	s.t.Helper()
	text, _, err := s.tokens.Issue(token.Claims{Node: node, Mode: mode}, time.Hour, time.Now())
	if err != nil {
		s.t.Fatal(err)
	}
	s.keep(text)
	return text
}

func (s *setup) keep(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issued = append(s.issued, text)
}

// wsPipe is a websocket client as a net.Conn.
type wsPipe struct {
	*websocket.Conn
	rest io.Reader
}

func (c *wsPipe) Read(b []byte) (int, error) {
	for {
		if c.rest == nil {
			kind, r, err := c.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				return 0, errors.New("a message that is not binary")
			}
			c.rest = r
		}
		n, err := c.rest.Read(b)
		if errors.Is(err, io.EOF) {
			c.rest, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (c *wsPipe) Write(b []byte) (int, error) {
	return len(b), c.WriteMessage(websocket.BinaryMessage, b)
}

func (c *wsPipe) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// reply is an HTTP response that was read.
type reply struct {
	StatusCode int
	Status     string
	Header     http.Header
	Text       string
}

func read(t *testing.T, resp *http.Response) *reply {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	return &reply{resp.StatusCode, resp.Status, resp.Header, string(b)}
}

// dial opens a websocket at path with the headers; where that is refused it
// is nil.
func (s *setup) dial(path string, header http.Header) (*wsPipe, *reply) {
	s.t.Helper()
	d := websocket.Dialer{Subprotocols: header["Sec-Websocket-Protocol"], HandshakeTimeout: rfbtest.Patience}
	h := header.Clone()
	delete(h, "Sec-Websocket-Protocol")
	ws, resp, err := d.DialContext(patience(s.t), "ws"+strings.TrimPrefix(s.http.URL, "http")+path, h)
	if err != nil {
		if resp == nil {
			s.t.Fatalf("websocket %s: %v", path, err)
		}
		return nil, read(s.t, resp)
	}
	s.t.Cleanup(func() { _ = ws.Close() })
	return &wsPipe{Conn: ws}, &reply{resp.StatusCode, resp.Status, resp.Header, ""}
}

// view opens a console with a token and shakes hands.
func (s *setup) view(tok string) *rfbtest.Viewer {
	s.t.Helper()
	ws, resp := s.dial("/websockify?token="+tok, nil)
	if ws == nil {
		s.t.Fatalf("no websocket: %s %s", resp.Status, resp.Text)
	}
	v, err := rfbtest.NewViewer(ws)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

// request makes an HTTP request. The header may have a Host.
func (s *setup) request(method, path, content string, header http.Header) *reply {
	s.t.Helper()
	var r io.Reader
	if content != "" {
		r = strings.NewReader(content)
	}
	req, err := http.NewRequestWithContext(patience(s.t), method, s.http.URL+path, r)
	if err != nil {
		s.t.Fatal(err)
	}
	if content != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if s.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+s.bearer)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if h := header.Get("Host"); h != "" {
		req.Host = h
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	answer := read(s.t, resp)
	checkDescribed(s.t, req, content, resp, answer.Text)
	return answer
}

// call makes an API request, wants that status and decodes the answer.
func (s *setup) call(method, path, content string, status int, into any) {
	s.t.Helper()
	resp := s.request(method, path, content, nil)
	if resp.StatusCode != status {
		s.t.Fatalf("%s %s: %s, want %d: %s", method, path, resp.Status, status, resp.Text)
	}
	if into != nil {
		if err := json.Unmarshal([]byte(resp.Text), into); err != nil {
			s.t.Fatalf("%s %s: %v in %s", method, path, err, resp.Text)
		}
	}
}

type problem struct {
	Type, Title, Code, Detail string
	Status                    int
}

// wantProblem checks a response for being that problem and returns it.
func wantProblem(t *testing.T, resp *reply, status int, code string) problem {
	t.Helper()
	var p problem
	if err := json.Unmarshal([]byte(resp.Text), &p); err != nil {
		t.Errorf("%s %q is no problem: %v", resp.Status, resp.Text, err)
		return p
	}
	if resp.StatusCode != status || p.Status != status || p.Code != code || p.Detail == "" || p.Title == "" || p.Type == "" {
		t.Errorf("%s %s, want status %d and code %q", resp.Status, resp.Text, status, code)
	}
	if ct := resp.Header.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("Content-Type %q", ct)
	}
	if cc := resp.Header.Get("Cache-Control"); cc != "no-store" {
		t.Errorf("Cache-Control %q", cc)
	}
	return p
}

// awaitState waits until the node's console has that state.
func (s *setup) awaitState(node string, want proxy.State) proxy.Status {
	s.t.Helper()
	ctx := patience(s.t)
	st, err := s.svc.Console(node).Await(ctx, func(st proxy.Status) bool { return st.State == want })
	if err != nil {
		s.t.Fatalf("the console of %s is %v (%s), not %v: %v", node, st.State, st.Reason, want, err)
	}
	return st
}

// awaitViewers waits for the number of people looking.
func (s *setup) awaitViewers(node string, want int) {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ctx := patience(s.t); s.svc.Console(node).Status().Viewers != want; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("%d viewers, not %d", s.svc.Console(node).Status().Viewers, want)
		}
	}
}

// awaitLog waits until the log has that text.
func (s *setup) awaitLog(text string) {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for ctx := patience(s.t); !strings.Contains(s.log.String(), text); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("the log never said %q", text)
		}
	}
}
