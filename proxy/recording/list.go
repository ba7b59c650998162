package recording

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ironglass/ironglass/rfb/fbs"
)

// Info is what there is to know of a recording.
type Info struct {
	// ID names it among those of its node.
	ID   string
	Mode Mode
	// Began is when what is there of it begins, Ended when it ends; the latter
	// is zero while it is under way.
	Began, Ended time.Time
	// Bytes is the length of what is played or downloaded, Duration how long
	// that is.
	Bytes    int64
	Duration time.Duration
	// Width and Height are the last picture's, in pixels.
	Width, Height int
}

// facts are what was found in a file when it had that size and time.
type facts struct {
	size     int64
	modified time.Time
	duration time.Duration
	bytes    int64
	width    int
	height   int
}

// entry is a recording in a folder.
type entry struct {
	key
	parts []piece // in their order
	last  time.Time
	disk  int64 // with the indexes
}

// piece is one of its files.
type piece struct {
	path   string
	offset time.Duration // negative for the only file
	size   int64
	disk   int64 // with the index
	at     time.Time
}

// began is when what is there begins.
func (e *entry) began() time.Time {
	t, _ := time.Parse(stamp, e.id) // parseName has
	return t.Add(max(0, e.parts[0].offset))
}

func (e *entry) mode() Mode {
	if e.parts[0].offset >= 0 {
		return Ring
	}
	return Full
}

// fbsParts is where the recording's files are.
func (e *entry) fbsParts() []fbs.Part {
	parts := make([]fbs.Part, len(e.parts))
	for i, p := range e.parts {
		parts[i] = fbs.Part{Path: p.path, At: p.offset - e.parts[0].offset}
	}
	return parts
}

// entries lists the recordings of a node, the oldest first. Files with other
// names are nobody's business here.
func (s *Store) entries(node string) ([]*entry, error) {
	dir := s.folder(node)
	files, err := os.ReadDir(dir) // by name, which puts parts in their order
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []*entry
	for _, d := range files {
		id, offset, ok := parseName(d.Name())
		if !ok || !d.Type().IsRegular() {
			continue
		}
		st, err := d.Info()
		if err != nil {
			continue // it is gone
		}
		p := piece{path: filepath.Join(dir, d.Name()), offset: offset, size: st.Size(), disk: st.Size(), at: st.ModTime()}
		if st, err := os.Stat(p.path + fbs.IndexSuffix); err == nil {
			p.disk += st.Size()
		}
		n := len(list)
		if n == 0 || list[n-1].id != id || offset < 0 || list[n-1].parts[0].offset < 0 {
			list = append(list, &entry{key: key{node, id}})
			n++
		}
		e := list[n-1]
		e.parts = append(e.parts, p)
		e.disk += p.disk
		if p.at.After(e.last) {
			e.last = p.at
		}
	}
	return list, nil
}

// find returns one recording of a node.
func (s *Store) find(node, id string) (*entry, error) {
	if !ValidID(id) {
		return nil, ErrUnknown
	}
	list, err := s.entries(node)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(e *entry) bool { return e.id == id })
	if i < 0 {
		return nil, ErrUnknown
	}
	return list[i], nil
}

// facts looks into a file, unless it is as it was.
func (s *Store) factsLocked(p piece) (facts, error) {
	if f, ok := s.known[p.path]; ok && f.size == p.size && f.modified.Equal(p.at) {
		return f, nil
	}
	r, err := fbs.Open(fbs.Part{Path: p.path})
	if err != nil {
		return facts{}, err
	}
	f := facts{size: p.size, modified: p.at, duration: r.Duration(), bytes: r.Bytes()}
	f.width, f.height = r.Size()
	s.known[p.path] = f
	return f, r.Close()
}

// infoLocked puts together what is known of a recording. What cannot be read
// is left out.
func (s *Store) infoLocked(e *entry) (Info, bool) {
	i := Info{ID: e.id, Mode: e.mode()}
	parts := e.parts[:0:0]
	for _, p := range e.parts {
		f, err := s.factsLocked(p)
		if err != nil {
			continue
		}
		parts = append(parts, p)
		i.Bytes += f.bytes
		i.Width, i.Height = f.width, f.height
		i.Duration = p.offset - parts[0].offset + f.duration
	}
	if len(parts) == 0 {
		return Info{}, false
	}
	e.parts = parts
	i.Began = e.began()
	if _, under := s.under[e.key]; !under {
		i.Ended = i.Began.Add(i.Duration)
	}
	return i, true
}

// List lists the recordings of a node, the newest first.
func (s *Store) List(node string) ([]Info, error) {
	s.files.Lock()
	defer s.files.Unlock()
	entries, err := s.entries(node)
	if err != nil {
		return nil, err
	}
	list := make([]Info, 0, len(entries))
	for _, e := range slices.Backward(entries) {
		if i, ok := s.infoLocked(e); ok {
			list = append(list, i)
		}
	}
	return list, nil
}

// Open opens a recording as it is now; the error may wrap ErrUnknown. It stays
// open when it is removed.
func (s *Store) Open(node, id string) (*fbs.Recording, Info, error) {
	s.files.Lock()
	defer s.files.Unlock()
	e, err := s.find(node, id)
	if err != nil {
		return nil, Info{}, err
	}
	i, ok := s.infoLocked(e)
	if !ok {
		return nil, Info{}, ErrUnknown
	}
	r, err := fbs.Open(e.fbsParts()...)
	if err != nil {
		return nil, Info{}, err
	}
	i.Bytes, i.Duration = r.Bytes(), r.Duration()
	return r, i, nil
}

// Delete removes a recording; the error may wrap ErrUnknown or ErrActive.
func (s *Store) Delete(node, id string) error {
	s.files.Lock()
	defer s.files.Unlock()
	e, err := s.find(node, id)
	if err != nil {
		return err
	}
	if _, under := s.under[e.key]; under {
		return ErrActive
	}
	return s.removeLocked(e.parts...)
}

// removeLocked removes files with their indexes.
func (s *Store) removeLocked(parts ...piece) error {
	var errs error
	for _, p := range parts {
		delete(s.known, p.path)
		err := os.Remove(p.path)
		if index := os.Remove(p.path + fbs.IndexSuffix); index != nil && !errors.Is(index, fs.ErrNotExist) {
			err = errors.Join(err, index)
		}
		errs = errors.Join(errs, err)
	}
	return errs
}

// isIndex tells an index, and what one is written into first.
func isIndex(name string) bool {
	return strings.HasSuffix(strings.TrimSuffix(name, ".new"), suffix+fbs.IndexSuffix)
}
