package integration

import (
	"context"
	"image"
	"math/rand/v2"
	"net"
	"path/filepath"
	"testing"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/pixel"
)

// TestDepths: a supervisor shows an X server whose pixels have no 24 bits, and
// a colour map with its changes.
func TestDepths(t *testing.T) {
	leavesNothing(t)
	const width, height = 501, 400
	for depth, colour := range map[string]func(v uint32, palette [][3]uint16) uint32{
		"8": func(v uint32, palette [][3]uint16) uint32 {
			c := palette[v&0xff]
			return uint32(c[0]>>8)<<16 | uint32(c[1]>>8)<<8 | uint32(c[2]>>8)
		},
		"16": func(v uint32, _ [][3]uint16) uint32 {
			return (v>>11&31*255+15)/31<<16 | (v>>5&63*255+31)/63<<8 | (v&31*255+15)/31
		},
	} {
		t.Run(depth, func(t *testing.T) {
			dir := t.TempDir()
			x := startXServer(t, "Xvfb", "-screen", "0", "501x400x"+depth, "-noreset", "-nolisten", "tcp", "-fbdir", dir)
			_, address := startSupervisor(t, "-display", x.name, "-framebuffer", filepath.Join(dir, "Xvfb_screen0"))
			client := rfb.NewClient(rfb.ClientConfig{Dial: func(ctx context.Context) (net.Conn, error) {
				var d net.Dialer
				return d.DialContext(ctx, "tcp", address)
			}})
			server := rfb.NewServer(client, rfb.ServerConfig{Linger: -1})
			defer server.Close() // never fails

			conn, err := xgb.NewConnDisplay(x.name)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			must := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			screen := xproto.Setup(conn).DefaultScreen(conn)
			window, err := xproto.NewWindowId(conn)
			must(err)
			gc, err := xproto.NewGcontextId(conn)
			must(err)
			must(xproto.CreateWindowChecked(conn, screen.RootDepth, window, screen.Root, 0, 0, width, height, 0,
				xproto.WindowClassInputOutput, screen.RootVisual, xproto.CwBackPixel|xproto.CwOverrideRedirect, []uint32{0, 1}).Check())
			must(xproto.CreateGCChecked(conn, gc, xproto.Drawable(window), 0, nil).Check())
			must(xproto.MapWindowChecked(conn, window).Check())

			random := rand.New(rand.NewPCG(4, 2))
			palette := make([][3]uint16, 256)
			store := func() {}
			if depth == "8" {
				own, err := xproto.NewColormapId(conn)
				must(err)
				must(xproto.CreateColormapChecked(conn, xproto.ColormapAllocAll, own, screen.Root, screen.RootVisual).Check())
				must(xproto.InstallColormapChecked(conn, own).Check())
				store = func() {
					var items []xproto.Coloritem
					for i := range palette {
						c := [3]uint16{uint16(random.Uint32()), uint16(random.Uint32()), uint16(random.Uint32())}
						palette[i] = c
						items = append(items, xproto.Coloritem{Pixel: uint32(i), Flags: 7, Red: c[0], Green: c[1], Blue: c[2]})
					}
					must(xproto.StoreColorsChecked(conn, own, items).Check())
				}
			}
			values := pixel.NewFrame(width, height) // as the X server has them
			for range 5 {
				store()
				for range 100 {
					at := image.Pt(random.IntN(width), random.IntN(height))
					r := image.Rectangle{at, at.Add(image.Pt(1+random.IntN(90), 1+random.IntN(90)))}
					v := random.Uint32()
					values.Fill(r, v&0xffff)
					xproto.ChangeGC(conn, gc, xproto.GcForeground, []uint32{v})
					must(xproto.PolyFillRectangleChecked(conn, xproto.Drawable(window), gc, []xproto.Rectangle{
						{X: int16(at.X), Y: int16(at.Y), Width: uint16(r.Dx()), Height: uint16(r.Dy())}}).Check())
				}
				same := func(after string) {
					t.Helper()
					want := pixel.NewFrame(width, height)
					for i, v := range values.Pix {
						want.Pix[i] = colour(v, palette)
					}
					eventually(t, "the picture after "+after, func() error {
						ctx, cancel := context.WithTimeout(t.Context(), patience)
						defer cancel()
						got, err := server.Snapshot(ctx)
						if err != nil {
							return err
						}
						return differs(fromFrame(got), fromFrame(want))
					})
				}
				same("drawing")
				store()
				same("other colours")
			}
		})
	}
}
