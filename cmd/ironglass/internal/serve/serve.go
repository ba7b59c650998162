// Package serve is the central service: it wires the configuration, the
// launcher and the proxy together, and sees to their orderly end.
package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hashicorp/go-multierror"

	"github.com/ironglass/ironglass/cmd/internal/memory"
	"github.com/ironglass/ironglass/cmd/ironglass/internal/config"
	"github.com/ironglass/ironglass/launcher/inventory"
	"github.com/ironglass/ironglass/launcher/process"
	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/recording"
	"github.com/ironglass/ironglass/proxy/token"
	"github.com/ironglass/ironglass/web"
)

// Options are how a service runs beside its configuration.
type Options struct {
	// Log takes what happens; it must be set.
	Log *slog.Logger
	// Hurry, once closed, cuts an orderly end short: sessions are cut off and
	// consoles killed. nil never is.
	Hurry <-chan struct{}
	// Reload has the configuration read anew each time that something comes;
	// nil never has.
	Reload <-chan struct{}
	// Ready, if not nil, is told the service's address once it answers.
	Ready func(url string)
	// Version is the program's, for the log.
	Version string
}

const (
	// drainTime is for viewers to be told and their sessions to end.
	drainTime = 10 * time.Second
	// headerTime bounds the reading of a request's header, bodyTime of its
	// body; neither touches websockets.
	headerTime, bodyTime = 10 * time.Second, 30 * time.Second
	// idleTime is how long a connection may wait for its next request.
	idleTime = 2 * time.Minute
	// maxHeader caps a request's header in bytes; tokens stand in it.
	maxHeader = 64 << 10
)

// Run runs the service until ctx ends, then ends what it began and returns.
// The error says what failed and what to do.
func Run(ctx context.Context, cfg *config.Config, o Options) (err error) {
	s := &service{cfg: cfg, Options: o, memory: memory.Keep()}
	defer s.memory.Stop()
	defer func() {
		// The error that comes first is why; those of the end are beside it.
		if end := s.end(); end != nil {
			if err == nil {
				err = end
			} else {
				s.Log.Error("the service did not end in order", "err", end)
			}
		}
	}()
	if err := s.open(ctx); err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- s.serve() }()
	s.Log.Info("open "+s.url()+" in a browser", "version", o.Version, "nodes", len(s.proxy.Consoles()), "state", cfg.StateDir)
	if o.Ready != nil {
		o.Ready(s.url())
	}
	for {
		select {
		case err := <-served:
			return fmt.Errorf("the HTTP server ended: %w", err)
		case <-o.Reload:
			s.reload()
		case list := <-s.news():
			s.relist(list)
		case <-ctx.Done():
			s.Log.Info("ending: viewers are told, consoles are ended")
			s.served = served
			return nil
		}
	}
}

// service is what Run has opened. It belongs to Run's goroutine.
type service struct {
	cfg *config.Config
	Options
	memory *memory.Keeper

	listener net.Listener
	secured  atomic.Pointer[tls.Config] // what new connections use; nil without TLS
	// rfbSecured is what VeNCrypt uses from the next viewer on; nil without.
	rfbSecured atomic.Pointer[tls.Config]
	launcher   *process.Launcher
	store      *recording.Store     // nil where nothing is recorded and never was
	file       *inventory.Inventory // the nodes that the configuration lists now
	ironic     *followed            // nil without that inventory
	keystone   *identity            // nil without
	proxy      *proxy.Service
	http       *http.Server
	compute    *http.Client // for requests to Nova; nil where there are none
	served     <-chan error // set when the HTTP server still runs
}

// open makes everything ready to serve. What it opened before an error, end
// closes.
func (s *service) open(ctx context.Context) error {
	credential, err := s.cfg.Credential()
	if err != nil {
		return err
	}
	if s.listener, err = listen(s.cfg.Listen); err != nil {
		return err
	}
	if s.cfg.TLS != nil {
		t, err := tlsConfig(s.cfg)
		if err != nil {
			return err
		}
		s.secured.Store(t)
		s.listener = tls.NewListener(s.listener, &tls.Config{
			MinVersion:         tls.VersionTLS12,
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.secured.Load(), nil },
		})
	}
	if err := os.MkdirAll(s.cfg.StateDir, 0o700); err != nil {
		return fmt.Errorf("the state cannot be kept in %s: %w: set state_dir to a directory that this user can write", s.cfg.StateDir, err)
	}
	tokens, err := token.Open(s.cfg.StateDir)
	if err != nil {
		return err
	}
	page, err := web.Files()
	if err != nil {
		return err
	}
	s.launcher, err = process.New(ctx, process.Config{
		Dir:        filepath.Join(s.cfg.StateDir, "run"),
		Supervisor: s.cfg.Process.Supervisor,
		IdleExit:   s.cfg.Process.IdleExit,
		Log:        s.Log,
	})
	if err != nil {
		return err
	}
	s.file = s.cfg.Nodes
	if s.cfg.Ironic != nil {
		if s.ironic, err = follow(ctx, s.cfg, s); err != nil {
			return err
		}
	}
	all, nodes, err := s.roster(s.file)
	if err != nil {
		return err
	}
	if err := s.retire(ctx, all); err != nil {
		return err
	}
	if err := s.openRecordings(nodes); err != nil {
		return err
	}
	rfb, err := s.rfb()
	if err != nil {
		return err
	}
	nova, err := s.nova()
	if err != nil {
		return err
	}
	if s.keystone, err = s.identity(s.cfg); err != nil {
		return err
	}
	var status func() proxy.Inventory
	if s.ironic != nil {
		status = s.ironic.status
	}
	s.proxy, err = proxy.New(proxy.Config{
		RFB:       rfb,
		Nova:      nova,
		Inventory: status,
		Nodes:     nodes,
		PublicURL: s.cfg.PublicURL,
		Access:    access(s.cfg, credential, s.keystone),
		Linger:    s.cfg.Linger,
		Lease:     proxy.Lease(s.cfg.Lease),
		AuditFile: s.cfg.AuditFile,
		Page:      page,

		FrameAncestors: s.cfg.FrameAncestors,
		PagePolicy:     web.ContentSecurityPolicy,
		Tokens:         tokens,
		Recordings:     s.store,
		Changed:        s.memory.Burst,
		Log:            s.Log,
	})
	if err != nil {
		return err
	}
	s.http = &http.Server{
		Handler:           bodyDeadline(s.proxy.Handler()),
		ReadHeaderTimeout: headerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug),
	}
	return nil
}

// listen opens the address.
func listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("listen %s: address in use: end what listens there, or set listen to another port", address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("listen %s: this user may not: set listen to a port above 1023", address)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("listen %s: this machine does not have that address: correct listen", address)
	case err != nil:
		return nil, fmt.Errorf("listen %s: %w", address, err)
	}
	return l, nil
}

// retire ends adopted consoles of nodes that there are not any more, or not
// with a command. Where the nodes of an inventory were never read, those are
// left to end by themselves.
func (s *service) retire(ctx context.Context, all *inventory.Inventory) error {
	if s.ironic != nil && s.ironic.nodes == nil {
		return nil
	}
	running, err := s.launcher.List(ctx)
	if err != nil {
		return err
	}
	for _, i := range running {
		if n, ok := all.Find(i.Node); ok && n.Console.Command != nil {
			continue
		}
		s.Log.Info("ending the console of a node that is not configured any more", "node", i.Node)
		if err := s.launcher.Stop(ctx, i.ID); err != nil {
			return err
		}
	}
	return nil
}

// openRecordings opens the recordings where some node has any, or had: those
// of a node that is not recorded any more can still be looked at.
func (s *service) openRecordings(nodes []proxy.Node) error {
	cfg := s.cfg.Recording
	_, err := os.Stat(cfg.Dir)
	if err != nil && !slices.ContainsFunc(nodes, func(n proxy.Node) bool { return n.Recording.On() }) {
		return nil
	}
	s.store, err = recording.Open(recording.Config{Dir: cfg.Dir, Keep: cfg.Keep, MaxTotal: cfg.MaxTotal, Log: s.Log})
	return err
}

// url is where a person on this machine finds the service.
func (s *service) url() string {
	u := url.URL{Scheme: "http", Host: s.listener.Addr().String(), Path: "/"}
	if s.cfg.TLS != nil {
		u.Scheme = "https"
	}
	if host, port, err := net.SplitHostPort(u.Host); err == nil {
		if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
			u.Host = net.JoinHostPort("localhost", port)
		}
	}
	return u.String()
}

// serve runs the HTTP server until it is closed.
func (s *service) serve() error { return s.http.Serve(s.listener) }

// bodyDeadline gives a request that has a body a time in which it must
// arrive. A deadline for all requests would end the long ones that only wait.
func bodyDeadline(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			// Every connection of this server has deadlines.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTime))
		}
		next.ServeHTTP(w, r)
	})
}

// end closes what open opened, in the order that lets viewers see why. Once
// Hurry is closed it waits for nothing that can be cut off.
func (s *service) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	over, watched := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-s.Hurry:
			cancel()
			if s.launcher != nil {
				s.launcher.Hurry()
			}
		case <-over:
		}
	}()
	if s.ironic != nil {
		s.ironic.close()
	}
	defer s.keystone.close()
	var errs *multierror.Error
	drained := true
	if s.proxy != nil {
		if err := s.proxy.Close(ctx); err != nil {
			errs = multierror.Append(errs, err)
			drained = false // recordings are still being written
		}
	}
	if s.http != nil {
		// The websockets are gone; what is left are short requests.
		if err := s.http.Shutdown(ctx); err != nil {
			_ = s.http.Close()
		}
	}
	if s.served != nil {
		if err := <-s.served; !errors.Is(err, http.ErrServerClosed) {
			errs = multierror.Append(errs, fmt.Errorf("the HTTP server ended: %w", err))
		}
	}
	if s.listener != nil {
		_ = s.listener.Close()
	}
	if s.compute != nil {
		s.compute.CloseIdleConnections()
	}
	if s.store != nil && drained {
		if err := s.store.Close(); err != nil {
			errs = multierror.Append(errs, err)
		}
	}
	if s.launcher != nil {
		if err := s.launcher.Close(); err != nil {
			errs = multierror.Append(errs, err)
		}
	}
	close(over)
	<-watched
	return errs.ErrorOrNil()
}
