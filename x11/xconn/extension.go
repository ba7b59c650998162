package xconn

import (
	"errors"
	"fmt"
	"sync"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// ErrNoExtension is wrapped where the server lacks an extension.
var ErrNoExtension = errors.New("the X server lacks an extension")

// xgb keeps the meaning of event and error numbers in two package variables
// that every connection's reading goroutine consults and that starting an
// extension writes, without a lock between them: a second connection could
// crash the program. The gate is that lock. Readers hold it while they handle
// what they have read (stream.Read); Extension takes it to write. It must be
// a package variable because it guards package variables. The owners tell
// whether two servers disagree about a number, which xgb cannot express.
var (
	gate       sync.RWMutex
	eventOwner = map[int]string{}
	errorOwner = map[int]string{}
)

// Extension makes the extension of this name (as in xgb's package for it,
// which must be linked in) usable on the connection. An error wraps
// ErrNoExtension where the server does not have it. It takes the place of the
// Init function in xgb's package, and must be called before events of the
// extension can come.
func (c *Conn) Extension(name string) error {
	r, err := xproto.QueryExtension(c.Conn, uint16(len(name)), name).Reply()
	if err != nil {
		return fmt.Errorf("asking for the X extension %s: %w", name, err)
	}
	if !r.Present {
		return fmt.Errorf("%w: %s", ErrNoExtension, name)
	}
	gate.Lock()
	defer gate.Unlock()
	for n := range xgb.NewExtEventFuncs[name] {
		if o, taken := eventOwner[int(r.FirstEvent)+n]; taken && o != name {
			return fmt.Errorf("starting the X extension %s: this server numbers its events otherwise than one used before in this process", name)
		}
	}
	for n := range xgb.NewExtErrorFuncs[name] {
		if o, taken := errorOwner[int(r.FirstError)+n]; taken && o != name {
			return fmt.Errorf("starting the X extension %s: this server numbers its errors otherwise than one used before in this process", name)
		}
	}
	for n, f := range xgb.NewExtEventFuncs[name] {
		xgb.NewEventFuncs[int(r.FirstEvent)+n] = f
		eventOwner[int(r.FirstEvent)+n] = name
	}
	for n, f := range xgb.NewExtErrorFuncs[name] {
		xgb.NewErrorFuncs[int(r.FirstError)+n] = f
		errorOwner[int(r.FirstError)+n] = name
	}
	c.ExtLock.Lock()
	c.Extensions[name] = r.MajorOpcode
	c.ExtLock.Unlock()
	return nil
}
