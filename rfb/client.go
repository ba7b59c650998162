package rfb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/ironglass/ironglass/rfb/direct"
	"github.com/ironglass/ironglass/rfb/encoding"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/security"
	"github.com/ironglass/ironglass/rfb/wire"
)

// ErrBusy is what a Client's Grab returns while an update is being decoded.
// The update's end is announced.
var ErrBusy = errors.New("the picture is being changed just now")

// ErrNotRunning is returned by what needs a running source.
var ErrNotRunning = errors.New("not connected")

// ClientConfig is how a Client connects. It must not change once a Client has
// it.
type ClientConfig struct {
	// Dial opens the connection, once per Run.
	Dial func(ctx context.Context) (net.Conn, error)
	// Security lists what may be used, the best first; nil is None alone.
	Security []security.Type
	// Encodings asked for, the best first; nil is every exact row of the table
	// by rank, with Raw before what compresses where the connection is a unix
	// socket: bytes are cheaper there than compressing them (BenchmarkChain).
	// The pseudo-encodings that a Client understands are asked for always.
	Encodings []wire.Encoding
	// Recorded says that Dial opens a recording of a server, which hears
	// nothing: pixels come in ServerInit's format, nothing is sent after the
	// handshake, each update is shown as it comes, and the last picture, with
	// what came of an update that was cut off, stays until ctx ends.
	Recorded bool
	// Exact says that the server sends nothing that has not changed, as a
	// Server does, so that the picture can be lent (Lender) instead of being
	// compared with what was shown before.
	Exact bool
	// HandshakeTimeout gives up a server that does not finish the handshake
	// in time; 0 is 10 s, negative is never.
	HandshakeTimeout time.Duration
	// Log takes what happens; nil discards it.
	Log *slog.Logger
	// Live, where not nil, is called once in each Run on the client's
	// goroutine, when the whole picture has been received and announced.
	Live func()
}

// Client is an RFB client. It is a Source, so that a Server can show what
// another RFB server shows, and takes input, sizes and clipboards for it.
//
// Run's goroutine reads the connection and owns the decoders; a writer
// goroutine, which ends with Run, writes.
type Client struct {
	cfg ClientConfig

	// mu guards the picture. Run holds it from the head of an update to its
	// end, but for when it waits for the connection.
	mu       sync.Mutex
	frame    *pixel.Frame // nil while there is nothing to show
	updating bool         // an update has begun and not ended

	sessionMu sync.Mutex
	session   *session // nil while Run does not run
}

// NewClient returns a client that does nothing until Run.
func NewClient(cfg ClientConfig) *Client {
	if cfg.HandshakeTimeout == 0 {
		cfg.HandshakeTimeout = 10 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Security == nil {
		cfg.Security = []security.Type{security.None{}}
	}
	return &Client{cfg: cfg}
}

// encodings is what to ask for; local is of a unix socket.
func (c *Client) encodings(local bool) []wire.Encoding {
	if c.cfg.Encodings != nil {
		return c.cfg.Encodings
	}
	var list []wire.Encoding
	for _, row := range encoding.All() {
		if !row.Lossy {
			list = append(list, row.Number)
		}
	}
	if local {
		list = append([]wire.Encoding{wire.EncodingCopyRect, wire.EncodingRaw}, list...)
	}
	return list
}

// Run connects and follows the server until ctx ends or the connection does;
// the error then says why in words for a person.
func (c *Client) Run(ctx context.Context, d *Desktop) error {
	err := c.run(ctx, d)
	if ctx.Err() != nil {
		return ctx.Err() // whatever it looked like on the connection
	}
	return err
}

func (c *Client) run(ctx context.Context, d *Desktop) error {
	conn, err := c.cfg.Dial(ctx)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	_, local := conn.(*net.UnixConn)
	conn = direct.Wrap(conn)
	defer conn.Close()                                      // done with
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // unblocks what reads
	defer stop()

	if t := c.cfg.HandshakeTimeout; t > 0 {
		conn.SetDeadline(time.Now().Add(t)) //nolint:errcheck // the next read tells
	}
	secured, tight, err := greet(ctx, conn, c.cfg.Security)
	if err != nil {
		return err
	}
	from := &incoming{Conn: secured}
	rd := wire.NewReader(from, 32<<10)
	init := wire.ReadServerInit(rd)
	if tight {
		wire.ReadInteractionCapabilities(rd) // what it says is learnt otherwise
	}
	if rd.Err() != nil {
		return handshakeError("ServerInit", rd.Err())
	}
	conn.SetDeadline(time.Time{}) //nolint:errcheck // the next read tells
	if c.cfg.Recorded && !init.Format.TrueColour {
		return errors.New("the recording has a colour map, which cannot be shown: record with true colour")
	}

	s := newSession(c, d, secured, rd, init)
	from.s = s
	c.attach(s)
	var writer sync.WaitGroup
	writer.Go(s.write)
	defer func() {
		c.attach(nil)
		close(s.done)
		conn.Close() // ends the writer
		writer.Wait()
		c.mu.Lock()
		c.frame, c.updating = nil, false
		c.mu.Unlock()
	}()
	d.SetName(validName(init.Name))
	s.start(c.encodings(local && secured == conn))
	err = s.read()
	if c.cfg.Recorded && errors.Is(err, errServerClosed) {
		s.stay(ctx)
	}
	return err
}

// Grab shows use the picture as of the last whole update; ErrBusy while the
// next one is being received.
func (c *Client) Grab(_ *pixel.Region, use func(view *pixel.Frame)) error {
	f, err := c.Lend(false)
	if err != nil {
		return err
	}
	defer c.TakeBack()
	use(f)
	return nil
}

// Lends is Lender's.
func (c *Client) Lends() bool { return c.cfg.Exact }

// Lend is Lender's: the picture as of the last whole update, where torn is set
// as far as it has come. Then it may wait while pixels are decoded, but not
// for the connection.
func (c *Client) Lend(torn bool) (*pixel.Frame, error) {
	s := c.current()
	switch {
	case s == nil:
		return nil, ErrNotRunning
	case torn:
		c.mu.Lock()
	case !c.mu.TryLock():
		s.missed.Store(true)
		if !c.mu.TryLock() { // it may have ended between the two
			return nil, ErrBusy
		}
	}
	if c.updating && !torn {
		s.missed.Store(true)
		c.mu.Unlock()
		return nil, ErrBusy
	}
	if c.frame == nil || !s.shown {
		c.mu.Unlock()
		return nil, ErrBusy
	}
	s.caughtUp()
	return c.frame, nil
}

// TakeBack is Lender's.
func (c *Client) TakeBack() { c.mu.Unlock() }

func (c *Client) attach(s *session) {
	c.sessionMu.Lock()
	defer c.sessionMu.Unlock()
	c.session = s
}

func (c *Client) current() *session {
	c.sessionMu.Lock()
	defer c.sessionMu.Unlock()
	return c.session
}
