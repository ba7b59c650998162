package security

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestEAXVectors has the vectors that EAX was published with (Bellare,
// Rogaway and Wagner, appendix G).
func TestEAXVectors(t *testing.T) {
	for _, v := range []struct{ msg, key, nonce, header, want string }{
		{"", "233952DEE4D5ED5F9B9C6D6FF80FF478", "62EC67F9C3A4A407FCB2A8C49031A8B3", "6BFB914FD07EAE6B", "E037830E8389F27B025A2D6527E79D01"},
		{"F7FB", "91945D3F4DCBEE0BF45EF52255F095A4", "BECAF043B0A23D843194BA972C66DEBD", "FA3BFD4806EB53FA", "19DD5C4C9331049D0BDAB0277408F67967E5"},
		{"1A47CB4933", "01F74AD64077F2E704C0F60ADA3DD523", "70C3DB4F0D26368400A10ED05D2BFF5E", "234A3463C1264AC6", "D851D5BAE03A59F238A23E39199DC9266626C40F80"},
		{"481C9E39B1", "D07CF6CBB7F313BDDE66B727AFD3C5E8", "8408DFFF3C1A2B1292DC199E46B7D617", "33CCE2EABFF5A79D", "632A9D131AD4C168A4225D8E1FF755939974A7BEDE"},
		{"40D0C07DA5E4", "35B6D0580005BBC12B0587124557D2C2", "FDB6B06676EEDC5C61D74276E1F8E816", "AEB96EAEBE2970E9", "071DFE16C675CB0677E536F73AFE6A14B74EE49844DD"},
		{"4DE3B35C3FC039245BD1FB7D", "BD8E6E11475E60B268784C38C62FEB22", "6EAC5C93072D8E8513F750935E46DA1B", "D4482D1CA78DCE0F",
			"835BB4F15D743E350E728414ABB8644FD6CCB86947C5E10590210A4F"},
		{"CA40D7446E545FFAED3BD12A740A659FFBBB3CEAB7", "8395FCF1E95BEBD697BD010BC766AAC3", "22E7ADD93CFC6393C57EC0B3C17D6B44", "126735FCC320D25A",
			"CB8920F87A6C75CFF39627B56E3ED197C552D295A7CFC46AFC253B4652B1AF3795B124AB6E"},
	} {
		e := newEAX(unhex(t, v.key))
		nonce, header, want := unhex(t, v.nonce), unhex(t, v.header), unhex(t, v.want)
		if got := e.Seal([]byte("before"), nonce, unhex(t, v.msg), header); !bytes.Equal(got, append([]byte("before"), want...)) {
			t.Errorf("%s: sealed as %X", v.msg, got)
		}
		got, err := e.Open(nil, nonce, want, header)
		if err != nil || !bytes.Equal(got, unhex(t, v.msg)) {
			t.Errorf("%s: opened as %X, %v", v.msg, got, err)
		}
	}
}

// TestEAXWithLongKeys: AES-256, every length, and nothing that was changed is
// taken.
func TestEAXWithLongKeys(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for n := range 200 {
		key, nonce, header, text := make([]byte, 32), make([]byte, 16), make([]byte, n%5), make([]byte, n)
		for _, b := range [][]byte{key, nonce, header, text} {
			for i := range b {
				b[i] = byte(rnd.Uint32())
			}
		}
		e := newEAX(key)
		box := e.Seal(nil, nonce, text, header)
		if got, err := e.Open(nil, nonce, box, header); err != nil || !bytes.Equal(got, text) {
			t.Fatalf("%d bytes: %v", n, err)
		}
		// In place, as connections do it.
		if got, err := e.Open(bytes.Clone(box)[:0], nonce, bytes.Clone(box), header); err != nil || !bytes.Equal(got, text) {
			t.Fatalf("%d bytes: %v", n, err)
		}
		bad := bytes.Clone(box)
		bad[rnd.IntN(len(bad))] ^= 1 << rnd.IntN(8)
		if _, err := e.Open(nil, nonce, bad, header); err == nil {
			t.Errorf("%d bytes: a changed message is taken", n)
		}
		if _, err := e.Open(nil, nonce, box, append(bytes.Clone(header), 0)); err == nil {
			t.Errorf("%d bytes: another header is taken", n)
		}
		nonce[n%16] ^= 1
		if _, err := e.Open(nil, nonce, box, header); err == nil {
			t.Errorf("%d bytes: another nonce is taken", n)
		}
	}
	for n := range 16 {
		if _, err := newEAX(make([]byte, 16)).Open(nil, make([]byte, 16), make([]byte, n), nil); err == nil {
			t.Errorf("%d bytes are a message", n)
		}
	}
}

// TestVNCAnswer has passwords as VNC's password files keep them, which is the
// same encryption with a key that everybody knows.
func TestVNCAnswer(t *testing.T) {
	const key = "\x17\x52\x6b\x06\x23\x4e\x58\x07"
	for password, want := range map[string]string{
		"password": "dbd83cfd727a1458", "sT333ve2": "6bcf2a4b6e5aca0f", "Secure!": "d7a514d8c556aade",
	} {
		block := make([]byte, challengeLen)
		copy(block, password)
		if got := vncAnswer(key, block); hex.EncodeToString(got[:8]) != want {
			t.Errorf("%s is kept as %x, want %s", password, got[:8], want)
		}
	}
	challenge := []byte("sixteen bytes...")
	if bytes.Equal(vncAnswer("12345678", challenge), vncAnswer("1234567", challenge)) {
		t.Error("the eighth byte does not count")
	}
	if !bytes.Equal(vncAnswer("123456789", challenge), vncAnswer("12345678", challenge)) {
		t.Error("the ninth byte counts")
	}
}

func BenchmarkEAX(b *testing.B) {
	e := newEAX(make([]byte, 16))
	text, nonce := make([]byte, maxSealed), make([]byte, 16)
	box := make([]byte, 0, maxSealed+16)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		e.Seal(box, nonce, text, nil)
	}
}
