package integration

import (
	"context"
	"errors"
	"fmt"
	"image"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ironglass/ironglass/integration/loads"
	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

const (
	crowdConsoles = 50
	crowdViewers  = 1000
	// crowdMemory is what the service may hold for all of them, in bytes: for
	// each console two small pictures and what is encoded of them, for each
	// viewer 150 KB, and itself.
	crowdMemory = 160 << 20
)

// vncNode is a node that is a VNC server in this program.
func vncNode(t *testing.T, dir, name string, src rfb.Source) *node {
	t.Helper()
	path := filepath.Join(dir, name)
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := rfb.NewServer(src, rfb.ServerConfig{Name: name})
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { _ = server.Serve(context.Background(), conn, rfb.ViewerConfig{}) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		server.Close() // never fails
		serving.Wait()
	})
	return &node{name: name, rfb: "unix:" + path}
}

// TestCrowd: a thousand viewers at fifty consoles of one service all see their
// node, and each change of it, while one viewer of each console reads nothing;
// the service's memory stays within bounds.
func TestCrowd(t *testing.T) {
	dir := shortDir(t)
	sources := make([]*rfbtest.Source, crowdConsoles)
	nodes := make([]*node, crowdConsoles)
	for i := range nodes {
		sources[i] = rfbtest.NewSource(200, 150)
		sources[i].Fill(image.Rect(0, 0, 200, 150), uint32(0x101010+i))
		nodes[i] = vncNode(t, dir, fmt.Sprintf("n%d", i), sources[i])
	}
	s := startService(t, nodes...)

	addresses := make([]string, crowdConsoles)
	for i, n := range nodes {
		_, addresses[i] = s.token(t, n.name, `{"ttl":"1h"}`)
	}
	open := func(console int, encoding wire.Encoding) (*rfbtest.Viewer, error) {
		conn, err := loads.Dial(t.Context(), addresses[console])
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { conn.Close() })
		v, err := rfbtest.NewViewer(conn)
		if err != nil {
			return nil, err
		}
		return v, errors.Join(v.Send(wire.SetEncodings{Encodings: []wire.Encoding{encoding, wire.EncodingCopyRect, wire.PseudoDesktopSize, wire.PseudoCursor}}), v.Request(false))
	}
	// What viewers are shown while a console starts is larger than the nodes.
	for _, n := range nodes {
		if _, err := s.get(t, "/v1/nodes/"+n.name+"/console/screenshot", http.StatusOK); err != nil {
			t.Fatal(err)
		}
	}
	// The first of each console asks for more than the connection holds, and
	// reads none of it.
	for i := range nodes {
		v, err := open(i, wire.EncodingRaw)
		if err != nil {
			t.Fatal(err)
		}
		for range 200 {
			if err := v.Request(false); err != nil {
				t.Fatal(err)
			}
		}
	}
	viewers := make([]*rfbtest.Viewer, crowdViewers-crowdConsoles)
	each := func(do func(console int, v **rfbtest.Viewer) error) {
		t.Helper()
		var all sync.WaitGroup
		errs := make(chan error, len(viewers))
		for i := range viewers {
			all.Go(func() {
				if err := do(i%crowdConsoles, &viewers[i]); err != nil {
					errs <- fmt.Errorf("viewer %d of console %d: %w", i, i%crowdConsoles, err)
				}
			})
		}
		all.Wait()
		close(errs)
		failed := 0
		for err := range errs {
			if failed++; failed <= 5 {
				t.Error(err)
			}
		}
		if failed > 0 {
			t.Fatalf("%d viewers failed", failed)
		}
	}
	each(func(console int, v **rfbtest.Viewer) (err error) {
		if *v, err = open(console, wire.EncodingTight); err != nil {
			return err
		}
		return (*v).Await(sources[console].Picture())
	})
	for round := range 3 {
		for i, src := range sources {
			src.Fill(image.Rect(10*round, 20, 10*round+50, 120), uint32(0x400000*(round+1)+i))
		}
		each(func(console int, v **rfbtest.Viewer) error { return (*v).Await(sources[console].Picture()) })
	}
	if held := residentOf(t, s.cmd.Process.Pid); held > crowdMemory {
		t.Errorf("the service holds %d MB", held>>20)
	} else {
		t.Logf("the service holds %d MB", held>>20)
	}
	body, err := s.get(t, "/metrics", http.StatusOK)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("\nironglass_viewers %d\n", crowdViewers); !strings.Contains(string(body), want) {
		t.Errorf("the metrics do not say%s", want)
	}
}

// residentOf is the memory that a process holds, in bytes.
func residentOf(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int64
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}
