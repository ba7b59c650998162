package xconn

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseDisplay(t *testing.T) {
	for display, want := range map[string]address{
		":1":              {number: "1"},
		"unix:2.1":        {number: "2", screen: 1},
		"host:10.0":       {host: "host", number: "10"},
		"tcp/host:3":      {host: "host", number: "3"},
		"[::1]:4":         {host: "::1", number: "4"},
		"/tmp/launch/x:0": {socket: "/tmp/launch/x:0", number: "0"},
	} {
		if got, err := parseDisplay(display); err != nil || got != want {
			t.Errorf("%s is %+v, %v", display, got, err)
		}
	}
	for _, display := range []string{"", "1", "host", ":", ":x", ":-1", ":1.x", ":1.-1", ":99999", ":1:"} {
		if _, err := parseDisplay(display); !errors.Is(err, ErrDisplay) {
			t.Errorf("%q: %v", display, err)
		}
	}
}

// record is an entry of an authority file.
func record(family uint16, fields ...string) []byte {
	b := binary.BigEndian.AppendUint16(nil, family)
	for _, f := range fields {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(f))), f...)
	}
	return b
}

func TestCookie(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	cookie := func(c byte) string { return strings.Repeat(string(c), 16) }
	file := filepath.Join(t.TempDir(), "Xauthority")
	all := bytes.Join([][]byte{
		record(familyLocal, "elsewhere", "1", cookieName, cookie('x')),
		record(familyLocal, host, "1", "XDM-AUTHORIZATION-1", cookie('x')),
		record(familyLocal, host, "1", cookieName, "short"),
		record(familyLocal, host, "1", cookieName, cookie('a')),
		record(familyInternet, "\x7f\x00\x00\x01", "2", cookieName, cookie('b')),
		record(familyWild, "", "3", cookieName, cookie('c')),
	}, nil)
	if err := os.WriteFile(file, all, 0o600); err != nil {
		t.Fatal(err)
	}
	for display, want := range map[string]byte{":1": 'a', "localhost:1": 'a', "127.0.0.1:2": 'b', ":3": 'c', "host:3": 'c', ":4": 0, "127.0.0.2:2": 0} {
		a, err := parseDisplay(display)
		if err != nil {
			t.Fatal(err)
		}
		var c Cookie
		if want != 0 {
			c = Cookie([]byte(cookie(want)))
		}
		if got, err := a.cookie(file); err != nil || got != c {
			t.Errorf("the cookie for %s is %q, %v", display, got, err)
		}
	}
	// Every file cut short inside an entry is an error, never a panic.
	for n := range all {
		r := bytes.NewReader(all[:n])
		var err error
		for err == nil {
			_, err = readEntry(r)
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

func TestWriteAuthority(t *testing.T) {
	file := filepath.Join(t.TempDir(), "Xauthority")
	c := NewCookie()
	if err := WriteAuthority(file, c); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(file)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	a, _ := parseDisplay(":77")
	if got, err := a.cookie(file); err != nil || got != c {
		t.Errorf("%x, %v", got, err)
	}
	if c == NewCookie() {
		t.Error("two cookies are the same")
	}
	t.Setenv("XAUTHORITY", file)
	if got, err := a.cookie(""); err != nil || got != c {
		t.Errorf("by $XAUTHORITY: %x, %v", got, err)
	}
	if err := WriteAuthority(filepath.Join(file, "x"), c); err == nil {
		t.Error("written below a file")
	}
}

// A server that says nothing, hangs up or talks nonsense must not keep or
// crash the caller.
func TestDialNonsense(t *testing.T) {
	for name, answer := range map[string]string{
		"hangs up":      "",
		"nonsense":      "HTTP/1.1 400 Bad Request\r\n\r\n",
		"refuses":       "\x00\x04\x0b\x00\x00\x00\x01\x00no!!",
		"cut off":       "\x01\x00\x0b\x00\x00\x00\xff\x00",
		"empty refusal": "\x00\x00\x0b\x00\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			socket := filepath.Join(t.TempDir(), "x")
			l, err := net.Listen("unix", socket+":0")
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan struct{})
			go func() {
				defer close(served)
				c, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = io.CopyN(io.Discard, c, 48)
				_, _ = io.WriteString(c, answer)
				_ = c.Close()
			}()
			t.Cleanup(func() { _ = l.Close(); <-served })
			if c, err := Dial(t.Context(), socket+":0", os.DevNull); err == nil {
				c.Close()
				t.Error("it was taken for an X server")
			}
			// Nothing of it may hold up others.
			locked := make(chan struct{})
			go func() { gate.Lock(); gate.Unlock(); close(locked) }() //nolint:staticcheck // only whether it can be had
			<-locked
		})
	}
	t.Run("silent", func(t *testing.T) {
		socket := filepath.Join(t.TempDir(), "x")
		l, err := net.Listen("unix", socket+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := Dial(ctx, socket+":0", os.DevNull); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the error is %v", err)
		}
	})
}

// Whatever an authority file holds, reading it ends, without a panic.
func FuzzReadEntry(f *testing.F) {
	f.Add(record(familyWild, "", "3", cookieName, "0123456789abcdef"))
	f.Add([]byte{0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		for {
			e, err := readEntry(r)
			if err != nil {
				return
			}
			_ = e.matches(address{number: "1"})
			_ = e.matches(address{number: "1", host: "127.0.0.1"})
		}
	})
}
