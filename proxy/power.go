package proxy

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/ironglass/ironglass/rfb"
)

// powerTimeout bounds an action on a machine's power.
const powerTimeout = 30 * time.Second

// powerActions are the API's actions and what xvp calls them (rfbproto
// 7.5.11). A VNC server can turn nothing on: it would not run.
var powerActions = map[string]rfb.PowerAction{
	"off": rfb.PowerShutdown, "cycle": rfb.PowerReboot, "reset": rfb.PowerReset,
}

// powerState is what can be done about a machine's power, in the console's
// snapshot.
type powerState struct {
	Available bool `json:"available"`
	// Reason says why it is not available.
	Reason string `json:"reason"`
	// Actions are those of on, off, cycle and reset that can be asked for.
	Actions []string `json:"actions"`
	// State is "on", "off" or "unknown".
	State string `json:"state"`
}

// powerState says whether the node's VNC server acts on the machine's power,
// which virtual machines' do.
func (c *Console) powerState() powerState {
	c.mu.Lock()
	h := c.hub
	c.mu.Unlock()
	switch {
	case h != nil && h.offersPower.Load() != nil:
		return powerState{Available: true, Actions: slices.Sorted(maps.Keys(powerActions)), State: "unknown"}
	case c.Status().State != Live:
		return powerState{Reason: "The console is not running.", Actions: []string{}, State: "unknown"}
	}
	return powerState{Reason: "This node has no BMC configured.", Actions: []string{}, State: "unknown"}
}

// errNoPower: nothing acts on the machine's power.
var errNoPower = errors.New("nothing acts on this machine's power")

// Power acts on the machine's power through the node's VNC server.
func (c *Console) Power(ctx context.Context, action rfb.PowerAction) error {
	c.mu.Lock()
	h := c.hub
	c.mu.Unlock()
	if h == nil {
		return errNoPower
	}
	u := h.offersPower.Load()
	if u == nil {
		return errNoPower
	}
	return u.Power(ctx, action)
}

// getPower is GET /v1/nodes/{id}/power.
func (s *Service) getPower(w http.ResponseWriter, _ *http.Request, c *Console, _ caller) {
	respondJSON(w, http.StatusOK, map[string]string{"state": c.powerState().State})
}

// postPower is POST /v1/nodes/{id}/power.
func (s *Service) postPower(w http.ResponseWriter, r *http.Request, c *Console, by caller) {
	var body struct {
		Action string `json:"action"`
	}
	if p := readJSON(w, r, s.cfg.Limits.BodyBytes, &body); p != nil {
		respondProblem(w, p)
		return
	}
	action, known := powerActions[body.Action]
	if !known && body.Action != "on" {
		respondProblem(w, newProblem(http.StatusBadRequest, "field", `The field "action" must be "on", "off", "cycle" or "reset".`))
		return
	}
	if p := c.powerState(); !p.Available {
		respondProblem(w, newProblem(http.StatusConflict, "no-power", "The power of %q cannot be switched. %s", c.node.Name, p.Reason))
		return
	}
	if !known {
		respondProblem(w, newProblem(http.StatusConflict, "no-power", "The VNC server of %q can switch its machine off and restart it, not switch it on.", c.node.Name))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), powerTimeout)
	defer cancel()
	if err := c.Power(ctx, action); err != nil {
		respondProblem(w, newProblem(http.StatusBadGateway, "power", "The power of %q was not switched: %v.", c.node.Name, err))
		return
	}
	c.active(time.Now())
	s.audit("power", by, r, c, slog.String("action", body.Action))
	c.log.Info("power", "action", body.Action, "remote", r.RemoteAddr)
	w.WriteHeader(http.StatusNoContent)
}

// postBootDevice is POST /v1/nodes/{id}/boot-device.
func (s *Service) postBootDevice(w http.ResponseWriter, r *http.Request, c *Console, _ caller) {
	var body struct {
		Device string `json:"device"`
	}
	if p := readJSON(w, r, s.cfg.Limits.BodyBytes, &body); p != nil {
		respondProblem(w, p)
		return
	}
	switch body.Device {
	case "bios", "pxe", "disk", "cdrom":
		respondProblem(w, newProblem(http.StatusConflict, "no-bmc", "The boot device of %q cannot be set: it has no BMC configured.", c.node.Name))
	default:
		respondProblem(w, newProblem(http.StatusBadRequest, "field", `The field "device" must be "bios", "pxe", "disk" or "cdrom".`))
	}
}
