package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ironglass/ironglass/proxy/ports"
	"github.com/ironglass/ironglass/proxy/token"
	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/security"
)

// RFB is how viewers that are no browsers reach the consoles: VNC viewers, and
// nova-novncproxy. Each node has a port of its own.
type RFB struct {
	// Listen is the host or the network address to listen at.
	Listen string
	// Ports are given to the nodes.
	Ports ports.Range
	// File keeps which node has which port; "" is nowhere.
	File string
	// Connect is the port of an HTTP server that does CONNECT to a node's UUID
	// or name and nothing else, 0 for none.
	Connect int
	// TLS, where not nil, has VeNCrypt with X509None offered. It is made by
	// RFBTLS, or gets its configuration for each connection from there.
	TLS *tls.Config
	// None lets in everybody who can connect.
	None bool
}

// relistenTime is after how long a port that another program had is tried
// again.
const relistenTime = 5 * time.Second

// errNoCertificate refuses a viewer without one.
var errNoCertificate = errors.New("the viewer showed no certificate")

// RFBTLS is the TLS of VeNCrypt for viewers that prove by a certificate of
// one of the authorities that they may look.
func RFBTLS(cert tls.Certificate, authorities *x509.CertPool) *tls.Config {
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{cert},
		ClientCAs:    authorities,
		// One that is shown is checked; that there is none is told by a name.
		ClientAuth: tls.VerifyClientCertIfGiven,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.VerifiedChains) == 0 {
				return errNoCertificate
			}
			return nil
		},
		SessionTicketsDisabled: true,
	}
}

// rfbFront listens for viewers that are no browsers.
type rfbFront struct {
	s       *Service
	cfg     RFB
	types   []security.Type
	connect net.Listener // nil without Connect

	work sync.WaitGroup // listeners' goroutines and connections'

	mu     sync.Mutex
	book   *ports.Book
	doors  map[string]*door // by the node's key
	retry  *time.Timer      // tries ports that are in use
	closed bool
}

// door is one node's port. It is guarded by rfbFront.mu.
type door struct {
	port     int
	listener net.Listener // nil while another program has the port
}

// newRFBFront opens the shared port. The nodes' come with setNodes.
func newRFBFront(s *Service, cfg RFB) (*rfbFront, error) {
	f := &rfbFront{s: s, cfg: cfg, doors: make(map[string]*door)}
	// The first that Nova has enabled is used.
	if cfg.TLS != nil {
		f.types = append(f.types, security.VeNCrypt{TLS: cfg.TLS, Subtypes: []security.Subtype{security.X509None}})
	}
	if cfg.None {
		f.types = append(f.types, security.None{})
	}
	if f.types == nil {
		return nil, errors.New("viewers that are no browsers have no security type: set rfb.tls, or rfb.none")
	}
	var err error
	if f.book, err = ports.Open(cfg.File, cfg.Ports); err != nil {
		return nil, err
	}
	f.retry = time.AfterFunc(relistenTime, f.relisten)
	f.retry.Stop()
	if cfg.Connect != 0 {
		if f.connect, err = f.listen(cfg.Connect); err != nil {
			return nil, fmt.Errorf("rfb.connect: %w: end what listens there, or set it to another port", err)
		}
		f.work.Go(func() { f.accept(f.connect, f.serveConnect) })
	}
	return f, nil
}

func (f *rfbFront) listen(port int) (net.Listener, error) {
	return net.Listen("tcp", net.JoinHostPort(f.cfg.Listen, strconv.Itoa(port)))
}

// rfbKey is what a node's port goes by.
func rfbKey(n Node) string {
	if n.UUID != "" {
		return strings.ToLower(n.UUID)
	}
	return n.Name
}

// setNodes opens the ports of nodes that are new and closes those of nodes
// that are gone. Who is connected is not its matter.
func (f *rfbFront) setNodes(consoles []*Console) {
	if f == nil {
		return
	}
	for _, c := range f.change(consoles) {
		c.notify()
	}
}

// change is setNodes, and returns the consoles that are reached otherwise now.
func (f *rfbFront) change(consoles []*Console) (changed []*Console) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	keys := make([]string, len(consoles))
	names := make(map[string]string, len(consoles))
	for i, c := range consoles {
		keys[i] = rfbKey(c.node)
		names[keys[i]] = c.node.Name
	}
	for key, d := range f.doors {
		if names[key] == "" {
			delete(f.doors, key)
			d.close()
		}
	}
	fresh := make(map[string]net.Listener)
	given, changes, err := f.book.Ports(keys, func(key string, port int) bool {
		l, err := f.listen(port)
		if err != nil {
			return false
		}
		fresh[key] = l
		return true
	}, time.Now())
	if err != nil {
		f.s.cfg.Log.Error("a node's RFB port is not kept", "error", err)
	}
	for _, c := range changes {
		f.tell(names, c)
	}
	for i, key := range keys {
		port := given[key]
		if port == 0 || f.doors[key] != nil {
			continue
		}
		d := &door{port: port}
		f.doors[key] = d
		if l := fresh[key]; l != nil {
			f.open(key, d, l)
			changed = append(changed, consoles[i])
		} else if err := f.tryOpen(key, d); err == nil {
			changed = append(changed, consoles[i])
		} else {
			f.s.metrics.ports.WithLabelValues(string(ports.InUse)).Inc()
			f.s.cfg.Log.Error("the node's RFB port cannot be listened at: end what uses it; it is tried again until then",
				"node", names[key], "port", port, "error", err)
			f.retry.Reset(relistenTime)
		}
	}
	return changed
}

// tell says that a node's port is not the one that it would have been.
func (f *rfbFront) tell(names map[string]string, c ports.Change) {
	f.s.metrics.ports.WithLabelValues(string(c.Cause)).Inc()
	log := f.s.cfg.Log.With("node", names[c.Node], "cause", c.Cause, "range", f.cfg.Ports.String())
	other := names[c.Other]
	if other == "" {
		other = c.Other // it is gone
	}
	switch {
	case c.Got == 0:
		log.Error("the node has no RFB port: there is none left; widen rfb.ports and restart")
	case c.Cause == ports.Outside:
		log.Warn("the node's RFB port is outside of rfb.ports and becomes another: consoles that Ironic has enabled must be enabled anew", "was", c.Wanted, "port", c.Got)
	case c.Cause == ports.Collision:
		log.Info("two nodes want one RFB port", "wanted", c.Wanted, "other", other, "port", c.Got)
	default:
		log.Warn("another program uses the RFB port that the node would have", "wanted", c.Wanted, "port", c.Got)
	}
}

// tryOpen listens at a node's port.
func (f *rfbFront) tryOpen(key string, d *door) error {
	l, err := f.listen(d.port)
	if err == nil {
		f.open(key, d, l)
	}
	return err
}

func (f *rfbFront) open(key string, d *door, l net.Listener) {
	d.listener = l
	f.work.Go(func() {
		f.accept(l, func(conn *countedConn) {
			// It is looked up each time: the console may have been replaced.
			if c := f.s.Console(key); c != nil {
				f.serve(conn, c)
			} else {
				_ = conn.Close() // the node was just removed
			}
		})
	})
}

// relisten is the timer's.
func (f *rfbFront) relisten() {
	for _, key := range f.tryAll() {
		if c := f.s.Console(key); c != nil {
			c.log.Info("the node's RFB port is listened at")
			c.notify()
		}
	}
}

// tryAll tries to listen at all ports that are not listened at, and returns
// the nodes of those that are now.
func (f *rfbFront) tryAll() (opened []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, d := range f.doors {
		switch {
		case f.closed || d.listener != nil:
		case f.tryOpen(key, d) == nil:
			opened = append(opened, key)
		default:
			f.retry.Reset(relistenTime)
		}
	}
	return opened
}

func (d *door) close() {
	if d.listener != nil {
		_ = d.listener.Close()
	}
}

// address is where the node's console is reached; ok is false where nothing
// listens for it.
func (f *rfbFront) address(n Node) (host string, port int, ok bool) {
	if f == nil {
		return "", 0, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.doors[rfbKey(n)]
	if d == nil || d.listener == nil {
		return "", 0, false
	}
	return f.cfg.Listen, d.port, true
}

// count is how many nodes' ports are listened at, and how many are not.
func (f *rfbFront) count() (open, shut int) {
	if f == nil {
		return 0, 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.doors {
		if d.listener != nil {
			open++
		} else {
			shut++
		}
	}
	return open, shut
}

// stopListening lets nobody in any more.
func (f *rfbFront) stopListening() {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.retry.Stop()
	if f.connect != nil {
		_ = f.connect.Close()
	}
	for _, d := range f.doors {
		d.close()
	}
}

// wait returns when all connections have ended, after stopListening.
func (f *rfbFront) wait() {
	if f != nil {
		f.work.Wait()
	}
}

// accept serves the connections of l until l is closed.
func (f *rfbFront) accept(l net.Listener, serve func(*countedConn)) {
	for {
		conn, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			f.s.cfg.Log.Error("a viewer cannot be let in", "address", l.Addr().String(), "error", err)
			time.Sleep(acceptPause) // there may be file descriptors again
		default:
			f.work.Go(func() { serve(&countedConn{Conn: conn}) })
		}
	}
}

// acceptPause is how long it is waited after a connection that could not be
// accepted.
const acceptPause = 100 * time.Millisecond

// serve shows the console to a viewer and closes conn. Who only looks whether
// a server is there is nobody: no viewer, no session, and no refusal.
func (f *rfbFront) serve(conn *countedConn, c *Console) {
	s, remote := f.s, conn.RemoteAddr().String()
	source := hostOf(remote)
	log := c.log.With("remote", remote, "by", "rfb")
	p := s.sessions.begin(source, "")
	if p == nil {
		defer s.sessions.end(source, "")
		if !c.Status().Enabled {
			p = newProblem(0, "disabled", "The console of %q is switched off.", c.node.Name)
		}
	}
	if p != nil {
		s.metrics.refuse(p.Code)
		log.Warn("a viewer was refused", "reason", p.Detail)
		f.refuse(conn, p.Detail)
		return
	}
	name := "rfb " + remote
	who := visitor{id: anonymousID(), name: name, remote: source, claims: token.Claims{Mode: token.Operate, Name: name}}
	var ended func(sent, received int64, reason string, err error)
	who.entered = func() { ended = s.record(c, who, source, nil, log.With("session", who.id)) }
	err := c.serve(context.Background(), conn, rfb.ViewerConfig{Label: remote, Security: f.types}, who)
	if ended == nil {
		f.refused(log, err)
		return
	}
	_, reason := s.farewell(c, err)
	ended(conn.sent.Load(), conn.received.Load(), reason, err)
}

// refused notes a handshake that failed.
func (f *rfbFront) refused(log *slog.Logger, err error) {
	var (
		ours  *tls.CertificateVerificationError
		alert *net.OpError
	)
	switch {
	case err == nil, errors.Is(err, rfb.ErrClosed), errors.Is(err, ErrClosed), errors.Is(err, ErrDisabled):
		return // a probe, or the console ended meanwhile
	case errors.Is(err, errNoCertificate), errors.As(err, &ours):
		f.s.metrics.refuse("rfb-certificate")
		log.Warn("a viewer's certificate was refused: it needs one that an authority of rfb.tls.client_ca has signed", "error", err)
	case errors.As(err, &alert) && alert.Op == "remote error":
		f.s.metrics.refuse("rfb-certificate")
		log.Warn("a viewer refused this service's certificate: it must trust the authority that has signed rfb.tls.cert", "error", err)
	default:
		f.s.metrics.refuse("rfb-handshake")
		log.Warn("a viewer's RFB handshake failed", "error", err)
	}
}

// countedConn counts what goes over a connection.
type countedConn struct {
	net.Conn
	sent, received atomic.Int64
}

// NetConn is the connection below.
func (c *countedConn) NetConn() net.Conn { return c.Conn }

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.received.Add(int64(n))
	return n, err
}

func (c *countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.sent.Add(int64(n))
	return n, err
}

// WriteBuffers writes all of bufs, in one call of the system where it can.
func (c *countedConn) WriteBuffers(bufs net.Buffers) error {
	n, err := bufs.WriteTo(c.Conn)
	c.sent.Add(n)
	return err
}
