package loads

// reason says why a measure is lost in a load against a peer; an empty load or
// peer is any. Of several that fit the first counts, so the particular ones go
// first.
type reason struct {
	load    string
	measure measure
	peer    string
	text    string
}

// unexplained stands for a reason that nobody has found.
const unexplained = "No reason is known yet."

var reasons = []reason{
	{"pages", measureCPU, "", "A page is a drawing and goes without loss, at fewer bytes; the peers send JPEG, which takes less time."},
	{"video", measureCPU, "Xtigervnc", "Xtigervnc draws, compares and encodes in one process. Here the X server draws, the supervisor is told, fetches the damage, compares the pixels and tells photographs from drawings before it encodes."},
	{"scroll", measureCPU, "Xtigervnc", "Xtigervnc is told of each CopyArea by itself. Here the move is looked for in the pixels, measured, and what it brought is compared."},
	{"drag", measureCPU, "Xtigervnc", "Xtigervnc is told of each CopyArea by itself. Here the move is looked for in the pixels, measured, and what it brought is compared."},
	{"", measureCPU, "Xtigervnc", "Xtigervnc is the X server itself: it knows what it drew. A supervisor outside of it is woken by an event, asks for the damage in a round trip and is woken by the answer; see the wake-ups."},
	{"video", measureBytes, "", "A film goes in pieces of 1024x256 at most, which viewers share, and each is a JPEG picture of its own with its header and tables."},
	{"", measureBytes, "Xtigervnc", "Each piece is compressed without history, so that it can be shared by viewers who came at any time; Xtigervnc's streams remember what each viewer was sent before, which counts most in small pieces such as a line of text."},
	{"", measureFirst, "Xtigervnc", "Nothing of the display is kept while nobody looks: with the first viewer it is followed anew, and its size, pointer, damage and all pixels are fetched from the X server. Xtigervnc is the X server."},
	{"", measureFirst, "", "Nothing of the display is kept while nobody looks: with the first viewer it is followed anew, and its size, pointer, damage and all pixels are fetched from the X server, looked at and encoded."},
	{"", measureP50, "Xtigervnc", "A change that is found from outside is known later by an event and a round trip than to the X server that makes it."},
	{"", measureP95, "Xtigervnc", "A change that is found from outside is known later by an event and a round trip than to the X server that makes it."},
	{"", measureResident, "", "The picture is kept as viewers have it, beside what is being encoded: four bytes for each pixel (5 MB of 1280x1024, 9 MB of 1920x1200) and the compressors' memory, until it is given back after a pause."},
}

// why is the reason for a measure that is lost.
func why(load string, m measure, peer string) string {
	for _, r := range reasons {
		if r.measure == m && (r.load == "" || r.load == load) && (r.peer == "" || r.peer == peer) {
			return r.text
		}
	}
	return unexplained
}
