package fbs

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// IndexSuffix is what the name of a recording's index has after the
// recording's own.
const IndexSuffix = ".idx"

// An index is indexMagic and an entry of 16 bytes for each key frame, in their
// order: U64 offset in bytes, U32 time in milliseconds, U16 width, U16 height.
// It is written as the recording is, so it may end in the middle of an entry
// and may lack the last ones.
const (
	indexMagic = "FBS index 1\n"
	entryLen   = 16
	// maxIndex bounds what is read of an index, in bytes: more than 20 years
	// of minutes.
	maxIndex = 256 << 20
)

// errIndex says that an index is not of the recording that it lies beside.
var errIndex = errors.New("the index does not belong to the recording")

// AppendIndex appends the entry of k to what is to be written into an index;
// first says that it begins there.
func AppendIndex(b []byte, k KeyFrame, first bool) []byte {
	if first {
		b = append(b, indexMagic...)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(k.Offset))
	b = binary.BigEndian.AppendUint32(b, uint32(k.Time.Milliseconds()))
	b = binary.BigEndian.AppendUint16(b, uint16(k.Width))
	return binary.BigEndian.AppendUint16(b, uint16(k.Height))
}

// readIndex reads the whole entries of an index. Their order is checked, what
// they say of the recording is not.
func readIndex(r io.Reader) ([]KeyFrame, error) {
	br := bufio.NewReader(io.LimitReader(r, maxIndex))
	var magic [len(indexMagic)]byte
	if _, err := io.ReadFull(br, magic[:]); err != nil || string(magic[:]) != indexMagic {
		return nil, errIndex
	}
	var keys []KeyFrame
	for {
		var e [entryLen]byte
		switch _, err := io.ReadFull(br, e[:]); {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return keys, nil
		case err != nil:
			return nil, fmt.Errorf("reading the index: %w", err)
		}
		k := KeyFrame{
			Offset: int64(binary.BigEndian.Uint64(e[:])),
			Time:   time.Duration(binary.BigEndian.Uint32(e[8:])) * time.Millisecond,
			Width:  int(binary.BigEndian.Uint16(e[12:])), Height: int(binary.BigEndian.Uint16(e[14:])),
		}
		if n := len(keys); k.Offset < 0 || n > 0 && (k.Offset <= keys[n-1].Offset || k.Time < keys[n-1].Time) {
			return nil, errIndex
		}
		keys = append(keys, k)
	}
}

// extent is what there is to know of blocks without looking into them.
type extent struct {
	keys []KeyFrame
	end  int64 // after the last whole block, in bytes
	last time.Duration
}

// scan reads the heads of the blocks from an offset on that follow what ext
// has of them. What comes after the last whole block is left out.
func (ext *extent) scan(r *io.SectionReader, offset int64) error {
	br := bufio.NewReaderSize(io.NewSectionReader(r, offset, r.Size()-offset), readStep)
	ext.end = offset
	for {
		b, key, err := scanBlock(br)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return err
		}
		ext.last = max(ext.last, b.time)
		if key != nil {
			key.Offset, key.Time = ext.end, ext.last
			ext.keys = append(ext.keys, *key)
		}
		ext.end += b.size
	}
}

// head is a block's length in the file and its time.
type head struct {
	size int64
	time time.Duration
}

// scanBlock passes over a block. Where it is a key frame's mark key has the
// size.
func scanBlock(br *bufio.Reader) (h head, key *KeyFrame, err error) {
	var word [4]byte
	if _, err := io.ReadFull(br, word[:]); err != nil {
		return head{}, nil, err
	}
	n := binary.BigEndian.Uint32(word[:])
	if n > MaxBlock {
		return head{}, nil, io.ErrUnexpectedEOF // a reader goes no further either
	}
	if n == keyMarkLen {
		if b, err := br.Peek(keyMarkLen); err == nil {
			if size, ok := parseKeyMark(b); ok {
				key = &KeyFrame{Width: size.X, Height: size.Y}
			}
		}
	}
	padded := int(n+3) &^ 3
	if _, err := br.Discard(padded); err != nil {
		return head{}, nil, err
	}
	if _, err := io.ReadFull(br, word[:]); err != nil {
		return head{}, nil, err
	}
	at := time.Duration(binary.BigEndian.Uint32(word[:])) * time.Millisecond
	return head{int64(4 + padded + 4), at}, key, nil
}
