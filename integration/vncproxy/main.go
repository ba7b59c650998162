// Vncproxy plays and records FBS files with github.com/amitbet/vncproxy, a
// peer that nobody here wrote. It is a program of its own because that
// package ends the process it is in at what it does not expect.
//
//	vncproxy play FILE ADDRESS     serves FILE as RFB
//	vncproxy record FILE ADDRESS   records what an RFB server shows until it closes
//
// Each update that was recorded is a line on standard output.
package main

import (
	"fmt"
	"net"
	"os"

	"github.com/amitbet/vncproxy/client"
	"github.com/amitbet/vncproxy/common"
	"github.com/amitbet/vncproxy/encodings"
	"github.com/amitbet/vncproxy/player"
	"github.com/amitbet/vncproxy/recorder"
	"github.com/amitbet/vncproxy/server"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "vncproxy:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: vncproxy play|record FILE ADDRESS")
	}
	switch args[0] {
	case "play":
		return play(args[1], args[2])
	case "record":
		return record(args[1], args[2])
	default:
		return fmt.Errorf("neither play nor record: %q", args[0])
	}
}

// play does not return while it can listen.
func play(file, address string) error {
	return server.TcpServe(address, &server.ServerConfig{
		SecurityHandlers: []server.SecurityHandler{&server.ServerAuthNone{}},
		PixelFormat:      common.NewPixelFormat(32),
		ClientMessages:   server.DefaultClientMessages,
		DesktopName:      []byte("recording"),
		Width:            1, Height: 1,
		NewConnHandler: func(_ *server.ServerConfig, conn *server.ServerConn) error {
			fbs, err := player.ConnectFbsFile(file, conn)
			if err != nil {
				return err
			}
			conn.Listeners.AddListener(player.NewFBSPlayListener(conn, fbs))
			return nil
		},
	})
}

func record(file, address string) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	c, err := client.NewClientConn(conn, &client.ClientConfig{})
	if err != nil {
		return err
	}
	rec, err := recorder.NewRecorder(file)
	if err != nil {
		return err
	}
	f := &follower{conn: c, requester: recorder.RfbRequester{Conn: c, Name: "recorder"}, closed: make(chan struct{})}
	c.Listeners.AddListener(rec)
	c.Listeners.AddListener(f)
	if err := c.Connect(); err != nil {
		return err
	}
	<-f.closed
	// The recorder takes from a queue of a hundred; what follows as many is
	// taken when all before has been written.
	for range 102 {
		if err := rec.Consume(&common.RfbSegment{SegmentType: common.SegmentMessageEnd}); err != nil {
			return err
		}
	}
	rec.Close()
	return nil
}

// follower asks for encodings and for one update after the other.
type follower struct {
	conn      *client.ClientConn
	requester recorder.RfbRequester
	closed    chan struct{}
}

// Consume is called for each part of what the server says.
func (f *follower) Consume(s *common.RfbSegment) error {
	switch s.SegmentType {
	case common.SegmentServerInitMessage:
		// Before the first request, or it is answered with what the decoder
		// has not been told of. No quality level: no JPEG.
		if err := f.conn.SetEncodings([]common.IEncoding{
			&encodings.TightEncoding{}, &encodings.CopyRectEncoding{}, &encodings.EncCursorPseudo{},
		}); err != nil {
			return err
		}
	case common.SegmentMessageEnd:
		fmt.Println("update")
	case common.SegmentConnectionClosed:
		close(f.closed)
	default:
	}
	return f.requester.Consume(s)
}
