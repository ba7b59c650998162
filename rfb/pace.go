package rfb

import (
	"encoding/binary"
	"time"

	"github.com/ironglass/ironglass/rfb/wire"
)

// pace measures, with fences (rfbproto 7.5.9), how long what is sent to a
// viewer takes to be dealt with there, and says when the path is full. It is
// owned by the loop.
type pace struct {
	last uint64
	sent []probe // not answered yet, oldest first
	best time.Duration
	met  bool // best is known
}

type probe struct {
	id uint64
	at time.Time
}

// Bounds of what is under way to one viewer.
const (
	maxProbes     = 32
	unknownProbes = 2                     // while the path was never measured
	slack         = 25 * time.Millisecond // for the viewer's own work
)

// ask returns a fence to send after a frame.
func (p *pace) ask(now time.Time) []byte {
	p.last++
	p.sent = append(p.sent, probe{p.last, now})
	return wire.Fence{
		Flags:   wire.FenceRequest | wire.FenceBlockBefore,
		Payload: fencePayload(p.last),
	}.Append(nil)
}

// answered takes the payload of a viewer's answer. One that was never asked
// for is passed over.
func (p *pace) answered(payload []byte, now time.Time) {
	if len(payload) != 8 {
		return
	}
	id := binary.BigEndian.Uint64(payload)
	for i, s := range p.sent {
		if s.id != id {
			continue
		}
		if rtt := now.Sub(s.at); !p.met || rtt < p.best {
			p.best, p.met = rtt, true
		}
		p.sent = append(p.sent[:0], p.sent[i+1:]...)
		return
	}
}

// congested reports whether more would only queue on the path: too much is
// under way, or what is takes longer than the path needs when it is empty.
func (p *pace) congested(now time.Time) bool {
	switch n := len(p.sent); {
	case n == 0:
		return false
	case !p.met:
		return n >= unknownProbes
	case n >= maxProbes:
		return true
	default:
		return now.Sub(p.sent[0].at) > 2*p.best+slack
	}
}

// fencePayload is how the server's own fences are told from each other.
func fencePayload(id uint64) []byte { return binary.BigEndian.AppendUint64(nil, id) }
