package fbs

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"time"

	"github.com/ironglass/ironglass/rfb/wire"
)

// Part is a file of a recording: all of it, or one of several that follow each
// other, each of which is a recording by itself.
type Part struct {
	Path string
	// At is when the file begins, since the beginning of the first.
	At time.Duration
}

// Recording is a recording in one or several files, as they were when it was
// opened; they may grow and be removed meanwhile. Its methods may be called
// from any goroutine.
type Recording struct {
	parts []part
}

// part is an open file.
type part struct {
	at   time.Duration
	file *os.File
	all  *io.SectionReader // as far as there are whole blocks
	init wire.ServerInit
	body int64 // where the blocks begin that follow the handshake's
	extent
}

// Open opens a recording and finds its key frames: in the index beside each
// file, and in the file itself where that has none. A file may be cut off
// anywhere after its handshake. The parts are in their order; Close must be
// called in the end.
func Open(parts ...Part) (*Recording, error) {
	r := new(Recording)
	for _, p := range parts {
		opened, _, err := openPart(p)
		if err != nil {
			_ = r.Close() // the error says more
			return nil, err
		}
		r.parts = append(r.parts, opened)
	}
	if len(r.parts) == 0 {
		return nil, errors.New("a recording without a file")
	}
	return r, nil
}

// openPart opens a file; indexed says that an index was there and right.
func openPart(p Part) (opened part, indexed bool, err error) {
	file, err := os.Open(p.Path)
	if err != nil {
		return part{}, false, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%s: %w", p.Path, err), file.Close())
		}
	}()
	st, err := file.Stat()
	if err != nil {
		return part{}, false, err
	}
	opened = part{at: p.At, file: file, all: io.NewSectionReader(file, 0, st.Size())}
	r, err := NewReader(io.NewSectionReader(file, 0, st.Size()))
	if err != nil {
		return part{}, false, err
	}
	opened.init = r.ServerInit()
	opened.body = int64(len(magic))
	h, _, err := scanBlock(bufio.NewReader(io.NewSectionReader(file, opened.body, st.Size())))
	if err != nil {
		return part{}, false, fmt.Errorf("%w in its first block", ErrTruncated)
	}
	if int(h.size) == 4+(len(handshake(opened.init))+3)&^3+4 {
		opened.body += h.size
	}
	indexed = opened.readIndex(p.Path + IndexSuffix)
	if !indexed {
		opened.extent = extent{}
		if err := opened.scan(opened.all, opened.body); err != nil {
			return part{}, false, fmt.Errorf("reading the recording: %w", err)
		}
	}
	opened.all = io.NewSectionReader(file, 0, opened.end)
	return opened, indexed, nil
}

// readIndex takes the key frames from the index and what follows the last of
// them from the recording, and reports whether it could.
func (p *part) readIndex(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close() // only read
	keys, err := readIndex(f)
	if err != nil || len(keys) == 0 {
		return false
	}
	// The index is told of a key frame before its blocks are there.
	for len(keys) > 0 && keys[len(keys)-1].Offset+keyMarkSize > p.all.Size() {
		keys = keys[:len(keys)-1]
	}
	if len(keys) == 0 || keys[0].Offset < p.body {
		return false
	}
	br := bufio.NewReaderSize(nil, keyMarkSize)
	for _, k := range keys {
		br.Reset(io.NewSectionReader(p.file, k.Offset, keyMarkSize))
		h, is, err := scanBlock(br)
		if err != nil || is == nil || h.time != k.Time || is.Width != k.Width || is.Height != k.Height {
			return false
		}
	}
	last := keys[len(keys)-1]
	p.extent = extent{keys: keys[:len(keys)-1], last: last.Time}
	return p.scan(p.all, last.Offset) == nil
}

// Reindex writes the index of a file anew where it is missing or wrong.
func Reindex(path string) error {
	p, indexed, err := openPart(Part{Path: path})
	if err != nil {
		return err
	}
	defer p.file.Close() // only read
	if indexed || len(p.keys) == 0 {
		return nil
	}
	var b []byte
	for i, k := range p.keys {
		b = AppendIndex(b, k, i == 0)
	}
	name := path + IndexSuffix
	if err := os.WriteFile(name+".new", b, 0o600); err != nil {
		return errors.Join(err, os.Remove(name+".new"))
	}
	return os.Rename(name+".new", name)
}

// Close closes the files. Nothing may read them any more.
func (r *Recording) Close() error {
	var errs error
	for _, p := range r.parts {
		errs = errors.Join(errs, p.file.Close())
	}
	return errs
}

// Duration is how long the recording is: the time of its last whole block.
func (r *Recording) Duration() time.Duration {
	p := &r.parts[len(r.parts)-1]
	return p.at + p.last
}

// ServerInit is what the server said at the beginning.
func (r *Recording) ServerInit() wire.ServerInit { return r.parts[0].init }

// KeyFrames is how many key frames there are.
func (r *Recording) KeyFrames() (n int) {
	for _, p := range r.parts {
		n += len(p.keys)
	}
	return n
}

// Size is the size of the last picture but for a change of it after the last
// key frame, in pixels.
func (r *Recording) Size() (width, height int) {
	p := &r.parts[len(r.parts)-1]
	if n := len(p.keys); n > 0 {
		return p.keys[n-1].Width, p.keys[n-1].Height
	}
	return p.init.Width, p.init.Height
}

// Bytes is the length of what WriteTo writes.
func (r *Recording) Bytes() int64 {
	n := r.parts[0].end
	for _, p := range r.parts[1:] {
		n += p.end - p.body
	}
	return n
}

// WriteTo writes the whole blocks of all parts as one recording.
func (r *Recording) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, io.NewSectionReader(r.parts[0].file, 0, r.parts[0].end))
	for i := 1; i < len(r.parts) && err == nil; i++ {
		var m int64
		m, err = r.parts[i].appendTo(w)
		n += m
	}
	return n, err
}

// appendTo writes the blocks after the handshake at their time in the whole.
func (p *part) appendTo(w io.Writer) (int64, error) {
	br := bufio.NewReaderSize(io.NewSectionReader(p.file, p.body, p.end-p.body), readStep)
	bw := bufio.NewWriterSize(w, readStep)
	for n := p.body; n < p.end; {
		var word [4]byte
		if _, err := io.ReadFull(br, word[:]); err != nil {
			return n - p.body, fmt.Errorf("reading the recording: %w", err)
		}
		padded := int64(binary.BigEndian.Uint32(word[:])+3) &^ 3
		if _, err := bw.Write(word[:]); err != nil {
			return n - p.body, err
		}
		if _, err := io.CopyN(bw, br, padded); err != nil {
			return n - p.body, err
		}
		if _, err := io.ReadFull(br, word[:]); err != nil {
			return n - p.body, fmt.Errorf("reading the recording: %w", err)
		}
		at := time.Duration(binary.BigEndian.Uint32(word[:]))*time.Millisecond + p.at
		binary.BigEndian.PutUint32(word[:], uint32(min(at, MaxTime).Milliseconds()))
		if _, err := bw.Write(word[:]); err != nil {
			return n - p.body, err
		}
		n += 4 + padded + 4
	}
	return p.end - p.body, bw.Flush()
}

// place is where the last key frame is that is not after a time: in part i,
// and there number k, or its beginning where k is negative.
func (r *Recording) place(at time.Duration) (i, k int) {
	i = max(0, sort.Search(len(r.parts), func(i int) bool { return r.parts[i].at > at })-1)
	p := &r.parts[i]
	return i, sort.Search(len(p.keys), func(k int) bool { return p.at+p.keys[k].Time > at }) - 1
}

// KeyFrame is Playable's.
func (r *Recording) KeyFrame(at time.Duration) time.Duration {
	i, k := r.place(at)
	if k < 0 {
		return r.parts[i].at
	}
	return r.parts[i].at + r.parts[i].keys[k].Time
}

// Blocks is Playable's. They end where the recording did when it was opened.
func (r *Recording) Blocks(at time.Duration) (Blocks, error) {
	i, k := r.place(at)
	b := &partBlocks{parts: r.parts[i:]}
	return b, b.begin(k)
}

// partBlocks are the blocks of the first of some parts from a place on, and
// those of the others.
type partBlocks struct {
	parts []part
	r     *Reader
}

// begin goes to a key frame of the first part.
func (b *partBlocks) begin(k int) error {
	p := &b.parts[0]
	if k < 0 {
		r, err := NewReader(io.NewSectionReader(p.all, 0, p.all.Size()))
		b.r = r
		return err
	}
	key := p.keys[k]
	b.r = &Reader{
		r:    bufio.NewReaderSize(io.NewSectionReader(p.all, key.Offset, p.end-key.Offset), readStep),
		init: p.init, last: key.Time,
	}
	b.r.init.Width, b.r.init.Height = key.Width, key.Height
	return nil
}

func (b *partBlocks) ServerInit() wire.ServerInit { return b.r.ServerInit() }

// Next goes on to the next part at the end of one.
func (b *partBlocks) Next() (Block, error) {
	for {
		block, err := b.r.Next()
		block.Time += b.parts[0].at
		if !errors.Is(err, io.EOF) || len(b.parts) == 1 {
			return block, err
		}
		b.parts = b.parts[1:]
		if err := b.begin(min(0, len(b.parts[0].keys)-1)); err != nil {
			return Block{}, err
		}
	}
}

// Close does nothing: the files are the Recording's.
func (b *partBlocks) Close() error { return nil }

// NextChange returns when something was recorded next after at, the end where
// nothing was.
func (r *Recording) NextChange(at time.Duration) time.Duration {
	next := r.Duration()
	r.heads(at, func(t time.Duration) bool {
		if t > at {
			next = t
		}
		return t <= at
	})
	return next
}

// PreviousChange returns when something was recorded last before at, 0 where
// nothing was.
func (r *Recording) PreviousChange(at time.Duration) time.Duration {
	var before time.Duration
	r.heads(at-1, func(t time.Duration) bool {
		if t < at {
			before = t
		}
		return t < at
	})
	return before
}

// heads calls use with the time of each block from a key frame that is not
// after at, until that returns false.
func (r *Recording) heads(at time.Duration, use func(t time.Duration) bool) {
	i, k := r.place(at)
	for ; i < len(r.parts); i++ {
		p := &r.parts[i]
		from := p.body
		if k >= 0 && len(p.keys) > 0 {
			from = p.keys[k].Offset
		}
		br := bufio.NewReaderSize(io.NewSectionReader(p.all, from, p.end-from), readStep)
		for {
			h, _, err := scanBlock(br)
			if err != nil {
				break
			}
			if !use(p.at + h.time) {
				return
			}
		}
		k = -1
	}
}
