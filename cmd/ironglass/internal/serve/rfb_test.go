package serve_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ironglass/ironglass/rfb/security"
	"github.com/ironglass/ironglass/rfb/security/securitytest"
)

// rfbPlace is where viewers that are no browsers reach a node.
func (r *running) rfbPlace(name string) string {
	r.t.Helper()
	_, body := r.get("/v1/nodes")
	var list struct {
		Nodes []struct {
			Name string
			RFB  *struct {
				Host string
				Port int
			}
		}
	}
	if err := json.Unmarshal(body, &list); err != nil {
		r.t.Fatal(err)
	}
	for _, n := range list.Nodes {
		if n.Name == name && n.RFB != nil {
			return net.JoinHostPort(n.RFB.Host, strconv.Itoa(n.RFB.Port))
		}
	}
	r.t.Fatalf("%s has no RFB port: %s", name, body)
	return ""
}

// enter shakes hands by VeNCrypt up to SecurityResult.
func enter(t *testing.T, address string, cfg *tls.Config) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	_, err = io.ReadFull(conn, make([]byte, 12))
	_, err2 := io.WriteString(conn, "RFB 003.008\n")
	list := make([]byte, 2)
	_, err3 := io.ReadFull(conn, list)
	if err := errors.Join(err, err2, err3); err != nil || string(list) != "\x01\x13" {
		return fmt.Errorf("the types are %v, %w", list, err)
	}
	if _, err := conn.Write([]byte{19}); err != nil {
		return err
	}
	v := security.VeNCrypt{TLS: cfg, Subtypes: []security.Subtype{security.X509None}}
	proven, err := v.Client(ctx, conn)
	if err != nil {
		return err
	}
	_, err = io.ReadFull(proven.Conn, make([]byte, 4))
	return err
}

// TestRFB: certificates for viewers are put to use by a reload, what cannot be
// changed is said, and a node's port outlives the service.
func TestRFB(t *testing.T) {
	dir := t.TempDir()
	certificates := func() *securitytest.PKI {
		p, err := securitytest.NewPKI("127.0.0.1")
		if err == nil {
			err = p.Files(dir)
		}
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	first := certificates()
	host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	text := fmt.Sprintf("rfb: {listen: %[1]s, ports: 15900-15931, tls: {cert: %[2]s/server.pem, key: %[2]s/server.key, client_ca: %[2]s/ca.pem}}\n"+
		"nodes: [{name: a, console: {rfb: \"%[3]s\"}}, {name: b, console: {rfb: \"%[3]s\"}}]\n", host, dir, vnc(t))
	cfg := load(t, dir, text)
	r := start(t, cfg)
	placeA, placeB := r.rfbPlace("a"), r.rfbPlace("b")
	if err := enter(t, placeA, first.MutualClient()); err != nil {
		t.Errorf("the right certificate: %v", err)
	}
	second := certificates()
	load(t, dir, strings.Replace(text, "15931", "15932", 1))
	r.reload <- struct{}{}
	r.eventually("the log tells of the reload", func() bool {
		return strings.Contains(r.log.String(), "the configuration was reloaded") && strings.Contains(r.log.String(), "counts from the next start\" key=rfb")
	})
	if err := enter(t, placeB, second.MutualClient()); err != nil {
		t.Errorf("the new certificate: %v", err)
	}
	if err := enter(t, placeB, first.MutualClient()); err == nil {
		t.Error("the old certificate is let in")
	}
	if err := os.WriteFile(dir+"/server.pem", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.reload <- struct{}{}
	r.eventually("the log says what is wrong", func() bool { return strings.Contains(r.log.String(), "rfb.tls: the certificate ") })
	if err := enter(t, placeA, second.MutualClient()); err != nil {
		t.Errorf("after a reload that failed: %v", err)
	}
	r.end()

	certificates()
	next := start(t, load(t, dir, text))
	if a, b := next.rfbPlace("a"), next.rfbPlace("b"); a != placeA || b != placeB {
		t.Errorf("after the restart the ports are %s and %s, not %s and %s", a, b, placeA, placeB)
	}
}
