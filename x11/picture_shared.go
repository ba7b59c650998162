package x11

import (
	"errors"
	"fmt"

	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/jezek/xgb/shm"
	"github.com/jezek/xgb/xproto"
	"golang.org/x/sys/unix"
)

// shared reads the screen with MIT-SHM: the server copies what is asked for
// into a segment of System V shared memory.
type shared struct {
	x   *Display
	seg shm.Seg
	mem []byte
	all raw // over mem
	now raw // of all, what the screen has
}

func openShared(x *Display, width, height int) (reader, error) {
	if !x.conn.Local() {
		return nil, errors.New("the X server is on another machine")
	}
	if err := x.conn.Extension("MIT-SHM"); err != nil {
		return nil, err
	}
	if _, err := shm.QueryVersion(x.conn.Conn).Reply(); err != nil {
		return nil, err
	}
	s := &shared{x: x}
	if err := s.resize(width, height); err != nil {
		s.close()
		return nil, err
	}
	if err := s.prove(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *shared) name() string { return "MIT-SHM" }

// resize takes a new segment where the old one is too small.
func (s *shared) resize(width, height int) error {
	stride := s.x.format.stride(width)
	if stride*height > len(s.mem) {
		s.close()
		if err := s.attach(stride * height); err != nil {
			return err
		}
	}
	s.all = raw{pix: s.mem, stride: stride, width: width, height: height}
	s.now = s.all
	return nil
}

// attach makes a segment that both sides have and nobody else can get at. It
// is marked for removal at once, so it goes with its last user.
func (s *shared) attach(size int) error {
	id, err := unix.SysvShmGet(unix.IPC_PRIVATE, size, unix.IPC_CREAT|0o600)
	if err != nil {
		return fmt.Errorf("making a shared memory segment of %d bytes: %w", size, err)
	}
	defer func() { _, _ = unix.SysvShmCtl(id, unix.IPC_RMID, nil) }()
	mem, err := unix.SysvShmAttach(id, 0, 0)
	if err != nil {
		return fmt.Errorf("attaching a shared memory segment: %w", err)
	}
	seg, err := shm.NewSegId(s.x.conn.Conn)
	if err == nil {
		err = shm.AttachChecked(s.x.conn.Conn, seg, uint32(id), false).Check()
	}
	if err != nil {
		_ = unix.SysvShmDetach(mem)
		return fmt.Errorf("the X server cannot attach our shared memory (another user or IPC namespace?): %w", err)
	}
	s.mem, s.seg = mem, seg
	return nil
}

// prove sees that the server writes where we read: in another IPC namespace
// the same number may name another segment. Of two marks at least one is not
// what the screen happens to show.
func (s *shared) prove() error {
	for _, mark := range []byte{0xa5, 0x5a} {
		s.mem[0] = mark
		if err := s.rows(0, 1); err != nil {
			return err
		}
		if s.mem[0] != mark {
			return nil
		}
	}
	return errors.New("the X server's shared memory is not ours (another IPC namespace?)")
}

func (s *shared) view(r *pixel.Region) (*raw, error) {
	s.now = s.all
	return &s.now, s.x.readBands(r, &s.now, s.rows)
}

// rows brings whole rows up to date, for these lie in the segment as the
// server writes them.
func (s *shared) rows(y0, y1 int) error {
	_, err := shm.GetImage(s.x.conn.Conn, xproto.Drawable(s.x.root), 0, int16(y0), uint16(s.all.width), uint16(y1-y0),
		^uint32(0), xproto.ImageFormatZPixmap, s.seg, uint32(s.all.stride*y0)).Reply()
	return err
}

func (s *shared) trim() { _ = unix.Madvise(s.mem, unix.MADV_DONTNEED) }

func (s *shared) close() {
	if s.mem == nil {
		return
	}
	shm.Detach(s.x.conn.Conn, s.seg)
	_ = unix.SysvShmDetach(s.mem)
	s.mem, s.all, s.now = nil, raw{}, raw{}
}
