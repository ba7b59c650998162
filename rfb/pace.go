package rfb

import (
	"encoding/binary"
	"net"
	"time"

	"github.com/ironglass/ironglass/rfb/wire"
)

// pace says when a viewer may be sent the next frame, so that it gets the
// newest as often as the path carries it and none waits behind another. It is
// owned by the loop.
//
// Each frame is followed by a fence (rfbproto 7.6.7), whose answer says when
// the viewer has dealt with it. From the answers it learns how long the path
// takes when it is empty and how many bytes a second it carries, and so
// reckons when what was sent will have left it: that is when the next frame is
// due. A long path is kept full by this, a narrow one never holds more than
// the frame it is carrying. Answers that come later than reckoned stop
// everything until they are there.
type pace struct {
	local bool    // the path is inside this machine
	last  uint64  // number of the last fence
	sent  []probe // not answered yet, oldest first

	base minimum // of the time from a fence to its answer
	rate float64 // bytes a second that the path carries; 0 while unknown

	total   uint64    // bytes handed to the writer
	acked   uint64    // of them, those before the last fence that was answered
	ackedAt time.Time // when that was
	drained time.Time // when all of total has left the path, as far as is known
}

// probe is a fence on its way.
type probe struct {
	id    uint64
	at    time.Time
	total uint64    // bytes handed over before it
	due   time.Time // when its answer is expected; zero while the rate is unknown
}

const (
	// maxProbes bounds what is kept of a viewer that answers none.
	maxProbes = 64
	// localFrames may be unanswered by a viewer on the same machine, whose
	// path takes no time: it is its own slowness that is waited for.
	localFrames = 2
	// localBytes is asked for a unix socket, so that a picture is written in
	// one go while it is read, instead of in turns.
	localBytes = 1 << 20
	// unknownBytes may be under way while the path was never measured.
	unknownBytes = 16 << 10
	// leastSample is how many bytes tell something about the rate.
	leastSample = 4 << 10
	// finest is the least time that is told from none: what a path did in
	// less was held up by neither it nor the viewer.
	finest = time.Millisecond
	// jitter is how much a path's time varies by itself.
	jitter = 5 * time.Millisecond
	// early is how long before the path is empty the next frame is due, lest
	// it stands idle; late is how far an answer may be behind.
	early = 4 * time.Millisecond
	late  = 25 * time.Millisecond
)

// unixConn is the unix socket below conn, nil where there is none.
func unixConn(conn net.Conn) *net.UnixConn {
	for {
		inner, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			break
		}
		conn = inner.NetConn()
	}
	u, _ := conn.(*net.UnixConn)
	return u
}

// ask returns a fence to send after a frame, which counts as written with it.
func (p *pace) ask(now time.Time) []byte {
	p.last++
	m := wire.Fence{
		Flags:   wire.FenceRequest | wire.FenceBlockBefore,
		Payload: binary.BigEndian.AppendUint64(nil, p.last),
	}.Append(nil)
	if len(p.sent) < maxProbes {
		p.sent = append(p.sent, probe{id: p.last, at: now})
	}
	return m
}

// handed notes a batch of n bytes. The fences asked for since the last one
// are in it.
func (p *pace) handed(n int, now time.Time) {
	p.total += uint64(n)
	if p.rate > 0 {
		p.drained = later(p.drained, now).Add(seconds(float64(n) / p.rate))
	}
	for i := len(p.sent) - 1; i >= 0 && p.sent[i].total == 0; i-- {
		p.sent[i].total = p.total
		if p.rate > 0 {
			p.sent[i].due = later(p.drained, now).Add(p.base.value())
		}
	}
}

// answered takes the payload of a viewer's answer and returns how long after
// the question it came. One that was never asked for is passed over.
func (p *pace) answered(payload []byte, now time.Time) (took time.Duration, ok bool) {
	if len(payload) != 8 {
		return 0, false
	}
	id := binary.BigEndian.Uint64(payload)
	for i, s := range p.sent {
		if s.id != id {
			continue
		}
		p.sent = append(p.sent[:0], p.sent[i+1:]...)
		p.measure(s, now)
		return now.Sub(s.at), true
	}
	return 0, false
}

// measure learns from the answer to s.
func (p *pace) measure(s probe, now time.Time) {
	took := now.Sub(s.at)
	p.base.add(took, now)
	base := p.base.value()
	// What was on its way when the answer before came kept the path busy since
	// then; otherwise it was empty and the rest is the way itself.
	busy := took - base
	if !s.at.After(p.ackedAt) {
		busy = now.Sub(p.ackedAt)
	}
	p.sample(s.total-p.acked, max(busy, finest))
	p.acked, p.ackedAt = s.total, now
	if p.rate > 0 {
		// The path went on carrying while the answer was on its way.
		p.drained = now.Add(seconds(float64(p.total-s.total)/p.rate) - base)
	}
}

// sample learns that the path was busy for so long with n bytes.
func (p *pace) sample(n uint64, busy time.Duration) {
	rate := float64(n) / busy.Seconds()
	switch {
	case n < leastSample:
	case p.rate == 0:
		p.rate = rate
	case rate < p.rate && seconds(float64(n)/p.rate) < jitter && busy < late:
		// So few bytes are late for other reasons.
	default:
		p.rate = (p.rate + rate) / 2
	}
}

// ready reports whether a frame can be sent now, else from when on; zero is
// when an answer comes.
func (p *pace) ready(now time.Time) (ok bool, at time.Time) {
	switch {
	case len(p.sent) == 0:
		return true, time.Time{}
	case p.local:
		return len(p.sent) <= localFrames, time.Time{}
	case len(p.sent) == maxProbes:
		return false, time.Time{}
	case p.rate == 0:
		return p.total-p.acked < unknownBytes, time.Time{}
	case !p.sent[0].due.IsZero() && now.After(p.sent[0].due.Add(late)):
		return false, time.Time{}
	case p.sent[0].due.IsZero() && p.total-p.acked >= unknownBytes:
		return false, time.Time{}
	}
	if at := p.drained.Add(-early); at.After(now) {
		return false, at
	}
	return true, time.Time{}
}

// minimum is the least of the durations added in the last ten to twenty
// seconds: a path may change.
type minimum struct {
	present, before time.Duration
	since           time.Time
}

const minimumSpan = 10 * time.Second

func (m *minimum) add(d time.Duration, now time.Time) {
	switch {
	case m.since.IsZero():
		*m = minimum{d, d, now}
	case now.Sub(m.since) > minimumSpan:
		*m = minimum{d, m.present, now}
	default:
		m.present = min(m.present, d)
	}
}

func (m *minimum) value() time.Duration { return min(m.present, m.before) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
