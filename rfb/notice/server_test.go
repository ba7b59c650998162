package notice

import (
	"context"
	"image"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

// counted counts what is read from a connection.
type counted struct {
	net.Conn
	bytes atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

// What a viewer of a real server sees is what was painted, message after
// message, and it takes few bytes.
func TestThroughAServer(t *testing.T) {
	size := image.Pt(1024, 768)
	for _, enc := range []wire.Encoding{wire.EncodingTight, wire.EncodingZRLE} {
		src := New(size.X, size.Y, nil)
		src.Set(messages["failure"])
		server := rfb.NewServer(src, rfb.ServerConfig{Width: size.X, Height: size.Y})
		ours, theirs := net.Pipe()
		conn := &counted{Conn: theirs}
		var wg sync.WaitGroup
		wg.Go(func() { _ = server.Serve(context.Background(), ours, rfb.ViewerConfig{}) })

		viewer, err := rfbtest.NewViewer(conn)
		if err != nil {
			t.Fatal(err)
		}
		// A viewer that draws the pointer itself gets none in the picture.
		if err := viewer.Send(wire.SetEncodings{Encodings: []wire.Encoding{enc, wire.PseudoCursor}}); err != nil {
			t.Fatal(err)
		}
		before := int64(0)
		for _, m := range []Message{
			messages["failure"],
			{Title: "rack1-u12", Headline: "Still not", Tone: Failure},
			messages["failure"],
		} {
			src.Set(m)
			if err := viewer.Await(painted(size, nil, m).frame); err != nil {
				t.Fatalf("encoding %d: %v", enc, err)
			}
			took := conn.bytes.Load() - before
			before += took
			t.Logf("encoding %d: %q took %d bytes", enc, m.Headline, took)
			if took > 16<<10 {
				t.Errorf("encoding %d: %q took %d bytes", enc, m.Headline, took)
			}
		}
		if f, err := server.Snapshot(context.Background()); err != nil || !f.Equal(painted(size, nil, messages["failure"]).frame) {
			t.Errorf("the snapshot is not what was painted: %v", err)
		}
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		theirs.Close()
		wg.Wait()
		if err := src.Grab(new(pixel.Region), func(*pixel.Frame) {}); err == nil {
			t.Error("the source still holds a picture after the server has ended")
		}
	}
}
