package integration

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ironglass/ironglass/rfb"
	"github.com/ironglass/ironglass/rfb/encoding"
	"github.com/ironglass/ironglass/rfb/wire"
)

// foreignServer is a VNC server that others wrote, with something to look at.
type foreignServer struct {
	network, address string
	// look is the picture that it should show now.
	look func() (picture, error)
	// steps change the picture, each in its own way.
	steps map[string]func(t *testing.T, c *rfb.Client)
}

// foreignServers start the servers, for the length of a test.
var foreignServers = map[string]func(t *testing.T) foreignServer{
	"Xtigervnc": func(t *testing.T) foreignServer {
		address, port := freePort(t)
		return ofDisplay(t, address, startXServer(t, "Xtigervnc", "-rfbport", port, "-SecurityTypes", "None", "-localhost",
			"-geometry", "640x480", "-depth", "24", "-AlwaysShared", "-nolisten", "tcp"))
	},
	"X0tigervnc": func(t *testing.T) foreignServer {
		need(t, "X0tigervnc")
		address, port := freePort(t)
		d := startX(t, "640x480", "")
		s := ofDisplay(t, address, d)
		startProgram(t, d.environment(), "X0tigervnc", "-display", d.name, "-rfbport", port, "-SecurityTypes", "None", "-localhost", "-AlwaysShared").
			killed(t)
		return s
	},
	"x11vnc": func(t *testing.T) foreignServer {
		need(t, "x11vnc")
		address, port := freePort(t)
		d := startX(t, "640x480", "")
		s := ofDisplay(t, address, d)
		startProgram(t, d.environment(), "x11vnc", "-display", d.name, "-rfbport", port, "-localhost", "-forever", "-shared", "-nopw", "-wait", "10", "-defer", "5").
			killed(t)
		return s
	},
	"QEMU": startQEMU,
}

// killed has a program killed at the end of the test that SIGTERM does not
// always end: what its signal handler does can miss its loop, or wait for it.
// Its shared memory, which nobody else removes then, goes with it.
func (p *program) killed(t testing.TB) {
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // else it has ended
		<-p.ended
		removeShared(t, p.cmd.Process.Pid)
	})
}

// removeShared removes the System V shared memory that a process made.
func removeShared(t testing.TB, pid int) {
	t.Helper()
	table, err := os.ReadFile("/proc/sysvipc/shm")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		// key shmid perms size cpid ...
		fields := strings.Fields(line)
		if len(fields) < 5 || fields[4] != strconv.Itoa(pid) {
			continue
		}
		id, err := strconv.Atoi(fields[1])
		if err != nil {
			t.Fatal(err)
		}
		// EINVAL: it was removed already and goes with who holds it last.
		if _, err := unix.SysvShmCtl(id, unix.IPC_RMID, nil); err != nil && !errors.Is(err, unix.EINVAL) {
			t.Errorf("removing what %d left in shared memory: %v", pid, err)
		}
	}
}

// freePort is freeAddress with its port by itself.
func freePort(t testing.TB) (address, port string) {
	t.Helper()
	address = freeAddress(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return address, port
}

// ofDisplay is a server of what an X display shows, with the picture on it.
func ofDisplay(t *testing.T, address string, d display) foreignServer {
	t.Helper()
	n := pictureNode(t, "foreign", "")
	startProgram(t, d.environment(), n.command[0], append(n.command[1:], "-hide-cursor")...)
	n.shown(t)
	s := foreignServer{network: "tcp", address: address, steps: make(map[string]func(*testing.T, *rfb.Client))}
	s.look = func() (picture, error) { return d.grab(t) }
	for i, command := range []string{"draw", "scroll", "bustle"} {
		runs := 0
		s.steps[command] = func(t *testing.T, _ *rfb.Client) {
			runs++
			n.tell(t, fmt.Sprintf("%s %d", command, 10*(i+1)+runs))
		}
	}
	return s
}

// bootSector is a program for a PC that fills a screen of 640x480 pixels of
// 32 bits, 64 KiB after 64 KiB: noise, what changes from pixel to pixel by
// little, noise, one colour. Each key that is pressed makes it anew.
var bootSector = []byte{
	0xb8, 0x02, 0x4f, // mov ax,0x4f02: set a VESA mode
	0xbb, 0x42, 0x01, // mov bx,0x142: which SeaVGABIOS has
	0xcd, 0x10, // int 0x10
	0xb8, 0x00, 0xa0, // mov ax,0xa000
	0x8e, 0xc0, // mov es,ax
	0xbe, 0x01, 0x00, // mov si,1: the noise
	0x31, 0xc9, // xor cx,cx: the colour
	// picture:
	0x31, 0xd2, // xor dx,dx: the bank
	// bank:
	0xb8, 0x05, 0x4f, // mov ax,0x4f05: show bank dx
	0x31, 0xdb, // xor bx,bx
	0xcd, 0x10, // int 0x10
	0x31, 0xff, // xor di,di
	// pixel:
	0x89, 0xf0, 0xc1, 0xe0, 0x07, 0x31, 0xc6, // mov ax,si; shl ax,7; xor si,ax
	0x89, 0xf0, 0xc1, 0xe8, 0x09, 0x31, 0xc6, // mov ax,si; shr ax,9; xor si,ax
	0x89, 0xf0, 0xc1, 0xe0, 0x08, 0x31, 0xc6, // mov ax,si; shl ax,8; xor si,ax
	0x89, 0xf0, // mov ax,si
	0xf6, 0xc2, 0x01, // test dl,1
	0x74, 0x0b, // jz store
	0x89, 0xf8, // mov ax,di
	0x01, 0xc8, // add ax,cx
	0xf6, 0xc2, 0x02, // test dl,2
	0x74, 0x02, // jz store
	0x89, 0xc8, // mov ax,cx
	// store:
	0xab,       // stosw
	0x85, 0xff, // test di,di
	0x75, 0xd4, // jnz pixel
	0x42,             // inc dx
	0x83, 0xfa, 0x13, // cmp dx,19
	0x72, 0xc5, // jb bank
	0x31, 0xc0, // xor ax,ax: wait for a key
	0xcd, 0x16, // int 0x16
	0x81, 0xc1, 0x35, 0x1f, // add cx,0x1f35
	0xeb, 0xb9, // jmp picture
}

// startQEMU starts a machine with the boot sector, and returns when that has
// drawn. What the machine shows is asked of QEMU's monitor.
func startQEMU(t *testing.T) foreignServer {
	need(t, "qemu-system-x86_64")
	dir := shortDir(t)
	disk := make([]byte, 1440<<10)
	copy(disk, bootSector)
	disk[510], disk[511] = 0x55, 0xaa
	image, vnc, monitor := filepath.Join(dir, "floppy"), filepath.Join(dir, "vnc"), filepath.Join(dir, "monitor")
	if err := os.WriteFile(image, disk, 0o600); err != nil {
		t.Fatal(err)
	}
	startProgram(t, nil, "qemu-system-x86_64", "-nodefaults", "-accel", "tcg", "-m", "16", "-display", "none", "-vga", "std",
		"-vnc", "unix:"+vnc, "-drive", "if=floppy,format=raw,file="+image, "-boot", "a", "-monitor", "unix:"+monitor+",server=on,wait=off")
	s := foreignServer{network: "unix", address: vnc}
	s.look = func() (picture, error) { return screendump(monitor, filepath.Join(dir, "dump")) }
	s.steps = map[string]func(*testing.T, *rfb.Client){"another": func(t *testing.T, c *rfb.Client) {
		before, err := s.look()
		if err != nil {
			t.Fatal(err)
		}
		c.KeyEvent(rfb.KeyEvent{Down: true, Keysym: 'a'})
		c.KeyEvent(rfb.KeyEvent{Keysym: 'a'})
		eventually(t, "the machine to draw another picture", func() error { return drawn(s.look, before) })
	}}
	eventually(t, "the machine to draw", func() error { return drawn(s.look, picture{}) })
	return s
}

// drawn returns nil where the boot sector has drawn, something else than before
// down to the last bank, and waits for a key.
func drawn(look func() (picture, error), before picture) error {
	now, err := look()
	switch {
	case err != nil:
		return err
	case now.width != 640 || now.height != 480:
		return fmt.Errorf("the screen is %dx%d", now.width, now.height)
	case now.colours() < 1000:
		return fmt.Errorf("it has %d colours", now.colours())
	case before.width == now.width && before.pixels[len(now.pixels)-1] == now.pixels[len(now.pixels)-1]:
		return fmt.Errorf("its last pixel is still %06x", now.pixels[len(now.pixels)-1])
	}
	return nil
}

// screendump asks a QEMU monitor for the picture, by way of a file.
func screendump(monitor, file string) (picture, error) {
	conn, err := net.Dial("unix", monitor)
	if err != nil {
		return picture{}, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return picture{}, err
	}
	answers := bufio.NewReader(conn)
	prompt := func() (string, error) {
		var all []byte
		for !bytes.HasSuffix(all, []byte("(qemu) ")) {
			b, err := answers.ReadByte()
			if err != nil {
				return "", fmt.Errorf("reading QEMU's monitor: %w after %q", err, all)
			}
			all = append(all, b)
		}
		return string(all), nil
	}
	if _, err := prompt(); err != nil {
		return picture{}, err
	}
	if _, err := fmt.Fprintf(conn, "screendump %s\n", file); err != nil {
		return picture{}, err
	}
	if said, err := prompt(); err != nil || strings.Contains(said, "Error") {
		return picture{}, fmt.Errorf("screendump: %w %q", err, said)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return picture{}, err
	}
	var p picture
	line, data, _ := bytes.Cut(data, []byte("\n255\n"))
	if _, err := fmt.Sscanf(string(line), "P6\n%d %d", &p.width, &p.height); err != nil || len(data) != p.width*p.height*3 {
		return picture{}, fmt.Errorf("a screendump begins %q and has %d bytes: %w", line, len(data), err)
	}
	p.pixels = make([]uint32, p.width*p.height)
	for i := range p.pixels {
		p.pixels[i] = uint32(data[i*3])<<16 | uint32(data[i*3+1])<<8 | uint32(data[i*3+2])
	}
	return p, nil
}

// alike returns nil where no component of no pixel differs by more than most.
func alike(got, want picture, most int) error {
	if got.width != want.width || got.height != want.height {
		return differs(got, want)
	}
	for i, p := range got.pixels {
		for shift := 0; shift < 24; shift += 8 {
			if d := int(p>>shift&0xff) - int(want.pixels[i]>>shift&0xff); max(d, -d) > most {
				return fmt.Errorf("the pixel at (%d,%d) is %06x instead of about %06x", i%got.width, i/got.width, p, want.pixels[i])
			}
		}
	}
	return nil
}

// TestServers: a Client decodes what servers of others send exactly, asked for
// one encoding at a time, in one session from change to change.
func TestServers(t *testing.T) {
	leavesNothing(t)
	for name, start := range foreignServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			for _, row := range encoding.All() {
				t.Run(row.Name, func(t *testing.T) {
					for _, list := range [][]wire.Encoding{{row.Number}, {row.Number, wire.EncodingCopyRect}} {
						s.decodes(t, list, differs)
					}
				})
			}
			t.Run("Tight with JPEG", func(t *testing.T) {
				// At the highest level what JPEG loses is not to be seen.
				s.decodes(t, []wire.Encoding{wire.EncodingTight, wire.PseudoQualityLevel9}, func(got, want picture) error { return alike(got, want, 8) })
			})
		})
	}
}

// decodes takes the server through its steps before the eyes of a Client that
// asks for the list, and compares with what it should show.
func (s *foreignServer) decodes(t *testing.T, list []wire.Encoding, compare func(got, want picture) error) {
	t.Helper()
	client := rfb.NewClient(rfb.ClientConfig{Encodings: list, Dial: func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, s.network, s.address)
	}})
	// The Client stays connected from one look to the next.
	server := rfb.NewServer(client, rfb.ServerConfig{Linger: patience})
	defer server.Close() // never fails
	same := func(after string) {
		t.Helper()
		eventually(t, fmt.Sprintf("the picture after %s, asked for in %v", after, list), func() error {
			want, err := s.look()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			got, err := server.Snapshot(ctx)
			if err != nil {
				return err
			}
			return compare(fromFrame(got), want)
		})
	}
	same("connecting")
	for name, step := range s.steps {
		step(t, client)
		same(name)
	}
}
