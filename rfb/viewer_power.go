package rfb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ironglass/ironglass/rfb/wire"
)

// ErrNoPower is wrapped where the machine's power cannot be acted on.
var ErrNoPower = errors.New("the machine's power cannot be controlled here")

// powerTimeout is how long a source may take to carry out a PowerAction.
const powerTimeout = 10 * time.Second

// String is such as "reboot".
func (a PowerAction) String() string {
	switch a {
	case PowerShutdown:
		return "shutdown"
	case PowerReboot:
		return "reboot"
	case PowerReset:
		return "reset"
	default:
		return fmt.Sprintf("power action %d", uint8(a))
	}
}

// power carries out a viewer's xvp message (rfbproto 7.5.11) on the viewer's
// own goroutine. Who asked for what is in the log whatever comes of it.
func (v *viewer) power(m wire.ClientXVP) {
	action := PowerAction(m.Code)
	log := v.s.cfg.Log.With("viewer", v.cfg.Label, "action", action.String())
	src, err := v.powerSource(m.Version, action)
	if err != nil {
		log.Debug("a power action was refused", "error", err) // as often as the viewer likes
	} else {
		log.Info("a viewer asks for a power action")
		ctx, cancel := context.WithTimeout(context.Background(), powerTimeout)
		defer cancel()
		if err = src.Power(ctx, action); err != nil {
			log.Warn("the power action failed", "error", err)
		} else {
			log.Info("the power action was carried out")
		}
	}
	if err != nil {
		v.s.post(powerFailed{v, m.Version})
	}
}

// powerSource is what carries out a viewer's action, or why nothing does.
func (v *viewer) powerSource(version uint8, action PowerAction) (Power, error) {
	src := v.s.input.powerSource()
	switch {
	case !v.mayAct():
		return nil, fmt.Errorf("%w: the viewer may only watch", ErrNoPower)
	case src == nil:
		return nil, fmt.Errorf("%w: the display does not offer it", ErrNoPower)
	case version != wire.XVPVersion || action < PowerShutdown || action > PowerReset:
		return nil, fmt.Errorf("%w: code %d of version %d is not defined", ErrNoPower, uint8(action), version)
	}
	return src, nil
}

// powerSource is the running source where it offers power now, else nil.
func (in *input) powerSource() Power {
	in.mu.Lock()
	defer in.mu.Unlock()
	p, _ := in.source.(Power)
	if !in.power.Load() {
		return nil
	}
	return p
}

type powerFailed struct {
	v       *viewer
	version uint8
}

func (ev powerFailed) do(e *engine) {
	if _, there := e.viewers[ev.v]; there {
		e.control(ev.v, wire.ServerXVP{Version: ev.version, Code: wire.XVPFail}.Append(nil))
	}
}

// setPower notes whether the source offers power now. That it does not any
// more cannot be said to viewers who were told: their messages fail.
func (e *engine) setPower(offered bool) {
	e.power = offered
	for v := range e.viewers {
		e.offerPower(v)
	}
}

// offerPower tells v, once, that it may act on the machine's power.
func (e *engine) offerPower(v *viewer) {
	if v.can.xvp && e.power && !v.powerTold && !v.viewOnly() {
		v.powerTold = true
		e.control(v, wire.ServerXVP{Version: wire.XVPVersion, Code: wire.XVPInit}.Append(nil))
	}
}
