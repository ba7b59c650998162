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
		ctx, hurry, stop := signals()
		defer stop()
		return serve.Run(ctx, cfg, serve.Options{
			Log:     slog.New(slog.NewTextHandler(env.Stderr, &slog.HandlerOptions{Level: level})),
			Hurry:   hurry,
			Version: env.Version,
		})
	}
}

// signals returns a context that ends with the first signal that asks the
// program to end, and a channel that is closed with the second. stop lets go
// of the signals.
func signals() (ctx context.Context, hurry <-chan struct{}, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	soon := make(chan struct{})
	got, over := make(chan os.Signal, 2), make(chan struct{})
	wanted := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup(1) says that it is to go on
		wanted = append(wanted, syscall.SIGHUP)
	}
	signal.Notify(got, wanted...)
	// A log that nobody reads any more must not end the service without
	// ending its consoles. Ignoring the signal would do that to their programs
	// as well; one that is notified of is back to normal in them.
	unread := make(chan os.Signal, 1)
	signal.Notify(unread, syscall.SIGPIPE)
	go func() {
		for n := 0; n < 2; n++ {
			select {
			case <-got:
			case <-over:
				return
			}
			if n == 0 {
				cancel()
			} else {
				close(soon)
			}
		}
	}()
	return ctx, soon, func() {
		signal.Stop(got)
		signal.Stop(unread)
		close(over)
		cancel()
	}
}
