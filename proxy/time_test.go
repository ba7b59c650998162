package proxy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ironglass/ironglass/proxy"
	"github.com/ironglass/ironglass/proxy/token"
	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/rfbtest"
)

// unreachable is a machine whose RFB server nobody listens at.
type unreachable struct{ m *machine }

func (u *unreachable) Start(context.Context, func(string)) (proxy.Endpoint, error) {
	return proxy.Endpoint{Dial: func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", u.m.path)
	}}, nil
}
func (u *unreachable) Stop(context.Context) error     { return nil }
func (u *unreachable) Explain(context.Context) string { return "" }

// pipes is a machine reached without the network, so that a test's clock can
// be moved. It notes when Start was called.
type pipes struct {
	source *rfbtest.Source

	mu     sync.Mutex
	err    error
	starts []time.Time
	stops  int
	seen   int // events that a test has looked at
	ends   []net.Conn
	wg     sync.WaitGroup
	server *rfb.Server
}

func (p *pipes) Start(context.Context, func(string)) (proxy.Endpoint, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.starts = append(p.starts, time.Now())
	return proxy.Endpoint{Dial: p.dial}, p.err
}

func (p *pipes) dial(context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ends = append(p.ends, far)
	p.wg.Go(func() { _ = p.server.Serve(context.Background(), far, rfb.ViewerConfig{}) })
	return near, nil
}

func (p *pipes) Stop(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stops++
	return nil
}
func (p *pipes) Explain(context.Context) string { return "" }

// cutOff breaks the sessions off.
func (p *pipes) cutOff() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.ends {
		_ = c.Close()
	}
	p.ends = nil
}

// since returns how long after t Start was called, each time.
func (p *pipes) since(t time.Time) []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	var s []time.Duration
	for _, at := range p.starts {
		s = append(s, at.Sub(t))
	}
	return s
}

// painting is more than a first viewer is given to see the painted message
// before anything is started.
const painting = 100 * time.Millisecond

// inBubble runs f with a console whose time is the test's.
func inBubble(t *testing.T, linger time.Duration, f func(p *pipes, c *proxy.Console, look func() (leave func()))) {
	synctest.Test(t, func(t *testing.T) {
		tokens, err := token.Ephemeral()
		if err != nil {
			t.Fatal(err)
		}
		p := &pipes{source: rfbtest.NewSource(64, 48)}
		p.server = rfb.NewServer(p.source, rfb.ServerConfig{})
		svc, err := proxy.New(proxy.Config{
			Nodes: []proxy.Node{{Name: "n", Backend: p, Width: 64, Height: 48}},
			Page:  pages, Tokens: tokens, Linger: linger, Lease: proxy.Lease{Idle: -1},
		})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		look := func() func() {
			near, far := net.Pipe()
			wg.Go(func() { _ = svc.Console("n").Serve(context.Background(), far, rfb.ViewerConfig{}) })
			if _, err := rfbtest.NewViewer(near); err != nil {
				t.Fatal(err)
			}
			_ = near.SetDeadline(time.Time{})
			wg.Go(func() { _, _ = io.Copy(io.Discard, near) })
			time.Sleep(painting)
			synctest.Wait()
			return func() { _ = near.Close(); synctest.Wait() }
		}
		f(p, svc.Console("n"), look)
		if err := svc.Close(context.Background()); err != nil {
			t.Error(err)
		}
		_ = p.server.Close()
		p.wg.Wait()
		wg.Wait()
	})
}

func TestRetriesBackOff(t *testing.T) {
	inBubble(t, 0, func(p *pipes, c *proxy.Console, look func() func()) {
		began := time.Now()
		p.err = errors.New("no such thing")
		leave := look()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		first := p.since(began)[0]
		if first <= 0 || first > painting {
			t.Errorf("the first start came after %v", first)
		}
		began = began.Add(first)
		var want []time.Duration
		for _, s := range []int{0, 1, 3, 7, 15, 31, 61, 91} {
			want = append(want, time.Duration(s)*time.Second)
		}
		if got := p.since(began); !slices.Equal(got, want) {
			t.Errorf("starts after %v, want %v", got, want)
		}
		if st := c.Status(); st.State != proxy.Failed || !st.RetryAt.Equal(began.Add(121*time.Second)) {
			t.Errorf("status %+v", st)
		}
		// Nobody looks: no more tries, and the state is cold in the end.
		leave()
		time.Sleep(time.Hour)
		synctest.Wait()
		if st := c.Status(); st.State != proxy.Cold || st.Reason != "no such thing" {
			t.Errorf("an hour after the last viewer: %+v", st)
		}
		if n := len(p.since(began)); n > 11 {
			t.Errorf("%d starts, though nobody looked for an hour", n)
		}
		// With somebody there again it goes on.
		p.mu.Lock()
		p.err = nil
		p.mu.Unlock()
		defer look()()
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if st := c.Status(); st.State != proxy.Live || st.Reason != "" {
			t.Errorf("with a viewer again: %+v", st)
		}
	})
}

func TestBackOffStartsAnewAfterASteadyTime(t *testing.T) {
	inBubble(t, 0, func(p *pipes, c *proxy.Console, look func() func()) {
		leave := look()
		defer leave()
		waits := func(live time.Duration) time.Duration {
			if st := c.Status(); st.State != proxy.Live {
				t.Fatalf("the console is %v (%s)", st.State, st.Reason)
			}
			time.Sleep(live)
			p.cutOff()
			synctest.Wait()
			st := c.Status()
			if st.State != proxy.Lost {
				t.Fatalf("the console is %v (%s)", st.State, st.Reason)
			}
			wait := time.Until(st.RetryAt)
			time.Sleep(wait)
			synctest.Wait()
			return wait
		}
		for i, want := range []float64{1, 2, 4} {
			if got := waits(5 * time.Second).Seconds(); got != want {
				t.Errorf("loss %d: wait of %v s, want %v", i+1, got, want)
			}
		}
		if got := waits(time.Minute); got != time.Second {
			t.Errorf("after a minute live: wait of %v", got)
		}
	})
}

func TestLinger(t *testing.T) {
	inBubble(t, 10*time.Second, func(p *pipes, c *proxy.Console, look func() func()) {
		began := time.Now()
		leave := look()
		leave()
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if st := c.Status(); st.State != proxy.Live || st.Viewers != 0 {
			t.Errorf("9 s after the last viewer: %+v", st)
		}
		leave = look() // in time
		time.Sleep(time.Hour)
		synctest.Wait()
		if st := c.Status(); st.State != proxy.Live || st.Viewers != 1 {
			t.Errorf("with a viewer: %+v", st)
		}
		leave()
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if st := c.Status(); st.State != proxy.Cold {
			t.Errorf("11 s after the last viewer: %+v", st)
		}
		if p.source.Running() {
			t.Error("the session with the node goes on")
		}
		if n := len(p.since(began)); n != 1 {
			t.Errorf("%d starts", n)
		}
		defer look()()
		if st := c.Status(); st.State != proxy.Live {
			t.Errorf("after cold: %+v", st)
		}
	})
}
