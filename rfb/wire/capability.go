package wire

import (
	"encoding/binary"
	"fmt"
)

// CapabilityLen is the length of a Capability in bytes.
const CapabilityLen = 16

// Capability is a CAPABILITY of the Tight security type (rfbproto 7.2.3): S32
// code, four bytes of vendor, eight of signature.
type Capability struct {
	Code              int32
	Vendor, Signature string
}

// Append appends the sixteen bytes.
func (c Capability) Append(b []byte) []byte {
	var p [CapabilityLen]byte
	binary.BigEndian.PutUint32(p[:], uint32(c.Code))
	copy(p[4:8], c.Vendor)
	copy(p[8:], c.Signature)
	return append(b, p[:]...)
}

// ParseCapability takes the first sixteen bytes of p.
func ParseCapability(p []byte) Capability {
	return Capability{int32(binary.BigEndian.Uint32(p)), string(p[4:8]), string(p[8:CapabilityLen])}
}

// String is the number with the two texts.
func (c Capability) String() string { return fmt.Sprintf("%d %q", c.Code, c.Vendor+c.Signature) }

// MaxCapabilities caps each list of an InteractionCapabilities.
const MaxCapabilities = 1024

// InteractionCapabilities follows ServerInit where the Tight security type
// was used (rfbproto 7.3.2): U16 number-of-server-messages, U16
// number-of-client-messages, U16 number-of-encodings, 2 bytes of padding, then
// the three lists. It tells what a server can besides what it must.
type InteractionCapabilities struct {
	ServerMessages, ClientMessages, Encodings []Capability
}

// Append appends the message.
func (m InteractionCapabilities) Append(b []byte) []byte {
	lists := [...][]Capability{m.ServerMessages, m.ClientMessages, m.Encodings}
	for _, l := range lists {
		b = binary.BigEndian.AppendUint16(b, uint16(len(l)))
	}
	b = append(b, 0, 0)
	for _, l := range lists {
		for _, c := range l {
			b = c.Append(b)
		}
	}
	return b
}

// ReadInteractionCapabilities reads the message.
func ReadInteractionCapabilities(r *Reader) InteractionCapabilities {
	var m InteractionCapabilities
	lists := [...]*[]Capability{&m.ServerMessages, &m.ClientMessages, &m.Encodings}
	var n [len(lists)]int
	for i, name := range [...]string{"number-of-server-messages", "number-of-client-messages", "number-of-encodings"} {
		if n[i] = int(r.U16(name)); n[i] > MaxCapabilities {
			r.Failf("%s is %d, more than the %d allowed", name, n[i], MaxCapabilities)
		}
	}
	r.Skip("padding", 2)
	for i, l := range lists {
		for range n[i] {
			var p [CapabilityLen]byte
			if r.Bytes("capability", p[:]); r.Err() != nil {
				return InteractionCapabilities{}
			}
			*l = append(*l, ParseCapability(p[:]))
		}
	}
	return m
}

// EncodingCapabilities are the names that encodings and pseudo-encodings have
// as capabilities (rfbproto 7.3.2), for those that have one.
func EncodingCapabilities(list []Encoding) []Capability {
	var out []Capability
	for _, e := range list {
		if name, ok := capabilityNames[e]; ok {
			out = append(out, Capability{int32(e), name[:4], name[4:]})
		}
	}
	return out
}

var capabilityNames = map[Encoding]string{
	EncodingRaw: "STDVRAW_____", EncodingCopyRect: "STDVCOPYRECT", EncodingRRE: "STDVRRE_____",
	EncodingHextile: "STDVHEXTILE_", EncodingZlib: "TRDVZLIB____", EncodingTight: "TGHTTIGHT___",
	PseudoQualityLevel0: "TGHTJPEGQLVL", PseudoCompressLevel0: "TGHTCOMPRLVL",
	PseudoDesktopSize: "TGHTNEWFBSIZ", PseudoLastRect: "TGHTLASTRECT", PseudoCursor: "TGHTRCHCURSR",
}

// The capabilities of continuous updates (rfbproto 7.3.2).
var (
	CapabilityEndOfContinuousUpdates  = Capability{int32(TypeEndOfContinuousUpdates), "TGHT", "CUS_EOCU"}
	CapabilityEnableContinuousUpdates = Capability{int32(TypeEnableContinuousUpdates), "TGHT", "CUC_ENCU"}
)
