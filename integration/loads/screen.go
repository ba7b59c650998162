package loads

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// screen is the harness's side of the program that draws. The program connects
// to a unix socket and says "ready" when the load's first picture is shown.
// Then it does as it is told, a line each:
//
//	run DURATION  draws the load for so long; answers a line "frame NUMBER
//	              NANOSECONDS" for each frame and "done SKIPPED"
//	grab FILE     writes the screen's pixels; answers "grabbed WIDTH HEIGHT"
//
// It ends with the connection.
type screen struct {
	listener *net.UnixListener
	conn     net.Conn
	rd       *bufio.Reader
	grabs    string // the file for grabs
}

func listen(path string) (*screen, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	return &screen{listener: l, grabs: path + ".grab"}, nil
}

func (s *screen) path() string { return s.listener.Addr().String() }

// ready waits for the program, once.
func (s *screen) ready() error {
	if s.conn != nil {
		return nil
	}
	s.listener.SetDeadline(time.Now().Add(patience)) //nolint:errcheck // accepting tells
	var err error
	if s.conn, err = s.listener.Accept(); err != nil {
		return fmt.Errorf("the program that draws does not come: %w", err)
	}
	s.rd = bufio.NewReader(s.conn)
	_, err = s.ask("", "ready")
	return err
}

// ask sends a line and reads one that is as format says.
func (s *screen) ask(line, format string, into ...any) (int, error) {
	s.conn.SetDeadline(time.Now().Add(patience)) //nolint:errcheck // the read tells
	if line != "" {
		if _, err := fmt.Fprintln(s.conn, line); err != nil {
			return 0, err
		}
	}
	answer, err := s.rd.ReadString('\n')
	if err != nil {
		return 0, fmt.Errorf("the program that draws has ended: %w", err)
	}
	n, err := fmt.Sscanf(answer, format+"\n", into...)
	if err != nil {
		return 0, fmt.Errorf("the program that draws says %q: %w", answer, err)
	}
	return n, nil
}

// drawn is what was drawn: when each frame was handed over, and how many
// frames fell out because the program or the X server was late.
type drawn struct {
	at      map[int]time.Duration
	skipped int
}

// run draws the load.
func (s *screen) run(d time.Duration) (drawn, error) {
	out := drawn{at: make(map[int]time.Duration)}
	s.conn.SetDeadline(time.Now().Add(d + patience)) //nolint:errcheck // the read tells
	if _, err := fmt.Fprintf(s.conn, "run %v\n", d); err != nil {
		return out, err
	}
	for {
		answer, err := s.rd.ReadString('\n')
		if err != nil {
			return out, fmt.Errorf("the program that draws has ended: %w", err)
		}
		var number int
		var at int64
		if _, err := fmt.Sscanf(answer, "frame %d %d\n", &number, &at); err == nil {
			out.at[number] = time.Duration(at)
			continue
		}
		if _, err := fmt.Sscanf(answer, "done %d\n", &out.skipped); err == nil {
			return out, nil
		}
		return out, fmt.Errorf("the program that draws says %q", answer)
	}
}

// grab reads the screen with one GetImage.
func (s *screen) grab() (*pixel.Frame, error) {
	var width, height int
	if _, err := s.ask("grab "+s.grabs, "grabbed %d %d", &width, &height); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(s.grabs)
	if err != nil {
		return nil, err
	}
	if len(data) != 4*width*height {
		return nil, fmt.Errorf("a grab of %dx%d pixels has %d bytes: %w", width, height, len(data), io.ErrUnexpectedEOF)
	}
	f := pixel.NewFrame(width, height)
	for i := range f.Pix {
		f.Pix[i] = binary.LittleEndian.Uint32(data[4*i:]) & pixel.Mask
	}
	return f, nil
}

// close ends the program.
func (s *screen) close() {
	s.listener.Close()
	if s.conn != nil {
		s.conn.Close()
	}
}

var errNoPicture = errors.New("no whole picture came")
