package ironic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/hashicorp/go-multierror"

	"github.com/ironglass/ironglass/launcher/inventory"
)

// ConsoleKey is the key of driver_info, or else of extra, that says what makes
// a node's console.
const ConsoleKey = "ironglass_console"

// convert makes a node of Ironic's. What is wrong with it is its Fault.
func convert(a apiNode, trusted bool) inventory.Node {
	n := inventory.Node{
		Name: a.Name, UUID: strings.ToLower(a.UUID),
		About: inventory.About{Owner: a.Owner, Lessee: a.Lessee, Maintenance: a.Maintenance},
	}
	if !inventory.IsName(n.Name) {
		n.Name = nameOf(n.UUID) // Ironic's nodes need no name, and may have longer ones
	}
	var err error
	var lacking string
	if n.BMC, lacking, err = bmc(a.Driver, a.DriverInfo); err == nil {
		n.Console, err = console(a, trusted)
	}
	if image, ok := a.DriverInfo["console_image"].(string); ok && n.Console.Image == "" {
		n.Console.Image = image
	}
	made := n.Console.Command != nil || n.Console.RFB != ""
	switch {
	case err != nil:
		n.Fault = err.Error()
	case made:
		n.Fault = faultOf(n)
	case n.BMC == nil:
		n.Fault = "driver_info names no BMC: set redfish_address or ipmi_address, or " + ConsoleKey
	case lacking != "":
		n.Fault = lacking
	case n.Console.Recipe == "":
		n.Console.Recipe = "auto"
	}
	if n.Fault != "" {
		n.Console = inventory.Console{}
	}
	return n
}

// nameOf is the name of a node that Ironic gives none that can be used.
func nameOf(uuid string) string { return "node-" + uuid }

// faultOf is what an inventory says of a node by itself.
func faultOf(n inventory.Node) string {
	_, err := inventory.New([]inventory.Node{n})
	var all *multierror.Error
	if err == nil || !errors.As(err, &all) {
		return ""
	}
	var e *inventory.Error
	if !errors.As(all.Errors[0], &e) {
		return err.Error()
	}
	return fmt.Sprintf("%s: %s: %s", ConsoleKey, strings.TrimPrefix(e.Key, "console."), e.Reason)
}

// protocol is how a kind of driver says where its BMC is.
type protocol struct {
	name string
	// user and password are the keys of the account; the address's is the name
	// with _address.
	user, password string
	port           string
}

// protocols are those known, the most able first.
var protocols = []protocol{
	{"redfish", "redfish_username", "redfish_password", ""},
	{"ilo", "ilo_username", "ilo_password", "client_port"},
	{"drac", "drac_username", "drac_password", "drac_port"},
	{"irmc", "irmc_username", "irmc_password", "irmc_port"},
	{"ipmi", "ipmi_username", "ipmi_password", "ipmi_port"},
}

// hidden is what Ironic's API sends in place of a secret.
const hidden = "******"

// bmc reads how to reach the node's BMC, nil where driver_info does not say.
// lacking says what is missing to sign in there.
func bmc(driver string, info map[string]any) (b *inventory.BMC, lacking string, err error) {
	// A node may have several; its driver's own comes first.
	order := protocols
	for i, p := range protocols {
		if p.name == driver {
			order = append([]protocol{p}, append(append([]protocol(nil), protocols[:i]...), protocols[i+1:]...)...)
		}
	}
	for _, p := range order {
		address := text(info[p.name+"_address"])
		if address == "" {
			continue
		}
		address, err := checkBMC(address, text(info[p.port]))
		if err != nil {
			return nil, "", fmt.Errorf("%s_address: %w", p.name, err)
		}
		b := &inventory.BMC{Protocol: p.name, Address: address, Username: text(info[p.user])}
		password := text(info[p.password])
		switch {
		case password == "":
			return b, fmt.Sprintf("driver_info has no %s: set it, for the BMC lets nobody in without", p.password), nil
		case password == hidden:
			return b, fmt.Sprintf("Ironic hides %s: allow this user to see it, by the policy show_password in Ironic's policy.yaml", p.password), nil
		case b.Username == "" && p.name != "ipmi": // which has a user without a name
			return b, fmt.Sprintf("driver_info has no %s: set it, for the BMC lets nobody in without", p.user), nil
		}
		b.Password = inventory.NewSecret(password)
		return b, "", nil
	}
	return nil, "", nil
}

// text is a value that may be a number as well.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// checkBMC checks the address of a BMC: a host with or without a port, or a
// URL. The error does not repeat it, for a URL may hold a password.
func checkBMC(address, port string) (string, error) {
	if strings.Contains(address, "://") {
		u, err := url.Parse(address)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
			return "", errors.New("this is not the address of a BMC: write https://HOST, and a user under its own key")
		}
		return address, nil
	}
	if strings.ContainsAny(address, "/@ \t\r\n") || len(address) > 255 {
		return "", errors.New("this is not the address of a BMC: write a host or an address")
	}
	if port == "" {
		return address, nil
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("the port %.20q is none from 1 to 65535", port)
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), port), nil
}

// settings is the value of ConsoleKey.
type settings struct {
	Command  []string `json:"command"`
	RFB      string   `json:"rfb"`
	Recipe   string   `json:"recipe"`
	Image    string   `json:"image"`
	Geometry string   `json:"geometry"`
	Seats    string   `json:"seats"`
	Layout   string   `json:"layout"`
}

// console reads what makes the node's console: nothing where it is not said.
func console(a apiNode, trusted bool) (inventory.Console, error) {
	value := a.DriverInfo[ConsoleKey]
	if value == nil {
		value = a.Extra[ConsoleKey]
	}
	if value == nil {
		return inventory.Console{}, nil
	}
	fail := func(format string, args ...any) (inventory.Console, error) {
		return inventory.Console{}, fmt.Errorf(ConsoleKey+": "+format, args...)
	}
	// Some clients send an object as a text.
	body, isText := value.(string)
	if !isText {
		b, err := json.Marshal(value)
		if err != nil {
			return fail("%v", err)
		}
		body = string(b)
	}
	var want settings
	d := json.NewDecoder(bytes.NewReader([]byte(body)))
	d.DisallowUnknownFields()
	if err := d.Decode(&want); err != nil {
		return fail("it is not an object with the keys command, rfb, recipe, image, geometry, seats and layout: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fail("something follows the object")
	}
	c := inventory.Console{
		Command: want.Command, RFB: want.RFB, Recipe: want.Recipe, Image: want.Image, Seats: want.Seats, Layout: want.Layout,
	}
	if want.Geometry != "" {
		var err error
		if c.Width, c.Height, err = inventory.ParseGeometry(want.Geometry); err != nil {
			return fail("geometry: %v", err)
		}
	}
	return c, allowed(c, trusted)
}

// allowed says why a console must not be that was named by who may not be
// trusted with this machine.
func allowed(c inventory.Console, trusted bool) error {
	what := ""
	switch {
	case trusted:
	case c.Command != nil:
		what = "command would run a program on"
	case local(c.RFB):
		what = "rfb would reach into"
	}
	if what == "" {
		return nil
	}
	return fmt.Errorf("%s: %s ironglass' machine: set inventory.ironic.trusted, if all who may write driver_info and extra may do that", ConsoleKey, what)
}

// local reports whether an address of a VNC server is, or may be, of this very
// machine.
func local(address string) bool {
	if strings.HasPrefix(address, "unix:") {
		return true
	}
	host := address
	if u, err := url.Parse(address); err == nil && strings.Contains(address, "://") {
		host = u.Hostname()
	} else if h, _, err := net.SplitHostPort(address); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		// A resolver may take these for numbers: 127.1, 0x7f000001.
		return host != "" && strings.Trim(host, "0123456789abcdefx.") == "" && host[0] >= '0' && host[0] <= '9'
	}
	ip = ip.Unmap()
	return ip.IsLoopback() || ip.IsUnspecified() || ip.IsLinkLocalUnicast()
}
