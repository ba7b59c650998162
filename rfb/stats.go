package rfb

import (
	"sync/atomic"
	"time"
)

// Stats are a server's running totals and present values.
type Stats struct {
	// Viewers is how many have finished the handshake and are there, without
	// silent ones.
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
	// Skipped is how often a changed picture was not sent to a viewer that could
	// not take it then, and was sent a newer one later.
	Skipped uint64
	// Mended is how many rectangles were sent exactly after they had been sent
	// at a loss.
	Mended uint64
	// RoundTrips is how many fences viewers answered, RoundTripTime how long
	// that took together. A fence follows each frame, so it is the time from
	// when a frame is ready until the viewer has dealt with it and says so.
	RoundTrips    uint64
	RoundTripTime time.Duration
	// AuthFailures is how many proofs of viewers were wrong, such as
	// passwords.
	AuthFailures uint64
	// CacheBytes is the memory of encoded pieces kept for further viewers,
	// FrameBytes that of the picture.
	CacheBytes, FrameBytes int
}

// Add makes s the sum of s and o: totals and present values alike.
func (s *Stats) Add(o Stats) {
	s.Viewers += o.Viewers
	s.Frames += o.Frames
	s.Updates += o.Updates
	s.Rects += o.Rects
	s.BytesSent += o.BytesSent
	s.EncodeCalls += o.EncodeCalls
	s.CacheHits += o.CacheHits
	s.EncodeTime += o.EncodeTime
	s.Skipped += o.Skipped
	s.Mended += o.Mended
	s.RoundTrips += o.RoundTrips
	s.RoundTripTime += o.RoundTripTime
	s.AuthFailures += o.AuthFailures
	s.CacheBytes += o.CacheBytes
	s.FrameBytes += o.FrameBytes
}

// counters are written by the loop and read by anybody.
type counters struct {
	viewers, cacheBytes, frameBytes, encodeTime          atomic.Int64
	roundTripTime                                        atomic.Int64
	frames, updates, rects, bytes, encodes, hits, mended atomic.Uint64
	skipped, refused, roundTrips                         atomic.Uint64
}

// Stats returns the server's figures. It waits for nothing.
func (s *Server) Stats() Stats {
	c := &s.stats
	return Stats{
		Viewers: int(c.viewers.Load()), Frames: c.frames.Load(), Updates: c.updates.Load(), Rects: c.rects.Load(),
		BytesSent: c.bytes.Load(), EncodeCalls: c.encodes.Load(), CacheHits: c.hits.Load(),
		EncodeTime: time.Duration(c.encodeTime.Load()), Skipped: c.skipped.Load(), Mended: c.mended.Load(),
		RoundTrips: c.roundTrips.Load(), RoundTripTime: time.Duration(c.roundTripTime.Load()),
		AuthFailures: c.refused.Load(), CacheBytes: int(c.cacheBytes.Load()), FrameBytes: int(c.frameBytes.Load()),
	}
}
