package integration

import (
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ironglass/ironglass/integration/loads"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/rfbtest/golden"
	"github.com/ironglass/ironglass/rfb/wire"
)

// rfbServer is a program that serves an X screen, started by a test.
type rfbServer struct {
	name  string
	start func(b *testing.B, address, port string) display
	pid   func(b *testing.B) int
}

// benchSize is the screen of the benchmarks.
const benchSize = "1280x1024"

// rfbServers are ours and its peers.
func rfbServers() []rfbServer {
	child := func(program, argument string) func(b *testing.B) int {
		return func(b *testing.B) int {
			b.Helper()
			p, err := find(b, os.Getpid(), program, argument)
			if err != nil {
				b.Fatal(err)
			}
			return p.pid
		}
	}
	return []rfbServer{
		{"ironglass", func(b *testing.B, address, _ string) display {
			dir := b.TempDir()
			d := startX(b, benchSize, dir)
			startProgram(b, d.environment(), built.supervisor, "-listen", address, "-display", d.name,
				"-framebuffer", filepath.Join(dir, "Xvfb_screen0"))
			return d
		}, child(filepath.Base(built.supervisor), "-framebuffer")},
		{"x11vnc", func(b *testing.B, _, port string) display {
			need(b, "x11vnc")
			d := startX(b, benchSize, "")
			startProgram(b, d.environment(), "x11vnc", "-display", d.name, "-rfbport", port, "-localhost",
				"-forever", "-shared", "-nopw", "-defer", "0", "-wait", "5").
				killed(b)
			return d
		}, child("x11vnc", "")},
		{"Xtigervnc", func(b *testing.B, _, port string) display {
			return startXServer(b, "Xtigervnc", "-rfbport", port, "-SecurityTypes", "None", "-localhost",
				"-geometry", benchSize, "-depth", "24", "-AlwaysShared", "-nolisten", "tcp")
		}, child("Xtigervnc", "")},
	}
}

// asked is what a viewer asks a server for.
type asked struct {
	name string
	list []wire.Encoding
}

// meteredConn is a connection that counts what comes.
type meteredConn struct {
	net.Conn
	n int
}

func (c *meteredConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.n += n
	return n, err
}

// BenchmarkServers asks each server for the whole picture, over and over, as
// noVNC does and losslessly, and reports what one picture takes: kilobytes, the
// server's processor time, the time until it is there, and, where there was
// loss, the distance from the truth in decibels.
func BenchmarkServers(b *testing.B) {
	pseudo := []wire.Encoding{wire.PseudoCursor, wire.PseudoLastRect, wire.PseudoCompressLevel0 + 2}
	kinds := []asked{
		{"Tight, quality 6", append([]wire.Encoding{wire.EncodingTight, wire.PseudoQualityLevel0 + 6}, pseudo...)},
		{"Tight", append([]wire.Encoding{wire.EncodingTight}, pseudo...)},
		{"ZRLE", append([]wire.Encoding{wire.EncodingZRLE}, pseudo...)},
		{"Hextile", append([]wire.Encoding{wire.EncodingHextile}, pseudo...)},
	}
	for _, server := range rfbServers() {
		b.Run(server.name, func(b *testing.B) {
			address := freeAddress(b)
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				b.Fatal(err)
			}
			d := server.start(b, address, port)
			n := pictureNode(b, "golden", "")
			startProgram(b, d.environment(), n.command[0], append(n.command[1:], "-hide-cursor")...)
			n.shown(b)
			eventually(b, "the server to listen", func() error {
				conn, err := net.Dial("tcp", address)
				if err != nil {
					return err
				}
				return conn.Close()
			})
			pid := server.pid(b)
			for i, g := range golden.All(1280, 1024) {
				n.tell(b, fmt.Sprintf("golden %d", i))
				for _, kind := range kinds {
					b.Run(g.Name+"/"+kind.name, func(b *testing.B) {
						benchmarkServer(b, address, pid, g.Frame, kind.list)
					})
				}
			}
		})
	}
}

func benchmarkServer(b *testing.B, address string, pid int, truth *pixel.Frame, list []wire.Encoding) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	c := &meteredConn{Conn: conn}
	defer c.Close()
	v, err := rfbtest.NewViewer(c)
	if err != nil {
		b.Fatal(err)
	}
	if err := v.Send(wire.SetEncodings{Encodings: list}); err != nil {
		b.Fatal(err)
	}
	whole := func() {
		v.Frame.Fill(v.Frame.Rect(), 0x00ff00)
		if err := v.Request(false); err != nil {
			b.Fatal(err)
		}
		// Some servers answer with what they have at hand first.
		for slices.Contains(v.Frame.Pix[len(v.Frame.Pix)-v.Frame.Width:], 0x00ff00) {
			if err := v.ReadUpdate(); err != nil {
				b.Fatal(err)
			}
		}
	}
	whole()
	before, cpu := c.n, processorTime(b, pid)
	var took time.Duration
	for b.Loop() {
		began := time.Now()
		whole()
		took += time.Since(began)
	}
	b.ReportMetric(float64(c.n-before)/float64(b.N)/1000, "kB/picture")
	b.ReportMetric(float64((processorTime(b, pid)-cpu).Microseconds())/float64(b.N)/1000, "cpu-ms/picture")
	b.ReportMetric(float64(took.Microseconds())/float64(b.N)/1000, "ms/picture")
	if db := loads.PSNR(v.Frame, truth, truth.Rect()); !math.IsInf(db, 1) {
		b.ReportMetric(db, "dB")
	}
	b.ReportMetric(0, "ns/op") // said in ms
}
