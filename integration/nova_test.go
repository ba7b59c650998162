package integration

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// debianPython runs what the packages of the distribution bring.
const debianPython = "/usr/bin/python3"

// rabbitServer is RabbitMQ without the script that changes to its own user.
const rabbitServer = "/usr/lib/rabbitmq/bin/rabbitmq-server"

// novncproxy is stock nova-novncproxy with what it needs: a database of its own
// tables, a message queue, and at its other end a nova-compute that is played.
type novncproxy struct {
	dir, url string
	proxy    *program
}

func (n *novncproxy) file(name string) string { return filepath.Join(n.dir, name) }

// startNova starts it for consoles that have the port now; vnc is the lines of
// its configuration about VNC beside the usual ones.
func startNova(t *testing.T, port, vnc string) *novncproxy {
	t.Helper()
	need(t, "nova-novncproxy", "epmd", rabbitServer)
	n := &novncproxy{dir: shortDir(t)}
	queue := startRabbit(t, n.dir)
	address, proxyPort := freePort(t)
	n.url = "http://" + address
	conf := fmt.Sprintf(`[DEFAULT]
transport_url = rabbit://guest:guest@%s/
state_path = %[2]s
[oslo_concurrency]
lock_path = %[2]s
[database]
connection = sqlite:///%[2]s/nova.sqlite
[vnc]
novncproxy_host = 127.0.0.1
novncproxy_port = %[3]s
novncproxy_base_url = %[4]s/vnc_lite.html
%[5]s`, queue, n.dir, proxyPort, n.url, vnc)
	if err := os.WriteFile(n.file("nova.conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	// First, so that the tables are there.
	n.consoleURL(t, "127.0.0.1", "1", "")
	compute := startProgram(t, n.environment(), debianPython, "testdata/nova/compute.py", n.file("nova.conf"), port)
	n.proxy = startProgram(t, n.environment(), "nova-novncproxy", "--config-file", n.file("nova.conf"))
	eventually(t, "Nova to be ready", func() error {
		if err := errors.Join(compute.running(), n.proxy.running()); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(compute.output.String(), "ready") {
			return errors.New("nova-compute is not")
		}
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
	return n
}

// environment has nothing in it that leads Python elsewhere.
func (n *novncproxy) environment() []string {
	return []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + n.dir, "TMPDIR=" + n.dir, "LANG=C.UTF-8"}
}

// consoleURL makes a token for a console and returns what Nova's API would
// answer.
func (n *novncproxy) consoleURL(t *testing.T, host, port, path string) string {
	t.Helper()
	args := []string{"testdata/nova/prepare.py", n.file("nova.conf"), host, port}
	if path != "" {
		args = append(args, path)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, debianPython, args...)
	cmd.Env = n.environment()
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("making a token: %v\n%s", err, said.String())
	}
	return strings.TrimSpace(string(out))
}

// websocketURL is where the page at that address connects to.
func websocketURL(t *testing.T, page string) string {
	t.Helper()
	u, err := url.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	return "ws://" + u.Host + "/" + u.Query().Get("path")
}

// startRabbit starts RabbitMQ and the daemon that its parts find each other
// by, and returns where it takes messages.
func startRabbit(t *testing.T, dir string) (address string) {
	t.Helper()
	address, port := freePort(t)
	_, distribution := freePort(t)
	_, names := freePort(t)
	host, _, _ := net.SplitHostPort(address)
	env := []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + dir, "LANG=C.UTF-8",
		"ERL_EPMD_ADDRESS=" + host, "ERL_EPMD_PORT=" + names}
	startProgram(t, env, "epmd", "-port", names, "-relaxed_command_check")
	server := startProgram(t, append(env,
		"RABBITMQ_NODENAME=ironglass@localhost", "RABBITMQ_NODE_IP_ADDRESS="+host, "RABBITMQ_NODE_PORT="+port,
		"RABBITMQ_DIST_PORT="+distribution, "RABBITMQ_MNESIA_BASE="+filepath.Join(dir, "mnesia"), "RABBITMQ_LOGS=-", "RABBITMQ_LOG_BASE="+dir,
		"RABBITMQ_CONFIG_FILE="+filepath.Join(dir, "rabbitmq"), "RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(dir, "plugins"),
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}"), rabbitServer)
	eventually(t, "RabbitMQ to be ready", func() error {
		if err := server.running(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(server.output.String(), "Server startup complete") {
			return errors.New("it is not")
		}
		return nil
	})
	return address
}

// TestNovncproxy: a browser sees the node through stock nova-novncproxy, in the
// clear and by VeNCrypt with certificates on both sides, and shares it with one
// that comes directly.
func TestNovncproxy(t *testing.T) {
	for name, secure := range map[string]bool{"None": false, "VeNCrypt": true} {
		t.Run(name, func(t *testing.T) {
			n := pictureNode(t, "metal", screenSize)
			s := newService(t, n)
			// All ports of an address of its own are free.
			s.more = fmt.Sprintf("rfb:\n  listen: %s\n  ports: 15900-15903\n", ownHost())
			vnc := "auth_schemes = none\n"
			if secure {
				pki := newSecrets(t)
				s.more += fmt.Sprintf("  tls: {cert: %s, key: %s, client_ca: %s}\n", pki.file("server.pem"), pki.file("server.key"), pki.file("ca.pem"))
				vnc = fmt.Sprintf("auth_schemes = vencrypt, none\nvencrypt_client_cert = %s\nvencrypt_client_key = %s\nvencrypt_ca_certs = %s\n",
					pki.file("client.pem"), pki.file("client.key"), pki.file("ca.pem"))
			}
			s.configure(t, freeAddress(t))
			s.start(t)
			host, port := s.rfbPort(t)
			stack := startNova(t, port, vnc)

			page := stack.consoleURL(t, host, port, "")
			p := newTab(t)
			p.goTo(t, page)
			n.shown(t)
			p.showsExactly(t, n)
			direct := newTab(t)
			direct.openConsole(t, s, n.name)
			for _, command := range []string{"draw 5", "scroll 16", "bustle 50"} {
				n.tell(t, command)
				p.showsExactly(t, n)
				direct.showsExactly(t, n)
			}
			if viewers, err := s.viewers(t); err != nil || viewers != 2 {
				t.Errorf("there are %d viewers, %v", viewers, err)
			}
			if sessions, err := s.sessions(n); err != nil || sessions != 1 {
				t.Errorf("the node has %d sessions, %v", sessions, err)
			}

			// A token for a port that is not the console's any more, and one
			// that nobody gave out, open nothing.
			other := stack.consoleURL(t, host, "15899", "")
			for _, bad := range []string{websocketURL(t, other), websocketURL(t, page) + "0"} {
				if err := refusedWebsocket(t, bad); err != nil {
					t.Errorf("%s: %v", bad, err)
				}
			}
		})
	}
}

// ownHost is a loopback address that nobody else uses.
func ownHost() string {
	return fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
}

// rfbPort is where the service's first node is reached by viewers that are no
// browsers.
func (s *service) rfbPort(t testing.TB) (host, port string) {
	t.Helper()
	data, err := s.get(t, "/v1/nodes", http.StatusOK)
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Nodes []struct {
			RFB *struct {
				Host string `json:"host"`
				Port int    `json:"port"`
			} `json:"rfb"`
		} `json:"nodes"`
	}
	if err := json.Unmarshal(data, &list); err != nil || len(list.Nodes) == 0 || list.Nodes[0].RFB == nil {
		t.Fatalf("the nodes are %s, %v", data, err)
	}
	return list.Nodes[0].RFB.Host, strconv.Itoa(list.Nodes[0].RFB.Port)
}

// refusedWebsocket opens a websocket that is to be closed without a picture.
func refusedWebsocket(t *testing.T, address string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, answer, err := websocket.DefaultDialer.DialContext(ctx, address, nil)
	if err != nil {
		return nil // that is what is wanted
	}
	defer ws.Close()
	_ = answer.Body.Close()
	if _, message, err := ws.ReadMessage(); err == nil {
		return fmt.Errorf("it was let in: %q", message)
	}
	return nil
}
