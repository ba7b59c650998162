package loads

import (
	"context"
	"errors"
	"fmt"
	"image"
	"math"
	"net"
	"os"
	"slices"
	"time"

	"github.com/ironglass/ironglass/rfb/pixel"
)

// Loads are the names of the loads.
var Loads = []string{"typing", "scroll", "video", "pages", "drag", "idle"}

// Rates are the frames that each load draws in a second.
var Rates = map[string]int{"typing": 20, "scroll": 60, "video": 30, "pages": 30, "drag": 60, "idle": 0}

// Programs says where the programs are that are measured and drawn with.
type Programs struct{ Supervisor, Service, Load string }

// Cell is one measurement.
type Cell struct {
	Load, Server string
	Size         image.Point // of the screen, in pixels
	Viewers      int
	Duration     time.Duration
}

func (c Cell) String() string {
	return fmt.Sprintf("%s of %dx%d on %s for %d", c.Load, c.Size.X, c.Size.Y, c.Server, c.Viewers)
}

// Result is what was measured.
type Result struct {
	Cell
	// Error says why there is no result; else it is empty.
	Error string

	Drawn   int // frames given to the X server
	Skipped int // frames that fell out before
	Seen    int // of the frames drawn, by the first viewer
	// Rate is the frames per second that the first viewer saw, Others the
	// updates per second with news of the viewer that saw the fewest.
	Rate, Others float64
	// Bytes is per second and viewer.
	Bytes float64
	// CPU is of the X server and the RFB server, in cores; XCPU is the X
	// server's part, 0 where it is the RFB server itself.
	CPU, XCPU float64
	// Wakeups is how often their threads went to sleep per second.
	Wakeups  float64
	P50, P95 time.Duration // of the frames' ages
	First    time.Duration // connecting until the whole picture is there
	Resident int64         // of the RFB server after the load, in bytes
	// Front is the memory after the load, resident and with what is shared
	// shared out, of what stands before the RFB server and all that it forked.
	Front, FrontShare int64
	// Moving is the median distance from the truth of pictures as they were
	// while the load ran, where frames are known beforehand (video, pages), and
	// AtRest that of the picture some time after its end: the peak
	// signal-to-noise ratio in decibels, Exact for none.
	Moving, AtRest float64
	Rects          map[string]int
}

// Exact stands for the infinite distance of equal pictures, which JSON lacks.
const Exact = 999

// Share is the part of the drawn frames that were seen.
func (r *Result) Share() float64 {
	if r.Drawn == 0 {
		return 1
	}
	return float64(r.Seen) / float64(r.Drawn)
}

// Measure starts the server, runs the load and ends all that it started.
func Measure(ctx context.Context, p Programs, c Cell) (out Result, err error) {
	out = Result{Cell: c}
	defer func() {
		if err != nil {
			out.Error = err.Error()
		}
	}()
	dir, err := os.MkdirTemp("", "loads-")
	if err != nil {
		return out, err
	}
	defer os.RemoveAll(dir)
	server, err := startServer(p, c, dir)
	defer func() { err = errors.Join(err, server.stop()) }()
	if err != nil {
		return out, err
	}
	// What a server does at its start is over then.
	if err := sleep(ctx, 500*time.Millisecond); err != nil {
		return out, err
	}
	viewers, err := connect(ctx, server.address, &out)
	defer func() {
		for _, v := range viewers {
			v.close()
		}
	}()
	if err != nil {
		return out, server.explain(err)
	}
	done, err := load(ctx, server, viewers, &out)
	if err != nil {
		return out, server.explain(err)
	}
	if err := calm(ctx, viewers[0], 700*time.Millisecond, 4*time.Second); err != nil {
		return out, err
	}
	if err := server.memory(&out); err != nil {
		return out, err
	}
	truth, err := server.screen.grab()
	if err != nil {
		return out, err
	}
	for _, v := range viewers {
		v.close()
		if !errors.Is(v.err, net.ErrClosed) {
			return out, server.explain(fmt.Errorf("a viewer was cut off: %w", v.err))
		}
	}
	out.evaluate(viewers, done, truth)
	return out, nil
}

// connect brings the viewers, the one that decodes first, and waits until each
// has its first picture and nothing more comes.
func connect(ctx context.Context, address string, out *Result) ([]*viewer, error) {
	var all []*viewer
	for i := range out.Viewers {
		known := out.Load == "video" || out.Load == "pages"
		v, err := dial(ctx, address, i == 0, i == 0 && known)
		if err != nil {
			return all, err
		}
		all = append(all, v)
		select {
		case first := <-v.whole:
			if i == 0 {
				out.First = first
			}
		case <-v.done:
			return all, fmt.Errorf("%w: %w", errNoPicture, v.err)
		case <-ctx.Done():
			return all, ctx.Err()
		case <-time.After(patience):
			return all, errNoPicture
		}
	}
	return all, calm(ctx, all[0], 500*time.Millisecond, 4*time.Second)
}

// calm waits until a viewer was sent nothing for so long, or has waited for
// most.
func calm(ctx context.Context, v *viewer, quiet, most time.Duration) error {
	began := Monotonic()
	for {
		now := Monotonic()
		if now-max(began, time.Duration(v.last.Load())) >= quiet || now-began >= most {
			return nil
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// usage is what was used up to a moment.
type usage struct {
	at, cpu  time.Duration
	xcpu     time.Duration // the X server's part of cpu
	switches int64
	bytes    int64
}

// fronts are the processes that stand before the RFB server. What the service
// starts is not among them.
func (r *running) fronts() ([]int, error) {
	if r.front == 0 {
		return nil, nil
	}
	all, err := family(r.front)
	pids := []int{r.front}
	for pid := range all {
		if all[r.rfb] == "" { // else the service started it
			pids = append(pids, pid)
		}
	}
	return pids, err
}

// memory notes what is held.
func (r *running) memory(out *Result) (err error) {
	if out.Resident, err = Resident(r.rfb); err != nil {
		return err
	}
	pids, err := r.fronts()
	if err != nil {
		return err
	}
	for _, pid := range pids {
		resident, err := Resident(pid)
		if err != nil {
			return err
		}
		share, err := Proportional(pid)
		if err != nil {
			return err
		}
		out.Front += resident
		out.FrontShare += share
	}
	return nil
}

func (r *running) usage(viewers []*viewer) (u usage, err error) {
	pids, err := r.fronts()
	if err != nil {
		return u, err
	}
	pids = append(pids, r.rfb)
	if r.rfb != r.x {
		pids = append(pids, r.x)
	}
	for _, pid := range pids {
		cpu, err := ProcessorTime(pid)
		if err != nil {
			return u, err
		}
		n, err := switches(pid)
		if err != nil {
			return u, err
		}
		u.cpu += cpu
		if pid == r.x && r.rfb != r.x {
			u.xcpu = cpu
		}
		u.switches += n
	}
	for _, v := range viewers {
		u.bytes += v.bytes.Load()
	}
	u.at = Monotonic()
	return u, nil
}

// load runs the load and notes what it took.
func load(ctx context.Context, server *running, viewers []*viewer, out *Result) (drawn, error) {
	before, err := server.usage(viewers)
	if err != nil {
		return drawn{}, err
	}
	done, err := server.screen.run(out.Duration)
	if err != nil {
		return done, err
	}
	after, err := server.usage(viewers)
	if err != nil {
		return done, err
	}
	seconds := (after.at - before.at).Seconds()
	out.CPU = (after.cpu - before.cpu).Seconds() / seconds
	out.XCPU = (after.xcpu - before.xcpu).Seconds() / seconds
	out.Wakeups = float64(after.switches-before.switches) / seconds
	out.Bytes = float64(after.bytes-before.bytes) / seconds / float64(len(viewers))
	return done, ctx.Err()
}

// evaluate makes the figures of what the viewers noted.
func (r *Result) evaluate(viewers []*viewer, d drawn, truth *pixel.Frame) {
	first := viewers[0]
	r.Drawn, r.Skipped = len(d.at), d.skipped
	var ages []time.Duration
	seen := make(map[int]bool)
	for _, u := range first.updates {
		if at, ok := d.at[u.Frame]; ok && !seen[u.Frame] {
			seen[u.Frame] = true
			ages = append(ages, u.At-at)
		}
	}
	seconds := r.Duration.Seconds()
	r.Seen = len(seen)
	r.Rate = float64(r.Seen) / seconds
	r.Others = r.Rate
	for _, v := range viewers[1:] {
		n := 0
		for _, u := range v.updates {
			if u.Frame >= 0 && u.At >= d.began() {
				n++
			}
		}
		r.Others = min(r.Others, float64(n)/seconds)
	}
	if slices.Sort(ages); len(ages) > 0 {
		r.P50, r.P95 = ages[len(ages)/2], ages[len(ages)*95/100]
	}
	var moving []float64
	for _, s := range first.samples {
		if _, ok := d.at[s.frame]; ok {
			moving = append(moving, r.distance(s))
		}
	}
	if slices.Sort(moving); len(moving) > 0 {
		r.Moving = moving[len(moving)/2]
	}
	r.AtRest = finite(PSNR(first.frame, truth, truth.Rect()))
	r.Rects = make(map[string]int)
	for e, n := range first.rects {
		r.Rects[e.String()] = n
	}
}

// began is when the first frame was handed over.
func (d drawn) began() time.Duration {
	first := time.Duration(math.MaxInt64)
	for _, at := range d.at {
		first = min(first, at)
	}
	return first
}

// distance is how far a sample is from what was drawn.
func (r *Result) distance(s sample) float64 {
	var truth *pixel.Frame
	area := s.picture.Rect()
	if r.Load == "video" {
		area = VideoRect(r.Size)
		truth = pixel.NewFrame(r.Size.X, r.Size.Y)
		for y := range VideoSize.Y {
			copy(truth.Row(area.Min.Y+y, area.Min.X, area.Max.X), film()[s.frame%VideoFrames].Row(y, 0, VideoSize.X))
		}
	} else {
		area.Min.Y = Strip
		truth = page(r.Size, s.frame%Pages)
	}
	return finite(PSNR(s.picture, truth, area))
}

func finite(db float64) float64 { return min(db, Exact) }

// PSNR is the peak signal-to-noise ratio of two pictures inside an area in
// decibels, infinite where they are equal.
func PSNR(a, b *pixel.Frame, area image.Rectangle) float64 {
	area = area.Intersect(a.Rect()).Intersect(b.Rect())
	var sum float64
	for y := area.Min.Y; y < area.Max.Y; y++ {
		row := 0
		p, q := a.Row(y, area.Min.X, area.Max.X), b.Row(y, area.Min.X, area.Max.X)
		for x := range p {
			for shift := 0; shift < 24; shift += 8 {
				d := int(p[x]>>shift&0xff) - int(q[x]>>shift&0xff)
				row += d * d
			}
		}
		sum += float64(row)
	}
	return 10 * math.Log10(255*255/(sum/float64(3*area.Dx()*area.Dy())))
}
