package x11

import (
	"errors"
	"fmt"

	"github.com/ironglass/ironglass/x11/xconn"
	"github.com/jezek/xgb/damage"
	"github.com/jezek/xgb/randr"
	"github.com/jezek/xgb/xfixes"
	"github.com/jezek/xgb/xtest"
)

// startExtensions starts every extension that is used, before any event of it
// is selected. MIT-SHM is left to the reader that needs it.
func (x *Display) startExtensions() error {
	needed := []string{"DAMAGE", "XFIXES"}
	if !x.cfg.ViewOnly {
		needed = append(needed, "XTEST")
	}
	for _, name := range needed {
		if err := x.conn.Extension(name); errors.Is(err, xconn.ErrNoExtension) {
			return fmt.Errorf("%w: it lacks the %s extension", ErrUnsupported, name)
		} else if err != nil {
			return err
		}
	}
	// Both refuse to work before the versions are settled.
	if _, err := xfixes.QueryVersion(x.conn.Conn, 4, 0).Reply(); err != nil {
		return fmt.Errorf("asking for the version of XFIXES: %w", err)
	}
	if _, err := damage.QueryVersion(x.conn.Conn, 1, 1).Reply(); err != nil {
		return fmt.Errorf("asking for the version of DAMAGE: %w", err)
	}
	if !x.cfg.ViewOnly {
		if _, err := xtest.GetVersion(x.conn.Conn, 2, 2).Reply(); err != nil {
			return fmt.Errorf("asking for the version of XTEST: %w", err)
		}
	}
	if err := x.conn.Extension(xkbName); err == nil {
		if err := x.startLEDs(); err != nil {
			return err
		}
	} else if !errors.Is(err, xconn.ErrNoExtension) {
		return err
	}
	if err := x.startHiders(); err != nil {
		return err
	}
	// Without RANDR the screen keeps its size.
	if err := x.conn.Extension("RANDR"); err == nil {
		v, err := randr.QueryVersion(x.conn.Conn, 1, 5).Reply()
		if err != nil {
			return fmt.Errorf("asking for the version of RANDR: %w", err)
		}
		x.sizer.usable = v.MajorVersion > 1 || v.MinorVersion >= 2
		x.sizer.monitors = v.MajorVersion > 1 || v.MinorVersion >= 5
	} else if !errors.Is(err, xconn.ErrNoExtension) {
		return err
	}
	return nil
}
