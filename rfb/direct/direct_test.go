package direct

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pairs yields connected sockets, the first of them wrapped.
func pairs(t *testing.T, use func(t *testing.T, ours, theirs net.Conn)) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			at := "127.0.0.1:0"
			if network == "unix" {
				at = filepath.Join(t.TempDir(), "socket")
			}
			l, err := net.Listen(network, at)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			theirs, err := net.Dial(network, l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer theirs.Close()
			conn, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			ours := Wrap(conn)
			defer ours.Close()
			if inner := ours.(interface{ NetConn() net.Conn }).NetConn(); runtime.GOOS == "linux" && inner != conn {
				t.Errorf("NetConn gives %v", inner)
			}
			use(t, ours, theirs)
		})
	}
}

// Many more bytes than a socket holds come through whole, however they are
// given and read.
func TestWhole(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var all []byte
	var bufs net.Buffers
	for range 5000 { // more than one call takes
		b := make([]byte, rnd.IntN(5)*rnd.IntN(1000))
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		bufs = append(bufs, b)
		all = append(all, b...)
	}
	pairs(t, func(t *testing.T, ours, theirs net.Conn) {
		written := make(chan error, 1)
		go func() {
			n, err := ours.Write(all)
			if err == nil && n != len(all) {
				err = io.ErrShortWrite
			}
			for _, part := range []net.Buffers{bufs, bufs[:1], nil} {
				err = errors.Join(err, ours.(interface{ WriteBuffers(net.Buffers) error }).WriteBuffers(part))
			}
			written <- err
		}()
		want := bytes.Join([][]byte{all, all, bufs[0]}, nil)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(theirs, got); err != nil || !bytes.Equal(got, want) {
			t.Errorf("what was written came otherwise, %v", err)
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
		go func() {
			_, err := theirs.Write(all)
			written <- errors.Join(err, theirs.Close())
		}()
		if got, err := io.ReadAll(ours); err != nil || !bytes.Equal(got, all) {
			t.Errorf("what was read is otherwise, %v", err)
		}
		if err := <-written; err != nil {
			t.Error(err)
		}
	})
}

// Deadlines, Close and a peer that is gone are told as by package net.
func TestErrors(t *testing.T) {
	pairs(t, func(t *testing.T, ours, theirs net.Conn) {
		check := func(what, op string, err, is error) {
			t.Helper()
			var e *net.OpError
			if !errors.As(err, &e) || e.Op != op || is != nil && !errors.Is(err, is) {
				t.Errorf("%s gives %v", what, err)
			}
		}
		b := make([]byte, 1<<20)
		if n, err := ours.Read(nil); n != 0 || err != nil {
			t.Errorf("reading nothing gives %d, %v", n, err)
		}
		_ = ours.SetDeadline(time.Now().Add(time.Millisecond))
		_, err := ours.Read(b)
		check("a read past its deadline", "read", err, os.ErrDeadlineExceeded)
		if e := net.Error(nil); !errors.As(err, &e) || !e.Timeout() {
			t.Errorf("%v is no timeout", err)
		}
		for err = nil; err == nil; {
			_, err = ours.Write(b) // until it is full
		}
		check("a write past its deadline", "write", err, os.ErrDeadlineExceeded)
		_ = ours.SetDeadline(time.Time{})
		go func() { time.Sleep(time.Millisecond); ours.Close() }()
		_, err = ours.Read(b)
		check("a read that Close ends", "read", err, net.ErrClosed)
		_, err = ours.Write(b)
		check("a write after Close", "write", err, net.ErrClosed)
	})
	pairs(t, func(t *testing.T, ours, theirs net.Conn) {
		theirs.Close()
		var err error
		for err == nil {
			err = ours.(interface{ WriteBuffers(net.Buffers) error }).WriteBuffers(net.Buffers{[]byte("a"), []byte("b")})
		}
		if e := (*net.OpError)(nil); !errors.As(err, &e) || e.Op != "write" || e.Addr == nil {
			t.Errorf("writing to a peer that is gone gives %v", err)
		}
	})
}

// What is no socket is left as it is.
func TestOthers(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if Wrap(a) != a {
		t.Error("a pipe was wrapped")
	}
}
