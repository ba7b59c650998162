// Package proxy is where people meet a console: pages, an API and websockets
// over HTTP in front of one Console per node.
//
// A Console ends the RFB session on both sides. Towards the node it is an RFB
// client, of which there is one however many people look; towards people it
// is an RFB server, whose picture is the node's, or a painted notice that
// says what is going on while there is none.
//
// The package starts nothing by itself: what makes a node's console run is
// behind the Backend interface.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-multierror"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/ironglass/ironglass/proxy/recording"
	"github.com/ironglass/ironglass/proxy/token"
	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/security"
)

// Backend makes one node's console run. A Console calls Start and Explain one
// at a time, never Start while Stop runs.
type Backend interface {
	// Start makes the console run and returns how to reach its RFB server.
	// Where it runs already that is returned at once. phase is told what is
	// being waited for, in a few words for a person, and may be called from
	// any goroutine until Start returns. When ctx ends nothing is left half
	// started. The error is shown to people as it is: it names what failed
	// and what to do, and holds no secret.
	Start(ctx context.Context, phase func(string)) (Endpoint, error)
	// Stop ends it and returns when it is gone. What does not run is no error.
	Stop(ctx context.Context) error
	// Explain says in one line why it ended, "" where that is not known.
	Explain(ctx context.Context) string
}

// Endpoint is how a console's RFB server is reached.
type Endpoint struct {
	// Dial opens a connection to it.
	Dial func(context.Context) (net.Conn, error)
	// Epoch names what runs; it differs between two starts of it.
	Epoch string
	// Exact says that the server sends nothing that has not changed, so that
	// its picture need not be compared with the one before.
	Exact bool
	// Security lists the security types that may be used, the best first; nil
	// is None alone, for a connection that is secured by other means.
	Security []security.Type
	// Explain, where not nil, says in words for a person what a session ended
	// with that never showed a picture.
	Explain func(error) error
}

// Node is a machine that has a console.
type Node struct {
	// Name identifies the node to people, in addresses and in tokens.
	Name string
	// UUID identifies it too, where it is not empty.
	UUID string
	// Kind says in a word what makes the console, for display.
	Kind string
	// Width and Height are the size in pixels of what is painted before the
	// console's own size is known; 0 is 1280x1024.
	Width, Height int
	// Version differs where anything else about the node does; see SetNodes.
	Version string
	// Seats says who of those that may operate the console does.
	Seats SeatPolicy
	// Lease overrides the service's where it is not zero.
	Lease Lease
	// Keys is how fast keys go to the console.
	Keys Pace
	// Layout is the keyboard layout of the machine, by which texts become
	// keys; "" is typing.Default.
	Layout string
	// BySymbol says that the console is an X display of a supervisor: it goes
	// by the symbols of keys, whatever its layout is, and tells of its
	// keyboard's lights once it takes keys. No text or chord is typed before.
	BySymbol bool
	// Recording is what is recorded of it; the zero value is nothing.
	Recording recording.Settings
	// Backend makes the console run.
	Backend Backend
	// Unavailable, where it is not empty, says for a person why the node can
	// have no console, without a full stop. Backend is not used then.
	Unavailable string
	// About is what else is said of the node.
	About About
}

// Limits bound what people can ask for. Zero is the default, negative is no
// limit.
type Limits struct {
	// Sessions is the number of viewers altogether; default 4096.
	Sessions int
	// SessionsPerSource is the number of viewers from one network address;
	// default 2048, because a reverse proxy is one address too.
	SessionsPerSource int
	// SessionsPerToken is the number of viewers with one token; default 256.
	SessionsPerToken int
	// MessageBytes is the size of one websocket message from a viewer;
	// default 1 MiB.
	MessageBytes int64
	// BodyBytes is the size of a request's body; default 64 KiB.
	BodyBytes int64
	// TokenTTL is the longest lifetime that a token may be asked for; default
	// 24 hours.
	TokenTTL time.Duration
	// HandshakeTimeout ends a viewer that has not finished the RFB handshake;
	// default 10 s.
	HandshakeTimeout time.Duration
	// WriteTimeout ends a viewer that takes nothing for so long; default 60 s.
	WriteTimeout time.Duration
	// Replays is the number of recordings that are replayed at a time; default
	// 128.
	Replays int
	// ReplaysPerSource is that for one network address; default 32.
	ReplaysPerSource int
	// Ping is the time between two websocket pings; a viewer that answers
	// none of two in a row is gone. Default 30 s.
	Ping time.Duration
}

// Config is how a Service behaves. It must not change once New has it.
type Config struct {
	// Nodes are the machines; their names and UUIDs must differ.
	Nodes []Node
	// PublicURL is where browsers reach the service, such as
	// https://console.example.net or https://example.net/console. Where it is
	// empty, addresses are made from the request's Host.
	PublicURL string
	// Page holds the files that browsers load: index.html for "/",
	// console.html for the console page under its three names, error.html (a
	// template with Status, Title and Detail), and what those refer to.
	Page fs.FS
	// PagePolicy is the Content-Security-Policy of the files in Page; default
	// is their own origin alone.
	PagePolicy string
	// FrameAncestors lists the origins that may show the console page in a
	// frame, as in https://horizon.example.net; nil is all of them.
	FrameAncestors []string
	// Tokens issues and checks the tokens that open consoles.
	Tokens *token.Authority
	// TokenTTL is the lifetime of a token that is not asked for with another;
	// 0 is 10 minutes.
	TokenTTL time.Duration
	// Access says who may do what, until SetAccess says otherwise.
	Access
	// Linger is how long a console's session goes on after the last viewer;
	// 0 is a minute, negative is no longer than it takes a browser to load
	// the page again.
	Linger time.Duration
	// Lease is how long consoles go on that nobody uses.
	Lease Lease
	// AuditFile is where it is noted who did what, a JSON object a line; "" is
	// nowhere. It is made readable for its owner alone.
	AuditFile string
	// Recordings is where recordings are kept; nil where no node has any. The
	// caller closes it after the service.
	Recordings *recording.Store
	// RFB is how viewers that are no browsers connect; nil where they cannot.
	RFB *RFB
	// Nova has tokens checked that Nova gave out; nil where there are none.
	Nova *Nova
	// Inventory, if not nil, says how current the nodes are.
	Inventory func() Inventory
	// Changed, if not nil, is called when a console's state or viewers change.
	// It must return at once.
	Changed func()
	// Ready, if not nil, is asked by /readyz; its error is a person's to read.
	Ready func(ctx context.Context) error
	// Log takes what happens; nil discards it. No token is ever logged.
	Log *slog.Logger
	// Metrics is where the service registers its metrics and what /metrics
	// shows; nil is a registry of its own, with the program's and the Go
	// runtime's figures.
	Metrics *prometheus.Registry
	// Limits bound what people can ask for.
	Limits Limits
}

// Service is the proxy for a set of nodes. Its methods may be called from any
// goroutine.
type Service struct {
	cfg      Config
	public   *url.URL // nil where Config has none
	metrics  *metrics
	sessions sessions // viewers
	streams  sessions // subscribers to events
	changes  changes
	auditor  *auditor // nil without AuditFile
	recorded *recordingMetrics
	listed   *inventoryMetrics // nil without Config.Inventory
	replays  replays
	page     *page
	rfb      *rfbFront     // nil without RFB
	pictures chan struct{} // holds a token for each picture being compressed
	waits    atomic.Int64  // calls that wait for pictures

	access atomic.Pointer[access]
	roster atomic.Pointer[roster]

	reloading sync.Mutex // held while roster is being replaced
	retired   rfb.Stats  // of consoles that are gone; guarded by reloading
	leaving   sync.WaitGroup

	life context.Context // ends when Close begins
	end  context.CancelFunc
}

// New checks cfg and returns a service whose consoles are all cold. All that
// is wrong with cfg is in the error. Close must be called in the end.
func New(cfg Config) (*Service, error) {
	cfg = cfg.withDefaults()
	s := &Service{cfg: cfg, pictures: make(chan struct{}, maxPictures)}
	s.life, s.end = context.WithCancel(context.Background())
	var errs *multierror.Error
	add := func(err error) {
		if err != nil {
			errs = multierror.Append(errs, err)
		}
	}
	add(s.setPublicURL(cfg.PublicURL))
	add(s.SetAccess(cfg.Access))
	if cfg.Tokens == nil {
		add(errors.New("there is no authority for tokens"))
	}
	var err error
	s.page, err = newPage(cfg)
	add(err)
	s.sessions.init("viewers", cfg.Limits)
	s.streams.init("subscribers", cfg.Limits)
	s.changes.init(cfg.Changed)
	s.replays.init(cfg.Limits)
	s.metrics = newMetrics(s)
	s.recorded = newRecordingMetrics(s)
	s.roster.Store(&roster{})
	add(s.SetNodes(cfg.Nodes))
	if err := errs.ErrorOrNil(); err != nil {
		return nil, err
	}
	if err := s.open(); err != nil {
		return nil, err
	}
	return s, nil
}

// open opens files and ports, none where there is an error.
func (s *Service) open() error {
	cfg := s.cfg
	var err error
	if cfg.AuditFile != "" {
		if s.auditor, err = openAuditor(cfg.AuditFile, cfg.Log, s.metrics.unaudited.Inc); err != nil {
			return err
		}
	}
	if cfg.RFB != nil {
		if s.rfb, err = newRFBFront(s, *cfg.RFB); err != nil {
			s.auditor.close()
			return err
		}
	}
	if err := s.register(); err != nil {
		s.rfb.stopListening()
		s.rfb.wait()
		s.auditor.close()
		return fmt.Errorf("registering the metrics: %w", err)
	}
	s.rfb.setNodes(s.roster.Load().consoles)
	return nil
}

// collectors are the parts of the service's metrics.
func (s *Service) collectors() []prometheus.Collector {
	all := []prometheus.Collector{s.metrics, s.recorded}
	if s.cfg.Inventory != nil {
		all = append(all, s.listed)
	}
	return all
}

func (s *Service) register() error {
	if s.cfg.Inventory != nil {
		s.listed = newInventoryMetrics(s.cfg.Inventory)
	}
	var errs error
	for _, m := range s.collectors() {
		errs = errors.Join(errs, s.cfg.Metrics.Register(m))
	}
	return errs
}

func (c Config) withDefaults() Config {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
		c.Metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	}
	if c.TokenTTL <= 0 {
		c.TokenTTL = 10 * time.Minute
	}
	if c.Linger == 0 {
		c.Linger = time.Minute
	}
	// The RFB server asks for a short time at least, so that a page that is
	// loaded again finds its console as it left it.
	c.Linger = max(c.Linger, minLinger)
	if c.PagePolicy == "" {
		c.PagePolicy = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'"
	}
	l := &c.Limits
	orDefault(&l.Sessions, 4096)
	orDefault(&l.SessionsPerSource, 2048)
	orDefault(&l.SessionsPerToken, 256)
	orDefault(&l.Replays, 128)
	orDefault(&l.ReplaysPerSource, 32)
	orDefault(&l.MessageBytes, 1<<20)
	orDefault(&l.BodyBytes, 64<<10)
	orDefault(&l.TokenTTL, 24*time.Hour)
	orDefault(&l.HandshakeTimeout, 10*time.Second)
	orDefault(&l.WriteTimeout, time.Minute)
	orDefault(&l.Ping, 30*time.Second)
	return c
}

func orDefault[T int | int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

func (s *Service) setPublicURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil {
		return fmt.Errorf("the public URL %q cannot be read: %w", text, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("the public URL %q is not of the form https://host or https://host/path", text)
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	s.public = u
	return nil
}

// Close tells the viewers, ends their sessions and the consoles' and waits
// for all that, until ctx ends. What the backends run goes on: the next
// service finds it, and it ends by itself when nobody asks for it.
func (s *Service) Close(ctx context.Context) error {
	s.end()
	done := make(chan struct{})
	go s.drain(done)
	select {
	case <-done:
		for _, m := range s.collectors() {
			s.cfg.Metrics.Unregister(m)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("ending the sessions: %w", ctx.Err())
	}
}

// drain ends when all sessions and consoles have; it then closes done.
func (s *Service) drain(done chan<- struct{}) {
	defer close(done)
	s.rfb.stopListening()
	s.reloading.Lock() // nothing new is begun after this
	consoles := s.Consoles()
	s.reloading.Unlock()
	var wg sync.WaitGroup
	for _, c := range consoles {
		wg.Go(c.close)
	}
	wg.Go(s.replays.close)
	wg.Wait()
	s.leaving.Wait()
	s.sessions.wait()
	s.rfb.wait()
	s.streams.wait()
	s.auditor.close()
}
