package proxy

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/ironglass/ironglass/proxy/recording"
	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/fbs"
	"github.com/ironglass/ironglass/rfb/notice"
)

// replay is one recording being replayed to a page, over an RFB server of its
// own. Whoever has its token can look and can turn it, which is why each page
// gets one of its own.
type replay struct {
	node   string
	info   recording.Info
	source string // network address of who asked for it
	rec    *fbs.Recording
	player *fbs.Player
	server *rfb.Server

	viewers int         // guarded by replays.mu
	expiry  *time.Timer // closes it while nobody looks; guarded by replays.mu
}

const (
	// replayExpiry is how long a replay stays that nobody looks at, so that a
	// page that is loaded again finds it where it was.
	replayExpiry = 10 * time.Minute
	// replayViewers is how many may look at one replay.
	replayViewers = 8
	// slowest and fastest are the speeds that can be asked for.
	slowest, fastest = 0.1, 64
	// maxSteps is how many changes one order may pass over.
	maxSteps = 100
)

// replays are those at work, by their tokens, which nobody can guess. They end
// with the service.
type replays struct {
	total, perSource int // negative is no limit

	mu      sync.Mutex
	all     map[string]*replay
	sources map[string]int
	closed  bool
	work    sync.WaitGroup // sessions with viewers, and replays being closed
}

func (n *replays) init(l Limits) {
	n.total, n.perSource = l.Replays, l.ReplaysPerSource
	n.all, n.sources = make(map[string]*replay), make(map[string]int)
}

// add takes a replay and returns its token, or why it cannot.
func (n *replays) add(r *replay) (string, *problem) {
	secret := make([]byte, 18)
	if _, err := rand.Read(secret); err != nil {
		return "", newProblem(http.StatusInternalServerError, "internal", "The token could not be made.")
	}
	token := base64.RawURLEncoding.EncodeToString(secret)
	n.mu.Lock()
	defer n.mu.Unlock()
	full := func(have, limit int) bool { return limit >= 0 && have >= limit }
	switch {
	case n.closed:
		return "", newProblem(http.StatusServiceUnavailable, "closing", "The service is going down.")
	case full(len(n.all), n.total):
		return "", newProblem(http.StatusServiceUnavailable, "limit-replays", "This service replays %d recordings already, which is its limit.", len(n.all))
	case full(n.sources[r.source], n.perSource):
		return "", newProblem(http.StatusTooManyRequests, "limit-source",
			"%d recordings are being replayed from this address already, which is the limit. A replay that nobody looks at ends after %v.", n.sources[r.source], replayExpiry)
	}
	n.all[token] = r
	n.sources[r.source]++
	r.expiry = time.AfterFunc(replayExpiry, func() { n.expire(token) })
	return token, nil
}

// get returns the replay of a token.
func (n *replays) get(token string) (*replay, *problem) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.all[token]
	switch {
	case n.closed:
		return nil, newProblem(http.StatusServiceUnavailable, "closing", "The service is going down.")
	case r == nil:
		return nil, newProblem(http.StatusForbidden, "replay-unknown",
			"There is no such replay any more. Go back to where it was opened and open the recording again.")
	}
	return r, nil
}

// join counts a viewer of a replay, who must leave in the end.
func (n *replays) join(token string) (*replay, *problem) {
	r, p := n.get(token)
	if p != nil {
		return nil, p
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || n.all[token] != r {
		return nil, newProblem(http.StatusServiceUnavailable, "closing", "The replay is being ended.")
	}
	if r.viewers >= replayViewers {
		return nil, newProblem(http.StatusTooManyRequests, "limit-token", "This replay is shown %d times already, which is the limit.", r.viewers)
	}
	r.viewers++
	r.expiry.Stop()
	n.work.Add(1)
	return r, nil
}

func (n *replays) leave(r *replay) {
	defer n.work.Done()
	n.mu.Lock()
	defer n.mu.Unlock()
	if r.viewers--; r.viewers == 0 && !n.closed {
		r.expiry.Reset(replayExpiry)
	}
}

// count is how many there are.
func (n *replays) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.all)
}

// expire ends a replay at which nobody looks.
func (n *replays) expire(token string) {
	n.mu.Lock()
	r := n.all[token]
	if r == nil || r.viewers > 0 || n.closed {
		n.mu.Unlock()
		return
	}
	n.removeLocked(token)
	n.work.Add(1)
	n.mu.Unlock()
	defer n.work.Done()
	r.close()
}

func (n *replays) removeLocked(token string) {
	r := n.all[token]
	delete(n.all, token)
	countOff(n.sources, r.source)
}

// close ends all replays and waits for them.
func (n *replays) close() {
	n.mu.Lock()
	n.closed = true
	ended := make([]*replay, 0, len(n.all))
	for token, r := range n.all {
		r.expiry.Stop()
		ended = append(ended, r)
		n.removeLocked(token)
	}
	n.mu.Unlock()
	for _, r := range ended {
		r.close()
	}
	n.work.Wait()
}

// close ends the sessions with the viewers.
func (r *replay) close() {
	_ = r.server.Close()
	_ = r.rec.Close() // only read
}

// newReplay plays rec once somebody looks.
func (s *Service) newReplay(node string, info recording.Info, source string, rec *fbs.Recording) *replay {
	log := s.cfg.Log.With("node", node, "recording", info.ID)
	r := &replay{node: node, info: info, source: source, rec: rec}
	r.player = fbs.NewPlayer(fbs.PlayerConfig{Recording: rec, Log: log})
	r.server = rfb.NewServer(r.player, rfb.ServerConfig{
		Name: node, Width: info.Width, Height: info.Height,
		Linger: -1, HandshakeTimeout: s.cfg.Limits.HandshakeTimeout, WriteTimeout: s.cfg.Limits.WriteTimeout,
		Log: log,
		SourceEnded: func(ended rfb.Source, err error) rfb.Source {
			n := notice.New(info.Width, info.Height, nil)
			n.Set(notice.Message{
				Title: node, Headline: "The recording cannot be played", Tone: notice.Failure,
				Lines: []string{fmt.Sprint(err)},
			})
			return n
		},
	})
	return r
}

// replayView is the answer of /v1/replay. Times are in seconds.
type replayView struct {
	Node string `json:"node"`
	recordingView
	Position float64 `json:"position"`
	Speed    float64 `json:"speed"`
	Playing  bool    `json:"playing"`
	Finished bool    `json:"finished"`
}

func (r *replay) view() replayView {
	st := r.player.State()
	return replayView{
		Node: r.node, recordingView: viewRecording(r.info),
		Position: min(st.Position, r.info.Duration).Seconds(), Speed: st.Speed, Playing: !st.Paused, Finished: st.Finished,
	}
}

// replayOrder is what a page asks of a replay; what is absent stays.
type replayOrder struct {
	// Position is where to go, in seconds since the beginning.
	Position *float64 `json:"position"`
	// Step goes on by so many changes, back where it is negative, and stays
	// there; from Position where that is given.
	Step    *int     `json:"step"`
	Playing *bool    `json:"playing"`
	Speed   *float64 `json:"speed"`
}

func (o *replayOrder) check() *problem {
	switch {
	case o.Position != nil && !(*o.Position >= 0 && *o.Position <= fbs.MaxTime.Seconds()):
		return newProblem(http.StatusBadRequest, "field", `The field "position" must be a time in seconds since the beginning.`)
	case o.Step != nil && (*o.Step < -maxSteps || *o.Step > maxSteps):
		return newProblem(http.StatusBadRequest, "field", `The field "step" must be a number of changes from %d to %d.`, -maxSteps, maxSteps)
	case o.Speed != nil && !(*o.Speed >= slowest && *o.Speed <= fastest):
		return newProblem(http.StatusBadRequest, "field", `The field "speed" must be a number from %v to %v.`, slowest, fastest)
	}
	return nil
}

// do carries out an order.
func (r *replay) do(o *replayOrder) {
	p := r.player
	if o.Speed != nil {
		p.SetSpeed(*o.Speed)
	}
	to := p.State().Position
	switch {
	case o.Position != nil:
		to = min(time.Duration(*o.Position*float64(time.Second)), r.info.Duration)
	case o.Playing != nil && *o.Playing && p.State().Finished:
		to = 0 // from the end it goes on at the beginning
	}
	if o.Step != nil {
		p.Pause()
		for n := *o.Step; n > 0; n-- {
			to = r.rec.NextChange(to)
		}
		for n := *o.Step; n < 0; n++ {
			to = r.rec.PreviousChange(to)
		}
	}
	if o.Position != nil || o.Step != nil || to == 0 {
		p.Seek(to)
	}
	switch {
	case o.Playing == nil:
	case *o.Playing:
		p.Resume()
	default:
		p.Pause()
	}
}

// serve shows the replay to a viewer until one of them ends it.
func (r *replay) serve(ctx context.Context, conn *wsConn, label string) error {
	return r.server.Serve(ctx, conn, rfb.ViewerConfig{ViewOnly: true, Label: label})
}
