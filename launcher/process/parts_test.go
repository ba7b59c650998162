package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestIDs(t *testing.T) {
	for _, node := range []string{"rack1-u12", "Rack 1/../ü", "", strings.Repeat("n", 500)} {
		id := ID(node)
		if len(id) > maxSlug+1+hashDigits || strings.ContainsAny(id, "/. ") || strings.ToLower(id) != id {
			t.Errorf("the ID of %q is %q", node, id)
		}
		if id != ID(node) {
			t.Errorf("the ID of %q changes", node)
		}
	}
	if !strings.HasPrefix(ID("rack1-u12"), "rack1-u12-") {
		t.Errorf("a plain name does not show in %q", ID("rack1-u12"))
	}
}

func TestLongDirectoryGetsAShortOne(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("long", 30), "run")
	short := shortDir(t)
	t.Setenv("XDG_RUNTIME_DIR", "")
	t.Setenv("TMPDIR", short)
	l := open(t, Config{Dir: long})
	if filepath.Dir(l.Dir()) != short {
		t.Errorf("the directory for %s is %s", long, l.Dir())
	}
	st, err := os.Stat(l.Dir())
	if err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("%s: %v, %v; want a private directory", l.Dir(), st.Mode(), err)
	}
	if again, err := runDir(long); again != l.Dir() || err != nil {
		t.Errorf("another time it is %s (%v)", again, err)
	}
	if other, err := runDir(long + "2"); other == l.Dir() || err != nil {
		t.Errorf("two directories share %s (%v)", other, err)
	}
	xdg := shortDir(t)
	t.Setenv("XDG_RUNTIME_DIR", xdg)
	if got, err := runDir(long); filepath.Dir(got) != xdg || err != nil {
		t.Errorf("with XDG_RUNTIME_DIR it is %s (%v)", got, err)
	}
	t.Setenv("XDG_RUNTIME_DIR", "")
	t.Setenv("TMPDIR", filepath.Join(short, strings.Repeat("x", 100)))
	if got, err := runDir(long); err == nil || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("with nothing short it is %q, %v", got, err)
	}
}

// shortDir is a directory with a shorter name than the test's own.
func shortDir(t *testing.T) string {
	t.Helper()
	//nolint:usetesting // its name holds the test's, which is what is to be avoided
	dir, err := os.MkdirTemp("", "ig")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestDirectoryOfOthers(t *testing.T) {
	base := t.TempDir()
	t.Run("link", func(t *testing.T) {
		link := filepath.Join(base, "link")
		if err := os.Symlink(t.TempDir(), link); err != nil {
			t.Fatal(err)
		}
		if l, err := New(t.Context(), Config{Dir: link}); err == nil {
			_ = l.Close()
			t.Error("a link was followed")
		}
	})
	t.Run("open to all", func(t *testing.T) {
		wide := filepath.Join(base, "wide")
		if err := os.Mkdir(wide, 0o777); err != nil {
			t.Fatal(err)
		}
		l := open(t, Config{Dir: wide})
		if st, err := os.Stat(l.Dir()); err != nil || st.Mode().Perm() != 0o700 {
			t.Errorf("the directory is %v, %v; want it closed to others", st.Mode(), err)
		}
	})
	// Only root can give a directory away.
	if os.Getuid() == 0 {
		t.Run("other user", func(t *testing.T) {
			theirs := filepath.Join(base, "theirs")
			if err := errors.Join(os.Mkdir(theirs, 0o700), os.Chown(theirs, 65534, 65534)); err != nil {
				t.Fatal(err)
			}
			l, err := New(t.Context(), Config{Dir: theirs})
			if err == nil {
				_ = l.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "65534") {
				t.Errorf("another user's directory: %v", err)
			}
		})
	}
	if l, err := New(t.Context(), Config{}); err == nil || !strings.Contains(err.Error(), "state_dir") {
		_ = l.Close()
		t.Errorf("no directory at all: %v", err)
	}
}

func TestOneServiceADirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	l := open(t, Config{Dir: dir})
	second, err := New(t.Context(), Config{Dir: dir})
	if err == nil {
		_ = second.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "another ironglass") {
		t.Errorf("a second launcher on %s: %v", dir, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, Config{Dir: dir})
}

// TestOldRecords plants what earlier services may have left, and looks that
// it is cleared away and that no other process is hit.
func TestOldRecords(t *testing.T) {
	boot, err := bootID()
	if err != nil {
		t.Fatal(err)
	}
	// A process of somebody else, which leads a session as a supervisor does.
	other := exec.Command("setsid", "--wait", "sh", "-c", "echo $$; exec sleep 1000")
	out, err := other.StdoutPipe()
	if err == nil {
		err = other.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill()
		}
		_ = other.Wait()
	})
	st, err := statOf(pid)
	if err != nil {
		t.Fatal(err)
	}

	id := ID("node-1")
	for name, plant := range map[string]func(dir string) error{
		"no record":     func(string) error { return nil },
		"not JSON":      func(dir string) error { return os.WriteFile(dir+"/"+recordName, []byte("{"), 0o600) },
		"huge":          func(dir string) error { return os.WriteFile(dir+"/"+recordName, make([]byte, maxRecord+1), 0o600) },
		"number reused": record{Node: "node-1", Epoch: "E", PID: pid, Started: st.started - 1, Boot: boot}.write,
		"other boot":    record{Node: "node-1", Epoch: "E", PID: pid, Started: st.started, Boot: "another"}.write,
		"other node":    record{Node: "node-2", Epoch: "E", PID: pid, Started: st.started, Boot: boot}.write,
		"init":          record{Node: "node-1", Epoch: "E", PID: 1, Boot: boot}.write,
		"long gone":     record{Node: "node-1", Epoch: "E", PID: 1 << 30, Started: 1, Boot: boot}.write,
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			dir := filepath.Join(base, id)
			if err := os.MkdirAll(filepath.Join(dir, runName), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, logName), []byte("idle for 10 minutes\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := plant(dir); err != nil {
				t.Fatal(err)
			}
			l := open(t, Config{Dir: base})
			if list, err := l.List(t.Context()); len(list) != 0 || err != nil {
				t.Errorf("adopted %v (%v)", list, err)
			}
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the directory is there still (%v)", err)
			}
			if now, err := statOf(pid); err != nil || now.dead() {
				t.Fatalf("another's process was killed (%v)", err)
			}
			why := l.Explain(t.Context(), id)
			if want := name == "number reused" || name == "long gone"; strings.HasSuffix(why, "idle for 10 minutes") != want {
				t.Errorf("explained as %q", why)
			}
		})
	}
}

func TestParseStat(t *testing.T) {
	self, err := statOf(os.Getpid())
	if err != nil || self.dead() || self.started == 0 {
		t.Errorf("this process is %+v (%v)", self, err)
	}
	const rest = " S 1 77 78 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 4242 100 200"
	got, err := parseStat([]byte("99 (a) b (c))" + rest))
	if want := (procStat{state: 'S', session: 78, started: 4242}); got != want || err != nil {
		t.Errorf("a name with brackets gave %+v, %v; want %+v", got, err, want)
	}
	for _, bad := range []string{"", "99", "99 (x)", "99 (x) S 1 2", "99 (x) S 1 77 y 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 4242"} {
		if got, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q gave %+v", bad, got)
		}
	}
}

func TestEntries(t *testing.T) {
	for line, want := range map[string]string{
		`time=2026-01-02T03:04:05.678Z level=INFO msg="serving RFB" listen=unix:/x name=node-1`: "INFO|serving RFB|[listen=unix:/x name=node-1]|-",
		`time=x level=ERROR msg=gone error="exit \"1\"" n=2`:                                    `ERROR|gone|[error=exit "1" n=2]|gone: exit "1"`,
		`time=x level=WARN+2 msg=odd`:                                                           "WARN+2|odd|[]|odd",
		`time=x level=DEBUG msg="two\nlines"`:                                                   "DEBUG|twolines|[]|-",
		`ironglass-supervisor: idle for 10m0s`:                                                  "none|idle for 10m0s",
		`xterm: cannot open display`:                                                            "none|xterm: cannot open display",
		`time=x level=LOUD msg=a`:                                                               "none|time=x level=LOUD msg=a",
		`level=INFO time=x msg=a`:                                                               "none|level=INFO time=x msg=a",
		`time=x level=INFO msg="a`:                                                              `none|time=x level=INFO msg="a`,
		`time=x level=INFO msg="a"b`:                                                            `none|time=x level=INFO msg="a"b`,
		`time=x level=INFO`:                                                                     "none|time=x level=INFO",
		`time=x level=INFO msg=a and so on`:                                                     "none|time=x level=INFO msg=a and so on",
	} {
		got := "none"
		if e, ok := parseEntry(line); ok {
			got = fmt.Sprintf("%v|%s|%v", e.level, e.msg, e.attrs)
		}
		words, ok := wordsOf(line)
		if !ok {
			words = "-"
		}
		if got += "|" + words; got != want {
			t.Errorf("%s\nis   %s\nwant %s", line, got, want)
		}
	}
}

func TestFollower(t *testing.T) {
	name := filepath.Join(t.TempDir(), "log")
	w, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	write := func(s string) {
		t.Helper()
		if _, err := w.WriteString(s); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", "node-1")
	f, err := openFollower(name, log, false)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1000, 0)

	write("one\nhalf a ")
	f.follow(now)
	write("line\n\n\x1b[31mred\x07\n" + `time=x level=WARN msg="careful" error="so so"` + "\n")
	f.follow(now)
	for _, want := range []string{"node=node-1 line=one", `line="half a line"`, "line=[31mred\n", "level=WARN msg=careful node=node-1 error=\"so so\"\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, out.String())
		}
	}
	if strings.Count(out.String(), "\n") != 4 {
		t.Errorf("the log is\n%s", out.String())
	}

	out.Reset()
	write(strings.Repeat("x", 100*maxLine) + "\n")
	f.follow(now)
	if got := out.Len(); got > 2*maxLine {
		t.Errorf("a long line became %d bytes", got)
	}

	out.Reset()
	write(strings.Repeat("again\n", 3*maxLines) + "the last\n")
	f.follow(now)
	if got := strings.Count(out.String(), "\n"); got > maxLines {
		t.Errorf("%d lines came in one second", got)
	}
	if f.last != "the last" {
		t.Errorf("the last line is %q", f.last)
	}
	write("later\n")
	f.follow(now.Add(time.Second))
	if !strings.Contains(out.String(), "lines_left_out=") || !strings.Contains(out.String(), "line=later") {
		t.Errorf("the log after a flood is\n%s", out.String())
	}

	write(strings.Repeat(strings.Repeat("y", 99)+"\n", maxLog/100+1))
	f.follow(now.Add(2 * time.Second))
	if st, err := os.Stat(name); err != nil || st.Size() != 0 {
		t.Errorf("a log of a megabyte is now %d bytes (%v)", st.Size(), err)
	}
	write("after that\nand no end")
	if last := f.finish(now.Add(4 * time.Second)); last != "and no end" {
		t.Errorf("the last words are %q", last)
	}
	if !strings.Contains(out.String(), `line="after that"`) {
		t.Error("what came after the log was emptied is lost")
	}
}
