package cli

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/ironglass/ironglass/cmd/ironglass/internal/config"
	"github.com/ironglass/ironglass/cmd/ironglass/internal/serve"
)

func serveCommand(f *flag.FlagSet) func(Env, []string) error {
	file := f.String("config", "", "the configuration `FILE` (YAML)")
	level := slog.LevelInfo
	f.TextVar(&level, "log-level", level, "what to log on standard error: debug, info, warn or error")
	return func(env Env, _ []string) error {
		if *file == "" {
			return usagef("serve: -config FILE is missing")
		}
		cfg, err := asUsage(config.Load(*file))
		if err != nil {
			return err
		}
		ctx, hurry, reload, stop := signals(true)
		defer stop()
		return serve.Run(ctx, cfg, serve.Options{
			Log:     slog.New(slog.NewTextHandler(env.Stderr, &slog.HandlerOptions{Level: level})),
			Hurry:   hurry,
			Reload:  reload,
			Version: env.Version,
		})
	}
}

// terminal reports whether the program belongs to a terminal that is there.
func terminal() bool {
	f, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	f.Close()
	return true
}

// signals returns a context that ends with the first signal that asks the
// program to end, a channel that is closed with the second, and one that gets
// something when the configuration is to be read anew, for a program that
// reloads: on SIGHUP, unless that says that the program's terminal is gone,
// which ends it. stop lets go of the signals.
func signals(reloads bool) (ctx context.Context, hurry, reload <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	soon, again := make(chan struct{}), make(chan struct{}, 1)
	got, over := make(chan os.Signal, 2), make(chan struct{})
	// nohup(1) ignores SIGHUP and so says that the program is to outlive its
	// terminal.
	ignored := signal.Ignored(syscall.SIGHUP)
	attached := terminal() && !ignored
	signal.Notify(got, os.Interrupt, syscall.SIGTERM)
	if reloads || !ignored {
		signal.Notify(got, syscall.SIGHUP)
	}
	// A log that nobody reads any more must not end the service without
	// ending its consoles. Ignoring the signal would do that to their programs
	// as well; one that is notified of is back to normal in them.
	unread := make(chan os.Signal, 1)
	signal.Notify(unread, syscall.SIGPIPE)
	go func() {
		for n := 0; n < 2; {
			select {
			case which := <-got:
				if which == syscall.SIGHUP && reloads && (!attached || terminal()) {
					select {
					case again <- struct{}{}:
					default: // it is to be read already
					}
					continue
				}
			case <-over:
				return
			}
			if n == 0 {
				cancel()
			} else {
				close(soon)
			}
			n++
		}
	}()
	return ctx, soon, again, func() {
		signal.Stop(got)
		signal.Stop(unread)
		close(over)
		cancel()
	}
}
