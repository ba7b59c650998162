// Package securitytest has what tests of RFB's security need: certificates.
package securitytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// PKI is an authority with a server's and a client's certificate.
type PKI struct {
	// Host is the server's name, a DNS name or an IP address.
	Host string
	// Authority, and what it has signed.
	Authority, ServerCert, ClientCert tls.Certificate
}

// NewPKI makes one, valid until tomorrow; from the year 1999, since time in
// bubbles of testing/synctest begins in 2000.
func NewPKI(host string) (*PKI, error) {
	p := &PKI{Host: host}
	template := func(name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Now().Add(24 * time.Hour),
			KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
		}
	}
	ca := template("authority of the tests")
	ca.IsCA = true
	ca.KeyUsage |= x509.KeyUsageCertSign
	server := template(host)
	server.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if ip := net.ParseIP(host); ip != nil {
		server.IPAddresses = []net.IP{ip}
	} else {
		server.DNSNames = []string{host}
	}
	client := template("a viewer")
	client.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	var err, errServer, errClient error
	p.Authority, err = sign(ca, nil)
	if err != nil {
		return nil, err
	}
	p.ServerCert, errServer = sign(server, &p.Authority)
	p.ClientCert, errClient = sign(client, &p.Authority)
	return p, errors.Join(errServer, errClient)
}

// sign makes a certificate, by itself where by is nil.
func sign(template *x509.Certificate, by *tls.Certificate) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	parent, signer := template, any(key)
	if by != nil {
		parent, signer = by.Leaf, by.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

// Pool holds the authority.
func (p *PKI) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.Authority.Leaf)
	return pool
}

// Server is the configuration of a server that asks for no certificate,
// MutualServer of one that takes the authority's.
func (p *PKI) Server() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{p.ServerCert}, MinVersion: tls.VersionTLS12}
}

// MutualServer is described at Server.
func (p *PKI) MutualServer() *tls.Config {
	cfg := p.Server()
	cfg.ClientCAs = p.Pool()
	return cfg
}

// Client is the configuration of a client that has no certificate,
// MutualClient of one that has.
func (p *PKI) Client() *tls.Config {
	return &tls.Config{RootCAs: p.Pool(), ServerName: p.Host, MinVersion: tls.VersionTLS12}
}

// MutualClient is described at Client.
func (p *PKI) MutualClient() *tls.Config {
	cfg := p.Client()
	cfg.Certificates = []tls.Certificate{p.ClientCert}
	return cfg
}

// Files writes everything into a directory as PEM: ca.pem, server.pem,
// server.key, client.pem and client.key.
func (p *PKI) Files(dir string) error {
	var errs error
	for name, c := range map[string]tls.Certificate{"ca": p.Authority, "server": p.ServerCert, "client": p.ClientCert} {
		key, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
		errs = errors.Join(errs, err,
			os.WriteFile(filepath.Join(dir, name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}), 0o600),
			os.WriteFile(filepath.Join(dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}), 0o600))
	}
	return errs
}
