package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ironglass/ironglass/rfb"
)

// clientScript writes a program for the command.
func clientScript(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "client")
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

// testProcess1 runs the program as process 1 of a container: it collects what
// nobody else does, and passes signals on to the command.
func testProcess1(t *testing.T, program string) {
	need(t, "unshare")
	unshare := "unshare --pid --fork --mount-proc --kill-child"
	if os.Getuid() != 0 {
		unshare += " --map-root-user"
	}
	args := strings.Fields(unshare + " true")
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		if strings.Contains(string(out), "Operation not permitted") {
			t.Skipf("this system allows no process namespaces, which make a process 1: %s", out)
		}
		t.Fatalf("%s: %v: %s", unshare, err, out)
	}
	mark := filepath.Join(t.TempDir(), "mark")
	file := clientScript(t, fmt.Sprintf(`for s in USR1 USR2; do trap "echo $s >> %[1]s" $s; done
trap 'echo TERM >> %[1]s; kill $!; exit' TERM
for i in 1 2 3 4 5 6 7 8 9 10; do (setsid sh -c 'exec true' &); done
setsid sh -c 'trap "" TERM; exec sleep 1000001' &
%[2]s &
while :; do wait; done
`, mark, "xterm -b 0 -bw 0 -bg '"+fmt.Sprintf("#%06x", colour)+"' -e sleep 1000000"))
	s := start(t, unshare+" "+program, nil, "--", file)
	one := s.named("ironglass-super")
	t.Cleanup(func() { _ = syscall.Kill(one.pid, syscall.SIGTERM) }) // unshare heeds no signal
	if got := namespacePid(t, one.pid); got != "1" {
		t.Fatalf("the supervisor is process %s of its namespace", got)
	}
	sees(t, s.view(), colour)
	eventually(t, "the orphans' collection", func() bool {
		for _, p := range below(t, one.pid) {
			if p.state == "Z" {
				return false
			}
		}
		return strings.Count(s.stderr.String(), "collected an orphan") >= 10
	})
	all := below(t, one.pid)
	got := func() string { b, _ := os.ReadFile(mark); return string(b) }
	for _, sig := range []struct {
		number syscall.Signal
		noted  string
	}{{syscall.SIGUSR1, "USR1\n"}, {syscall.SIGUSR2, "USR1\nUSR2\n"}} {
		if err := syscall.Kill(one.pid, sig.number); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the signal at the client: "+sig.noted, func() bool { return got() == sig.noted })
	}
	if err := syscall.Kill(one.pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	s.endsWith(0, "ironglass-supervisor: asked to stop (terminated)")
	if got() != "USR1\nUSR2\nTERM\n" {
		t.Errorf("the client was sent %q", got())
	}
	for _, p := range all {
		if runs(p) {
			t.Errorf("the process %d (%s) is left", p.pid, p.name)
		}
	}
}

// namespacePid is a process's number in its own namespace.
func namespacePid(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "NSpid:")
	line, _, _ := strings.Cut(rest, "\n")
	f := strings.Fields(line)
	return f[len(f)-1]
}

// testOnDemand has the command run only while somebody looks.
func testOnDemand(t *testing.T, program string) {
	s := start(t, program, nil, append([]string{"-on-demand", "300ms", "--"}, terminal("exec sleep 1000000")...)...)
	s.logged("showing X display")
	for range 2 {
		for _, p := range below(t, s.cmd.Process.Pid) {
			if p.name == "xterm" && runs(p) {
				t.Error("the command runs without a viewer")
			}
		}
		v := s.view()
		sees(t, v, colour)
		p := s.named("xterm")
		_ = v.Close()
		eventually(t, "the command's end", func() bool { return !runs(p) })
	}
}

// testClipboard gives viewers PRIMARY alone.
func testClipboard(t *testing.T, program string) {
	need(t, "xclip")
	s := start(t, program, nil, append([]string{"-clipboard", "primary", "--"}, terminal("exec sleep 1000000")...)...)
	client := rfb.NewClient(rfb.ClientConfig{Dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.socket)
	}})
	v := rfb.NewServer(client, rfb.ServerConfig{Linger: -1})
	defer v.Close()
	sees(t, v, colour)
	client.SetCutText("of a viewer")
	auth, err := filepath.Glob(filepath.Join(s.dir, "*", "Xauthority"))
	if err != nil || len(auth) != 1 {
		t.Fatalf("the cookie is in %v, %v", auth, err)
	}
	paste := func(selection string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), long)
		defer cancel()
		cmd := exec.CommandContext(ctx, "xclip", "-selection", selection, "-out", "-target", "UTF8_STRING")
		cmd.Env = append(os.Environ(), "DISPLAY=:"+displayNumber(t, s), "XAUTHORITY="+auth[0])
		out, err := cmd.Output()
		return string(out), err
	}
	eventually(t, "the viewer's text", func() bool { text, err := paste("primary"); return err == nil && text == "of a viewer" })
	if text, err := paste("clipboard"); err == nil {
		t.Errorf("CLIPBOARD has %q", text)
	}
}

// testSecretsAreNotPassedOn has a client that tells all that it can find out
// fail again and again: its last words are logged and shown, and hold none of
// the document's secrets.
func testSecretsAreNotPassedOn(t *testing.T, program string) {
	file := clientScript(t, "env\ntr '\\0' ' ' < /proc/$PPID/cmdline\ntr '\\0' '\\n' < /proc/$PPID/environ\ncat\necho last words\nexit 1\n")
	doc, err := json.Marshal(map[string]any{
		"security": []string{"vnc"}, "password": "hunter2", "view_only_password": "hunter3", "command": []string{file},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, program, bytes.NewReader(doc), "-config", "-")
	eventually(t, "several ends of the client", func() bool {
		return strings.Count(s.stderr.String(), "the client ended and will be started again") >= 3
	})
	out := s.stderr.String()
	if !strings.Contains(out, "last words") || !strings.Contains(out, "DISPLAY=") {
		t.Error("the client's words are not logged")
	}
	for _, secret := range []string{"hunter2", "hunter3"} {
		if strings.Contains(out, secret) {
			t.Error("a secret is logged")
		}
	}
}
