package process

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"testing"

	"go.uber.org/goleak"

	"github.com/ironglass/ironglass/launcher"
)

// crashVar holds what a run of this test program as a service that is to
// crash shall do.
const crashVar = "IRONGLASS_TEST_SERVICE"

// crashJob is a console to start, and where.
type crashJob struct {
	Dir, Supervisor string
	Spec            launcher.Spec
}

func TestMain(m *testing.M) {
	if job := os.Getenv(crashVar); job != "" {
		os.Exit(serveUntilKilled(job))
	}
	goleak.VerifyTestMain(m)
}

// serveUntilKilled is a service that starts one console, says which on
// standard output, and waits for its end.
func serveUntilKilled(text string) int {
	fail := func(err error) int {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var job crashJob
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return fail(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	l, err := New(ctx, Config{Dir: job.Dir, Supervisor: job.Supervisor, Log: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return fail(err)
	}
	i, err := l.Start(ctx, job.Spec, nil)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(i)
	}
	if err != nil {
		return fail(err)
	}
	<-ctx.Done()
	if err := l.Close(); err != nil {
		return fail(err)
	}
	return 0
}
