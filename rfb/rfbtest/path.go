package rfbtest

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// PathBuffer is how many bytes an end of a Path takes before its Write waits,
// as a kernel's send buffer does.
const PathBuffer = 64 << 10

// Path is a network path between two ends that carries a limited number of
// bytes a second and takes its time. Its goroutines end when either end is
// closed. It is made for testing/synctest, where it is exact.
type Path struct {
	mu   sync.Mutex
	rate float64 // bytes a second, to the client

	done chan struct{} // closed when an end is closed
	once sync.Once
}

// NewPath returns the two ends of a path that carries rate bytes a second to
// the client, any number to the server, and takes latency each way.
func NewPath(rate float64, latency time.Duration) (p *Path, server, client net.Conn) {
	p = &Path{rate: rate, done: make(chan struct{})}
	down, up := newWay(p, latency, true), newWay(p, latency, false)
	return p, &pathEnd{path: p, in: up, out: down}, &pathEnd{path: p, in: down, out: up}
}

// SetRate changes how many bytes a second the path carries.
func (p *Path) SetRate(rate float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate = rate
}

func (p *Path) close() { p.once.Do(func() { close(p.done) }) }

// way is one direction.
type way struct {
	path    *Path
	latency time.Duration
	limited bool
	sent    chan []byte // from Write
	flying  chan flight // left the bottleneck
	arrived chan []byte
	rest    []byte // of the last one that was read; owned by the reader
}

type flight struct {
	b  []byte
	at time.Time // when it arrives
}

const packet = 1024

func newWay(p *Path, latency time.Duration, limited bool) *way {
	w := &way{
		path: p, latency: latency, limited: limited,
		sent:   make(chan []byte, PathBuffer/packet),
		flying: make(chan flight, 1<<20/packet*64), arrived: make(chan []byte, 1<<20/packet*64),
	}
	go w.carry()
	go w.fly()
	return w
}

// carry is the bottleneck; it ends with the path.
func (w *way) carry() {
	for {
		select {
		case b := <-w.sent:
			if w.limited {
				w.path.mu.Lock()
				rate := w.path.rate
				w.path.mu.Unlock()
				w.wait(time.Now().Add(time.Duration(float64(len(b)) / rate * float64(time.Second))))
			}
			select {
			case w.flying <- flight{b, time.Now().Add(w.latency)}:
			case <-w.path.done:
				return
			}
		case <-w.path.done:
			return
		}
	}
}

// fly is the length of the path; it ends with the path.
func (w *way) fly() {
	for {
		select {
		case f := <-w.flying:
			w.wait(f.at)
			select {
			case w.arrived <- f.b:
			case <-w.path.done:
				return
			}
		case <-w.path.done:
			return
		}
	}
}

// wait returns at that time, or when the path is closed.
func (w *way) wait(at time.Time) {
	t := time.NewTimer(time.Until(at))
	defer t.Stop()
	select {
	case <-t.C:
	case <-w.path.done:
	}
}

// pathEnd is one end.
type pathEnd struct {
	path    *Path
	in, out *way

	mu          sync.Mutex
	read, write time.Time // deadlines, read when an operation begins
}

func (e *pathEnd) Read(b []byte) (int, error) {
	if len(e.in.rest) == 0 {
		timeout, stop := e.deadline(&e.read)
		defer stop()
		select {
		case e.in.rest = <-e.in.arrived:
		case <-e.path.done:
			return 0, io.EOF
		case <-timeout:
			return 0, os.ErrDeadlineExceeded
		}
	}
	n := copy(b, e.in.rest)
	e.in.rest = e.in.rest[n:]
	return n, nil
}

func (e *pathEnd) Write(b []byte) (int, error) {
	timeout, stop := e.deadline(&e.write)
	defer stop()
	n := 0
	for n < len(b) {
		k := min(packet, len(b)-n)
		select {
		case e.out.sent <- append([]byte(nil), b[n:n+k]...):
			n += k
		case <-e.path.done:
			return n, io.ErrClosedPipe
		case <-timeout:
			return n, os.ErrDeadlineExceeded
		}
	}
	return n, nil
}

// deadline returns a channel that speaks at the deadline.
func (e *pathEnd) deadline(of *time.Time) (<-chan time.Time, func()) {
	e.mu.Lock()
	at := *of
	e.mu.Unlock()
	if at.IsZero() {
		return nil, func() {}
	}
	t := time.NewTimer(time.Until(at))
	return t.C, func() { t.Stop() }
}

func (e *pathEnd) Close() error         { e.path.close(); return nil }
func (e *pathEnd) LocalAddr() net.Addr  { return pathAddr{} }
func (e *pathEnd) RemoteAddr() net.Addr { return pathAddr{} }

func (e *pathEnd) SetDeadline(t time.Time) error {
	_ = e.SetReadDeadline(t)
	return e.SetWriteDeadline(t)
}

func (e *pathEnd) SetReadDeadline(t time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.read = t
	return nil
}

func (e *pathEnd) SetWriteDeadline(t time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.write = t
	return nil
}

type pathAddr struct{}

func (pathAddr) Network() string { return "path" }
func (pathAddr) String() string  { return "path" }
