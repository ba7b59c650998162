package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTypeAndKeys types into terminals, whose programs write down what comes.
func TestTypeAndKeys(t *testing.T) {
	dir := t.TempDir()
	cat := func(file string) string {
		return `[xterm, -u8, -e, sh, -c, "exec cat >>` + filepath.Join(dir, file) + `"]`
	}
	f := newFolder(t, `
listen: 127.0.0.1:0
nodes:
  - name: us
    console: {command: `+cat("us")+`}
  - name: de
    console: {command: `+cat("de")+`, layout: de}
  - name: slow
    console: {command: `+cat("slow")+`, keys: {hold: 30ms, interval: 30ms, rate: 10}}
`)
	s := f.serve()
	written := func(node string) string {
		text, err := os.ReadFile(filepath.Join(dir, node))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return string(text)
	}
	wrote := func(node, want string) {
		t.Helper()
		eventually(t, node+" has written "+want, func() bool { return strings.HasSuffix(written(node), want) })
	}

	const all = "The quick brown fox: `1234567890-=[]\\;',./~!@#$%^&*()_+{}|:\"<>? JUMPS\n"
	f.ask(s, "type", "us", all) // which starts the console
	wrote("us", all)
	if got := written("us"); got != all {
		t.Errorf("written is %q", got)
	}
	f.ask(s, "keys", "us", "Shift+a", "b", "!", "Tab", "Ctrl++", "BackSpace", "Enter")
	wrote("us", "Ab!\t\n")
	const deutsch = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich: @€\\~[]{}| ê^` É\n"
	f.ask(s, "type", "de", deutsch)
	wrote("de", deutsch)
	f.ask(s, "type", "us", "-layout", "de", "größer\n")
	wrote("us", "größer\n")

	// From standard input, with the line ends of other systems.
	cmd := f.command("type", "us", "-", "-server", s.url)
	cmd.Stdin = strings.NewReader("one\r\ntwo\n")
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("typing standard input: %v, %s", err, out)
	}
	wrote("us", "one\ntwo\n")

	for _, tc := range []struct{ args, want string }{
		{"type us ü", "ironglass: Nothing was typed: the keyboard layout us cannot type ü.\n"},
		{"type us a -layout klingon", `there is no keyboard layout "klingon": use one of us, uk, de, `},
		{"type nobody a", `ironglass: There is no node "nobody".` + "\n"},
		{"keys us F2 Hyper", `ironglass: Nothing was typed: "Hyper": there is no key "Hyper"`},
		{"keys nobody F2", `ironglass: There is no node "nobody".` + "\n"},
	} {
		out, errs, status := f.run(append(strings.Fields(tc.args), "-server", s.url)...)
		if status != 1 || out != "" || !strings.Contains(errs, tc.want) || strings.Count(errs, "\n") != 1 {
			t.Errorf("ironglass %s: status %d, %q, %q; want %q", tc.args, status, out, errs, tc.want)
		}
	}

	// Ctrl-C ends it at the service too.
	var errs bytes.Buffer
	cmd = f.command("type", "slow", strings.Repeat("a\n", 1000), "-server", s.url)
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "some characters are there", func() bool { return len(written("slow")) > 5 })
	if _, e, status := f.run("type", "slow", "b", "-server", s.url); status != 1 || !strings.Contains(e, "Another text is being typed") {
		t.Errorf("a second text: status %d, %q", status, e)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 1 ||
		!regexp.MustCompile(`^ironglass: typed \d+ of 2000 characters; it was cancelled\n$`).MatchString(errs.String()) {
		t.Errorf("interrupted, it ended with %v, %q", err, errs.String())
	}
	f.ask(s, "type", "slow", "b\n") // it is free again
	wrote("slow", "\nb\n")

	s.signal(os.Interrupt)
	if status := s.ended(); status != 0 {
		t.Errorf("the service ended with status %d", status)
	}
	if log := s.logged(); strings.Contains(log, "Boxk") || strings.Contains(log, "quick") {
		t.Error("the log holds what was typed")
	}
}
