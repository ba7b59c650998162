package wire

import "strconv"

// Encoding is the number of an encoding or pseudo-encoding (rfbproto 7.7 and
// 7.8, "Encodings" and "Pseudo-encodings").
type Encoding int32

// Encodings of rectangles (rfbproto 7.7).
const (
	EncodingRaw      Encoding = 0
	EncodingCopyRect Encoding = 1
	EncodingRRE      Encoding = 2
	EncodingCoRRE    Encoding = 4
	EncodingHextile  Encoding = 5
	EncodingZlib     Encoding = 6
	EncodingTight    Encoding = 7
	EncodingZRLE     Encoding = 16
	EncodingJPEG     Encoding = 21
	EncodingTightPNG Encoding = -260
)

// Pseudo-encodings (rfbproto 7.8).
const (
	PseudoSubsampling1X        Encoding = -768 // colours for every pixel
	PseudoSubsampling4X        Encoding = -767 // for every fourth, and so on
	PseudoSubsampling2X        Encoding = -766
	PseudoSubsamplingGray      Encoding = -765
	PseudoSubsampling8X        Encoding = -764
	PseudoSubsampling16X       Encoding = -763
	PseudoFineQualityLevel0    Encoding = -512 // to -412 for level 100
	PseudoFineQualityLevel100  Encoding = -412
	PseudoQualityLevel0        Encoding = -32 // to -23 for level 9
	PseudoQualityLevel9        Encoding = -23
	PseudoDesktopSize          Encoding = -223
	PseudoLastRect             Encoding = -224
	PseudoCursor               Encoding = -239
	PseudoXCursor              Encoding = -240
	PseudoCompressLevel0       Encoding = -256 // to -247 for level 9
	PseudoCompressLevel9       Encoding = -247
	PseudoQEMUExtendedKeyEvent Encoding = -258
	PseudoQEMULEDState         Encoding = -261
	PseudoDesktopName          Encoding = -307
	PseudoExtendedDesktopSize  Encoding = -308
	PseudoXVP                  Encoding = -309
	PseudoFence                Encoding = -312
	PseudoContinuousUpdates    Encoding = -313
	PseudoCursorWithAlpha      Encoding = -314
	PseudoExtendedMouseButtons Encoding = -316
	PseudoExtendedClipboard    Encoding = -1063131698 // 0xC0A1E5CE
	PseudoVMwareCursor         Encoding = 0x574d5664
	PseudoVMwareCursorPosition Encoding = 0x574d5666
	PseudoVMwareLEDState       Encoding = 0x574d5668
)

var encodingNames = map[Encoding]string{
	EncodingRaw: "Raw", EncodingCopyRect: "CopyRect", EncodingRRE: "RRE", EncodingCoRRE: "CoRRE",
	EncodingHextile: "Hextile", EncodingZlib: "Zlib", EncodingTight: "Tight",
	EncodingZRLE: "ZRLE", EncodingJPEG: "JPEG", EncodingTightPNG: "TightPNG",
	PseudoDesktopSize: "DesktopSize", PseudoLastRect: "LastRect",
	PseudoCursor: "Cursor", PseudoXCursor: "XCursor",
	PseudoQEMUExtendedKeyEvent: "QEMUExtendedKeyEvent", PseudoQEMULEDState: "QEMULEDState",
	PseudoDesktopName: "DesktopName", PseudoExtendedDesktopSize: "ExtendedDesktopSize",
	PseudoXVP: "XVP", PseudoFence: "Fence", PseudoContinuousUpdates: "ContinuousUpdates",
	PseudoCursorWithAlpha: "CursorWithAlpha", PseudoExtendedMouseButtons: "ExtendedMouseButtons",
	PseudoExtendedClipboard: "ExtendedClipboard", PseudoVMwareCursor: "VMwareCursor",
	PseudoVMwareCursorPosition: "VMwareCursorPosition", PseudoVMwareLEDState: "VMwareLEDState",
}

// String is the specification's name, or the number.
func (e Encoding) String() string {
	if n, ok := encodingNames[e]; ok {
		return n
	}
	return strconv.Itoa(int(e))
}
