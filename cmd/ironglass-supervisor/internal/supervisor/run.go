// Package supervisor is the program ironglass-supervisor: its flags, its
// configuration document, its listener and its metrics, around a session.
package supervisor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/hashicorp/go-multierror"

	"github.com/ironglass/ironglass/cmd/internal/memory"
	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/security"
	"github.com/ironglass/ironglass/x11/session"
)

// Exit statuses.
const (
	statusDone  = 0 // asked to stop, or idle
	statusFault = 1 // something failed at run time
	statusUsage = 2 // bad flags or configuration
)

// maxConnections is how many connections, viewers or not yet, are served at a
// time. A proxy in front of a supervisor needs one; it is more so that those
// who connect and say nothing, for the ten seconds that they get, do not keep
// others out soon.
const maxConnections = 1024

// usageError is a fault of whoever started the program.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// stopped is the cause of the end when somebody asked for it.
type stopped struct{ signal os.Signal }

func (s stopped) Error() string { return "asked to stop (" + s.signal.String() + ")" }

// Main runs the program and returns its exit status. args are without the
// program's name.
func Main(version string, args []string, stdin *os.File, stdout, stderr io.Writer) int {
	// Whoever reads our standard error may go away; that is no reason to die,
	// now or with the last words. The channel is never read, and unlike
	// signal.Ignore this is not inherited by the client.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	err := run(version, args, stdin, stdout, stderr)
	status := statusFault
	var u usageError
	var s stopped
	switch {
	case err == nil:
		return statusDone // -h and -version: the last words are on stdout
	case errors.As(err, &s), errors.Is(err, session.ErrIdle):
		status = statusDone
	case errors.As(err, &u):
		status = statusUsage
	}
	var many *multierror.Error
	if errors.As(err, &many) {
		for _, e := range many.Errors {
			fmt.Fprintf(stderr, "%s: %v\n", program, e)
		}
		return status
	}
	fmt.Fprintf(stderr, "%s: %v\n", program, err)
	return status
}

func run(version string, args []string, stdin *os.File, stdout, stderr io.Writer) error {
	a, err := parseArguments(args)
	switch {
	case err != nil:
		return usageError{err}
	case a.help:
		usage(stdout)
		return nil
	case a.version:
		_, err := fmt.Fprintf(stdout, "%s %s\n", program, version)
		return err
	}
	given := a.given
	if a.config != "" {
		doc, name, err := readDocument(a.config, stdin, documentTimeout)
		if err != nil {
			return usageError{fmt.Errorf("-config %s: %w", a.config, err)}
		}
		document, err := parseDocument(doc, name)
		if err != nil {
			return usageError{err}
		}
		given = a.merge(document)
	}
	s, err := resolve(given)
	if err != nil {
		return usageError{err}
	}
	var local bool
	if s.listen, local, err = s.listen.resolved(); err != nil {
		return err
	}
	if typ := s.secured.open(); !local && typ != "" && !s.insecure {
		return usageError{fmt.Errorf("-listen %s: %w", s.listen, exposed(typ))}
	}
	return serve(s, stderr)
}

// serve runs the supervisor until it is asked to stop, idle, or fails.
func serve(s settings, stderr io.Writer) error {
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: s.logLevel}))
	s.secured.tell(log)
	mem := memory.Keep()
	defer mem.Stop()

	ctx, end := untilAsked()
	defer end()
	x, err := session.New(session.Config{
		Name: s.name, Width: s.width, Height: s.height,
		Display: s.display, Framebuffer: s.framebuffer,
		Command: s.command, OnDemand: s.onDemand, RuntimeDir: s.runtimeDir,
		ViewOnly: s.viewOnly, Selections: s.clipboard, Security: s.secured.types,
		IdleExit: s.idleExit, Reap: true, Heavy: oneProcessor(), Log: log, Changed: mem.Burst, Rested: mem.Burst,
	})
	if err != nil {
		return err
	}
	defer x.Close()

	listener, err := s.listen.listen()
	if err != nil {
		return err
	}
	var servers sync.WaitGroup
	defer servers.Wait()
	defer listener.Close()
	// Nobody need come any more while things come down.
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	if s.metrics != "" {
		l, err := address{"tcp", s.metrics}.listen()
		if err != nil {
			return fmt.Errorf("-metrics: %w", err)
		}
		defer l.Close()
		m := &metricsServer{metrics: func() []metric { return collect(x) }, log: log}
		servers.Go(func() { m.serve(l) })
		log.Info("serving metrics", "url", "http://"+l.Addr().String()+"/metrics")
	}
	servers.Go(func() { serveViewers(listener, x.Server(), log) })
	defer passSignals(x)()
	at := address{listener.Addr().Network(), listener.Addr().String()}
	log.Info("serving RFB", "listen", at.String(), "name", s.name)
	return x.Run(ctx)
}

// untilAsked returns a context that a signal to stop ends. A second signal
// ends the program at once, and with it, by their parent's death, what it has
// started.
func untilAsked() (ctx context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signals = append(signals, syscall.SIGHUP)
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, signals...)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case s := <-asked:
			signal.Stop(asked)
			cancel(stopped{s})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-done
		signal.Stop(asked)
	}
}

// passSignals passes on to the command the signals that mean nothing here, as
// process 1 of a container has to, until the function returned is called.
func passSignals(x *session.Session) (stop func()) {
	got := make(chan os.Signal, 1)
	signal.Notify(got, syscall.SIGUSR1, syscall.SIGUSR2)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for sig := range got {
			if number, ok := sig.(syscall.Signal); ok {
				x.Signal(number)
			}
		}
	}()
	return func() {
		signal.Stop(got) // nothing is sent any more
		close(got)
		<-done
	}
}

// serveViewers serves whoever connects until l is closed, and returns when
// all have gone, which closing the server makes them do.
func serveViewers(l net.Listener, server *rfb.Server, log *slog.Logger) {
	var viewers sync.WaitGroup
	defer viewers.Wait()
	places := make(chan struct{}, maxConnections)
	acceptAll(l, log, func(conn net.Conn) {
		select {
		case places <- struct{}{}:
		default:
			log.Warn("a connection is refused: there are too many", "from", conn.RemoteAddr().String(), "most", maxConnections)
			conn.Close()
			return
		}
		viewers.Go(func() {
			defer func() { <-places }()
			from := conn.RemoteAddr().String()
			log.Debug("connected", "from", from)
			err := server.Serve(context.Background(), conn, rfb.ViewerConfig{})
			switch {
			case err == nil, errors.Is(err, rfb.ErrClosed):
				log.Debug("disconnected", "from", from)
			case errors.Is(err, security.ErrRefused):
				log.Warn("a viewer was refused", "from", from, "err", err)
			default:
				log.Info("a connection failed", "from", from, "err", err)
			}
		})
	})
}

// collect reads the metrics.
func collect(x *session.Session) []metric {
	r, s := x.Server().Stats(), x.Stats()
	live := 0.0
	if s.Live {
		live = 1
	}
	return []metric{
		{name: "ironglass_viewers", help: "Viewers connected now.", value: float64(r.Viewers)},
		{name: "ironglass_auth_failures_total", help: "Wrong passwords and certificates of viewers.", counter: true, value: float64(r.AuthFailures)},
		{name: "ironglass_display_live", help: "1 while viewers see the display, 0 while they see a notice.", value: live},
		{name: "ironglass_display_starts_total", help: "Connections made to X servers.", counter: true, value: float64(s.DisplayStarts)},
		{name: "ironglass_client_starts_total", help: "Starts of the command.", counter: true, value: float64(s.ClientStarts)},
		{name: "ironglass_frames_total", help: "Pictures of the display looked at.", counter: true, value: float64(r.Frames)},
		{name: "ironglass_updates_total", help: "Updates sent to viewers.", counter: true, value: float64(r.Updates)},
		{name: "ironglass_rectangles_total", help: "Rectangles sent to viewers.", counter: true, value: float64(r.Rects)},
		{name: "ironglass_sent_bytes_total", help: "Bytes sent to viewers.", counter: true, value: float64(r.BytesSent)},
		{name: "ironglass_encodes_total", help: "Rectangles encoded.", counter: true, value: float64(r.EncodeCalls)},
		{name: "ironglass_encode_seconds_total", help: "Time taken to encode.", counter: true, value: r.EncodeTime.Seconds()},
		{name: "ironglass_cache_hits_total", help: "Rectangles sent that were already encoded.", counter: true, value: float64(r.CacheHits)},
		{name: "ironglass_skipped_frames_total", help: "Pictures that viewers on slow paths were not sent, but newer ones.", counter: true, value: float64(r.Skipped)},
		{name: "ironglass_mended_rectangles_total", help: "Rectangles sent exactly after they had been sent at a loss.", counter: true, value: float64(r.Mended)},
		{name: "ironglass_frame_bytes", help: "The picture that is kept.", value: float64(r.FrameBytes)},
		{name: "ironglass_cache_bytes", help: "Encoded rectangles kept for further viewers.", value: float64(r.CacheBytes)},
	}
}
