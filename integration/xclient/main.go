// Command xclient is the X program of the integration tests: it draws pictures
// with everything in them that makes a screen hard to carry, and tells what
// keys and buttons reach it.
//
//	xclient picture -log FILE [-seed N] [-hide-cursor]
//	xclient send COMMAND...     tells the picture on the same display to act
//	xclient grab FILE           writes the display's pixels
//
// DISPLAY and XAUTHORITY say which display, as for every X program.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "xclient:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("say picture, send or grab")
	}
	switch verb, args := args[0], args[1:]; verb {
	case "picture":
		return picture(args)
	case "send":
		return send(strings.Join(args, " "))
	case "grab":
		if len(args) != 1 {
			return errors.New("grab takes the file to write")
		}
		return grab(args[0])
	default:
		return fmt.Errorf("there is no verb %q", verb)
	}
}

// commandProperty is the property of the root window that carries commands
// from send to the picture.
const commandProperty = "IRONGLASS_TEST_COMMAND"

func atom(conn *xgb.Conn, name string) (xproto.Atom, error) {
	reply, err := xproto.InternAtom(conn, false, uint16(len(name)), name).Reply()
	if err != nil {
		return 0, fmt.Errorf("interning %s: %w", name, err)
	}
	return reply.Atom, nil
}

// send leaves the command on the root window.
func send(command string) error {
	conn, err := xgb.NewConn()
	if err != nil {
		return err
	}
	defer conn.Close()
	property, err := atom(conn, commandProperty)
	if err != nil {
		return err
	}
	root := xproto.Setup(conn).DefaultScreen(conn).Root
	return xproto.ChangePropertyChecked(conn, xproto.PropModeReplace, root, property,
		xproto.AtomString, 8, uint32(len(command)), []byte(command)).Check()
}

// grab writes one line with the width and the height in pixels, then four
// bytes per pixel as the X server gives them: blue, green, red, undefined.
// One GetImage takes it all, so that no drawing falls in between.
func grab(file string) error {
	conn, err := xgb.NewConn()
	if err != nil {
		return err
	}
	defer conn.Close()
	root := xproto.Drawable(xproto.Setup(conn).DefaultScreen(conn).Root)
	for range 10 {
		size, err := xproto.GetGeometry(conn, root).Reply()
		if err != nil {
			return err
		}
		image, err := xproto.GetImage(conn, xproto.ImageFormatZPixmap, root, 0, 0,
			size.Width, size.Height, 0xffffffff).Reply()
		if err != nil {
			continue // the screen shrank in between
		}
		if want := int(size.Width) * int(size.Height) * 4; len(image.Data) != want {
			return fmt.Errorf("GetImage gave %d bytes instead of %d: not a screen of 32 bits a pixel", len(image.Data), want)
		}
		head := fmt.Appendf(nil, "%d %d\n", size.Width, size.Height)
		return os.WriteFile(file, append(head, image.Data...), 0o600)
	}
	return errors.New("the screen's size did not hold still")
}

// picture shows the picture until the display or the process ends.
func picture(args []string) error {
	flags := flag.NewFlagSet("picture", flag.ContinueOnError)
	log := flags.String("log", "", "the `file` to tell what happens, one line each")
	seed := flags.Uint64("seed", 1, "what the first picture is made from")
	hide := flags.Bool("hide-cursor", false, "give the pointer an invisible shape")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *log == "" {
		return errors.New("picture needs -log")
	}
	out, err := os.OpenFile(*log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	conn, err := xgb.NewConn()
	if err != nil {
		return err
	}
	defer conn.Close()
	w, err := newWindow(conn, out, *hide)
	if err != nil {
		return err
	}
	return w.run(*seed)
}
