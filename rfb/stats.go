package rfb

import (
	"sync/atomic"
	"time"
)

// Stats are a server's running totals and present values.
type Stats struct {
	// Viewers is how many have finished the handshake and are there.
	Viewers int
	// Frames is how often the source was looked at.
	Frames uint64
	// Updates and Rects are FramebufferUpdates sent and rectangles in them.
	Updates, Rects uint64
	// BytesSent is what was written to viewers after the handshake.
	BytesSent uint64
	// EncodeCalls is how many rectangles were encoded, EncodeTime how long
	// that took by the clock, CacheHits how many were sent again as they were.
	EncodeCalls, CacheHits uint64
	EncodeTime             time.Duration
	// AuthFailures is how many proofs of viewers were wrong, such as
	// passwords.
	AuthFailures uint64
	// CacheBytes is the memory of encoded pieces kept for further viewers.
	CacheBytes int
}

// counters are written by the loop and read by anybody.
type counters struct {
	viewers, cacheBytes, encodeTime              atomic.Int64
	frames, updates, rects, bytes, encodes, hits atomic.Uint64
	refused                                      atomic.Uint64
}

// Stats returns the server's figures. It waits for nothing.
func (s *Server) Stats() Stats {
	c := &s.stats
	return Stats{
		Viewers: int(c.viewers.Load()), Frames: c.frames.Load(), Updates: c.updates.Load(), Rects: c.rects.Load(),
		BytesSent: c.bytes.Load(), EncodeCalls: c.encodes.Load(), CacheHits: c.hits.Load(),
		EncodeTime: time.Duration(c.encodeTime.Load()), CacheBytes: int(c.cacheBytes.Load()),
		AuthFailures: c.refused.Load(),
	}
}
