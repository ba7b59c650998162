package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// MaxSide is the largest width or height of a framebuffer that this program
// shows or accepts, in pixels.
const MaxSide = 16384

// Limits of what a peer may make this program hold, in bytes.
const (
	// MaxName caps a desktop's name.
	MaxName = 4 << 10
	// MaxReason caps the reason of a refusal.
	MaxReason = 4 << 10
	// MaxCutText caps a clipboard's text. Longer ones are passed over.
	MaxCutText = 1 << 20
	// MaxEncodings caps the list of a SetEncodings.
	MaxEncodings = 1024
)

// Version is the protocol version (rfbproto 7.1.1).
type Version struct{ Major, Minor int }

// The versions that differ in the handshake.
var (
	Version33 = Version{3, 3}
	Version37 = Version{3, 7}
	Version38 = Version{3, 8}
)

// appleMinor is what Apple's servers and viewers say for 8.
const appleMinor = 889

// VersionLen is the length of a ProtocolVersion message in bytes.
const VersionLen = 12

// Append appends the twelve bytes of the ProtocolVersion message.
func (v Version) Append(b []byte) []byte {
	return fmt.Appendf(b, "RFB %03d.%03d\n", v.Major, v.Minor)
}

// String is such as "3.8".
func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// ParseVersion reads a ProtocolVersion message. Versions that were never
// published, such as 3.5 and 3.16, do not have what came with 3.7 and are
// treated as 3.3, as rfbproto 7.1.1 asks. Exceptions are 3.889, which is
// Apple's 3.8, and majors above 3, which other vendors' 3.8 goes by.
func ParseVersion(p []byte) (Version, error) {
	if len(p) != VersionLen || string(p[:4]) != "RFB " || p[7] != '.' || p[11] != '\n' {
		return Version{}, Errorf("the peer does not speak RFB: it began with %q", p)
	}
	var v Version
	for i, to := range [...]*int{&v.Major, &v.Minor} {
		for _, c := range p[4+4*i : 7+4*i] {
			if c < '0' || c > '9' {
				return Version{}, Errorf("the peer does not speak RFB: it began with %q", p)
			}
			*to = *to*10 + int(c-'0')
		}
	}
	switch {
	case v.Major < 3 || v.Major == 3 && v.Minor < 3:
		return Version{}, Errorf("the peer's RFB version %v is too old, 3.3 is the oldest supported", v)
	case v.Major > 3, v.Minor == Version38.Minor, v.Minor == appleMinor:
		return Version38, nil
	case v.Minor == Version37.Minor:
		return Version37, nil
	default:
		return Version33, nil
	}
}

// AppendPixelFormat appends the sixteen bytes of PIXEL_FORMAT (rfbproto 7.4):
// U8 bits-per-pixel, U8 depth, U8 big-endian-flag, U8 true-colour-flag, U16
// red-max, U16 green-max, U16 blue-max, U8 red-shift, U8 green-shift, U8
// blue-shift, 3 bytes of padding.
func AppendPixelFormat(b []byte, f pixel.PixelFormat) []byte {
	b = append(b, f.BitsPerPixel, f.Depth, flag(f.BigEndian), flag(f.TrueColour))
	b = binary.BigEndian.AppendUint16(b, f.RedMax)
	b = binary.BigEndian.AppendUint16(b, f.GreenMax)
	b = binary.BigEndian.AppendUint16(b, f.BlueMax)
	return append(b, f.RedShift, f.GreenShift, f.BlueShift, 0, 0, 0)
}

// ReadPixelFormat reads a PIXEL_FORMAT and makes an illegal one the reader's
// error.
func ReadPixelFormat(r *Reader) pixel.PixelFormat {
	f := pixel.PixelFormat{
		BitsPerPixel: r.U8("bits-per-pixel"), Depth: r.U8("depth"),
		BigEndian: r.Bool("big-endian-flag"), TrueColour: r.Bool("true-colour-flag"),
		RedMax: r.U16("red-max"), GreenMax: r.U16("green-max"), BlueMax: r.U16("blue-max"),
		RedShift: r.U8("red-shift"), GreenShift: r.U8("green-shift"), BlueShift: r.U8("blue-shift"),
	}
	r.Skip("padding", 3)
	if r.err == nil {
		if err := f.Validate(); err != nil {
			r.Failf("%w", err)
		}
	}
	return f
}

// ServerInit ends the handshake (rfbproto 7.3.2): U16 width, U16 height,
// PIXEL_FORMAT, U32 name-length, name.
type ServerInit struct {
	Width, Height int
	Format        pixel.PixelFormat
	Name          string
}

// Append appends the message.
func (m ServerInit) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(m.Width))
	b = binary.BigEndian.AppendUint16(b, uint16(m.Height))
	b = AppendPixelFormat(b, m.Format)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.Name)))
	return append(b, m.Name...)
}

// ReadServerInit reads the message; a size of nothing or over MaxSide is an
// error.
func ReadServerInit(r *Reader) ServerInit {
	m := ServerInit{Width: int(r.U16("framebuffer-width")), Height: int(r.U16("framebuffer-height"))}
	m.Format = ReadPixelFormat(r)
	m.Name = string(r.Chunk("name-string", r.U32("name-length"), MaxName))
	if r.err == nil {
		CheckSize(r, m.Width, m.Height)
	}
	return m
}

// CheckSize makes a framebuffer size that cannot be shown the reader's error.
func CheckSize(r *Reader, width, height int) {
	if width < 1 || height < 1 || width > MaxSide || height > MaxSide {
		r.Failf("a framebuffer of %dx%d pixels; 1x1 to %dx%d are possible", width, height, MaxSide, MaxSide)
	}
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}
