package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/ironglass/ironglass/proxy/recording"
	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/fbs"
)

// recorder records one console while it runs. A recording is of what viewers
// see, notices too, from when the console leaves the state cold to when it is
// cold again; it neither starts the console nor keeps it running.
type recorder struct {
	store  *recording.Store   // nil where nothing is recorded
	active atomic.Int32       // recordings under way; an old one may still be ending
	end    context.CancelFunc // nil while nothing is to be recorded; guarded by Console.mu
}

// recordLocked follows the console's state.
func (c *Console) recordLocked(state State) {
	r := &c.recorder
	switch {
	case r.store == nil:
	case state == Cold && r.end != nil:
		r.end()
		r.end = nil
	case state != Cold && r.end == nil && c.hub != nil && !c.closed:
		ctx, cancel := context.WithCancel(context.Background())
		r.end = cancel
		c.work.Add(1)
		go c.record(ctx, c.hub.server)
	}
}

// record ends with ctx or with the server.
func (c *Console) record(ctx context.Context, server *rfb.Server) {
	defer c.work.Done()
	c.recorder.store.Record(ctx, server, c.node.Name, c.node.Recording, func(active bool) {
		if active {
			c.recorder.active.Add(1)
		} else {
			c.recorder.active.Add(-1)
		}
		c.notify()
	})
}

// recordingState is the console's recording as the page is told.
type recordingState struct {
	Mode   recording.Mode `json:"mode"`
	Active bool           `json:"active"`
}

func (c *Console) recordingState() recordingState {
	if c.recorder.store == nil {
		return recordingState{Mode: recording.Off}
	}
	return recordingState{Mode: c.node.Recording.Mode, Active: c.recorder.active.Load() > 0}
}

// recordable checks that what is to be recorded can be kept.
func (s *Service) recordable(n Node) error {
	if n.Recording.On() && s.cfg.Recordings == nil {
		return fmt.Errorf("node %q is to be recorded and no node was when the service started, so there is no place for recordings: restart it", n.Name)
	}
	return nil
}

// recorderFor returns the recorder of a node.
func (s *Service) recorderFor(n Node) recorder {
	if !n.Recording.On() {
		return recorder{}
	}
	return recorder{store: s.cfg.Recordings}
}

// recordingView is a recording in GET /v1/nodes/{id}/console/recordings.
type recordingView struct {
	ID    string    `json:"id"`
	Began time.Time `json:"began"`
	// Ended is null while it is under way.
	Ended   *time.Time     `json:"ended"`
	Bytes   int64          `json:"bytes"`
	Seconds float64        `json:"seconds"`
	Width   int            `json:"width"`
	Height  int            `json:"height"`
	Mode    recording.Mode `json:"mode"`
}

func viewRecording(i recording.Info) recordingView {
	v := recordingView{
		ID: i.ID, Began: i.Began, Bytes: i.Bytes, Seconds: i.Duration.Seconds(),
		Width: i.Width, Height: i.Height, Mode: i.Mode,
	}
	if !i.Ended.IsZero() {
		v.Ended = &i.Ended
	}
	return v
}

// listRecordings is GET /v1/nodes/{id}/console/recordings, the newest first.
func (s *Service) listRecordings(w http.ResponseWriter, _ *http.Request, c *Console, _ caller) {
	list := make([]recordingView, 0)
	if s.cfg.Recordings != nil {
		infos, err := s.cfg.Recordings.List(c.node.Name)
		if err != nil {
			c.log.Error("recordings not listed", "error", err)
			respondProblem(w, newProblem(http.StatusInternalServerError, "internal", "The recordings cannot be listed; the service's log says why."))
			return
		}
		for _, i := range infos {
			list = append(list, viewRecording(i))
		}
	}
	respondJSON(w, http.StatusOK, map[string]any{"recordings": list})
}

// recordingProblem says what is wrong with a recording.
func (c *Console) recordingProblem(r *http.Request, err error) *problem {
	id := r.PathValue("rid")
	switch {
	case errors.Is(err, recording.ErrUnknown):
		return newProblem(http.StatusNotFound, "recording", "The console of %q has no recording %q.", c.node.Name, id)
	case errors.Is(err, recording.ErrActive):
		return newProblem(http.StatusConflict, "recording-active", "The recording %s is under way: it can be removed when the console is not running any more.", id)
	}
	c.log.Error("recording not read", "recording", id, "error", err)
	return newProblem(http.StatusInternalServerError, "internal", "The recording cannot be read; the service's log says why.")
}

// openRecording opens the recording that a request names. The caller closes it.
func (s *Service) openRecording(r *http.Request, c *Console) (*fbs.Recording, recording.Info, *problem) {
	if s.cfg.Recordings == nil {
		return nil, recording.Info{}, c.recordingProblem(r, recording.ErrUnknown)
	}
	rec, info, err := s.cfg.Recordings.Open(c.node.Name, r.PathValue("rid"))
	if err != nil {
		return nil, info, c.recordingProblem(r, err)
	}
	return rec, info, nil
}

// getRecording is GET /v1/nodes/{id}/console/recordings/{rid}: the FBS file,
// up to now where it is under way.
func (s *Service) getRecording(w http.ResponseWriter, r *http.Request, c *Console, by caller) {
	rec, info, p := s.openRecording(r, c)
	if p != nil {
		respondProblem(w, p)
		return
	}
	defer rec.Close() // only read
	s.audit("recording-fetched", by, r, c, slog.String("recording", info.ID))
	sendRecording(w, r, c.node.Name, info.ID, rec)
}

// sendRecording answers with a recording as a file to keep.
func sendRecording(w http.ResponseWriter, r *http.Request, node, id string, rec *fbs.Recording) {
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.FormatInt(rec.Bytes(), 10))
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": node + "-" + id + ".fbs"}))
	h.Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return
	}
	_, _ = rec.WriteTo(w) // who goes away hears no more
}

// deleteRecording is DELETE /v1/nodes/{id}/console/recordings/{rid}.
func (s *Service) deleteRecording(w http.ResponseWriter, r *http.Request, c *Console, by caller) {
	if s.cfg.Recordings == nil {
		respondProblem(w, c.recordingProblem(r, recording.ErrUnknown))
		return
	}
	if err := s.cfg.Recordings.Delete(c.node.Name, r.PathValue("rid")); err != nil {
		respondProblem(w, c.recordingProblem(r, err))
		return
	}
	s.audit("recording-deleted", by, r, c, slog.String("recording", r.PathValue("rid")))
	c.log.Info("recording removed", "recording", r.PathValue("rid"), "remote", r.RemoteAddr)
	w.WriteHeader(http.StatusNoContent)
}
