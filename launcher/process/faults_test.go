package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironglass/ironglass/launcher"
)

func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// commandOf names a process for a message.
func commandOf(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return fmt.Sprintf("%d (%s)", pid, bytes.ReplaceAll(b, []byte{0}, []byte{' '}))
}

// script writes a shell script and returns its path: a program that is no
// supervisor, or a broken one.
func script(t *testing.T, lines ...string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "supervisor")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+strings.Join(lines, "\n")+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return name
}

// open opens a launcher that is closed with the test, and must then have left
// nothing.
func open(t *testing.T, cfg Config) *Launcher {
	t.Helper()
	if cfg.Dir == "" {
		cfg.Dir = filepath.Join(t.TempDir(), "run")
	}
	if cfg.Log == nil {
		cfg.Log = testLog(t)
	}
	l, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Lstat(l.Dir()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left behind (%v)", l.Dir(), err)
		}
	})
	return l
}

var anySpec = launcher.Spec{Node: "node-1", Command: []string{"true"}}

func leftIn(t *testing.T, l *Launcher) {
	t.Helper()
	entries, err := os.ReadDir(l.Dir())
	if err != nil || len(entries) != 0 {
		t.Errorf("%s holds %v (%v), want nothing", l.Dir(), entries, err)
	}
}

func TestSupervisorEndsAtOnce(t *testing.T) {
	l := open(t, Config{Supervisor: script(t, "cat >/dev/null", "echo a line before >&2", "echo no display is free: end another >&2", "exit 1")})
	_, err := l.Start(t.Context(), anySpec, nil)
	if err == nil || !strings.Contains(err.Error(), "node-1") || !strings.HasSuffix(err.Error(), "no display is free: end another") {
		t.Errorf("the error is %v", err)
	}
	leftIn(t, l)
	if why := l.Explain(t.Context(), ID("node-1")); why != "it failed with status 1: no display is free: end another" {
		t.Errorf("explained as %q", why)
	}
}

func TestSupervisorReadsNothing(t *testing.T) {
	l := open(t, Config{Supervisor: script(t, "echo wrong program >&2")})
	if _, err := l.Start(t.Context(), anySpec, nil); err == nil || !strings.Contains(err.Error(), "wrong program") {
		t.Errorf("the error is %v", err)
	}
	leftIn(t, l)
}

func TestSupervisorNeverAnswers(t *testing.T) {
	l := open(t, Config{
		Supervisor:   script(t, "echo waiting for a display >&2", "exec sleep 1000"),
		StartTimeout: 300 * time.Millisecond,
	})
	_, err := l.Start(t.Context(), anySpec, nil)
	if err == nil || !strings.Contains(err.Error(), "did not answer within 300ms") {
		t.Errorf("the error is %v", err)
	}
	leftIn(t, l)
}

func TestStubbornProcessesAreKilled(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	l := open(t, Config{
		// One ignores the request to end; another has a session of its own.
		Supervisor: script(t, "trap '' TERM", "setsid sleep 1000 &", "echo $! >"+pids, "sleep 1001 &", "echo $! >>"+pids, "echo $$ >>"+pids+".new", "cat "+pids+" >>"+pids+".new", "mv "+pids+".new "+pids+".all", "while :; do sleep 1002; done"),
		StopGrace:  200 * time.Millisecond,
	})
	over := make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		_, err := l.Start(ctx, anySpec, nil)
		over <- err
	}()
	var all []byte
	for len(all) == 0 {
		all, _ = os.ReadFile(pids + ".all")
		select {
		case err := <-over:
			t.Fatalf("the start is over: %v", err)
		case <-t.Context().Done():
			t.Fatal("the script does not run")
		case <-time.After(10 * time.Millisecond):
		}
	}
	cancel()
	if err := <-over; !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	for _, pid := range strings.Fields(string(all)) {
		var n int
		if _, err := fmt.Sscan(pid, &n); err != nil {
			t.Fatal(err)
		}
		if st, err := statOf(n); err == nil && !st.dead() {
			t.Errorf("process %s is left", commandOf(n))
		}
	}
	leftIn(t, l)
}

func TestMissingSupervisor(t *testing.T) {
	t.Run("configured", func(t *testing.T) {
		l := open(t, Config{Supervisor: filepath.Join(t.TempDir(), "none")})
		_, err := l.Start(t.Context(), anySpec, nil)
		if !errors.Is(err, launcher.ErrNoProgram) || !strings.Contains(err.Error(), "launcher.process.supervisor") {
			t.Errorf("the error is %v", err)
		}
		leftIn(t, l)
	})
	t.Run("searched", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		l := open(t, Config{})
		_, err := l.Start(t.Context(), anySpec, nil)
		if !errors.Is(err, launcher.ErrNoProgram) || !strings.Contains(err.Error(), "ironglass-supervisor") {
			t.Errorf("the error is %v", err)
		}
		leftIn(t, l)
	})
	t.Run("in PATH", func(t *testing.T) {
		dir := filepath.Dir(script(t, "echo this one was found >&2"))
		if err := os.Rename(filepath.Join(dir, "supervisor"), filepath.Join(dir, "ironglass-supervisor")); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
		l := open(t, Config{})
		if _, err := l.Start(t.Context(), anySpec, nil); err == nil || !strings.Contains(err.Error(), "this one was found") {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestWhatASupervisorIsTold(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("OS_PASSWORD", "hunter2")
	t.Setenv("APP", "fake")
	t.Setenv("DISPLAY", ":4711")
	t.Setenv("LC_ALL", "C.UTF-8")
	l := open(t, Config{Supervisor: script(t, "cat >"+dir+"/doc", "env >"+dir+"/env", `echo "$@" >`+dir+"/args"), IdleExit: 90 * time.Second})
	_, err := l.Start(t.Context(), launcher.Spec{Node: "node-1", Command: []string{"true", "a b"}, Width: 800, Height: 600, ViewOnly: true}, nil)
	if err == nil {
		t.Fatal("the script passed for a supervisor")
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if args := read("args"); args != "-config -\n" {
		t.Errorf("the arguments are %q", args)
	}
	var doc map[string]any
	if err := json.Unmarshal([]byte(read("doc")), &doc); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(l.Dir(), ID("node-1"))
	want := map[string]any{
		"listen": "unix:" + at + "/rfb", "name": "node-1", "geometry": "800x600", "view_only": true,
		"command": []any{"true", "a b"}, "security": []any{"none"}, "idle_exit": "1m30s", "runtime_dir": at + "/run",
	}
	if got, want := fmt.Sprint(doc), fmt.Sprint(want); got != want {
		t.Errorf("the settings are\n%s, want\n%s", got, want)
	}
	env := strings.Split(read("env"), "\n")
	for _, e := range env {
		for _, secret := range []string{"OS_PASSWORD", "APP", "DISPLAY"} {
			if strings.HasPrefix(e, secret+"=") {
				t.Errorf("the console's environment has %s", e)
			}
		}
	}
	if !slices.Contains(env, "LC_ALL=C.UTF-8") {
		t.Error("the locale is not passed on")
	}
}

func TestCommandTooLong(t *testing.T) {
	l := open(t, Config{Supervisor: script(t, "sleep 1000")})
	spec := launcher.Spec{Node: "node-1", Command: []string{"true", strings.Repeat("x", maxSettings)}}
	if _, err := l.Start(t.Context(), spec, nil); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("the error is %v", err)
	}
	leftIn(t, l)
}

func TestCloseCallsStartsOff(t *testing.T) {
	l := open(t, Config{Supervisor: script(t, "exec sleep 1000")})
	under, over := make(chan struct{}, 8), make(chan error)
	go func() {
		_, err := l.Start(t.Context(), anySpec, func(string) { under <- struct{}{} })
		over <- err
	}()
	<-under
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-over; !errors.Is(err, ErrClosed) {
		t.Errorf("the start ended with %v", err)
	}
	if _, err := l.Start(t.Context(), anySpec, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("a start after the end gave %v", err)
	}
	if _, err := l.List(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("a list after the end gave %v", err)
	}
	if err := l.Stop(t.Context(), ID("node-1")); err != nil {
		t.Errorf("a stop after the end gave %v", err)
	}
}
