package proxy

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ironglass/ironglass/rfb/wire"
)

const (
	// maxConnect is the longest request for a tunnel, in bytes.
	maxConnect = 4096
	// lingerTime is how long what a refused peer still sends is taken, so that
	// the answer reaches it.
	lingerTime = time.Second
)

// serveConnect is the shared port: a request CONNECT with a node's UUID or name
// in place of an address, with or without a slash before it, and then RFB as
// at the node's own port. Nova sends no Host, and reads on for ever where the
// answer's header is not whole or too long; so each answer is one short write,
// refusals too.
func (f *rfbFront) serveConnect(conn *countedConn) {
	stop := context.AfterFunc(f.s.life, func() { _ = conn.Close() })
	defer stop()
	if t := f.s.handshakeTimeout(); t > 0 {
		_ = conn.SetDeadline(time.Now().Add(t)) // the next read tells
	}
	head, err := readHead(conn)
	if head == "" && err != nil {
		_ = conn.Close() // a probe
		return
	}
	var c *Console
	status, reason := http.StatusBadRequest, ""
	id, ok := connectTarget(head)
	switch {
	case err != nil:
		reason = "the request did not end: " + err.Error()
	case !ok:
		reason = "the request is not CONNECT NODE HTTP/1.1"
	default:
		if c = f.s.Console(id); c == nil {
			status, reason = http.StatusNotFound, fmt.Sprintf("there is no node %.100q", id)
		}
	}
	if c == nil {
		f.s.metrics.refuse("rfb-connect")
		f.s.cfg.Log.Warn("a viewer's request for a node was refused", "remote", conn.RemoteAddr().String(), "reason", reason)
		say(conn, fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status, http.StatusText(status)))
		return
	}
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connected\r\n\r\n"); err != nil {
		_ = conn.Close()
		return
	}
	_ = conn.SetDeadline(time.Time{}) // RFB's handshake has its own
	stop()
	f.serve(conn, c)
}

// readHead reads a request up to the empty line and not a byte more: RFB
// follows.
func readHead(r io.Reader) (string, error) {
	var head []byte
	for b := make([]byte, 1); len(head) < maxConnect; {
		if _, err := io.ReadFull(r, b); err != nil {
			return string(head), err
		}
		if head = append(head, b[0]); strings.HasSuffix(string(head[max(0, len(head)-4):]), "\r\n\r\n") {
			return string(head), nil
		}
	}
	return string(head), fmt.Errorf("it is longer than %d bytes", maxConnect)
}

// connectTarget is the node that a request names.
func connectTarget(head string) (id string, ok bool) {
	line, _, _ := strings.Cut(head, "\r\n")
	words := strings.Split(line, " ")
	if len(words) != 3 || words[0] != http.MethodConnect || !strings.HasPrefix(words[2], "HTTP/1.") {
		return "", false
	}
	id, err := url.PathUnescape(strings.TrimPrefix(words[1], "/"))
	return id, err == nil && id != ""
}

// refuse tells a viewer in RFB why it is not let in, and closes conn.
func (f *rfbFront) refuse(conn *countedConn, reason string) {
	stop := context.AfterFunc(f.s.life, func() { _ = conn.Close() })
	defer stop()
	if t := f.s.handshakeTimeout(); t > 0 {
		_ = conn.SetDeadline(time.Now().Add(t)) // the next read tells
	}
	var hello [wire.VersionLen]byte
	_, err := conn.Write(wire.Version38.Append(nil))
	if err == nil {
		_, err = io.ReadFull(conn, hello[:])
	}
	var version wire.Version
	if err == nil {
		version, err = wire.ParseVersion(hello[:])
	}
	if err != nil {
		_ = conn.Close()
		return
	}
	none := []byte{0} // security types (rfbproto 7.1.2)
	if version == wire.Version33 {
		none = make([]byte, 4)
	}
	reason = clip(reason, maxRefusal)
	say(conn, append(binary.BigEndian.AppendUint32(none, uint32(len(reason))), reason...)) //nolint:gosec // it is short
}

// maxRefusal is the longest reason that every viewer reads, in bytes.
const maxRefusal = 256

// say sends a last message and closes conn when the peer has it.
func say(conn *countedConn, last []byte) {
	defer conn.Close()
	if _, err := conn.Write(last); err != nil {
		return
	}
	// To close while something is unread would take the message back.
	if half, ok := conn.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_ = conn.SetReadDeadline(time.Now().Add(lingerTime))
		_, _ = io.Copy(io.Discard, io.LimitReader(conn, maxConnect))
	}
}
