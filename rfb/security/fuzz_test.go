package security_test

import (
	"bytes"
	"context"
	"net"
	"testing"

	"github.com/ironglass/ironglass/rfb/security"
)

// transcript has what each side wrote.
type transcript struct {
	net.Conn
	written bytes.Buffer
}

func (c *transcript) Write(p []byte) (int, error) {
	c.written.Write(p)
	return c.Conn.Write(p)
}

// record runs a handshake and returns what the client and the server said.
func record(f *testing.F, k kind) (client, server []byte) {
	var c, s transcript
	shake(f, k.server, k.client(right), func(server, client net.Conn) (net.Conn, net.Conn) {
		c.Conn, s.Conn = client, server
		return &s, &c
	})
	return c.written.Bytes(), s.written.Bytes()
}

// FuzzServerHandshake: whatever a client says, a server's part of any type
// ends with a connection to go on with or an error.
func FuzzServerHandshake(f *testing.F) {
	all := kinds()
	for i, k := range all {
		said, _ := record(f, k)
		f.Add(uint8(i), said)
	}
	f.Fuzz(func(t *testing.T, i uint8, says []byte) {
		check(t, all[int(i)%len(all)].server.Server, says)
	})
}

// FuzzClientHandshake: the same for what servers say.
func FuzzClientHandshake(f *testing.F) {
	all := kinds()
	for i, k := range all {
		_, said := record(f, k)
		f.Add(uint8(i), said)
	}
	f.Fuzz(func(t *testing.T, i uint8, says []byte) {
		check(t, all[int(i)%len(all)].client(right).Client, says)
	})
}

func check(t *testing.T, run func(context.Context, net.Conn) (security.Result, error), says []byte) {
	r, err := run(t.Context(), script(says))
	if err == nil && r.Conn == nil {
		t.Error("the handshake comes to nothing")
	}
	if err == nil {
		_, _ = r.Conn.Read(make([]byte, 100))
	}
}
