package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/token"
	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

// bubble is a whole service, HTTP and websockets included, whose time is the
// test's: its connections are pipes.
type bubble struct {
	t      *testing.T
	svc    *proxy.Service
	node   *pipes
	tokens *token.Authority
	client *http.Client
	conns  chan net.Conn
	closed chan struct{}
	log    *lockedBuffer
	wg     sync.WaitGroup
	once   sync.Once

	secrets []string // that no log may show
}

// bearer is the API's credential in a bubble.
const bearer = "0123456789abcdef-api"

// people runs f with a service of one node, n, that change may change. The
// node's screen takes input.
func people(t *testing.T, change func(cfg *proxy.Config, n *proxy.Node), f func(t *testing.T, b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		tokens, err := token.Ephemeral()
		if err != nil {
			t.Fatal(err)
		}
		b := &bubble{
			t: t, node: &pipes{source: rfbtest.NewSource(64, 48)}, tokens: tokens, log: new(lockedBuffer),
			conns: make(chan net.Conn), closed: make(chan struct{}), secrets: []string{bearer},
		}
		b.node.server = rfb.NewServer(b.node.source, rfb.ServerConfig{})
		node := proxy.Node{Name: "n", Backend: b.node, Width: 64, Height: 48}
		cfg := proxy.Config{
			Page: pages, Tokens: tokens, Access: proxy.Access{APIToken: bearer},
			Log: slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		}
		if change != nil {
			change(&cfg, &node)
		}
		cfg.Nodes = []proxy.Node{node}
		if b.svc, err = proxy.New(cfg); err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: b.svc.Handler()}
		b.wg.Go(func() { _ = server.Serve(b) })
		dial := func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			b.conns <- addressed{far}
			return near, nil
		}
		b.client = &http.Client{Transport: &http.Transport{DialContext: dial}}
		defer b.end(server)
		f(t, b)
	})
}

// end ends all of it, whatever the test came to.
func (b *bubble) end(server *http.Server) {
	t := b.t
	if err := b.svc.Close(context.Background()); err != nil {
		t.Error(err)
	}
	b.client.CloseIdleConnections()
	_ = server.Close()
	_ = b.node.server.Close()
	b.node.wg.Wait()
	b.wg.Wait()
	log := b.log.String()
	for _, s := range b.secrets {
		if strings.Contains(log, s) {
			t.Errorf("the secret %s is in the log:\n%s", s, log)
		}
	}
	if t.Failed() {
		t.Logf("log:\n%s", log)
	}
}

// addressed is a pipe's end with a peer that has a network address.
type addressed struct{ net.Conn }

func (addressed) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 4711} }

// Accept, Close and Addr are net.Listener's.
func (b *bubble) Accept() (net.Conn, error) {
	select {
	case c := <-b.conns:
		return c, nil
	case <-b.closed:
		return nil, net.ErrClosed
	}
}
func (b *bubble) Close() error   { b.once.Do(func() { close(b.closed) }); return nil }
func (b *bubble) Addr() net.Addr { return &net.TCPAddr{} }

// token issues one with these claims for the node.
func (b *bubble) token(want token.Claims, ttl time.Duration) string {
	b.t.Helper()
	want.Node = "n"
	text, _, err := b.tokens.Issue(want, ttl, time.Now())
	if err != nil {
		b.t.Fatal(err)
	}
	b.secrets = append(b.secrets, text)
	return text
}

// person is somebody at the console.
type person struct {
	b             *bubble
	id            string
	token, secret string
	pipe          *wsPipe
	raw           net.Conn
	v             *rfbtest.Viewer
	ended         atomic.Pointer[error]
}

// come opens the console with a page of its own, and looks at it.
func (b *bubble) come(name string, claims token.Claims) *person {
	b.t.Helper()
	sum := sha256.Sum256([]byte("of " + name))
	secret := base64.RawURLEncoding.EncodeToString(sum[:16])
	p := &person{b: b, secret: secret, token: b.token(claims, 24*time.Hour)}
	b.secrets = append(b.secrets, secret)
	p.open(name)
	p.id = p.snapshot().You
	return p
}

// open connects.
func (p *person) open(name string) {
	t := p.b.t
	t.Helper()
	var raw net.Conn
	d := websocket.Dialer{NetDialContext: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		p.b.conns <- addressed{far}
		raw = near
		return near, nil
	}}
	q := url.Values{"token": {p.token}, "session": {p.secret}, "name": {name}}
	ws, resp, err := d.DialContext(t.Context(), "ws://console.example/websockify?"+q.Encode(), nil)
	if err != nil {
		t.Fatalf("%v: %+v", err, resp)
	}
	_ = resp.Body.Close()
	p.raw, p.pipe = raw, &wsPipe{Conn: ws}
	p.ended.Store(nil)
	if p.v, err = rfbtest.NewViewer(p.pipe); err != nil {
		t.Fatal(err)
	}
	if err := p.v.Request(false); err != nil {
		t.Fatal(err)
	}
	_ = p.pipe.SetDeadline(time.Time{})
	pipe := p.pipe
	p.b.wg.Go(func() {
		_, err := io.Copy(io.Discard, struct{ io.Reader }{pipe})
		if pipe == p.pipe {
			p.ended.Store(&err)
		}
	})
	time.Sleep(painting)
	synctest.Wait()
}

// press holds a key down, or with up lets it go.
func (p *person) press(keysym uint32, down bool) {
	p.b.t.Helper()
	err := p.v.Send(wire.KeyEvent{Down: down, Keysym: keysym})
	_ = p.pipe.SetDeadline(time.Time{})
	if err != nil {
		p.b.t.Fatal(err)
	}
	synctest.Wait()
}

// leave says goodbye; breakOff does not.
func (p *person) leave() {
	_ = p.pipe.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1001, ""), time.Now().Add(time.Second))
	synctest.Wait()
	p.breakOff()
}

func (p *person) breakOff() {
	_ = p.raw.Close()
	synctest.Wait()
}

// code is the close code that the session ended with, 0 while it goes on.
func (p *person) code() (int, string) {
	synctest.Wait()
	err := p.ended.Load()
	if err == nil {
		return 0, ""
	}
	var closed *websocket.CloseError
	if !errors.As(*err, &closed) {
		return -1, ""
	}
	return closed.Code, closed.Text
}

// snapshot is what is said of a console.
type snapshot struct {
	State, Reason  string
	Enabled        bool
	Width          int
	You, Mode      string
	TokenExpiresAt *time.Time `json:"token_expires_at"`
	Seats          struct {
		Policy, Operator string
		GrantsAt         *time.Time `json:"grants_at"`
		Count            int
		Sessions         []struct {
			ID, Name, Mode, Remote string
			Operating, Away        bool
			Since                  time.Time
			RequestedAt            *time.Time `json:"requested_at"`
		}
	}
	Lease struct {
		IdleSeconds    int        `json:"idle_seconds"`
		WarningSeconds int        `json:"warning_seconds"`
		ExpiresAt      *time.Time `json:"expires_at"`
		EndsAt         *time.Time `json:"ends_at"`
	}
}

// operator is the name of who has the seat.
func (s snapshot) operator() string {
	for _, x := range s.Seats.Sessions {
		if x.ID == s.Seats.Operator {
			return x.Name
		}
	}
	return s.Seats.Operator
}

// names lists who is there.
func (s snapshot) names() string {
	var list []string
	for _, x := range s.Seats.Sessions {
		list = append(list, x.Name)
	}
	return strings.Join(list, " ")
}

// do makes a request of the API with a credential, for a session where secret
// is not empty.
func (b *bubble) do(credential, secret, method, path, body string) (int, []byte) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, "http://console.example/v1/nodes/n/console"+path, bytes.NewReader([]byte(body)))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+credential)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if secret != "" {
		req.Header.Set("Ironglass-Session", secret)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return resp.StatusCode, text
}

// asks makes a request and returns the snapshot, or the problem's code.
func (b *bubble) asks(credential, secret, method, path, body string) (snapshot, string) {
	b.t.Helper()
	var s snapshot
	var p problem
	status, text := b.do(credential, secret, method, path, body)
	into := any(&s)
	if status != http.StatusOK {
		into = &p
	}
	if err := json.Unmarshal(text, into); err != nil {
		b.t.Fatalf("%s %s: %d, %v in %s", method, path, status, err, text)
	}
	if status != http.StatusOK && (p.Code == "" || p.Status != status) {
		b.t.Errorf("%s %s: %d %s", method, path, status, text)
	}
	synctest.Wait()
	return s, p.Code
}

func (p *person) snapshot() snapshot {
	p.b.t.Helper()
	s, code := p.b.asks(p.token, p.secret, "GET", "", "")
	if code != "" {
		p.b.t.Fatal(code)
	}
	return s
}

// seat does something about the seat, and returns the problem's code.
func (p *person) seat(action string, about *person) string {
	p.b.t.Helper()
	return p.b.seat(p.token, p.secret, action, about)
}

func (b *bubble) seat(credential, secret, action string, about *person) string {
	b.t.Helper()
	body := map[string]string{"action": action}
	if about != nil {
		body["session"] = about.id
	}
	text, err := json.Marshal(body)
	if err != nil {
		b.t.Fatal(err)
	}
	_, code := b.asks(credential, secret, "POST", "/seat", string(text))
	return code
}

// came are the keys that the node was told since the last call.
func (b *bubble) came() (keys []rfb.KeyEvent) {
	synctest.Wait()
	now, cancel := context.WithCancel(context.Background())
	cancel()
	all := b.node.source.Events(now, 1<<20)
	for _, e := range all[b.node.seen:] {
		if k, ok := e.(rfb.KeyEvent); ok {
			keys = append(keys, k)
		}
	}
	b.node.seen = len(all)
	return keys
}

// wantOperator checks who has the seat.
func (b *bubble) wantOperator(want string) {
	b.t.Helper()
	s, code := b.asks(bearer, "", "GET", "", "")
	if got := s.operator(); code != "" || got != want {
		b.t.Errorf("%s has the seat, not %s (%+v %s)", got, want, s.Seats, code)
	}
}

// wantCode checks a problem's code.
func wantCode(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("the problem is %q, not %q", got, want)
	}
}

// after lets time pass.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

var (
	operates = token.Claims{Mode: token.Operate}
	views    = token.Claims{Mode: token.View}
)

// event is one that a subscriber was sent.
type event struct {
	at   time.Time
	name string
	data string
	snapshot
}

// listener is a subscriber to events.
type listener struct {
	b      *bubble
	cancel context.CancelFunc
	ended  chan struct{} // closed when there will be no more

	mu       sync.Mutex
	events   []event
	comments int
}

// listen subscribes below /v1, to a node's events where path begins with
// /console.
func (b *bubble) listen(credential, secret, path string) *listener {
	b.t.Helper()
	if strings.HasPrefix(path, "/console") {
		path = "/nodes/n" + path
	}
	ctx, cancel := context.WithCancel(b.t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://console.example/v1"+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+credential)
	if secret != "" {
		req.Header.Set("Ironglass-Session", secret)
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || kind != "text/event-stream" {
		b.t.Fatalf("%s, %s", resp.Status, kind)
	}
	l := &listener{b: b, cancel: cancel, ended: make(chan struct{})}
	b.wg.Go(func() {
		defer close(l.ended)
		defer resp.Body.Close()
		l.read(resp.Body)
	})
	synctest.Wait()
	return l
}

func (l *listener) read(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	var e event
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ": ")
		l.mu.Lock()
		switch key {
		case "event":
			e.name = value
		case "data":
			e.data = value
		case ":":
			l.comments++
		case "":
			if e.name != "" {
				e.at = time.Now()
				if err := json.Unmarshal([]byte(e.data), &e.snapshot); err != nil && e.name == "console" {
					l.b.t.Errorf("an event holds %s: %v", e.data, err)
				}
				l.events = append(l.events, e)
			}
			e = event{}
		default:
			l.b.t.Errorf("the line %q is in no event", lines.Text())
		}
		l.mu.Unlock()
	}
}

// take returns the events that came since the last call.
func (l *listener) take() []event {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.events
	l.events = nil
	return list
}

// stop leaves.
func (l *listener) stop() {
	l.cancel()
	<-l.ended
}

// over reports whether the service ended it.
func (l *listener) over() bool {
	synctest.Wait()
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}
