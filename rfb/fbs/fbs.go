// Package fbs records what an RFB server shows and plays it again, in the
// format FBS 001.000 that rfbproxy, TightVNC's tools, VNC Reflector and
// vncproxy write and play.
//
// A recording is the twelve bytes "FBS 001.000\n" and blocks: U32 length,
// that many bytes of data, 0 to 3 bytes of padding to a multiple of four, U32
// time in milliseconds since the beginning. The data of all blocks together is
// what a server says to a viewer, from ProtocolVersion on; messages may begin
// and end anywhere in the blocks. The format has no index and no end.
//
// A Recorder here puts key frames into a recording, at which a player can
// begin: a block that says the picture's size, and blocks with all of the
// picture and the pointer's shape. To other players that is an update like
// any other. An index beside a recording lists its key frames; it is made
// anew from the recording where it is missing.
package fbs

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/ironglass/ironglass/rfb/security"
	"github.com/ironglass/ironglass/rfb/wire"
)

const magic = "FBS 001.000\n"

const (
	// MaxBlock is the most data that a Reader takes in one block, in bytes.
	MaxBlock = 64 << 20
	// writtenBlock is the most that a Writer puts into one, as other
	// recorders do.
	writtenBlock = 60 << 10
	// MaxTime is the latest time that a recording can tell, 49 days after its
	// beginning.
	MaxTime = math.MaxUint32 * time.Millisecond
)

// ErrTruncated is wrapped by what a Reader returns at the end of a file that
// ends in the middle of a block or of the handshake.
var ErrTruncated = errors.New("the recording is cut off")

// handshake is what a recorded server says before its first message: version
// 3.3, the security type None, which that version states without a list, and
// ServerInit (rfbproto 7.1 to 7.3.2). It is what all players understand.
func handshake(init wire.ServerInit) []byte {
	b := wire.Version33.Append(nil)
	b = binary.BigEndian.AppendUint32(b, uint32(security.NumberNone))
	return init.Append(b)
}

// Block is data that a server said at one time.
type Block struct {
	// Time is since the beginning of the recording.
	Time time.Duration
	Data []byte
}
