package proxy_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"image"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/ports"
	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/security"
	"github.com/ironglass/ironglass/rfb/security/securitytest"
)

const (
	aUUID = "99694c1e-6327-4d58-9466-87f7265958af"
	bUUID = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"
)

// ownHost is a loopback address that nobody else uses, so that all its ports
// are free.
func ownHost() string {
	return fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
}

// fronted has a service take viewers that are no browsers, by None where
// change does not say otherwise.
func fronted(r *proxy.RFB) func(*proxy.Config) {
	return func(c *proxy.Config) {
		r.Listen = ownHost()
		if r.Ports == (ports.Range{}) {
			r.Ports = ports.Range{First: 15900, Last: 15915}
		}
		r.None = r.TLS == nil
		c.RFB = r
	}
}

// place is where the API says that the node's RFB port is; "" for none.
func (s *setup) place(node string) string {
	s.t.Helper()
	var list struct {
		Nodes []struct {
			Name string
			RFB  *struct {
				Host string
				Port int
			}
		}
	}
	s.call("GET", "/v1/nodes", "", http.StatusOK, &list)
	for _, n := range list.Nodes {
		if n.Name == node && n.RFB != nil {
			return net.JoinHostPort(n.RFB.Host, strconv.Itoa(n.RFB.Port))
		}
	}
	return ""
}

func connect(t *testing.T, address string) net.Conn {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(patience(t), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(rfbtest.Patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func shake(t *testing.T, conn net.Conn) *rfbtest.Viewer {
	t.Helper()
	v, err := rfbtest.NewViewer(conn)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// metric wants a line of /metrics.
func (s *setup) metric(line string) {
	s.t.Helper()
	if text := s.request("GET", "/metrics", "", nil).Text; !strings.Contains(text, line+"\n") {
		s.t.Errorf("the metrics have no %s:\n%s", line, text)
	}
}

// TestRFBFront: viewers at a node's own port and at the shared one share the
// node's console with websockets, and who only looks whether there is a server
// is nobody.
func TestRFBFront(t *testing.T) {
	m := newMachine(t, 64, 48)
	r := &proxy.RFB{Connect: 15800}
	s := start(t, fronted(r), proxy.Node{Name: "rack 1", UUID: aUUID, Backend: m})
	address := s.place("rack 1")

	// A probe as Ironic's conductor makes it.
	for _, leave := range []int{12, 0} {
		conn := connect(t, address)
		if _, err := io.ReadFull(conn, make([]byte, leave)); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	shared := net.JoinHostPort(r.Listen, "15800")
	_ = connect(t, shared).Close()

	one := operator(t, shake(t, connect(t, address)))
	await(t, one, m)
	tunnels := []*rfbtest.Viewer{one}
	for _, path := range []string{aUUID, "/" + strings.ToUpper(aUUID), "/rack%201"} {
		conn := connect(t, shared)
		if _, err := fmt.Fprintf(conn, "CONNECT %s HTTP/1.1\r\n\r\n", path); err != nil {
			t.Fatal(err)
		}
		head := make([]byte, len("HTTP/1.1 200 Connected\r\n\r\n"))
		if _, err := io.ReadFull(conn, head); err != nil || string(head) != "HTTP/1.1 200 Connected\r\n\r\n" {
			t.Fatalf("CONNECT %s: %q, %v", path, head, err)
		}
		v := operator(t, shake(t, conn))
		await(t, v, m)
		tunnels = append(tunnels, v)
	}
	s.awaitViewers("rack 1", 4)
	if starts, _, accepted := m.counts(); starts != 1 || accepted != 1 {
		t.Errorf("the node has %d starts and %d sessions", starts, accepted)
	}
	m.Fill(image.Rect(1, 2, 30, 40), 0x345678)
	for _, v := range tunnels {
		await(t, v, m)
	}
	if n := strings.Count(s.log.String(), "session began"); n != 4 {
		t.Errorf("the log tells of %d sessions", n)
	}
	var snap struct {
		Seats struct {
			Sessions []struct{ Name, Mode, Remote string }
		}
	}
	s.call("GET", "/v1/nodes/"+aUUID+"/console", "", http.StatusOK, &snap)
	if x := snap.Seats.Sessions; len(x) != 4 || x[0].Name != "rfb "+one.Conn.LocalAddr().String() || x[0].Mode != "operate" || x[0].Remote == "" {
		t.Errorf("the sessions are %+v", x)
	}
	s.metric(`ironglass_sessions_total{mode="operate"} 4`)
	s.metric(`ironglass_rfb_ports{state="open"} 1`)
	if text := s.request("GET", "/metrics", "", nil).Text; strings.Contains(text, `cause="rfb-`) {
		t.Errorf("probes were counted as refused:\n%s", text)
	}

	// Switched off it says so in RFB.
	s.call("PUT", "/v1/nodes/"+aUUID+"/states/console", `{"enabled":false}`, http.StatusAccepted, nil)
	if err := one.Until(func() bool { return false }); err == nil {
		t.Error("the session goes on")
	}
	client := rfb.NewClient(rfb.ClientConfig{
		Dial:     func(context.Context) (net.Conn, error) { return connect(t, address), nil },
		Security: []security.Type{security.None{}},
	})
	if err := client.Run(patience(t), rfb.NewDesktop(nil)); err == nil || !strings.Contains(err.Error(), `The console of "rack 1" is switched off.`) {
		t.Errorf("a console that is switched off: %v", err)
	}
	s.metric(`ironglass_refused_total{cause="disabled"} 1`)
}

// TestRFBConnectRefused: each refusal is one short whole answer.
func TestRFBConnectRefused(t *testing.T) {
	r := &proxy.RFB{Connect: 15800}
	s := start(t, fronted(r), proxy.Node{Name: "n", UUID: aUUID, Backend: newMachine(t, 64, 48)})
	for request, want := range map[string]string{
		"CONNECT /" + bUUID + " HTTP/1.1\r\n\r\n":                            "404 Not Found",
		"CONNECT nobody HTTP/1.1\r\nHost: x\r\n\r\n":                         "404 Not Found",
		"GET / HTTP/1.1\r\n\r\n":                                             "400 Bad Request",
		"CONNECT /%zz HTTP/1.1\r\n\r\n":                                      "400 Bad Request",
		"CONNECT / HTTP/1.1\r\n\r\n":                                         "400 Bad Request",
		"CONNECT n HTTP/1.1\r\n\r":                                           "400 Bad Request", // cut off
		"RFB 003.008\n\r\n\r\n":                                              "400 Bad Request",
		"CONNECT n HTTP/1.1\r\nX: " + strings.Repeat("x", 5000) + "\r\n\r\n": "400 Bad Request",
	} {
		conn := connect(t, net.JoinHostPort(r.Listen, "15800"))
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		if want := "HTTP/1.1 " + want + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"; err != nil || string(got) != want {
			t.Errorf("%.40q is answered %q, %v", request, got, err)
		}
	}
	s.metric(`ironglass_refused_total{cause="rfb-connect"} 8`)
	if text := s.log.String(); !strings.Contains(text, `there is no node \"nobody\"`) {
		t.Errorf("the log does not name the node:\n%s", text)
	}
}

// TestRFBCertificates: VeNCrypt is listed first, lets in who has a certificate
// of ours, and names what is wrong with others.
func TestRFBCertificates(t *testing.T) {
	ours, theirs := pki(t), pki(t)
	r := &proxy.RFB{TLS: proxy.RFBTLS(ours.Server().Certificates[0], ours.Pool())}
	m := newMachine(t, 64, 48)
	s := start(t, func(c *proxy.Config) { fronted(r)(c); r.None = false }, proxy.Node{Name: "n", UUID: aUUID, Backend: m})
	address := s.place("n")
	session := func(cfg *tls.Config) error {
		types := []security.Type{security.None{}}
		if cfg != nil {
			types = []security.Type{security.VeNCrypt{TLS: cfg, Subtypes: []security.Subtype{security.X509None}}}
		}
		over := make(chan error, 1)
		server := rfb.NewServer(rfb.NewClient(rfb.ClientConfig{
			Dial: func(context.Context) (net.Conn, error) { return connect(t, address), nil }, Security: types,
		}), rfb.ServerConfig{Linger: -1, SourceEnded: func(_ rfb.Source, err error) rfb.Source {
			over <- err
			return nil
		}})
		defer server.Close()
		ctx, cancel := context.WithCancelCause(patience(t))
		defer cancel(nil)
		go func() {
			select {
			case err := <-over:
				cancel(err)
			case <-ctx.Done():
			}
		}()
		if _, err := server.Snapshot(ctx); err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		return nil
	}
	if err := session(ours.MutualClient()); err != nil {
		t.Errorf("the right certificate: %v", err)
	}
	stranger := theirs.MutualClient()
	stranger.RootCAs = ours.Pool()
	for name, c := range map[string]struct {
		cfg *tls.Config
		log string
	}{
		"no certificate":        {ours.Client(), "the viewer showed no certificate"},
		"a stranger's":          {stranger, "unknown authority"},
		"a viewer with another": {theirs.MutualClient(), "a viewer refused this service's certificate"},
		"none":                  {nil, ""},
	} {
		if err := session(c.cfg); err == nil {
			t.Errorf("%s was let in", name)
		}
		if c.log != "" {
			s.awaitLog(c.log)
		}
	}
	s.awaitLog("session ended") // the first one's
	s.metric(`ironglass_refused_total{cause="rfb-certificate"} 3`)

	conn := connect(t, address)
	if _, err := io.WriteString(conn, "RFB 003.008\n\x01"); err != nil { // not offered
		t.Fatal(err)
	}
	s.awaitLog("was not offered")
	s.metric(`ironglass_refused_total{cause="rfb-handshake"} 1`)
}

// TestRFBWrites: Nova takes what one read brings for the whole message, and
// chooses the first type in our order.
func TestRFBWrites(t *testing.T) {
	ours := pki(t)
	r := &proxy.RFB{TLS: proxy.RFBTLS(ours.Server().Certificates[0], ours.Pool())}
	s := start(t, func(c *proxy.Config) { fronted(r)(c); r.None = true }, proxy.Node{Name: "n", UUID: aUUID, Backend: newMachine(t, 64, 48)})
	conn := connect(t, s.place("n"))
	for _, step := range []struct{ say, want string }{
		{"", "RFB 003.008\n"},
		{"RFB 003.008\n", "\x02\x13\x01"},
		{"\x13", "\x00\x02"},
	} {
		if _, err := io.WriteString(conn, step.say); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 64)
		if n, err := conn.Read(b); err != nil || string(b[:n]) != step.want {
			t.Errorf("after %q comes %q, %v; want %q", step.say, b[:n], err, step.want)
		}
	}
}

func pki(t *testing.T) *securitytest.PKI {
	t.Helper()
	// The host's address differs with each test.
	p, err := securitytest.NewPKI("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestRFBPorts: ports are the nodes' for as long as these exist, and what goes
// wrong with one leaves the others alone.
func TestRFBPorts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ports")
	r := &proxy.RFB{File: file, Ports: ports.Range{First: 15900, Last: 15901}}
	a := proxy.Node{Name: "a", UUID: aUUID, Version: "1", Backend: newMachine(t, 64, 48)}
	b := proxy.Node{Name: "b", UUID: bUUID, Version: "1", Backend: newMachine(t, 64, 48)}
	s := start(t, fronted(r), a, b)
	placeA, placeB := s.place("a"), s.place("b")
	if placeA == "" || placeB == "" || placeA == placeB {
		t.Fatalf("the ports are %q and %q", placeA, placeB)
	}
	viewer := operator(t, shake(t, connect(t, placeA)))
	await(t, viewer, a.Backend.(*machine))

	// A third node finds none.
	c := proxy.Node{Name: "c", Version: "1", Backend: newMachine(t, 64, 48)}
	set := func(nodes ...proxy.Node) {
		t.Helper()
		if err := s.svc.SetNodes(nodes); err != nil {
			t.Fatal(err)
		}
	}
	set(a, b, c)
	if got := s.place("c"); got != "" {
		t.Errorf("c is at %s", got)
	}
	s.awaitLog("the node has no RFB port: there is none left")
	s.metric(`ironglass_rfb_port_changes_total{cause="exhausted"} 1`)

	// One that is gone is not listened at, and its port goes to who needs it.
	set(a, c)
	if got := s.place("c"); got != placeB {
		t.Errorf("c is at %q, want %q", got, placeB)
	}
	set(a)
	if conn, err := net.Dial("tcp", placeB); err == nil {
		_ = conn.Close()
		t.Error("the port of a node that is gone is listened at")
	}
	a.Backend.(*machine).Fill(image.Rect(0, 0, 9, 9), 0x112233)
	await(t, viewer, a.Backend.(*machine))

	// The next service on the same file has the same port, once it is free.
	next := *r
	s2 := start(t, func(c *proxy.Config) { c.RFB = &next }, a)
	s2.awaitLog("the node's RFB port cannot be listened at")
	if got := s2.place("a"); got != "" {
		t.Errorf("a port that is in use is shown: %s", got)
	}
	s2.metric(`ironglass_rfb_ports{state="shut"} 1`)
	set()
	if err := viewer.Until(func() bool { return false }); err == nil {
		t.Error("the viewer of a node that was removed goes on")
	}
	s.awaitLog("The node was removed from the configuration.")
	s2.awaitLog("the node's RFB port is listened at")
	if got := s2.place("a"); got != placeA {
		t.Errorf("after the restart a is at %q, not %q", got, placeA)
	}
}

// TestRFBRange: a range that has changed gives other ports, and says so.
func TestRFBRange(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ports")
	n := proxy.Node{Name: "n", UUID: aUUID, Version: "1", Backend: newMachine(t, 64, 48)}
	first := start(t, fronted(&proxy.RFB{File: file, Ports: ports.Range{First: 15900, Last: 15901}}), n)
	was := first.place("n")
	s := start(t, fronted(&proxy.RFB{File: file, Ports: ports.Range{First: 16000, Last: 16001}}), n)
	if got := s.place("n"); got == "" || got == was {
		t.Errorf("the port is %q", got)
	}
	s.awaitLog("the node's RFB port is outside of rfb.ports and becomes another")
	s.metric(`ironglass_rfb_port_changes_total{cause="outside-range"} 1`)
}
