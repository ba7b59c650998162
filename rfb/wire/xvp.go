package wire

// XVPVersion is the version of the xvp extension that is spoken.
const XVPVersion = 1

// Codes of xvp messages (rfbproto 7.5.11 and 7.6.8): the server's, then the
// client's.
const (
	XVPFail uint8 = 0
	XVPInit uint8 = 1

	XVPShutdown uint8 = 2
	XVPReboot   uint8 = 3
	XVPReset    uint8 = 4
)

// ClientXVP (250, rfbproto 7.5.11): 1 byte of padding, U8 version, U8 code.
type ClientXVP struct{ Version, Code uint8 }

// Append appends the message.
func (m ClientXVP) Append(b []byte) []byte {
	return append(b, byte(TypeClientXVP), 0, m.Version, m.Code)
}

// ServerXVP (250, rfbproto 7.6.8) has the form of ClientXVP.
type ServerXVP struct{ Version, Code uint8 }

// Append appends the message.
func (m ServerXVP) Append(b []byte) []byte {
	return append(b, byte(TypeServerXVP), 0, m.Version, m.Code)
}

// ReadServerXVP reads the message after its type.
func ReadServerXVP(r *Reader) ServerXVP {
	r.Skip("padding", 1)
	return ServerXVP{r.U8("xvp-version"), r.U8("xvp-message-code")}
}
