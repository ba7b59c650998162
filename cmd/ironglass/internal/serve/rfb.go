package serve

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"

	"github.com/ironglass/ironglass/cmd/ironglass/internal/config"
	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/ports"
)

// rfb says how viewers that are no browsers connect, nil where they cannot.
func (s *service) rfb() (*proxy.RFB, error) {
	c := s.cfg.RFB
	if c == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	r := &proxy.RFB{
		Listen: c.Listen, Ports: ports.Range{First: c.First, Last: c.Last}, Connect: c.Connect, None: c.None,
		File: filepath.Join(s.cfg.StateDir, "rfb-ports.json"),
	}
	if c.TLS != nil {
		t, err := rfbTLS(c.TLS)
		if err != nil {
			return nil, err
		}
		s.rfbSecured.Store(t)
		r.TLS = &tls.Config{
			MinVersion:         tls.VersionTLS12,
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.rfbSecured.Load(), nil },
		}
	}
	if c.None && !config.LoopbackHost(c.Listen) {
		s.Log.Warn("everybody who reaches the nodes' RFB ports operates their consoles: rfb.none is set", "listen", c.Listen)
	}
	return r, nil
}

// rfbTLS reads the certificates for viewers that are no browsers.
func rfbTLS(c *config.MutualTLS) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("rfb.tls: the certificate %s with the key %s cannot be used: %w", c.Cert, c.Key, err)
	}
	text, err := os.ReadFile(c.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("rfb.tls.client_ca cannot be read: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate in PEM: correct rfb.tls.client_ca", c.ClientCA)
	}
	return proxy.RFBTLS(cert, pool), nil
}

// rfbDiffers reports whether what cannot change while the service runs has
// changed.
func rfbDiffers(now, next *config.RFB) bool {
	if now == nil || next == nil {
		return now != next
	}
	a, b := *now, *next
	differs := (a.TLS == nil) != (b.TLS == nil)
	a.TLS, b.TLS = nil, nil
	return differs || a != b
}
