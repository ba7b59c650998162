package rfb

import "net"

// incoming is the connection that a session reads. While it waits for bytes in
// the middle of an update nobody else has to wait for the picture: no decoder
// writes any of it then.
type incoming struct {
	net.Conn
	s *session // nil before there is a picture
}

// Read implements io.Reader, on Run's goroutine.
func (r *incoming) Read(p []byte) (int, error) {
	if r.s == nil || !r.s.c.updating {
		return r.Conn.Read(p)
	}
	r.s.c.mu.Unlock()
	defer r.s.c.mu.Lock()
	return r.Conn.Read(p)
}
