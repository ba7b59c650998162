package proxy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/image/draw"

	"github.com/ironglass/ironglass/rfb/pixel"
)

const (
	// screenshotWait and screenshotMost are how long a screenshot waits for a
	// console to be live, by default and at most.
	screenshotWait, screenshotMost = 10 * time.Second, 5 * time.Minute
	// maxPictures is how many pictures are compressed at a time.
	maxPictures = 2
	// maxScreenshotWidth is the largest width asked for, in pixels.
	maxScreenshotWidth = 16384
	// thumbnailWidth is the largest width of a picture that is too small to
	// read, and not worth a record in the audit log.
	thumbnailWidth = 640
)

// getScreenshot is GET /v1/nodes/{id}/console/screenshot, a PNG of the node's
// picture:
//
//	width    scales it down to that width in pixels
//	timeout  how long to wait for the console to be live, such as 10s
//	start    false: only what is live now, starting and keeping nothing
func (s *Service) getScreenshot(w http.ResponseWriter, r *http.Request, c *Console, by caller) {
	q := r.URL.Query()
	width, wait, start := 0, screenshotWait, true
	for name, values := range q {
		v := values[len(values)-1]
		var err error
		var must string
		ok := true
		switch name {
		case "width":
			must = fmt.Sprintf("a number of pixels from 1 to %d", maxScreenshotWidth)
			width, err = strconv.Atoi(v)
			ok = width >= 1 && width <= maxScreenshotWidth
		case "timeout":
			must = fmt.Sprintf("a duration such as 10s, %v at most", screenshotMost)
			wait, err = time.ParseDuration(v)
			ok = wait > 0 && wait <= screenshotMost
		case "start":
			must = "true or false"
			start, err = strconv.ParseBool(v)
		}
		if err != nil || !ok {
			respondProblem(w, badParameter(name, v, must))
			return
		}
	}
	frame, p := s.picture(r.Context(), c, start, wait)
	if p != nil {
		respondProblem(w, p)
		return
	}
	body, err := s.encodePNG(r.Context(), frame, width)
	if err != nil {
		respondProblem(w, newProblem(http.StatusServiceUnavailable, "busy", "The picture could not be compressed: %v.", err))
		return
	}
	if start || width == 0 || width > thumbnailWidth {
		s.audit("screenshot", by, r, c)
	}
	h := w.Header()
	h.Set("Content-Type", "image/png")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write(body)
}

// picture gets c's picture, waiting for it where start is set.
func (s *Service) picture(ctx context.Context, c *Console, start bool, wait time.Duration) (*pixel.Frame, *problem) {
	if !start {
		if f := c.Picture(); f != nil {
			return f, nil
		}
		return nil, notLive(&NotLiveError{c.node.Name, c.Status()})
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	stop := context.AfterFunc(s.life, cancel)
	defer stop()
	f, err := c.Screenshot(ctx)
	var why *NotLiveError
	switch {
	case err == nil:
		return f, nil
	case errors.As(err, &why):
		return nil, notLive(why)
	case errors.Is(err, ErrDisabled):
		return nil, notLive(&NotLiveError{c.node.Name, c.Status()})
	}
	return nil, newProblem(http.StatusServiceUnavailable, "closing", "The picture could not be taken: %v.", err)
}

// notLive is the answer where there is no picture of the node.
func notLive(e *NotLiveError) *problem {
	p := newProblem(http.StatusServiceUnavailable, "console-"+e.Status.State.String(), "No picture: %v.", e)
	if !e.Status.Enabled {
		p.Code = "disabled"
	}
	return p
}

// encodePNG compresses f, scaled to width pixels where that is less than its
// own. Few are compressed at a time.
func (s *Service) encodePNG(ctx context.Context, f *pixel.Frame, width int) ([]byte, error) {
	select {
	case s.pictures <- struct{}{}:
		defer func() { <-s.pictures }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	m := f.RGBA()
	if width > 0 && width < f.Width {
		height := max(1, (f.Height*width+f.Width/2)/f.Width)
		small := image.NewRGBA(image.Rect(0, 0, width, height))
		draw.CatmullRom.Scale(small, small.Rect, m, m.Rect, draw.Src, nil)
		m = small
	}
	var b bytes.Buffer
	enc := png.Encoder{CompressionLevel: png.BestSpeed}
	if err := enc.Encode(&b, m); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
