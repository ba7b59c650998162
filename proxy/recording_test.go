package proxy_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/recording"
	"github.com/ironglass/ironglass/proxy/token"
	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/fbs"
	"github.com/ironglass/ironglass/rfb/pixel"
	"github.com/ironglass/ironglass/rfb/rfbtest"
	"github.com/ironglass/ironglass/rfb/wire"
)

type recordingView struct {
	ID                string
	Began             time.Time
	Ended             *time.Time
	Bytes             int64
	Seconds           float64
	Width, Height     int
	Mode              string
	Node              string
	Position, Speed   float64
	Playing, Finished bool
}

// startRecorded runs a service with a node that is recorded.
func startRecorded(t *testing.T, set recording.Settings, change func(*proxy.Config)) (*setup, *machine) {
	t.Helper()
	dir := t.TempDir()
	store, err := recording.Open(recording.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	m := newMachine(t, 320, 240)
	s := start(t, func(c *proxy.Config) {
		c.Recordings = store
		c.Linger = -1
		if change != nil {
			change(c)
		}
	}, proxy.Node{Name: "node", Backend: m, Recording: set}, proxy.Node{Name: "other", Backend: newMachine(t, 64, 48)})
	return s, m
}

func (s *setup) recordings(node string) []recordingView {
	s.t.Helper()
	var l struct{ Recordings []recordingView }
	s.call(http.MethodGet, "/v1/nodes/"+node+"/console/recordings", "", http.StatusOK, &l)
	return l.Recordings
}

// awaitRecordings waits until ok is true of the list.
func (s *setup) awaitRecordings(node string, ok func(l []recordingView) bool) []recordingView {
	s.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ctx := patience(s.t); ; {
		l := s.recordings(node)
		if ok(l) {
			return l
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("the recordings are %+v", l)
		}
	}
}

// lastPicture plays what was downloaded to its end.
func lastPicture(t *testing.T, data []byte) *pixel.Frame {
	t.Helper()
	p := fbs.NewPlayer(fbs.PlayerConfig{Speed: -1, Recording: fbs.Stream(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	})})
	srv := rfb.NewServer(p, rfb.ServerConfig{Linger: -1})
	defer srv.Close()
	for ctx := patience(t); ; {
		finished := p.State().Finished // before the picture is taken
		f, err := srv.Snapshot(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if finished {
			return f
		}
	}
}

// A recording is made while the console runs for somebody, holds it for
// nobody, and has neither keys nor clipboards.
func TestRecording(t *testing.T) {
	for _, set := range []recording.Settings{{Mode: recording.Full}, {Mode: recording.Ring}} {
		t.Run(string(set.Mode), func(t *testing.T) {
			s, m := startRecorded(t, set, nil)
			if l := s.recordings("node"); len(l) != 0 {
				t.Fatalf("before anything the recordings are %+v", l)
			}
			v := operator(t, s.view(s.token("node", token.Operate)))
			await(t, v, m)
			secret := "hunter2-is-typed"
			for _, r := range secret {
				for _, down := range []bool{true, false} {
					if err := v.Send(wire.KeyEvent{Down: down, Keysym: uint32(r)}); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := v.Send(wire.ClientCutText{Text: []byte("clipboard-of-viewer")}); err != nil {
				t.Fatal(err)
			}
			m.Desktop(func(d *rfb.Desktop) { d.CutText("clipboard-of-machine") })
			m.Fill(image.Rect(0, 0, 200, 100), 0x336699)
			await(t, v, m)
			if n := s.svc.Console("node").Status().Viewers; n != 1 {
				t.Errorf("%d viewers", n)
			}
			want := m.Picture()
			var id string
			s.awaitRecordings("node", func(l []recordingView) bool {
				if len(l) != 1 || l[0].Ended != nil || l[0].Mode != string(set.Mode) {
					return false
				}
				id = l[0].ID
				return lastPicture(t, []byte(s.request(http.MethodGet, "/v1/nodes/node/console/recordings/"+id, "", nil).Text)).Equal(want)
			})
			path := "/v1/nodes/node/console/recordings/" + id
			wantProblem(t, s.request(http.MethodDelete, path, "", nil), http.StatusConflict, "recording-active")
			if text := s.request(http.MethodGet, "/metrics", "", nil).Text; !strings.Contains(text, "\nironglass_recordings_active 1\n") ||
				strings.Contains(text, "\nironglass_recording_bytes_total 0\n") || !strings.Contains(text, "\nironglass_recording_failures_total 0\n") {
				t.Errorf("the metrics are\n%s", text)
			}

			// The recorder does not keep the console from getting cold.
			_ = v.Conn.Close()
			s.awaitState("node", proxy.Cold)
			l := s.awaitRecordings("node", func(l []recordingView) bool { return len(l) == 1 && l[0].Ended != nil })
			if l[0].Width != 320 || l[0].Height != 240 || l[0].Seconds <= 0 || l[0].Ended.Sub(l[0].Began).Seconds() != l[0].Seconds {
				t.Errorf("the recording is %+v", l[0])
			}
			resp := s.request(http.MethodGet, path, "", nil)
			if resp.Header.Get("Content-Length") != fmt.Sprint(len(resp.Text)) || int64(len(resp.Text)) != l[0].Bytes ||
				resp.Header.Get("Content-Disposition") != `attachment; filename=node-`+id+`.fbs` {
				t.Errorf("%d bytes: %v", len(resp.Text), resp.Header)
			}
			if !lastPicture(t, []byte(resp.Text)).Equal(want) {
				t.Error("what was downloaded does not end with the last picture")
			}
			for _, text := range []string{secret, "clipboard"} {
				if strings.Contains(resp.Text, text) {
					t.Errorf("the recording has %q", text)
				}
			}
			if kinds := said(t, []byte(resp.Text)); len(kinds) != 1 || kinds[wire.TypeFramebufferUpdate] == 0 {
				t.Errorf("the recording has messages %v", kinds)
			}
			if head := s.request(http.MethodHead, path, "", nil); head.StatusCode != http.StatusOK || head.Header.Get("Content-Length") != fmt.Sprint(l[0].Bytes) {
				t.Errorf("HEAD: %v", head)
			}
			if resp := s.request(http.MethodDelete, path, "", nil); resp.StatusCode != http.StatusNoContent || resp.Text != "" {
				t.Errorf("DELETE: %s %s", resp.Status, resp.Text)
			}
			if l := s.recordings("node"); len(l) != 0 {
				t.Errorf("afterwards the recordings are %+v", l)
			}
			starts, _, _ := m.counts()
			time.Sleep(10 * time.Millisecond)
			if again, _, _ := m.counts(); starts != 1 || again != 1 {
				t.Errorf("the console was started %d times", again)
			}
		})
	}
}

// said counts the first messages of a recording's blocks.
func said(t *testing.T, data []byte) map[wire.ServerMessageType]int {
	t.Helper()
	r, err := fbs.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	kinds := make(map[wire.ServerMessageType]int)
	for {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			return kinds
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Data) < 40<<10 { // whole messages
			kinds[wire.ServerMessageType(b.Data[0])]++
		}
	}
}

// What viewers are told while there is no picture is recorded too, and a
// console that is stopped ends its recording.
func TestRecordingOfTrouble(t *testing.T) {
	s, m := startRecorded(t, recording.Settings{Mode: recording.Full}, nil)
	v := operator(t, s.view(s.token("node", token.View)))
	await(t, v, m)
	s.awaitRecordings("node", func(l []recordingView) bool { return len(l) == 1 && l[0].Bytes > 1000 })
	m.set(func(m *machine) { m.startErr = errors.New("no free KVM slot") })
	m.kill()
	s.awaitState("node", proxy.Failed)
	l := s.awaitRecordings("node", func(l []recordingView) bool { return len(l) == 1 && l[0].Seconds > 1 })
	if l[0].Ended != nil {
		t.Errorf("the recording is %+v", l[0])
	}
	s.call(http.MethodPut, "/v1/nodes/node/states/console", `{"enabled":false}`, http.StatusAccepted, nil)
	s.awaitRecordings("node", func(l []recordingView) bool { return len(l) == 1 && l[0].Ended != nil })
	resp := s.request(http.MethodGet, "/v1/nodes/node/console/recordings/"+l[0].ID, "", nil)
	if lastPicture(t, []byte(resp.Text)).Equal(m.Picture()) {
		t.Error("the notices were not recorded")
	}
}

func TestRecordingRefused(t *testing.T) {
	s, m := startRecorded(t, recording.Settings{Mode: recording.Full}, func(c *proxy.Config) { c.APIToken = "0123456789abcdef-credential" })
	tok := s.token("node", token.Operate)
	v := operator(t, s.view(tok))
	await(t, v, m)
	id := s.awaitRecordings("node", func(l []recordingView) bool { return len(l) == 1 && l[0].Bytes > 1000 })[0].ID
	const base = "/v1/nodes/node/console/recordings"
	for _, c := range []struct {
		method, path, body string
		auth               string
		status             int
		code               string
	}{
		{http.MethodGet, base + "/20260102T030405.678Z", "", "", http.StatusNotFound, "recording"},
		{http.MethodGet, base + "/..%2f..%2ftoken-key.pem", "", "", http.StatusNotFound, "recording"},
		{http.MethodDelete, base + "/20260102T030405.678Z", "", "", http.StatusNotFound, "recording"},
		{http.MethodPost, base + "/20260102T030405.678Z/replay", "", "", http.StatusNotFound, "recording"},
		{http.MethodGet, "/v1/nodes/other/console/recordings/" + id, "", "", http.StatusNotFound, "recording"},
		{http.MethodGet, "/v1/nodes/nobody/console/recordings", "", "", http.StatusNotFound, "node"},
		{http.MethodPut, base, "{}", "", http.StatusMethodNotAllowed, "method"},
		{http.MethodPost, base + "/" + id + "/replay", `{"speed":1}`, "", http.StatusBadRequest, "field"},
		// What others did at a console is not for who may use it.
		{http.MethodGet, base, "", "Bearer " + tok, http.StatusUnauthorized, "credential-wrong"},
		{http.MethodGet, base + "/" + id, "", "Bearer wrong", http.StatusUnauthorized, "credential-wrong"},
		{http.MethodPost, base + "/" + id + "/replay", "", "none", http.StatusUnauthorized, "credential-missing"},
		{http.MethodGet, "/v1/replay", "", "Bearer wrong", http.StatusForbidden, "replay-unknown"},
		{http.MethodGet, "/v1/replay", "", "none", http.StatusUnauthorized, "credential-missing"},
		{http.MethodGet, "/replay?token=wrong", "", "", http.StatusForbidden, "replay-unknown"},
		{http.MethodGet, "/replay", "", "", http.StatusForbidden, "replay-unknown"},
		{http.MethodGet, "/replay?token=" + tok, "", "", http.StatusForbidden, "replay-unknown"},
		{http.MethodGet, "/replay/download?token=wrong", "", "", http.StatusForbidden, "replay-unknown"},
	} {
		h := http.Header{}
		if c.auth != "" {
			h.Set("Authorization", c.auth)
		}
		t.Run(c.method+" "+c.path+" "+c.code, func(t *testing.T) {
			wantProblem(t, s.request(c.method, c.path, c.body, h), c.status, c.code)
		})
	}
}

// A service without recordings says that there are none.
func TestNoRecordings(t *testing.T) {
	s := start(t, nil, proxy.Node{Name: "node", Backend: newMachine(t, 64, 48)})
	if l := s.recordings("node"); l == nil || len(l) != 0 {
		t.Errorf("the recordings are %v", l)
	}
	wantProblem(t, s.request(http.MethodGet, "/v1/nodes/node/console/recordings/20260102T030405.678Z", "", nil), http.StatusNotFound, "recording")
	wantProblem(t, s.request(http.MethodPost, "/v1/nodes/node/console/recordings/20260102T030405.678Z/replay", "", nil), http.StatusNotFound, "recording")
	wantProblem(t, s.request(http.MethodDelete, "/v1/nodes/node/console/recordings/20260102T030405.678Z", "", nil), http.StatusNotFound, "recording")
	_, err := proxy.New(proxy.Config{Page: pages, Tokens: s.tokens, Nodes: []proxy.Node{
		{Name: "node", Backend: newMachine(t, 64, 48), Recording: recording.Settings{Mode: recording.Ring}},
	}})
	if err == nil || !strings.Contains(err.Error(), "no place for recordings") {
		t.Errorf("New returned %v", err)
	}
}

// film makes a recording of a few pictures and returns its name, the pictures,
// and when each was to be seen, in seconds.
func film(t *testing.T, s *setup, m *machine) (id string, pictures []*pixel.Frame, at []float64) {
	t.Helper()
	v := operator(t, s.view(s.token("node", token.View)))
	await(t, v, m)
	s.awaitRecordings("node", func(l []recordingView) bool { return len(l) == 1 && l[0].Bytes > 1000 })
	for i := range 4 {
		m.Fill(image.Rect(20*i, 10*i, 20*i+150, 10*i+80), uint32(0x223344*(i+1))&pixel.Mask)
		await(t, v, m)
		s.awaitRecordings("node", func(l []recordingView) bool {
			id = l[0].ID
			data := s.request(http.MethodGet, "/v1/nodes/node/console/recordings/"+id, "", nil).Text
			return lastPicture(t, []byte(data)).Equal(m.Picture())
		})
		// Asked afterwards: the picture is in what was recorded until then.
		l := s.awaitRecordings("node", func([]recordingView) bool { return true })
		pictures, at = append(pictures, m.Picture()), append(at, l[0].Seconds)
		time.Sleep(250 * time.Millisecond) // of recorded time
	}
	_ = v.Conn.Close()
	s.awaitState("node", proxy.Cold)
	s.awaitRecordings("node", func(l []recordingView) bool { return l[0].Ended != nil })
	return id, pictures, at
}

// replay opens a replay and returns its token.
func (s *setup) replay(id string) string {
	s.t.Helper()
	var opened struct{ URL string }
	s.call(http.MethodPost, "/v1/nodes/node/console/recordings/"+id+"/replay", "", http.StatusCreated, &opened)
	u, err := url.Parse(opened.URL)
	if err != nil || u.Path != "/replay.html" || u.RawQuery != "" {
		s.t.Fatalf("the address %q: %v", opened.URL, err)
	}
	q, err := url.ParseQuery(u.Fragment)
	if err != nil || q.Get("token") == "" {
		s.t.Fatalf("the address %q: %v", opened.URL, err)
	}
	s.keep(q.Get("token"))
	return q.Get("token")
}

// turn controls a replay.
func (s *setup) turn(tok, order string) (st recordingView) {
	s.t.Helper()
	resp := s.request(http.MethodPost, "/v1/replay", order, http.Header{"Authorization": {"Bearer " + tok}})
	if err := json.Unmarshal([]byte(resp.Text), &st); err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %s %s (%v)", order, resp.Status, resp.Text, err)
	}
	return st
}

// watch opens a replay's websocket.
func (s *setup) watch(tok string) *rfbtest.Viewer {
	s.t.Helper()
	ws, resp := s.dial("/replay?token="+tok, nil)
	if ws == nil {
		s.t.Fatalf("no websocket: %s %s", resp.Status, resp.Text)
	}
	v, err := rfbtest.NewViewer(ws)
	if err != nil {
		s.t.Fatal(err)
	}
	return operator(s.t, v)
}

func TestReplay(t *testing.T) {
	s, m := startRecorded(t, recording.Settings{Mode: recording.Full}, nil)
	id, pictures, at := film(t, s, m)
	tok := s.replay(id)
	st := s.turn(tok, `{"playing":false}`)
	if st.Node != "node" || st.ID != id || st.Position != 0 || st.Speed != 1 || st.Playing || st.Finished || st.Seconds <= at[3] || st.Width != 320 {
		t.Errorf("the replay is %+v", st)
	}
	wantProblem(t, s.request(http.MethodGet, "/replay?token="+tok, "", nil), http.StatusUpgradeRequired, "upgrade")
	v := s.watch(tok)
	shows := func(v *rfbtest.Viewer, i int) {
		t.Helper()
		if err := v.Await(pictures[i]); err != nil {
			t.Fatalf("picture %d: %v", i, err)
		}
	}
	for _, i := range []int{2, 0, 3, 1, 3, 2} {
		st := s.turn(tok, fmt.Sprintf(`{"position":%v}`, at[i]+0.02))
		if math.Abs(st.Position-at[i]-0.02) > 1e-6 || st.Playing {
			t.Errorf("the replay is %+v", st)
		}
		shows(v, i)
	}
	// Step by step.
	s.turn(tok, fmt.Sprintf(`{"position":%v}`, at[1]+0.02))
	shows(v, 1)
	if st := s.turn(tok, `{"step":1}`); st.Position != at[2] || st.Playing {
		t.Errorf("a step from %v leads to %+v", at[1], st)
	}
	shows(v, 2)
	s.turn(tok, `{"step":-1}`)
	shows(v, 1)
	if st := s.turn(tok, fmt.Sprintf(`{"position":%v,"step":-2}`, at[3])); st.Position != at[1] {
		t.Errorf("two steps back from %v lead to %+v", at[3], st)
	}
	shows(v, 1)

	// Another viewer of the same replay, and a replay of its own.
	shows(s.watch(tok), 1)
	other := s.replay(id)
	s.turn(other, fmt.Sprintf(`{"playing":false,"position":%v}`, at[3]+0.02))
	shows(s.watch(other), 3)
	shows(v, 1)

	// On to the end, and from there anew.
	if st := s.turn(tok, `{"playing":true,"speed":8}`); !st.Playing || st.Speed != 8 {
		t.Errorf("the replay is %+v", st)
	}
	shows(v, 3)
	for ctx := patience(t); !st.Finished; {
		if ctx.Err() != nil {
			t.Fatalf("it does not end: %+v", st)
		}
		resp := s.request(http.MethodGet, "/v1/replay", "", http.Header{"Authorization": {"Bearer " + tok}})
		if err := json.Unmarshal([]byte(resp.Text), &st); err != nil {
			t.Fatal(err)
		}
	}
	if st.Position != st.Seconds {
		t.Errorf("at the end the replay is %+v", st)
	}
	if st := s.turn(tok, `{"playing":true,"speed":1}`); st.Finished || st.Position > 1 {
		t.Errorf("from the end it goes on as %+v", st)
	}
	resp := s.request(http.MethodGet, "/replay/download?token="+tok, "", nil)
	if resp.StatusCode != http.StatusOK || !lastPicture(t, []byte(resp.Text)).Equal(pictures[3]) {
		t.Errorf("the download: %s", resp.Status)
	}

	// Nothing that a viewer of a replay does has an effect; what a page asks
	// for that makes no sense is refused.
	auth := http.Header{"Authorization": {"Bearer " + tok}}
	for _, order := range []string{
		`{"position":-1}`, `{"position":1e300}`, `{"speed":0}`, `{"speed":65}`, `{"speed":"fast"}`, `{"step":"back"}`, `{"step":101}`,
		`{"volume":3}`,
	} {
		wantProblem(t, s.request(http.MethodPost, "/v1/replay", order, auth), http.StatusBadRequest, "field")
	}
	wantProblem(t, s.request(http.MethodPost, "/v1/replay", `[]`, auth), http.StatusBadRequest, "json")
	foreign := http.Header{"Authorization": {"Bearer " + tok}, "Origin": {"https://evil.example"}}
	wantProblem(t, s.request(http.MethodPost, "/v1/replay", `{}`, foreign), http.StatusForbidden, "origin")
	if ws, resp := s.dial("/replay?token="+tok, http.Header{"Origin": {"https://evil.example"}}); ws != nil {
		t.Error("a page of another origin may look")
	} else {
		wantProblem(t, resp, http.StatusForbidden, "origin")
	}
	// Removing the recording does not end its replay.
	if resp := s.request(http.MethodDelete, "/v1/nodes/node/console/recordings/"+id, "", nil); resp.StatusCode != http.StatusNoContent {
		t.Errorf("DELETE: %s %s", resp.Status, resp.Text)
	}
	s.turn(tok, fmt.Sprintf(`{"playing":false,"position":%v}`, at[0]+0.02))
	shows(v, 0)
	if starts, _, _ := m.counts(); starts != 1 {
		t.Errorf("the console was started %d times", starts)
	}
}

func TestReplayLimits(t *testing.T) {
	s, m := startRecorded(t, recording.Settings{Mode: recording.Ring}, func(c *proxy.Config) {
		c.Limits.ReplaysPerSource = 3
	})
	id, _, _ := film(t, s, m)
	var tok string
	for range 3 {
		tok = s.replay(id)
	}
	wantProblem(t, s.request(http.MethodPost, "/v1/nodes/node/console/recordings/"+id+"/replay", "", nil), http.StatusTooManyRequests, "limit-source")
	for range 8 {
		s.watch(tok)
	}
	ws, resp := s.dial("/replay?token="+tok, nil)
	if ws != nil {
		t.Fatal("a replay has a ninth viewer")
	}
	wantProblem(t, resp, http.StatusTooManyRequests, "limit-token")
	if text := s.request(http.MethodGet, "/metrics", "", nil).Text; !strings.Contains(text, "\nironglass_replays 3\n") {
		t.Errorf("the metrics are\n%s", text)
	}
}
