package main

import (
	"bufio"
	"bytes"
	"context"
	"image"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/fbs"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
	"github.com/ironglass/ironglass/rfb/wire"
)

// lastScene is what a recording of the record command ends with.
func lastScene() *pixel.Frame { return golden.BIOS(320, 200) }

// record FILE records a picture that changes a few times.
func record(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: record FILE")
	}
	file, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	defer file.Close()
	src := rfbtest.NewSource(640, 480)
	srv := rfb.NewServer(src, rfb.ServerConfig{Name: "node", Linger: -1})
	defer srv.Close()
	ctx, cancel := context.WithCancel(context.Background())
	recorded := make(chan error, 1)
	watch := &watched{Writer: bufio.NewWriter(file), told: make(chan struct{}, 1)}
	go func() { recorded <- fbs.Record(ctx, srv, watch, fbs.RecorderConfig{}) }()
	watch.await()
	for i := range 5 {
		src.Fill(image.Rect(0, 0, 100*i+10, 100), 0x336699)
		watch.await()
	}
	src.Show(lastScene())
	watch.await() // the size
	watch.await() // the picture
	cancel()
	ts.Check(<-recorded)
	ts.Check(watch.Flush())
}

// watched is a file that tells when something was written, besides what comes
// before the first picture.
type watched struct {
	*bufio.Writer
	begun bool
	told  chan struct{}
}

func (w *watched) Write(b []byte) (int, error) {
	if w.begun {
		select {
		case w.told <- struct{}{}:
		default: // the end
		}
	}
	w.begun = true
	return w.Writer.Write(b)
}

func (w *watched) await() { <-w.told }

// replay FILE FLAGS... runs ironglass replay until a viewer sees the last
// scene and a signal ends it, which must succeed; negated, until it fails.
func replay(ts *testscript.TestScript, neg bool, args []string) {
	program, err := exec.LookPath("ironglass")
	ts.Check(err)
	cmd := exec.Command(program, append([]string{"replay", "-listen", "127.0.0.1:0"}, args...)...)
	cmd.Dir = ts.MkAbs(".")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	defer func() { _ = cmd.Process.Kill() }() // where it has not ended
	line, err := bufio.NewReader(stdout).ReadString('\n')
	ts.Check(err)
	conn, err := net.Dial("tcp", strings.TrimSpace(line[strings.LastIndex(line, " ")+1:]))
	ts.Check(err)
	defer conn.Close()
	seen := look(conn)
	if !neg {
		ts.Check(seen)
		ts.Check(cmd.Process.Signal(syscall.SIGTERM))
	}
	defer time.AfterFunc(patience, func() { _ = cmd.Process.Kill() }).Stop()
	err = cmd.Wait()
	if _, err := ts.Stderr().Write(stderr.Bytes()); err != nil {
		ts.Fatalf("%v", err)
	}
	if neg == (err == nil) {
		ts.Fatalf("it ended with %v, the viewer with %v", err, seen)
	}
}

// look waits until a viewer at conn sees the last scene.
func look(conn net.Conn) error {
	v, err := rfbtest.NewViewer(conn)
	if err != nil {
		return err
	}
	err = v.Send(wire.SetEncodings{Encodings: []wire.Encoding{wire.EncodingTight, wire.PseudoDesktopSize}})
	if err != nil {
		return err
	}
	return v.Await(lastScene())
}

// damage FILE appends what no server says.
func damage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: damage FILE")
	}
	file, err := os.OpenFile(ts.MkAbs(args[0]), os.O_APPEND|os.O_WRONLY, 0)
	ts.Check(err)
	defer file.Close()
	_, err = file.Write([]byte{0, 0, 0, 4, 99, 99, 99, 99, 0, 0, 0, 0})
	ts.Check(err)
}
