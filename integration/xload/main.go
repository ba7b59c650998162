// Command xload draws one of the loads that servers of X screens are measured
// with (integration/loads), in a window that fills the screen.
//
//	xload -control SOCKET -load NAME
//
// It prepares what takes long, shows the load's first picture, frame 0, and
// then does what it is told through the socket. DISPLAY and XAUTHORITY say
// which display, as for every X program.
//
// Frames are drawn at absolute times. The time noted for a frame is just
// before its requests are written; then the X server is waited for, so that no
// frames pile up in the connection. A frame whose time is over by then is
// skipped and counted.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ironglass/ironglass/integration/loads"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "xload:", err)
		os.Exit(1)
	}
}

func run() error {
	control := flag.String("control", "", "the unix `socket` to be told through")
	name := flag.String("load", "", "the load: "+strings.Join(loads.Loads, ", "))
	flag.Parse()
	w, err := newWindow(context.Background())
	if err != nil {
		return err
	}
	l, err := newLoad(w, *name)
	if err != nil {
		return err
	}
	if err := w.show(); err != nil {
		return err
	}
	conn, err := net.Dial("unix", *control)
	if err != nil {
		return err
	}
	defer conn.Close()
	fmt.Fprintln(conn, "ready")
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		if err := obey(w, l, conn, lines.Text()); err != nil {
			return err
		}
	}
	return lines.Err()
}

func obey(w *window, l load, conn net.Conn, line string) error {
	verb, argument, _ := strings.Cut(line, " ")
	switch verb {
	case "run":
		d, err := time.ParseDuration(argument)
		if err != nil {
			return err
		}
		return draw(w, l, conn, d)
	case "grab":
		width, height, err := w.grab(argument)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(conn, "grabbed %d %d\n", width, height)
		return err
	default:
		return fmt.Errorf("there is no command %q", line)
	}
}

// draw runs the load for d and tells of its frames.
func draw(w *window, l load, conn net.Conn, d time.Duration) error {
	// The thread's timer is exact, the runtime's need not be.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := loads.Monotonic()
	if l.rate == 0 {
		if err := sleepUntil(began + d); err != nil {
			return err
		}
		_, err := fmt.Fprintln(conn, "done 0")
		return err
	}
	period := time.Second / time.Duration(l.rate)
	type frame struct {
		number int
		at     time.Duration
	}
	frames, skipped := make([]frame, 0, d/period+1), 0
	last := int(d / period)
	for n := 1; n <= last; n++ {
		if late := int((loads.Monotonic() - began) / period); late > n {
			skipped += min(late, last+1) - n
			if n = late; n > last {
				break
			}
		}
		if err := sleepUntil(began + time.Duration(n)*period); err != nil {
			return err
		}
		at := loads.Monotonic()
		w.conn.Batch(func() {
			l.draw(n)
			w.barcode(uint16(n))
		})
		if err := w.sync(); err != nil {
			return err
		}
		frames = append(frames, frame{n, at})
	}
	var b strings.Builder
	for _, f := range frames {
		fmt.Fprintf(&b, "frame %d %d\n", f.number, int64(f.at))
	}
	fmt.Fprintf(&b, "done %d\n", skipped)
	_, err := conn.Write([]byte(b.String()))
	return err
}

// sleepUntil returns at a time of the monotonic clock, or at once where it is
// over.
func sleepUntil(at time.Duration) error {
	t := unix.NsecToTimespec(int64(at))
	for {
		err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &t, nil)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
