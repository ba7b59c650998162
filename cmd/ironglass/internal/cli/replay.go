package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/fbs"
)

// maxReplayViewers is how many may look at a recording at once.
const maxReplayViewers = 100

func replayCommand(f *flag.FlagSet) func(Env, []string) error {
	listen := f.String("listen", "127.0.0.1:5900", "the loopback `ADDRESS` where viewers connect")
	speed := f.Float64("speed", 1, "how fast time passes: 2 is twice as fast as it was")
	loop := f.Bool("loop", false, "begin anew after the end")
	return func(env Env, operands []string) error {
		if !(*speed > 0) {
			return usagef("-speed %v is no speed: use a number above 0, such as 2", *speed)
		}
		return replay(env, operands[0], *listen, fbs.PlayerConfig{Speed: *speed, Loop: *loop})
	}
}

// replay serves a recording as RFB until a signal ends it.
func replay(env Env, file, listen string, cfg fbs.PlayerConfig) error {
	open := func() (io.ReadCloser, error) { return os.Open(file) }
	cfg.Recording = fbs.Stream(open)
	if err := playable(open); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	l, err := listenLoopback(listen)
	if err != nil {
		return err
	}
	ctx, _, _, stop := signals(false)
	defer stop()
	defer context.AfterFunc(ctx, func() { l.Close() })()

	cfg.Log = slog.New(slog.NewTextHandler(env.Stderr, nil))
	player := fbs.NewPlayer(cfg)
	lost := make(chan error, 1)
	srv := rfb.NewServer(player, rfb.ServerConfig{SourceEnded: func(_ rfb.Source, err error) rfb.Source {
		lost <- err
		l.Close()
		return nil
	}})
	var viewers sync.WaitGroup
	defer viewers.Wait()
	defer srv.Close()
	if _, err := fmt.Fprintf(env.Stdout, "playing %s to viewers at %s\n", file, l.Addr()); err != nil {
		return err
	}
	places := make(chan struct{}, maxReplayViewers)
	for {
		places <- struct{}{}
		conn, err := l.Accept()
		if err != nil {
			break
		}
		viewers.Go(func() {
			defer func() { <-places }()
			if err := srv.Serve(ctx, conn, rfb.ViewerConfig{}); err != nil && ctx.Err() == nil {
				cfg.Log.Info("a viewer left", "from", conn.RemoteAddr().String(), "why", err)
			}
		})
	}
	select {
	case err := <-lost:
		return fmt.Errorf("%s: %w", file, err)
	default:
		return nil
	}
}

// playable says why a recording cannot be played, where its beginning tells.
func playable(open func() (io.ReadCloser, error)) error {
	r, err := open()
	if err != nil {
		return errors.Unwrap(err) // without the name, which is said already
	}
	defer r.Close()
	_, err = fbs.NewReader(r)
	return err
}

// listenLoopback opens a port that this machine alone can reach: a recording
// may show anything, and no password is asked.
func listenLoopback(address string) (net.Listener, error) {
	to, err := net.ResolveTCPAddr("tcp", address)
	switch {
	case err != nil:
		return nil, usagef("-listen %q is no address: write it as in 127.0.0.1:5900 (%w)", address, err)
	case !to.IP.IsLoopback():
		return nil, usagef("-listen %s can be reached by others, and no password is asked: use 127.0.0.1:%d", address, to.Port)
	}
	l, err := net.ListenTCP("tcp", to)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("another program listens at %s: choose another port with -listen", to)
	}
	if err != nil {
		return nil, fmt.Errorf("listening at %s: %w", to, err)
	}
	return l, nil
}
