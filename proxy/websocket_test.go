package proxy_test

import (
	"bytes"
	"errors"
	"image"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/token"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

func TestWaysToOpen(t *testing.T) {
	m := newMachine(t, 64, 48)
	s := start(t, nil, proxy.Node{Name: "n", Backend: m})
	tok := s.token("n", token.Operate)
	for _, c := range []struct {
		path     string
		header   http.Header
		protocol string
	}{
		{"/websockify?token=" + tok, nil, ""},
		{"/?token=" + tok, nil, ""},
		{"/websockify", http.Header{"Cookie": {"token=" + tok}}, ""},
		{"/", http.Header{"Cookie": {"a=b; token=" + tok}}, ""},
		{"/websockify?token=" + tok, http.Header{"Sec-Websocket-Protocol": {"binary"}}, "binary"},
		{"/websockify?token=" + tok, http.Header{"Sec-Websocket-Protocol": {"base64", "binary"}}, "binary"},
		{"/websockify?token=" + tok, http.Header{"Sec-Websocket-Protocol": {"base64"}}, ""},
	} {
		ws, resp := s.dial(c.path, c.header)
		if ws == nil {
			t.Errorf("%v: %s %s", c.header, resp.Status, resp.Text)
			continue
		}
		if ws.Subprotocol() != c.protocol {
			t.Errorf("offered %v, answered %q", c.header, ws.Subprotocol())
		}
		if resp.Header.Get("Sec-Websocket-Extensions") != "" {
			t.Errorf("extensions %q", resp.Header.Get("Sec-Websocket-Extensions"))
		}
		v, err := rfbtest.NewViewer(ws)
		if err != nil {
			t.Fatal(err)
		}
		await(t, operator(t, v), m)
		_ = ws.Close()
	}
}

func TestOrigins(t *testing.T) {
	s := start(t, func(c *proxy.Config) {
		c.PublicURL = "https://console.example.net"
		c.AllowedOrigins = []string{"https://horizon.example.net", "http://other.example:8080"}
	}, proxy.Node{Name: "n", Backend: newMachine(t, 64, 48)})
	tok := s.token("n", token.Operate)
	for origin, ok := range map[string]bool{
		s.http.URL:                         true,
		"https://console.example.net":      true,
		"https://console.example.net:443":  true,
		"https://horizon.example.net":      true,
		"HTTPS://Horizon.Example.Net":      true,
		"http://other.example:8080":        true,
		"http://horizon.example.net":       false,
		"http://other.example":             false,
		"https://evil.example":             false,
		"https://console.example.net.evil": false,
		"null":                             false,
		"file://":                          false,
		"not an origin":                    false,
		"":                                 false,
	} {
		ws, resp := s.dial("/websockify?token="+tok, http.Header{"Origin": {origin}})
		switch {
		case ok && ws == nil:
			t.Errorf("origin %q: %s", origin, resp.Status)
		case !ok && ws != nil:
			t.Errorf("origin %q may connect", origin)
		case !ok:
			wantProblem(t, resp, 403, "origin")
		}
	}
}

// ending reads until the session ends and returns its close code, or 0.
func ending(ws *wsPipe) int {
	var closed *websocket.CloseError
	for {
		_, _, err := ws.ReadMessage()
		if errors.As(err, &closed) {
			return closed.Code
		}
		if err != nil {
			return 0
		}
	}
}

func TestAViewerThatMisbehavesIsAlone(t *testing.T) {
	m := newMachine(t, 64, 48)
	s := start(t, func(c *proxy.Config) { c.Limits.MessageBytes = 3000 }, proxy.Node{Name: "n", Backend: m})
	tok := s.token("n", token.Operate)
	good := operator(t, s.view(tok))
	await(t, good, m)

	after := func() *wsPipe { return s.view(tok).Conn.(*wsPipe) }
	before := func() *wsPipe { ws, _ := s.dial("/websockify?token="+tok, nil); return ws }
	for name, c := range map[string]struct {
		ws   *wsPipe
		send func(ws *wsPipe) error
		code int
	}{
		"garbage for a version": {before(), func(ws *wsPipe) error { return rfbtest.Garbage(ws, 1, 64) }, 1002},
		"HTTP for a version":    {before(), func(ws *wsPipe) error { _, err := ws.Write([]byte("GET / HTTP/1.1\r\n\r\n")); return err }, 1002},
		"garbage afterwards":    {after(), func(ws *wsPipe) error { return rfbtest.Garbage(ws, 2, 2000) }, 1002},
		"an unknown message":    {after(), func(ws *wsPipe) error { _, err := ws.Write([]byte{0xee}); return err }, 1002},
		"text":                  {after(), func(ws *wsPipe) error { return ws.WriteMessage(websocket.TextMessage, []byte("hello")) }, 1003},
		"a large message":       {after(), func(ws *wsPipe) error { return ws.WriteMessage(websocket.BinaryMessage, make([]byte, 3500)) }, 1009},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.send(c.ws); err != nil {
				t.Fatal(err)
			}
			if code := ending(c.ws); code != c.code {
				t.Errorf("close code %d, want %d", code, c.code)
			}
		})
	}
	s.awaitViewers("n", 1)
	m.Fill(image.Rect(3, 3, 9, 9), 0x00ff00)
	await(t, good, m)
	if starts, _, accepted := m.counts(); starts != 1 || accepted != 1 {
		t.Errorf("%d starts, %d sessions", starts, accepted)
	}
}

func TestMalformedWebsockets(t *testing.T) {
	s := start(t, nil, proxy.Node{Name: "n", Backend: newMachine(t, 64, 48)})
	tok := s.token("n", token.Operate)
	upgrade := func(change func(http.Header)) http.Header {
		h := http.Header{
			"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
			"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
		}
		change(h)
		return h
	}
	for name, h := range map[string]http.Header{
		"version": upgrade(func(h http.Header) { h.Set("Sec-Websocket-Version", "8") }),
		"no key":  upgrade(func(h http.Header) { h.Del("Sec-Websocket-Key") }),
		"bad key": upgrade(func(h http.Header) { h.Set("Sec-Websocket-Key", "short") }),
	} {
		t.Run(name, func(t *testing.T) {
			wantProblem(t, s.request("GET", "/websockify?token="+tok, "", h), 400, "websocket")
		})
	}
}

func TestLimits(t *testing.T) {
	m := newMachine(t, 64, 48)
	nodes := []proxy.Node{{Name: "n", Backend: m}}
	for code, c := range map[string]struct {
		limits proxy.Limits
		status int
	}{
		"limit-sessions": {proxy.Limits{Sessions: 2}, 503},
		"limit-source":   {proxy.Limits{SessionsPerSource: 2}, 429},
		"limit-token":    {proxy.Limits{SessionsPerToken: 2}, 429},
	} {
		t.Run(code, func(t *testing.T) {
			s := start(t, func(cfg *proxy.Config) { cfg.Limits = c.limits }, nodes...)
			tok := s.token("n", token.Operate)
			one := s.view(tok)
			await(t, operator(t, one), m)
			s.view(tok)
			_, resp := s.dial("/websockify?token="+tok, nil)
			if resp == nil {
				t.Fatal("the third viewer is let in")
			}
			if wantProblem(t, resp, c.status, code); resp.Header.Get("Retry-After") == "" {
				t.Error("no Retry-After")
			}
			if code == "limit-token" {
				await(t, operator(t, s.view(s.token("n", token.Operate))), m)
			}
			_ = one.Conn.Close()
			s.awaitLog("session ended")
			await(t, operator(t, s.view(tok)), m)
		})
	}
}

func TestAViewerThatIsGoneIsNoticed(t *testing.T) {
	m := newMachine(t, 64, 48)
	s := start(t, func(c *proxy.Config) { c.Limits.Ping = 500 * time.Millisecond }, proxy.Node{Name: "n", Backend: m})
	tok := s.token("n", token.Operate)
	// This one answers pings, because it reads.
	there := s.view(tok)
	read := make(chan struct{})
	go func() {
		defer close(read)
		ending(there.Conn.(*wsPipe))
	}()
	// This one does not read.
	s.view(tok)
	s.awaitLog("session ended")
	s.awaitViewers("n", 1)
	_ = there.Conn.Close()
	<-read
}

func TestAViewerThatDoesNotReadHarmsNobody(t *testing.T) {
	m := newMachine(t, 1280, 1024)
	s := start(t, nil, proxy.Node{Name: "n", Backend: m})
	tok := s.token("n", token.Operate)
	stuck := operator(t, s.view(tok))
	for range 50 {
		if err := stuck.Send(wire.FramebufferUpdateRequest{Rect: image.Rect(0, 0, 1280, 1024)}); err != nil {
			t.Fatal(err)
		}
	}
	good := operator(t, s.view(tok))
	for i := range 5 {
		m.Draw(func(p *pixel.Frame) *pixel.Region {
			for j := range p.Pix {
				p.Pix[j] = uint32(j*(i+1)) * 2654435761 & pixel.Mask
			}
			return pixel.RegionOf(p.Rect())
		})
		await(t, good, m)
	}
	if s.svc.Console("n").Status().Viewers != 2 {
		t.Error("the viewer that does not read is gone already")
	}
	// Stopping is not held up by it either.
	s.call("PUT", "/v1/nodes/n/states/console", `{"enabled":false}`, 202, nil)
	s.awaitLog("console stopped")
}

// A picture larger than the websocket's buffer, whole and in pieces.
func TestLargeMessages(t *testing.T) {
	m := newMachine(t, 1000, 700)
	s := start(t, nil, proxy.Node{Name: "n", Backend: m})
	ws, _ := s.dial("/websockify?token="+s.token("n", token.Operate), nil)
	v, err := rfbtest.NewViewer(ws)
	if err != nil {
		t.Fatal(err)
	}
	await(t, operator(t, v), m)
	if err := v.Send(wire.SetEncodings{Encodings: []wire.Encoding{wire.EncodingZRLE, wire.PseudoCursor}}); err != nil {
		t.Fatal(err)
	}
	m.Fill(image.Rect(0, 0, 1000, 350), 0x202020)
	await(t, v, m)
}

func TestManyAtOnce(t *testing.T) {
	m := newMachine(t, 64, 48)
	s := start(t, nil, proxy.Node{Name: "n", Backend: m})
	tok := s.token("n", token.Operate)
	want := m.Picture()
	var viewers []*rfbtest.Viewer
	for range 30 {
		viewers = append(viewers, s.view(tok))
	}
	var wg sync.WaitGroup
	for i, v := range viewers {
		wg.Go(func() {
			err := errors.Join(v.Send(wire.SetEncodings{Encodings: []wire.Encoding{wire.EncodingRaw, wire.PseudoExtendedDesktopSize, wire.PseudoCursor}}),
				v.Request(false), v.Await(want))
			if err != nil {
				t.Errorf("viewer %d: %v", i, err)
			}
			_ = v.Conn.Close()
		})
	}
	wg.Wait()
	s.awaitViewers("n", 0)
	if starts, _, accepted := m.counts(); starts != 1 || accepted != 1 {
		t.Errorf("%d starts, %d sessions", starts, accepted)
	}
}

func TestSessionsAreLogged(t *testing.T) {
	m := newMachine(t, 64, 48)
	s := start(t, nil, proxy.Node{Name: "rack1-u12", Backend: m})
	v := operator(t, s.view(s.token("rack1-u12", token.View)))
	await(t, v, m)
	_ = v.Conn.Close()
	s.awaitLog("session ended")
	var ended string
	for _, line := range bytes.Split([]byte(s.log.String()), []byte("\n")) {
		if bytes.Contains(line, []byte("session ended")) {
			ended = string(line)
		}
	}
	for _, want := range []string{"node=rack1-u12", "mode=view", "remote=127.0.0.1:", "token_id=", "seconds=", "sent=", "received="} {
		if !strings.Contains(ended, want) {
			t.Errorf("%q lacks %s", ended, want)
		}
	}
}
